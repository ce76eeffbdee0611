/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FORMAT_DESCRIPTOR_H
#define SIGNETFS_FORMAT_DESCRIPTOR_H

/* signetfs.ini at a vault's top: what the vault is and how to get its volume key. doc/format.md, "Volume descriptor". */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/ids.h"
#include "kms/base/secret.h"
#include "kms/base/wrapped_key.h"

#define DESCRIPTOR_NAME "signetfs.ini"
enum { DESCRIPTOR_MAX = 16384, DESCRIPTOR_ENDPOINT_MAX = 255, DESCRIPTOR_KEY_ID_MAX = 255 };

enum name_mode { NAMES_ENCRYPTED, NAMES_PLAIN };

struct descriptor {
	uint32_t format; /* 1 */
	uint8_t volume_id[VOLUME_ID_SIZE];
	enum name_mode names;
	int bucket_keys;           /* 0: every file is a KMS call of its own */
	uint32_t header_length;    /* of every file: multiple of 512 */
	uint64_t lifetime_seconds; /* of a bucket key */
	uint64_t lifetime_files;
	uint64_t cache_seconds;
	char endpoint[DESCRIPTOR_ENDPOINT_MAX +
		      1]; /* where the KMS was at init; an option or configuration overrides */
	char region[64];
	char key_id[DESCRIPTOR_KEY_ID_MAX + 1]; /* as the person named it: new bucket keys are asked for by it */
	struct kms_wrapped_key volume_key;
};

/** Text with the MAC (HMAC-SHA256, key from the volume key, over all the rest). *ret_text is malloc'd. */
enum err descriptor_encode(const struct descriptor *d, const struct volume_key *key, char **ret_text, size_t *ret_len);

/**
 * Parse; nothing is authenticated yet. @what names the file in messages. ERR_VAULT: malformed, cut or with unknown entries (the text
 * names the line); ERR_UNSUPPORTED: a newer format.
 */
enum err descriptor_decode(const char *what, const char *text, size_t len, struct descriptor *ret);

/** ERR_VAULT when the MAC is wrong: edited, or from another vault. */
enum err descriptor_verify(
	const char *what, const char *text, size_t len, const struct descriptor *d, const struct volume_key *key);

#endif
