/* SPDX-License-Identifier: Apache-2.0 */
#include "keycache/keycache_internal.h"
#include "kms/base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_INPUT = BUCKET_ID_SIZE + 2 + KMS_ARN_MAX + KMS_BLOB_MAX };

enum err entries_digest(const struct bucket_id *id, const struct kms_wrapped_key *wrapped, uint8_t ret[SHA256_SIZE])
{
	uint8_t input[DIGEST_INPUT];
	size_t arn_len = strlen(wrapped->key_arn);
	struct writer w;

	/* The ARN's length keeps a byte from wandering between it and the blob. */
	writer_init(&w, input, sizeof(input));
	writer_put(&w, id->b, sizeof(id->b));
	writer_u16(&w, (uint16_t)arn_len);
	writer_put(&w, wrapped->key_arn, arn_len);
	writer_put(&w, wrapped->blob, wrapped->blob_len);
	return kdf_sha256(input, w.used, ret);
}

static int is_of(const struct entry *e, const struct bucket_id *id, const struct kms_wrapped_key *wrapped)
{
	const struct kms_wrapped_key *mine = &e->ref->wrapped;

	return mine->blob_len == wrapped->blob_len && memcmp(mine->blob, wrapped->blob, mine->blob_len) == 0 &&
	       memcmp(&e->ref->id, id, sizeof(*id)) == 0 && strcmp(mine->key_arn, wrapped->key_arn) == 0;
}

static struct entry *find(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE])
{
	struct entry *e;

	HASH_FIND(hh, cache->entries, digest, SHA256_SIZE, e);
	return e;
}

/* Invariant 1 of struct entry: the reference goes with the state. */
static void drop_key(struct entry *e)
{
	struct bucket_ref *ref = STEAL(e->ref);

	assert(e->state == ENTRY_HELD && ref);
	e->state = ENTRY_IDLE;
	bucket_ref_release(ref);
}

static void remove_entry(struct bucket_cache *cache, struct entry *e)
{
	if (e->state == ENTRY_HELD)
		drop_key(e);
	if (cache->last == e)
		cache->last = NULL;
	HASH_DELETE(hh, cache->entries, e);
	free(e);
}

static int is_removable(const struct entry *e)
{
	return e->state != ENTRY_FETCHING && e->waiters == 0;
}

static struct entry *least_recently_used(struct bucket_cache *cache)
{
	struct entry *e = NULL, *next = NULL, *oldest = NULL;

	HASH_ITER (hh, cache->entries, e, next)
		if (is_removable(e) && (!oldest || e->used < oldest->used))
			oldest = e;
	return oldest;
}

/*
 * Idle and failed entries count too: a vault full of foreign blobs must not fill the memory. What is in flight cannot go, so
 * many flights at once exceed the bound until they are back.
 */
static void shrink_to(struct bucket_cache *cache, unsigned count)
{
	struct entry *oldest;

	while (HASH_COUNT(cache->entries) > count && (oldest = least_recently_used(cache)) != NULL) {
		cache->stats.evictions += oldest->state == ENTRY_HELD;
		remove_entry(cache, oldest);
	}
}

static struct entry *find_or_add(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE])
{
	struct entry *e = find(cache, digest);
	unsigned before;

	if (!e) {
		entries_expire(cache);
		shrink_to(cache, cache->max_entries - 1);
		e = calloc(1, sizeof(*e));
		if (!e)
			return NULL;
		memcpy(e->digest, digest, SHA256_SIZE);
		before = HASH_COUNT(cache->entries);
		HASH_ADD(hh, cache->entries, digest, SHA256_SIZE, e);
		if (HASH_COUNT(cache->entries) == before) {
			free(e);
			return NULL;
		}
	}
	e->used = ++cache->uses;
	return e;
}

static int drop_if_expired(struct bucket_cache *cache, struct entry *e)
{
	if (e->state != ENTRY_HELD || bucket_ref_live(e->ref))
		return 0;
	cache->stats.expirations++;
	drop_key(e);
	return 1;
}

uint64_t entries_expire(struct bucket_cache *cache)
{
	uint64_t now = cache_now(cache);
	uint64_t next_expiry = UINT64_MAX;
	struct entry *e = NULL, *next = NULL;

	HASH_ITER (hh, cache->entries, e, next) {
		drop_if_expired(cache, e);
		if (e->state == ENTRY_HELD && e->ref->live_until > now && e->ref->live_until - now < next_expiry)
			next_expiry = e->ref->live_until - now;
	}
	return next_expiry;
}

void entries_drop_all(struct bucket_cache *cache)
{
	struct entry *e = NULL, *next = NULL;

	cache->epoch++;
	HASH_ITER (hh, cache->entries, e, next) {
		if (e->state != ENTRY_HELD)
			continue;
		atomic_store_explicit(&e->ref->revoked, 1, memory_order_release);
		drop_key(e);
	}
}

void entries_free(struct bucket_cache *cache)
{
	struct entry *e = NULL, *next = NULL;

	HASH_ITER (hh, cache->entries, e, next) {
		assert(is_removable(e));
		remove_entry(cache, e);
	}
}

struct bucket_ref *entries_held(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE])
{
	struct entry *e = find(cache, digest);

	if (!e || drop_if_expired(cache, e) || e->state != ENTRY_HELD)
		return NULL;
	e->used = ++cache->uses;
	return bucket_ref_hold(e->ref);
}

