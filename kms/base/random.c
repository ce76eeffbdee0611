/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/random.h"
#include "kms/base/secret.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A draw of 12 bytes costs a system call of 500 ns, one of two thousand 5 µs. */
enum { DRAW_BLOCK = 2048, DRAW = DRAW_BLOCK - 2 * sizeof(unsigned) };

/* Raised in every forked child: two processes that go on with one draw would repeat nonces and keys. */
static _Atomic unsigned generation = 1;

/* A thread's. A fork that the handler does not see (clone() itself) finds zeros here, which is nothing drawn, too. */
struct draw {
	unsigned generation;
	unsigned left; /* of @bytes, at their end */
	uint8_t bytes[DRAW];
};
static _Thread_local struct draw *mine;
static pthread_key_t key; /* frees it with the thread */

void random_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* No key may be made without random bytes, and nobody upstream could do anything about it. */
		if (n <= 0)
			abort();
		p += n;
		len -= (size_t)n;
	}
}

void random_uuid(uint8_t ret_id[UUID_SIZE])
{
	random_drawn(ret_id, UUID_SIZE);
	ret_id[6] = (uint8_t)((ret_id[6] & 0x0f) | 0x40);
	ret_id[8] = (uint8_t)((ret_id[8] & 0x3f) | 0x80);
}

void random_uuid_text(char ret[UUID_TEXT + 1])
{
	uint8_t id[UUID_SIZE];

	random_uuid(id);
	encode_uuid(id, ret);
}

uint64_t random_below(uint64_t bound)
{
	uint64_t v, skip;

	assert(bound > 0);
	/* 2^64 mod bound values at the bottom would come up once too often. */
	skip = -bound % bound;
	do {
		random_bytes(&v, sizeof(v));
	} while (v < skip);
	return v % bound;
}

static void fork_child(void)
{
	atomic_fetch_add(&generation, 1);
}

static void set_up(void)
{
	if (pthread_atfork(NULL, NULL, fork_child) != 0 || pthread_key_create(&key, secret_free) != 0)
		abort();
}

static struct draw *draw_of_thread(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_up);
	mine = secret_alloc(sizeof(*mine));
	if (mine && pthread_setspecific(key, mine) != 0) {
		secret_free(mine);
		mine = NULL;
	}
	return mine;
}

static void draw_anew(struct draw *d)
{
	d->generation = atomic_load_explicit(&generation, memory_order_relaxed);
	random_bytes(d->bytes, sizeof(d->bytes));
	d->left = DRAW;
}

void random_drawn(void *out, size_t len)
{
	struct draw *d = mine ? mine : draw_of_thread();
	uint8_t *p;

	/* Without locked memory for a draw, or for more than one. */
	if (!d || len > DRAW) {
		random_bytes(out, len);
		return;
	}
	if (d->generation != atomic_load_explicit(&generation, memory_order_relaxed) || d->left < len)
		draw_anew(d);
	p = d->bytes + DRAW - d->left;
	memcpy(out, p, len);
	secret_wipe(p, len);
	d->left -= (unsigned)len;
}
