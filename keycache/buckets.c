/* SPDX-License-Identifier: Apache-2.0 */
#include "keycache/keycache_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A record from further in the future than this was written under a wrong clock. */
#define CLOCK_TOLERANCE (3600 * CLOCK_SECOND)

static struct bucket *find_or_add(struct bucket_cache *cache, const struct bucket_id *id)
{
	struct bucket *b;
	unsigned before = HASH_COUNT(cache->buckets);

	HASH_FIND(hh, cache->buckets, id, sizeof(*id), b);
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->id = *id;
	HASH_ADD(hh, cache->buckets, id, sizeof(b->id), b);
	if (HASH_COUNT(cache->buckets) > before)
		return b;
	free(b);
	return NULL;
}

void buckets_free(struct bucket_cache *cache)
{
	struct bucket *b = NULL, *next = NULL;

	HASH_ITER (hh, cache->buckets, b, next) {
		assert(!b->busy);
		HASH_DELETE(hh, cache->buckets, b);
		free(b);
	}
}

static int is_within_time(const struct bucket_cache *cache, const struct bucket_record *r)
{
	uint64_t now = cache->clock->wall(cache->clock);

	return r->created <= now ? now - r->created < cache->lifetime : r->created - now <= CLOCK_TOLERANCE;
}

/* ---- Preparing, by the one thread that made the bucket busy, on a copy, without the lock ---- */

struct plan {
	struct bucket *bucket; /* id is constant; the rest is written by commit() only */
	int has_record;
	int fresh; /* what is on the disk is of the CMK before */
	struct bucket_record record;
	uint8_t digest[SHA256_SIZE];
	uint64_t used;
};

static enum err set_record(struct plan *p, const struct bucket_record *record, uint64_t used)
{
	TRY(entries_digest(&p->bucket->id, &record->wrapped, p->digest));
	p->record = *record;
	p->used = used;
	p->has_record = 1;
	return ERR_OK;
}

/* What was reserved counts as used: how much of it was, nobody knows after a crash. */
static enum err load(struct bucket_cache *cache, struct plan *p)
{
	struct bucket_record record;
	enum err e = cache->store.load(cache->store.context, &p->bucket->id, &record);

	switch (e) {
	case ERR_OK:
		return set_record(p, &record, record.reserved);
	case ERR_NOT_FOUND:
		return ERR_OK;
	case ERR_FORMAT:
	case ERR_TAMPERED:
	case ERR_VAULT:
		report(cache->reporter, REPORT_WARNING,
			"the record of the current bucket key is damaged (%s); a new bucket key is made", err_text(e));
		return ERR_OK;
	default:
		return err_wrap(e, "reading the record of the current bucket key");
	}
}

static enum err save(struct bucket_cache *cache, const struct plan *p, const struct bucket_record *record)
{
	enum err e = cache->store.save(cache->store.context, &p->bucket->id, record);

	return e == ERR_OK ? e : err_wrap(e, "saving the record of the current bucket key");
}

static uint64_t at_most(uint64_t v, uint64_t limit)
{
	return v < limit ? v : limit;
}

/* Durable before the first of the new block is used: a crash may lose uses, never count too few. */
static enum err reserve(struct bucket_cache *cache, struct plan *p)
{
	struct bucket_record more = p->record;

	if (p->used < p->record.reserved)
		return ERR_OK;
	more.reserved = at_most(p->used + BUCKET_RESERVE, cache->lifetime_files);
	TRY(save(cache, p, &more));
	p->record = more;
	return ERR_OK;
}

static enum err generate(struct bucket_cache *cache, struct plan *p, struct attempt *attempt, struct bucket_ref **ret)
{
	struct kms_context context = call_bucket_context(cache, &p->bucket->id);
	struct bucket_ref *ref AUTO_REF = ref_new(cache, &p->bucket->id);
	struct bucket_record record = {.reserved = at_most(BUCKET_RESERVE, cache->lifetime_files)};
	uint64_t epoch;

	if (!ref)
		return err_fail(ERR_NO_MEMORY, "no locked memory for a bucket key");
	cache_lock(cache);
	epoch = cache->epoch;
	cache_unlock(cache);
	TRY(call_generate(cache, &context, attempt, ref->key->b, &ref->wrapped, &ref->live_until));
	TRY(ref_prepare(ref));
	record.wrapped = ref->wrapped;
	record.created = cache->clock->wall(cache->clock);
	TRY(save(cache, p, &record));
	TRY(set_record(p, &record, 0));
	cache_lock(cache);
	if (epoch == cache->epoch)
		entries_put(cache, p->digest, ref);
	else
		atomic_store(&ref->revoked, 1);
	cache_unlock(cache);
	*ret = STEAL(ref);
	return ERR_OK;
}

