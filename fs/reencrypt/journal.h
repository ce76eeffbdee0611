/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REENCRYPT_JOURNAL_H
#define SIGNETFS_REENCRYPT_JOURNAL_H

/*
 * .signetfs/reencrypt: what a move that is under way was asked for, so that --resume needs no more than the vault. One line of JSON and a
 * MAC under a key derived from the volume key. No file depends on it: each says itself which key it is under. Without it a move begins
 * anew, and finds what is done already.
 *
 * Written before the first header is, and removed when nothing is left to do.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/vault/vault.h"
#include "kms/base/kdf.h"

/* Bucket keys that the move made: data that is under one of them has been written anew. Beyond that many the oldest is forgotten, and
 * what is under it would be written once more. */
enum { JOURNAL_KEYS_MAX = 1024, JOURNAL_ONLY_MAX = 64, JOURNAL_MAX = 512 * 1024 };

struct journal {
	char *to;                /* as the person named it */
	char *from;              /* NULL: all */
	char *endpoint, *region; /* of the KMS to move to; NULL: the same */
	int data;
	size_t only_count;
	char *only[JOURNAL_ONLY_MAX];
	size_t key_count;
	uint8_t keys[JOURNAL_KEYS_MAX][SHA256_SIZE];
};

/** malloc'd, empty. NULL: memory. */
struct journal *journal_new(void);
void journal_free(struct journal *j); /* NULL is fine */
#define AUTO_JOURNAL __attribute__((cleanup(journal_free_auto)))
void journal_free_auto(struct journal **j);

enum err journal_write(struct vault *v, const struct journal *j);
/** ERR_NOT_FOUND: none. ERR_USAGE: damaged, cut, of another vault or of a newer program; the text says what to do, nothing was changed. */
enum err journal_read(struct vault *v, struct journal **ret);
enum err journal_remove(struct vault *v);

#endif