void entries_put(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE], struct bucket_ref *ref)
{
	struct entry *e = find_or_add(cache, digest);

	/* Without memory for an entry the key is simply not kept; a fresh blob is in nobody's flight. */
	if (!e || (e->state != ENTRY_IDLE && e->state != ENTRY_FAILED))
		return;
	e->state = ENTRY_HELD;
	e->ref = bucket_ref_hold(ref);
}

/* ---- Acquiring: with the lock held unless said otherwise ---- */

/* The call itself, without the lock. */
static enum err fetch(struct bucket_cache *cache, const struct bucket_id *id, const struct kms_wrapped_key *wrapped,
	struct attempt *attempt, struct bucket_ref **ret)
{
	struct kms_context context = call_bucket_context(cache, id);
	struct bucket_ref *ref AUTO_REF = ref_new(cache, id);

	if (!ref)
		return err_fail(ERR_NO_MEMORY, "no locked memory for a bucket key");
	ref->wrapped = *wrapped;
	TRY(call_decrypt(cache, &context, wrapped, attempt, ref->key->b, &ref->live_until));
	TRY(ref_prepare(ref));
	*ret = STEAL(ref);
	return ERR_OK;
}

/*
 * ENTRY_IDLE or ENTRY_FAILED → FETCHING → HELD or FAILED; IDLE again, and no *ret, when drop_all came in between.
 * Whoever made the call gets its key even where that took longer than the cache time: otherwise this could go on for ever.
 */
static enum err fly(struct bucket_cache *cache, struct entry *e, const struct bucket_id *id,
	const struct kms_wrapped_key *wrapped, struct attempt *attempt, struct bucket_ref **ret)
{
	uint64_t epoch = cache->epoch;
	struct bucket_ref *ref = NULL;
	enum err error;

	e->state = ENTRY_FETCHING;
	cache_unlock(cache);
	error = fetch(cache, id, wrapped, attempt, &ref);
	cache_lock(cache);
	e->flights++;
	if (error != ERR_OK) {
		e->state = ENTRY_FAILED;
		failure_set(&e->failure, error, attempt_failure_until(attempt, cache_now(cache)));
	} else if (epoch != cache->epoch) {
		e->state = ENTRY_IDLE;
		bucket_ref_release(ref);
	} else {
		e->state = ENTRY_HELD;
		e->ref = ref;
		*ret = bucket_ref_hold(ref);
	}
	pthread_cond_broadcast(&cache->changed);
	shrink_to(cache, cache->max_entries); /* may take @e, if nobody waits for it */
	return error;
}

/* Most files of a tree are under one bucket key: comparing it with the one before costs less than to hash it. */
static struct bucket_ref *acquire_last(
	struct bucket_cache *cache, const struct bucket_id *id, const struct kms_wrapped_key *wrapped)
{
	struct entry *e = cache->last;

	if (!e || e->state != ENTRY_HELD || !is_of(e, id, wrapped) || drop_if_expired(cache, e))
		return NULL;
	e->used = ++cache->uses;
	return bucket_ref_hold(e->ref);
}

/* Wait for the call that is under way; what it brought is ours, however late we wake. No *ret: ask again. */
static enum err wait_for_flight(struct bucket_cache *cache, struct entry *e, struct bucket_ref **ret)
{
	uint64_t flight = e->flights;
	struct failure failure = {0};

	e->waiters++;
	while (e->flights == flight)
		pthread_cond_wait(&cache->changed, &cache->lock);
	if (e->state == ENTRY_FAILED)
		failure = e->failure;
	if (e->state == ENTRY_HELD)
		*ret = bucket_ref_hold(e->ref);
	e->waiters--;
	return failure.error == ERR_OK ? ERR_OK : failure_repeat(&failure);
}

static enum err acquire_locked(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE],
	const struct bucket_id *id, const struct kms_wrapped_key *wrapped, struct attempt *attempt,
	struct bucket_ref **ret)
{
	struct bucket_ref *ref = NULL;

	while (!ref) {
		struct entry *e = find_or_add(cache, digest);

		if (!e)
			return err_fail(ERR_NO_MEMORY, "no memory for the bucket-key cache");
		drop_if_expired(cache, e);
		switch (e->state) {
		case ENTRY_HELD:
			cache->last = e;
			ref = bucket_ref_hold(e->ref);
			break;
		case ENTRY_FETCHING:
			attempt->waited = 1;
			TRY(wait_for_flight(cache, e, &ref));
			break;
		case ENTRY_FAILED:
			if (failure_is_fresh(&e->failure, cache_now(cache))) {
				attempt->repeated = 1;
				return failure_repeat(&e->failure);
			}
			__attribute__((fallthrough));
		case ENTRY_IDLE:
			TRY(fly(cache, e, id, wrapped, attempt, &ref));
			break;
		}
	}
	*ret = ref;
	return ERR_OK;
}

enum err entries_acquire(struct bucket_cache *cache, const struct bucket_id *id, const struct kms_wrapped_key *wrapped,
	struct attempt *attempt, struct bucket_ref **ret)
{
	uint8_t digest[SHA256_SIZE];
	struct bucket_ref *ref;
	enum err e;

	cache_lock(cache);
	ref = acquire_last(cache, id, wrapped);
	cache_unlock(cache);
	if (ref) {
		*ret = ref;
		return ERR_OK;
	}
	TRY(entries_digest(id, wrapped, digest));
	cache_lock(cache);
	e = acquire_locked(cache, digest, id, wrapped, attempt, ret);
	cache_unlock(cache);
	return e;
}
