/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/pool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static size_t class_of(size_t size)
{
	assert(size > 0 && size <= POOL_LARGEST);
	return (size + POOL_STEP - 1) / POOL_STEP;
}

size_t pool_bytes(const struct pool *p)
{
	return p->bytes;
}

#ifdef __SANITIZE_ADDRESS__

void *pool_take(struct pool *p, size_t size)
{
	void *object = malloc(size);

	p->bytes += object ? class_of(size) * POOL_STEP : 0;
	return object;
}

void pool_give(struct pool *p, void *object, size_t size)
{
	p->bytes -= object ? class_of(size) * POOL_STEP : 0;
	free(object);
}

void pool_end(struct pool *p)
{
	assert(p->bytes == 0);
}

#else

enum { BLOCK = 64 * 1024 };

/* At the start of each block, which is aligned to its size: so an object finds it. */
struct pool_block {
	struct pool_block *next, *before; /* among those with room */
	void *free;                       /* objects given back, each holds the address of the next */
	uint32_t used;                    /* objects out */
	uint32_t fresh;                   /* where the part begins that never was an object */
};

/* Map twice as much and cut off what lies beside the aligned block. */
static struct pool_block *map_block(void)
{
	char *two = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (two == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)two & (BLOCK - 1);
	if (before)
		munmap(two, before);
	munmap(two + before + BLOCK, BLOCK - before);
	return (struct pool_block *)(two + before);
}

static void link_block(struct pool_block **first, struct pool_block *b)
{
	b->before = NULL;
	b->next = *first;
	if (*first)
		(*first)->before = b;
	*first = b;
}

static void unlink_block(struct pool_block **first, struct pool_block *b)
{
	*(b->before ? &b->before->next : first) = b->next;
	if (b->next)
		b->next->before = b->before;
}

static int is_full(const struct pool_block *b, size_t step)
{
	return !b->free && b->fresh + step > BLOCK;
}

static struct pool_block *new_block(struct pool *p, struct pool_block **first)
{
	struct pool_block *b = map_block();

	if (b) {
		b->fresh = sizeof *b;
		link_block(first, b);
		p->bytes += BLOCK;
	}
	return b;
}

static void release_block(struct pool *p, struct pool_block **first, struct pool_block *b)
{
	assert(b->used == 0);
	unlink_block(first, b);
	munmap(b, BLOCK);
	p->bytes -= BLOCK;
}

void *pool_take(struct pool *p, size_t size)
{
	size_t class = class_of(size), step = class * POOL_STEP;
	struct pool_block **first = &p->roomy[class], *b = *first ? *first : new_block(p, first);

	if (!b)
		return NULL;
	void *object = b->free;
	if (object) {
		b->free = *(void **)object;
	} else {
		object = (char *)b + b->fresh;
		b->fresh += (uint32_t)step;
	}
	b->used++;
	if (is_full(b, step))
		unlink_block(first, b);
	return object;
}

void pool_give(struct pool *p, void *object, size_t size)
{
	if (!object)
		return;
	size_t class = class_of(size);
	struct pool_block *b = (struct pool_block *)((uintptr_t)object & ~(uintptr_t)(BLOCK - 1));

	if (is_full(b, class * POOL_STEP))
		link_block(&p->roomy[class], b);
	*(void **)object = b->free;
	b->free = object;
	/* The last block with room stays: one object that comes and goes must not map and unmap it each time. */
	if (--b->used == 0 && (b->next || b->before))
		release_block(p, &p->roomy[class], b);
}

void pool_end(struct pool *p)
{
	for (size_t class = 1; class < sizeof p->roomy / sizeof *p->roomy; class ++)
		while (p->roomy[class])
			release_block(p, &p->roomy[class], p->roomy[class]);
	assert(p->bytes == 0);
}

#endif
