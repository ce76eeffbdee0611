/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_STORE_MEMO_H
#define SIGNETFS_STORE_MEMO_H

/*
 * Rows lately read, so that the lookups of every call cost no statement. Sealed secrets may be in it, open ones are not.
 *
 * A row belongs to the generation (store.h) that was known before it was read, and is forgotten with it. So what comes from here
 * is never older than the known generation; a row read after another process's change is at worst forgotten early. Inside a
 * transaction nothing is remembered nor looked up: its own changes have no generation yet. Rows that do not exist are not remembered.
 *
 * Threads: safe. Bounded: 2048 rows of at most MEMO_ROW_MAX bytes.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/store/sql.h"

enum { MEMO_KEY_MAX = 320, MEMO_ROW_MAX = 768 };

struct store;
struct memo;

struct memo *memo_new(void); /* NULL: no memory */
void memo_free(struct memo *memo);

/** Which row: a statement and what is bound to it. */
struct memo_key {
	enum sql which;
	uint64_t generation;
	uint64_t hash;
	size_t len; /* 0: not to be remembered */
	uint8_t bytes[MEMO_KEY_MAX];
};

/** @parts are bound in this order; made before the row is read. */
void memo_key_init(struct store *store, enum sql which, const void *const *parts, const size_t *lens, size_t n,
	struct memo_key *ret);
/** 1 and the row, or 0. */
int memo_get(struct store *store, const struct memo_key *key, void *row, size_t size);
void memo_put(struct store *store, const struct memo_key *key, const void *row, size_t size);

#endif