/* The KMS says that it never made this blob: the vault's CMK was changed. A refusal of the CMK itself is not this. */
static int is_foreign_blob(enum err e)
{
	return e == ERR_KMS_INVALID_CIPHERTEXT || e == ERR_KMS_INCORRECT_KEY;
}

static enum err prepare(struct bucket_cache *cache, struct plan *p, struct attempt *attempt, struct bucket_ref **ret)
{
	struct bucket_ref *ref AUTO_REF = NULL;
	enum err e;

	if (!p->has_record && !p->fresh)
		TRY(load(cache, p));
	if (!p->has_record || p->used >= cache->lifetime_files || !is_within_time(cache, &p->record))
		return generate(cache, p, attempt, ret);
	e = entries_acquire(cache, &p->bucket->id, &p->record.wrapped, attempt, &ref);
	if (is_foreign_blob(e)) {
		report(cache->reporter, REPORT_WARNING,
			"the KMS does not know the current bucket key (%s); a new one is made", err_text(e));
		return generate(cache, p, attempt, ret);
	}
	TRY(e);
	TRY(reserve(cache, p));
	*ret = STEAL(ref);
	return ERR_OK;
}

/* With the lock held, which waiting for flights releases: what they bring must not be taken for the new CMK's. */
void buckets_retire(struct bucket_cache *cache)
{
	struct bucket *b = NULL, *next = NULL;

	cache->retargeted = 1;
	HASH_ITER (hh, cache->buckets, b, next) {
		while (b->busy)
			pthread_cond_wait(&cache->changed, &cache->lock);
		b->has_record = 0;
		b->failure.error = ERR_OK;
	}
	cache->unreachable.error = ERR_OK;
}

/* ---- Acquiring: with the lock held ---- */

/* One more data key is counted before the caller can wrap it. */
static struct bucket_ref *take(struct bucket *b, struct bucket_ref *ref)
{
	assert(b->used < b->record.reserved);
	b->used++;
	return ref;
}

static struct bucket_ref *ready(struct bucket_cache *cache, struct bucket *b)
{
	struct bucket_ref *ref;

	if (!b->has_record || b->used >= b->record.reserved || !is_within_time(cache, &b->record))
		return NULL;
	ref = entries_held(cache, b->digest);
	return ref ? take(b, ref) : NULL;
}

static void commit(struct bucket *b, const struct plan *p)
{
	b->has_record = p->has_record;
	b->record = p->record;
	memcpy(b->digest, p->digest, sizeof(b->digest));
	b->used = p->used;
}

/* The others of this bucket wait meanwhile; what this flight brings, they get. */
static enum err fly(struct bucket_cache *cache, struct bucket *b, struct attempt *attempt, struct bucket_ref **ret)
{
	struct plan p = {.bucket = b,
		.has_record = b->has_record,
		.record = b->record,
		.used = b->used,
		.fresh = cache->retargeted};
	struct bucket_ref *ref = NULL;
	enum err e;

	memcpy(p.digest, b->digest, sizeof(p.digest));
	b->busy = 1;
	cache_unlock(cache);
	e = prepare(cache, &p, attempt, &ref);
	cache_lock(cache);
	b->busy = 0;
	b->flights++;
	b->failure.error = ERR_OK;
	if (e == ERR_OK) {
		commit(b, &p);
		*ret = take(b, ref);
	} else {
		failure_set(&b->failure, e, attempt_failure_until(attempt, cache_now(cache)));
	}
	pthread_cond_broadcast(&cache->changed);
	return e;
}

static enum err wait_for_flight(struct bucket_cache *cache, struct bucket *b)
{
	uint64_t flight = b->flights;

	while (b->flights == flight)
		pthread_cond_wait(&cache->changed, &cache->lock);
	return b->failure.error == ERR_OK ? ERR_OK : failure_repeat(&b->failure);
}

static enum err acquire_locked(
	struct bucket_cache *cache, const struct bucket_id *id, struct attempt *attempt, struct bucket_ref **ret)
{
	struct bucket *b = find_or_add(cache, id);
	struct bucket_ref *ref;

	if (!b)
		return err_fail(ERR_NO_MEMORY, "no memory for the bucket-key cache");
	for (;;) {
		ref = ready(cache, b);
		if (ref) {
			*ret = ref;
			return ERR_OK;
		}
		if (!b->busy)
			break;
		attempt->waited = 1;
		TRY(wait_for_flight(cache, b));
	}
	if (failure_is_fresh(&b->failure, cache_now(cache))) {
		attempt->repeated = 1;
		return failure_repeat(&b->failure);
	}
	return fly(cache, b, attempt, ret);
}

enum err buckets_acquire(
	struct bucket_cache *cache, const struct bucket_id *id, struct attempt *attempt, struct bucket_ref **ret)
{
	enum err e;

	cache_lock(cache);
	e = acquire_locked(cache, id, attempt, ret);
	cache_unlock(cache);
	return e;
}
