/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_FILE_LOCK_H
#define SIGNETFS_VAULT_FILE_LOCK_H

/*
 * Who works on which chunks of an open file: a lock with ranges. Two writes that overwrite different chunks go on side by side, and so
 * do reads of what is not being overwritten; a reader never sees a chunk half written.
 *
 * Claims are served in the order in which they came: one waits while an earlier one overlaps it, unless both are shared. So nobody
 * starves. A thread holds one claim of a file at a time.
 *
 * What a claim allows: with a shared or partial claim the file's state may be read, and only its own chunks be written; everything
 * else (header, keys, state) changes under a claim of the whole file that is not shared. The size alone also grows under the
 * claim of the chunks that come next (file_append.c).
 */

#include <pthread.h>
#include <stdint.h>

struct file_claim {
	uint64_t first, last; /* chunks */
	int shared;
	struct file_claim *next; /* the lock's */
};

#define CLAIM_ALL        ((struct file_claim){.last = UINT64_MAX})
#define CLAIM_ALL_SHARED ((struct file_claim){.last = UINT64_MAX, .shared = 1})

struct file_lock {
	pthread_mutex_t mutex;
	pthread_cond_t left;
	unsigned waiting;
	struct file_claim *oldest; /* held and waiting, by age; they lie on their threads' stacks */
};

void file_lock_init(struct file_lock *l);
/** Nobody holds or wants a claim. */
void file_lock_destroy(struct file_lock *l);

/** Wait for @c, which the caller has filled in and keeps in place until file_lock_drop(). */
void file_lock_take(struct file_lock *l, struct file_claim *c);
/** Wait until no claim older than @c, which the caller holds, overlaps chunks @first to @last. */
void file_lock_await(struct file_lock *l, const struct file_claim *c, uint64_t first, uint64_t last);
void file_lock_drop(struct file_lock *l, struct file_claim *c);

#endif
