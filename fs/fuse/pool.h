/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_POOL_H
#define SIGNETFS_FUSE_POOL_H

/*
 * Memory for small objects by the million: nodes and their names. Objects of one size (in steps of 8 bytes) share blocks of 64 KiB. Beside
 * malloc() that saves a header and half a step of rounding for each object; what one thread freed the others use again, whatever
 * order the kernel forgets and meets files in; and a block without objects goes back to the system at once.
 *
 * A build with AddressSanitizer takes each object from malloc() instead, so that its use after the end is found.
 *
 * Threads: whoever owns the pool sees to it that one at a time uses it.
 */

#include <stddef.h>

enum { POOL_STEP = 8, POOL_LARGEST = 296 };

struct pool_block;
/** All zero: empty. */
struct pool {
	struct pool_block *roomy[POOL_LARGEST / POOL_STEP + 1]; /* for each size, blocks that have room */
	size_t bytes;
};

/** @size bytes (1 to POOL_LARGEST), aligned to 8, not initialised. NULL when memory is out. */
void *pool_take(struct pool *p, size_t size);
/** Give back what pool_take() returned for the same @size. @object may be NULL. */
void pool_give(struct pool *p, void *object, size_t size);
/** What the pool holds of the system's memory. */
size_t pool_bytes(const struct pool *p);
/** Everything taken was given back: let the last blocks go. */
void pool_end(struct pool *p);

#endif
