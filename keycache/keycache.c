/* SPDX-License-Identifier: Apache-2.0 */
#include "keycache/keycache_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES_DEFAULT = 256 };

/* The lock is no part of what const promises. */
void cache_lock(const struct bucket_cache *cache)
{
	pthread_mutex_lock((pthread_mutex_t *)&cache->lock);
}

void cache_unlock(const struct bucket_cache *cache)
{
	pthread_mutex_unlock((pthread_mutex_t *)&cache->lock);
}

uint64_t cache_now(const struct bucket_cache *cache)
{
	return cache->clock->monotonic(cache->clock);
}

static enum err set_target(struct bucket_cache *c, struct kms *kms, const char *key_id)
{
	if (strlen(key_id) >= sizeof(c->target.key_id))
		return err_fail(ERR_LIMIT, "a KMS key id of more than %zu characters", sizeof(c->target.key_id) - 1);
	c->target.kms = kms;
	strcpy(c->target.key_id, key_id);
	return ERR_OK;
}

enum err bucket_cache_new(const struct bucket_cache_config *config, struct bucket_cache **ret)
{
	struct bucket_cache *c = calloc(1, sizeof(*c));
	enum err e;

	if (!c)
		return err_fail(ERR_NO_MEMORY, "no memory for the bucket-key cache");
	e = set_target(c, config->kms, config->key_id);
	if (e != ERR_OK) {
		free(c);
		return e;
	}
	memcpy(c->volume_id, config->volume_id, sizeof(c->volume_id));
	c->lifetime = config->lifetime ? config->lifetime : BUCKET_LIFETIME_DEFAULT;
	c->lifetime_files = config->lifetime_files ? config->lifetime_files : BUCKET_LIFETIME_FILES_DEFAULT;
	c->cache_time = config->cache_time ? config->cache_time : BUCKET_CACHE_TIME_DEFAULT;
	c->max_entries = config->max_entries ? config->max_entries : MAX_ENTRIES_DEFAULT;
	c->store = config->store;
	c->clock = config->clock;
	c->reporter = config->reporter;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	*ret = c;
	return ERR_OK;
}

