/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/secret.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/*
 * A pool of locked memory. A region is a 256 KiB aligned stretch of address space:
 *
 *     inaccessible page | tag page, read-only | slabs … | inaccessible page
 *
 * The tag page points to the region's record on the ordinary heap, so that a block finds its record by masking its address,
 * and no record lies where an overrun of a secret could reach it. A small region is cut into slabs of 8 KiB, each
 * holding blocks of one size; a block larger than a slab has a region to itself.
 *
 * Invariants, under the pool's lock:
 * 1. every free block is zero (wiped when freed; a fresh mapping is zero; a forked child sees zeros);
 * 2. slab.size == 0 exactly when the slab is in use by no size class;
 * 3. a slab is on its class's list exactly when it has both a class and a free block.
 */
enum { PAGE = 4096, REGION = 256 * 1024, SLAB = 8192, SLABS = (REGION - 2 * PAGE) / SLAB, BITMAP = SLAB / 32 / 64 };
_Static_assert(SLAB % 64 == 0 && PAGE % 64 == 0, "blocks of 64 bytes and more are aligned to cache lines");

static const uint16_t class_sizes[] = {32, 64, 128, 192, 256, 384, 512, 768, 1024, 1344, 2048, 2688, 4096, 8192};
enum { CLASSES = sizeof(class_sizes) / sizeof(class_sizes[0]) };

struct slab {
	struct slab *next, **link; /* list of slabs of this class with a free block */
	struct region *region;
	uint8_t *start;
	unsigned size; /* of one block */
	unsigned cls, used, capacity;
	uint64_t taken[BITMAP];
};

struct region {
	struct region *next, **link;
	uint8_t *map;  /* whole mapping */
	size_t mapped; /* its length */
	uint8_t *data;
	size_t len; /* of data */
	int locked;
	int big; /* one block, no slabs */
	struct slab slab[SLABS];
};

static struct {
	pthread_mutex_t lock;
	struct region *regions;
	struct slab *partial[CLASSES];
	int allow_unlocked;
	size_t locked, unlocked;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

void secret_wipe(void *p, size_t len)
{
	if (len == 0) /* @p may be NULL */
		return;
	explicit_bzero(p, len); /* OPENSSL_cleanse() goes eight bytes a step */
}

int secret_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void secret_wipe_auto_32(void *p)
{
	secret_wipe(p, KEY_SIZE);
}

void secret_free_auto(void *p)
{
	void *block;

	memcpy(&block, p, sizeof(block));
	secret_free(block);
}

/* ---- fork: a child must find the lock free, and its pages locked again, since mlock is not inherited ---- */

static void fork_prepare(void)
{
	pthread_mutex_lock(&pool.lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&pool.lock);
}

static void fork_child(void)
{
	for (struct region *r = pool.regions; r; r = r->next) {
		if (!r->locked || mlock(r->data, r->len) == 0)
			continue;
		r->locked = 0;
		pool.locked -= r->len;
		pool.unlocked += r->len;
	}
	pthread_mutex_unlock(&pool.lock);
}

static void install_fork_handlers(void)
{
	int rc = pthread_atfork(fork_prepare, fork_parent, fork_child);

	assert(rc == 0);
	(void)rc;
}

/* ---- regions ---- */

/* Reserve address space whose tag page is aligned to REGION, and make tag and data pages accessible. */
static int map_region(struct region *r, size_t len)
{
	size_t reserved = REGION + len + 3 * PAGE;
	uint8_t *map = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *tag;

	if (map == MAP_FAILED)
		return -1;
	tag = map + PAGE;
	tag += (REGION - ((uintptr_t)tag & (REGION - 1))) & (REGION - 1);
	r->data = tag + PAGE;
	r->len = len;
	/* Give back what alignment cost. */
	if (tag - PAGE > map)
		munmap(map, (size_t)(tag - PAGE - map));
	r->map = tag - PAGE;
	r->mapped = len + 3 * PAGE;
	if (map + reserved > r->map + r->mapped)
		munmap(r->map + r->mapped, (size_t)(map + reserved - (r->map + r->mapped)));
	if (mprotect(tag, PAGE + len, PROT_READ | PROT_WRITE) != 0) {
		munmap(r->map, r->mapped);
		return -1;
	}
	memcpy(tag, &r, sizeof(r));
	mprotect(tag, PAGE, PROT_READ);
	return 0;
}

static int protect_region(struct region *r)
{
	/* Best effort: kernels before 4.14 know no MADV_WIPEONFORK, and secret_harden_process() forbids core dumps besides. */
	madvise(r->data, r->len, MADV_DONTDUMP);
	madvise(r->data, r->len, MADV_WIPEONFORK);
	r->locked = mlock(r->data, r->len) == 0;
	return r->locked || pool.allow_unlocked ? 0 : -1;
}

static void link_region(struct region *r)
{
	r->next = pool.regions;
	r->link = &pool.regions;
	if (r->next)
		r->next->link = &r->next;
	pool.regions = r;
	*(r->locked ? &pool.locked : &pool.unlocked) += r->len;
}

static struct region *region_new(size_t len, int big)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct region *r = calloc(1, sizeof(*r));

	pthread_once(&once, install_fork_handlers);
	if (!r)
		return NULL;
	if (map_region(r, len) != 0) {
		free(r);
		return NULL;
	}
	if (protect_region(r) != 0) {
		munmap(r->map, r->mapped);
		free(r);
		return NULL;
	}
	r->big = big;
	for (unsigned i = 0; i < SLABS && !big; i++) {
		r->slab[i].region = r;
		r->slab[i].start = r->data + (size_t)i * SLAB;
	}
	link_region(r);
	return r;
}

