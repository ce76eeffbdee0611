/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/random.h"
#include "kms/base/xaes.h"
#include "kms/engine/internal.h"
#include "kms/engine/material.h"

enum { SUBJECT_AAD_MAX = 320, CACHE_ENTRIES = 64 };

static enum err subject_aad(const struct sealed_subject *s, uint8_t *buf, size_t *ret_len)
{
	struct writer w;

	writer_init(&w, buf, SUBJECT_AAD_MAX);
	writer_u8(&w, (uint8_t)s->kind);
	writer_put(&w, s->keystore, UUID_SIZE);
	writer_u16(&w, (uint16_t)s->a_len);
	writer_put(&w, s->a, s->a_len);
	writer_u16(&w, (uint16_t)s->b_len);
	writer_put(&w, s->b, s->b_len);
	return writer_end(&w, ret_len);
}

enum err material_seal(
	const uint8_t seal_key[KEY_SIZE], const struct sealed_subject *subject, const void *in, size_t len, void *out)
{
	uint8_t aad[SUBJECT_AAD_MAX];
	size_t aad_len;

	TRY(subject_aad(subject, aad, &aad_len));
	return xaes_seal(seal_key, aad, aad_len, in, len, out);
}

enum err material_open(
	const uint8_t seal_key[KEY_SIZE], const struct sealed_subject *subject, const void *in, size_t len, void *out)
{
	uint8_t aad[SUBJECT_AAD_MAX];
	size_t aad_len;
	enum err e;

	TRY(subject_aad(subject, aad, &aad_len));
	e = xaes_open(seal_key, aad, aad_len, in, len, out);
	if (e == ERR_TAMPERED || e == ERR_FORMAT)
		return err_fail(ERR_KEYSTORE,
			"the keystore is damaged: a secret in it does not open; restore it from a backup");
	return e;
}

/* ---- Cache ---- */

struct cache_entry {
	uint8_t key[UUID_SIZE];
	uint8_t backing[UUID_SIZE];
	uint64_t used; /* 0: free */
	struct cmk_key material;
};

struct material_cache {
	pthread_mutex_t lock;
	uint64_t tick;
	struct cache_entry *entries; /* secret memory */
};

struct material_cache *material_cache_new(void)
{
	struct material_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	cache->entries = secret_alloc(CACHE_ENTRIES * sizeof(*cache->entries));
	if (cache->entries == NULL) {
		free(cache);
		return NULL;
	}
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void material_cache_free(struct material_cache *cache)
{
	if (cache == NULL)
		return;
	secret_free(cache->entries);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static struct cache_entry *cache_find(struct material_cache *cache, const uint8_t *key, const uint8_t *backing)
{
	for (int i = 0; i < CACHE_ENTRIES; i++) {
		struct cache_entry *e = &cache->entries[i];

		if (e->used != 0 && memcmp(e->backing, backing, UUID_SIZE) == 0 && memcmp(e->key, key, UUID_SIZE) == 0)
			return e;
	}
	return NULL;
}

static int cache_get(struct material_cache *cache, const uint8_t *key, const uint8_t *backing, struct cmk_key *ret)
{
	struct cache_entry *e;

	pthread_mutex_lock(&cache->lock);
	e = cache_find(cache, key, backing);
	if (e != NULL) {
		e->used = ++cache->tick;
		*ret = e->material;
	}
	pthread_mutex_unlock(&cache->lock);
	return e != NULL;
}

static void cache_put(
	struct material_cache *cache, const uint8_t *key, const uint8_t *backing, const struct cmk_key *material)
{
	struct cache_entry *oldest = &cache->entries[0];

	pthread_mutex_lock(&cache->lock);
	for (int i = 1; i < CACHE_ENTRIES; i++)
		if (cache->entries[i].used < oldest->used)
			oldest = &cache->entries[i];
	memcpy(oldest->key, key, UUID_SIZE);
	memcpy(oldest->backing, backing, UUID_SIZE);
	oldest->material = *material;
	oldest->used = ++cache->tick;
	pthread_mutex_unlock(&cache->lock);
}

void material_cache_prune(struct engine *engine)
{
	struct material_cache *cache = engine->cache;

	pthread_mutex_lock(&cache->lock);
	for (int i = 0; i < CACHE_ENTRIES; i++) {
		struct cache_entry *e = &cache->entries[i];
		int exists = 0;

		/* When the store cannot be asked the entry goes too: it can be read again. */
		if (e->used != 0 && (store_backing_exists(engine->store, e->backing, &exists) != ERR_OK || !exists))
			secret_wipe(e, sizeof(*e));
	}
	pthread_mutex_unlock(&cache->lock);
}

/* ---- Backing keys ---- */

static struct sealed_subject backing_subject(
	const struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE])
{
	return (struct sealed_subject){.kind = SEALED_BACKING_KEY,
		.keystore = engine->id,
		.a = key->id,
		.a_len = UUID_SIZE,
		.b = backing,
		.b_len = UUID_SIZE};
}

static enum err seal_bytes(struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE],
	const void *in, size_t len, uint8_t sealed[STORE_SEALED_MAX])
{
	struct sealed_subject subject = backing_subject(engine, key, backing);

	if (len + XAES_OVERHEAD > STORE_SEALED_MAX)
		return err_fail(ERR_LIMIT, "key material of %zu bytes is longer than is supported", len);
	return material_seal(engine->secrets->seal, &subject, in, len, sealed);
}