void bucket_cache_free(struct bucket_cache *cache)
{
	if (!cache)
		return;
	entries_free(cache);
	buckets_free(cache);
	assert(atomic_load(&cache->alive) == 0);
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static void count(struct bucket_cache *cache, const struct attempt *a)
{
	struct bucket_cache_stats *s = &cache->stats;

	cache_lock(cache);
	++*(a->called ? &s->misses : a->waited ? &s->waits : a->repeated ? &s->repeats : &s->hits);
	cache_unlock(cache);
}

enum err bucket_cache_acquire_for_wrap(struct bucket_cache *cache, const struct bucket_id *id, struct bucket_ref **ret)
{
	struct attempt attempt = {0};
	enum err e = buckets_acquire(cache, id, &attempt, ret);

	count(cache, &attempt);
	return e;
}

enum err bucket_cache_acquire_for_unwrap(struct bucket_cache *cache, const struct bucket_id *id,
	const struct kms_wrapped_key *wrapped, struct bucket_ref **ret)
{
	struct attempt attempt = {0};
	enum err e = entries_acquire(cache, id, wrapped, &attempt, ret);

	count(cache, &attempt);
	return e;
}

enum err bucket_cache_direct_generate(struct bucket_cache *cache, const uint8_t file_id[FILE_ID_SIZE],
	struct data_key *ret_key, struct kms_wrapped_key *ret_wrapped, uint64_t *ret_live_until)
{
	struct kms_context context = call_file_context(cache, file_id);
	struct attempt attempt = {0};

	TRY(call_generate(cache, &context, &attempt, ret_key->b, ret_wrapped, ret_live_until));
	atomic_fetch_add_explicit(&cache->direct, 1, memory_order_relaxed);
	return ERR_OK;
}

enum err bucket_cache_direct_decrypt(struct bucket_cache *cache, const uint8_t file_id[FILE_ID_SIZE],
	const struct kms_wrapped_key *wrapped, struct data_key *ret_key, uint64_t *ret_live_until)
{
	struct kms_context context = call_file_context(cache, file_id);
	struct attempt attempt = {0};

	TRY(call_decrypt(cache, &context, wrapped, &attempt, ret_key->b, ret_live_until));
	atomic_fetch_add_explicit(&cache->direct, 1, memory_order_relaxed);
	return ERR_OK;
}

void bucket_cache_drop_all(struct bucket_cache *cache)
{
	cache_lock(cache);
	entries_drop_all(cache);
	cache_unlock(cache);
}

uint64_t bucket_cache_expire(struct bucket_cache *cache)
{
	uint64_t next;

	cache_lock(cache);
	next = entries_expire(cache);
	cache_unlock(cache);
	return next;
}

enum err bucket_cache_retarget(struct bucket_cache *cache, struct kms *kms, const char *key_id)
{
	enum err e;

	cache_lock(cache);
	e = set_target(cache, kms, key_id);
	if (e == ERR_OK)
		buckets_retire(cache);
	cache_unlock(cache);
	return e;
}

void bucket_cache_context(const struct bucket_cache *cache, const struct bucket_id *id, struct kms_context *ret)
{
	*ret = call_bucket_context(cache, id);
}

void bucket_cache_stats(const struct bucket_cache *cache, struct bucket_cache_stats *ret)
{
	cache_lock(cache);
	*ret = cache->stats;
	cache_unlock(cache);
	ret->wraps = atomic_load(&cache->wraps);
	ret->unwraps = atomic_load(&cache->unwraps);
	ret->calls_without = ret->wraps + ret->unwraps + atomic_load(&cache->direct);
	ret->entries = atomic_load(&cache->alive);
}

/* ---- For `signetfs stats` ---- */

static uint64_t time_left(uint64_t end, uint64_t now)
{
	return end > now ? end - now : 0;
}

static const struct bucket *bucket_wrapping_with(const struct bucket_cache *cache, const struct entry *e)
{
	struct bucket *b = NULL;

	HASH_FIND(hh, cache->buckets, &e->ref->id, sizeof(e->ref->id), b);
	return b && b->has_record && !memcmp(b->digest, e->digest, sizeof(e->digest)) ? b : NULL;
}

static void describe(const struct bucket_cache *cache, const struct entry *e, struct bucket_cache_entry *out)
{
	const struct bucket *b = bucket_wrapping_with(cache, e);

	memset(out, 0, sizeof(*out));
	out->id = e->ref->id;
	snprintf(out->key_arn, sizeof(out->key_arn), "%s", e->ref->wrapped.key_arn);
	out->cache_time_left = time_left(e->ref->live_until, cache_now(cache));
	if (!b)
		return;
	out->wrapping = 1;
	out->wrapped_files = b->used;
	uint64_t wall = cache->clock->wall(cache->clock);

	out->age = time_left(wall, b->record.created);
	out->lifetime_left = time_left(b->record.created + cache->lifetime, wall);
}

void bucket_cache_kms_stats(const struct bucket_cache *cache, struct kms_stats *ret)
{
	struct kms *kms;

	cache_lock(cache);
	kms = cache->target.kms;
	cache_unlock(cache);
	kms_stats(kms, ret);
}

size_t bucket_cache_entries(const struct bucket_cache *cache, struct bucket_cache_entry *out, size_t max)
{
	struct entry *e = NULL, *next = NULL;
	size_t n = 0;

	cache_lock(cache);
	HASH_ITER (hh, cache->entries, e, next) {
		if (e->state != ENTRY_HELD)
			continue;
		if (n < max)
			describe(cache, e, &out[n]);
		n++;
	}
	cache_unlock(cache);
	return n;
}