static void region_free(struct region *r)
{
	*(r->locked ? &pool.locked : &pool.unlocked) -= r->len;
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	munmap(r->map, r->mapped);
	free(r);
}

static struct region *region_of(const void *p)
{
	struct region *r;

	memcpy(&r, (const void *)((uintptr_t)p & ~(uintptr_t)(REGION - 1)), sizeof(r));
	return r;
}

/* ---- slabs ---- */

static void slab_link(struct slab *s)
{
	struct slab **head = &pool.partial[s->cls];

	s->next = *head;
	s->link = head;
	if (s->next)
		s->next->link = &s->next;
	*head = s;
}

static void slab_unlink(struct slab *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
}

static struct slab *find_unused_slab(void)
{
	struct region *r;

	for (r = pool.regions; r; r = r->next)
		for (unsigned i = 0; i < SLABS && !r->big; i++)
			if (r->slab[i].size == 0)
				return &r->slab[i];
	r = region_new((size_t)SLABS * SLAB, 0);
	return r ? &r->slab[0] : NULL;
}

static struct slab *slab_for_class(unsigned cls)
{
	struct slab *s = pool.partial[cls];

	if (s)
		return s;
	s = find_unused_slab();
	if (!s)
		return NULL;
	s->cls = cls;
	s->size = class_sizes[cls];
	s->capacity = SLAB / s->size;
	s->used = 0;
	memset(s->taken, 0, sizeof(s->taken));
	slab_link(s);
	return s;
}

static void *slab_take(struct slab *s)
{
	unsigned word = 0;
	unsigned bit;

	while (s->taken[word] == UINT64_MAX)
		word++;
	bit = (unsigned)__builtin_ctzll(~s->taken[word]);
	s->taken[word] |= UINT64_C(1) << bit;
	if (++s->used == s->capacity)
		slab_unlink(s);
	return s->start + (size_t)(word * 64 + bit) * s->size;
}

static void slab_give_back(struct slab *s, const uint8_t *p)
{
	unsigned index = (unsigned)((size_t)(p - s->start) / s->size);

	if (s->used == s->capacity)
		slab_link(s);
	s->taken[index / 64] &= ~(UINT64_C(1) << index % 64);
	if (--s->used == 0) {
		slab_unlink(s);
		s->size = 0;
	}
}

static struct slab *slab_of(struct region *r, const uint8_t *p)
{
	struct slab *s = &r->slab[(size_t)(p - r->data) / SLAB];
	unsigned index;

	assert(s->size != 0 && (size_t)(p - s->start) % s->size == 0);
	index = (unsigned)((size_t)(p - s->start) / s->size);
	/* Freeing twice would hand one block to two owners. */
	assert(s->taken[index / 64] >> index % 64 & 1);
	(void)index;
	return s;
}

static void *alloc_small(size_t len)
{
	unsigned cls = 0;
	struct slab *s;

	while (class_sizes[cls] < len)
		cls++;
	s = slab_for_class(cls);
	return s ? slab_take(s) : NULL;
}

static void *alloc_big(size_t len)
{
	struct region *r;

	if (len > SIZE_MAX / 2)
		return NULL;
	r = region_new((len + PAGE - 1) / PAGE * PAGE, 1);
	return r ? r->data : NULL;
}

void *secret_alloc(size_t len)
{
	void *p;

	pthread_mutex_lock(&pool.lock);
	p = len > SLAB ? alloc_big(len) : alloc_small(len ? len : 1);
	pthread_mutex_unlock(&pool.lock);
	return p;
}

void secret_free(void *p)
{
	struct region *r;
	struct slab *s;

	if (!p)
		return;
	pthread_mutex_lock(&pool.lock);
	r = region_of(p);
	if (r->big) {
		secret_wipe(r->data, r->len);
		region_free(r);
	} else {
		s = slab_of(r, p);
		secret_wipe(p, s->size);
		slab_give_back(s, p);
	}
	pthread_mutex_unlock(&pool.lock);
}

void secret_allow_unlocked(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.allow_unlocked = 1;
	pthread_mutex_unlock(&pool.lock);
}

static size_t read_count(const size_t *count)
{
	size_t n;

	pthread_mutex_lock(&pool.lock);
	n = *count;
	pthread_mutex_unlock(&pool.lock);
	return n;
}

size_t secret_locked_bytes(void)
{
	return read_count(&pool.locked);
}

size_t secret_unlocked_bytes(void)
{
	return read_count(&pool.unlocked);
}

/* Said here, once, rather than by whichever secret comes first. */
static enum err check_locking(void)
{
	struct rlimit memlock = {0, 0};
	void *p = secret_alloc(1);

	if (p) {
		secret_free(p);
		return ERR_OK;
	}
	getrlimit(RLIMIT_MEMLOCK, &memlock);
	return err_fail(ERR_NO_MEMORY,
		"keys live in locked memory and this process may lock %llu KiB, less than the %d KiB it begins with; "
		"raise the "
		"limit: ulimit -l 8192, LimitMEMLOCK=8M for a service, --ulimit memlock=-1 for a container",
		(unsigned long long)memlock.rlim_cur / 1024, (int)(REGION / 1024));
}

enum err secret_harden_process(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit memlock;

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return err_system("cannot forbid core dumps");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_system("cannot make the process untraceable");
	/* Room for locked memory up to what the administrator allows. */
	if (getrlimit(RLIMIT_MEMLOCK, &memlock) == 0 && memlock.rlim_cur < memlock.rlim_max) {
		memlock.rlim_cur = memlock.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &memlock);
	}
	return check_locking();
}