enum err material_insert(
	struct engine *engine, const struct store_key *key, struct store_backing *backing, const void *in, size_t len)
{
	uint8_t sealed[STORE_SEALED_MAX];

	random_uuid(backing->id);
	TRY(seal_bytes(engine, key, backing->id, in, len, sealed));
	return store_backing_insert(engine->store, backing, sealed, len + XAES_OVERHEAD);
}

enum err material_put(struct engine *engine, struct store_key *key, enum backing_rotation why, const void *in,
	size_t len, uint64_t now)
{
	struct store_backing backing = {.key = key->row, .rotation = why, .created = now, .rotated = now};
	uint8_t material_id[32];

	random_bytes(material_id, sizeof(material_id));
	encode_hex(material_id, sizeof(material_id), backing.material_id);
	TRY(material_insert(engine, key, &backing, in, len));
	memcpy(key->current, backing.id, UUID_SIZE);
	return ERR_OK;
}

enum err material_create(
	struct engine *engine, struct store_key *key, size_t len, enum backing_rotation why, uint64_t now)
{
	uint8_t *bytes AUTO_SECRET = secret_alloc(len);

	if (bytes == NULL)
		return ERR_NO_MEMORY;
	random_bytes(bytes, len);
	return material_put(engine, key, why, bytes, len, now);
}

enum err material_put_back(struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE],
	const void *in, size_t len)
{
	uint8_t sealed[STORE_SEALED_MAX];

	TRY(seal_bytes(engine, key, backing, in, len, sealed));
	return store_backing_set_sealed(engine->store, key->row, backing, sealed, len + XAES_OVERHEAD);
}

enum err material_load_bytes(
	struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE], struct pkey_bytes *ret)
{
	struct sealed_subject subject = backing_subject(engine, key, backing);
	uint8_t sealed[STORE_SEALED_MAX], *bytes AUTO_SECRET = NULL;
	size_t len;

	TRY(store_backing_sealed(engine->store, key->row, backing, sealed, sizeof(sealed), &len));
	if (len <= XAES_OVERHEAD)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a key has no material");
	bytes = secret_alloc(len - XAES_OVERHEAD);
	if (bytes == NULL)
		return ERR_NO_MEMORY;
	TRY(material_open(engine->secrets->seal, &subject, sealed, len, bytes));
	ret->len = len - XAES_OVERHEAD;
	ret->p = STEAL(bytes);
	return ERR_OK;
}

enum err material_load(
	struct engine *engine, const struct store_key *key, const uint8_t backing[UUID_SIZE], struct cmk_key *ret)
{
	struct sealed_subject subject = backing_subject(engine, key, backing);
	uint8_t sealed[KEY_SIZE + XAES_OVERHEAD];
	struct cmk_key material AUTO_WIPE;
	size_t len;

	if (cache_get(engine->cache, key->id, backing, ret))
		return ERR_OK;
	TRY(store_backing_sealed(engine->store, key->row, backing, sealed, sizeof(sealed), &len));
	if (len != sizeof(sealed))
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a backing key has the wrong size");
	TRY(material_open(engine->secrets->seal, &subject, sealed, len, material.b));
	cache_put(engine->cache, key->id, backing, &material);
	*ret = material;
	return ERR_OK;
}
