/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/memo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "kms/store/db.h"

enum { ROWS = 2048, WAYS = 4, LOCKS = 16 };

struct memo_row {
	struct memo_key key;
	uint64_t used;
	size_t size;
	_Alignas(16) uint8_t row[MEMO_ROW_MAX];
};

/* A row may stand in one of WAYS places that begin where its hash says; each group of places is under one lock. */
struct memo {
	struct {
		pthread_mutex_t lock;
		uint64_t tick;
	} shard[LOCKS];
	struct memo_row rows[ROWS];
};
_Static_assert(ROWS % (WAYS * LOCKS) == 0, "a group of places lies under one lock");

struct memo *memo_new(void)
{
	struct memo *m = calloc(1, sizeof(*m));

	for (size_t i = 0; m && i < LOCKS; i++)
		pthread_mutex_init(&m->shard[i].lock, NULL);
	return m;
}

void memo_free(struct memo *m)
{
	for (size_t i = 0; m && i < LOCKS; i++)
		pthread_mutex_destroy(&m->shard[i].lock);
	free(m);
}

static uint64_t hash_of(const struct memo_key *k)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + k->which;

	/* FNV-1a: a collision costs a lookup, nothing else. */
	for (size_t i = 0; i < k->len; i++)
		h = (h ^ k->bytes[i]) * UINT64_C(0x100000001b3);
	return h ^ (h >> 29);
}

void memo_key_init(struct store *store, enum sql which, const void *const *parts, const size_t *lens, size_t n,
	struct memo_key *ret)
{
	ret->which = which;
	ret->len = 0;
	if (!store->memo || store_in_transaction(store))
		return;
	ret->generation = store_generation(store);
	for (size_t i = 0; i < n; i++) {
		if (lens[i] > UINT16_MAX || ret->len + 2 + lens[i] > MEMO_KEY_MAX) {
			ret->len = 0;
			return;
		}
		ret->bytes[ret->len++] = (uint8_t)(lens[i] >> 8);
		ret->bytes[ret->len++] = (uint8_t)lens[i];
		memcpy(ret->bytes + ret->len, parts[i], lens[i]);
		ret->len += lens[i];
	}
	ret->hash = hash_of(ret);
}

static int same(const struct memo_key *a, const struct memo_key *b)
{
	return a->hash == b->hash && a->which == b->which && a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

static struct memo_row *group_of(struct memo *m, const struct memo_key *key, size_t *ret_shard)
{
	size_t group = key->hash % (ROWS / WAYS);

	*ret_shard = group % LOCKS;
	return &m->rows[group * WAYS];
}

int memo_get(struct store *store, const struct memo_key *key, void *row, size_t size)
{
	struct memo_row *r;
	size_t shard;
	int found = 0;

	if (!key->len)
		return 0;
	r = group_of(store->memo, key, &shard);
	pthread_mutex_lock(&store->memo->shard[shard].lock);
	for (size_t i = 0; i < WAYS && !found; i++, r++) {
		if (!r->used || r->key.generation != key->generation || !same(&r->key, key))
			continue;
		assert(r->size == size);
		memcpy(row, r->row, size);
		r->used = ++store->memo->shard[shard].tick;
		found = 1;
	}
	pthread_mutex_unlock(&store->memo->shard[shard].lock);
	return found;
}

/* The same row's place, or one of a past generation, or the one that was not used for longest. */
static struct memo_row *place_for(struct memo_row *group, const struct memo_key *key)
{
	struct memo_row *oldest = group;

	for (struct memo_row *r = group; r < group + WAYS; r++) {
		if (r->used && same(&r->key, key))
			return r;
		if (r->used && r->key.generation != key->generation)
			r->used = 0;
		if (r->used < oldest->used)
			oldest = r;
	}
	return oldest;
}

void memo_put(struct store *store, const struct memo_key *key, const void *row, size_t size)
{
	struct memo_row *r;
	size_t shard;

	if (!key->len || size > MEMO_ROW_MAX)
		return;
	r = group_of(store->memo, key, &shard);
	pthread_mutex_lock(&store->memo->shard[shard].lock);
	r = place_for(r, key);
	r->key = *key;
	r->size = size;
	memcpy(r->row, row, size);
	r->used = ++store->memo->shard[shard].tick;
	pthread_mutex_unlock(&store->memo->shard[shard].lock);
}
