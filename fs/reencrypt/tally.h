/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REENCRYPT_TALLY_H
#define SIGNETFS_REENCRYPT_TALLY_H

/*
 * Which keys files depend on: counted by CMK, backing key and kind of wrapping. Bounded: what comes after TALLY_MAX different keys is
 * counted under one name. Threads: safe.
 */

#include <jansson.h>
#include <stdint.h>
#include "fs/format/file_header.h"
#include "kms/kms.h"

enum { TALLY_MAX = 4096, TALLY_BUCKET_KEYS_MAX = 65536 };

struct tally;
struct tally *tally_new(void); /* NULL: memory */
void tally_free(struct tally *t);

void tally_file(struct tally *t, const struct file_header *h, uint64_t bytes);
/** What is no file: "volume key", "new files". */
void tally_thing(struct tally *t, const char *what, const struct kms_wrapped_key *wrapped);

struct tally_row {
	char key_arn[KMS_ARN_MAX + 1];
	char backing[KMS_BACKING_SIZE]; /* "": the KMS does not tell */
	enum file_wrap wrap;
	uint64_t files, bytes, bucket_keys; /* bucket_keys: different ones */
	int volume_key, new_files;          /* these are under it, too */
};
/** Sorted by ARN, backing key, wrapping. Returns how many; *ret is malloc'd. */
size_t tally_rows(struct tally *t, struct tally_row **ret);
/** The same as a JSON array. */
json_t *tally_json(struct tally *t);

#endif
