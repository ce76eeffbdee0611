/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_KEYCACHE_INTERNAL_H
#define SIGNETFS_KEYCACHE_INTERNAL_H

/*
 * The parts of the bucket-key cache:
 *   ref.c       one plaintext bucket key and its holders
 *   calls.c     the calls to the KMS: contexts, counters, remembered unreachability, notices
 *   entries.c   wrapped key → plaintext: single flight, expiry, least recently used
 *   buckets.c   bucket → the key that wraps new data keys: lifetime, reservation, record
 *   keycache.c  the public face
 *
 * One mutex guards the tables and the counters; it is never held over a KMS call, a store call or a report.
 */

#include <pthread.h>
#include <stdatomic.h>
#include "keycache/keycache.h"
#include "kms/base/kdf.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* ---- ref.c ---- */

/*
 * Invariants: 1. refs counts the table's reference (at most one) and every holder's. 2. Everything but refs and revoked is
 * constant from the moment a second thread can see it. 3. The plaintext is wiped when refs reaches zero, not before.
 */
struct bucket_ref {
	struct bucket_cache *cache;
	_Atomic unsigned refs;
	_Atomic int revoked;
	uint64_t live_until; /* monotonic */
	struct bucket_id id;
	struct bucket_key *key;    /* secret memory */
	struct aead_key *prepared; /* the same, where the implementation is shared; otherwise NULL */
	struct kms_wrapped_key wrapped;
};

/** With one reference and an unset key. NULL: memory. */
struct bucket_ref *ref_new(struct bucket_cache *cache, const struct bucket_id *id);
/** The key is set: make it ready for use. */
enum err ref_prepare(struct bucket_ref *ref);
void ref_release_auto(struct bucket_ref **ref);
#define AUTO_REF __attribute__((cleanup(ref_release_auto)))

/* ---- A failure that is repeated for a while ---- */

enum { FAILURE_TEXT = 256 };
struct failure {
	enum err error; /* ERR_OK: none */
	uint64_t until; /* monotonic */
	char text[FAILURE_TEXT];
};
/** Keep the thread's explanation of @error; it is fresh until @until. */
void failure_set(struct failure *f, enum err error, uint64_t until);
/** Sets the thread's explanation to the one remembered and returns the code. */
enum err failure_repeat(const struct failure *f);
int failure_is_fresh(const struct failure *f, uint64_t now);

/* How an acquire was served: counted once, when it ends. */
struct attempt {
	int waited, called, repeated;
};
/** Only a call's own failure stays fresh for a while: one that was repeated must not grow older than the first. */
uint64_t attempt_failure_until(const struct attempt *a, uint64_t now);

/* ---- calls.c ---- */

/* Whom a call asks, and under which CMK new keys are made. */
struct call_target {
	struct kms *kms;
	char key_id[KMS_ARN_MAX + 1];
};

/* A CMK that gave trouble, so that a person is told once, and once more when it works again. */
enum { TROUBLED_MAX = 32 };
struct troubled {
	char name[KMS_ARN_MAX + 1]; /* "": free */
	enum err error;
	uint64_t since;
};

/* Both say in @attempt whether the KMS was asked or a failure repeated. */
enum err call_generate(struct bucket_cache *cache, const struct kms_context *context, struct attempt *attempt,
	uint8_t ret_key[KEY_SIZE], struct kms_wrapped_key *ret_wrapped, uint64_t *ret_live_until);
enum err call_decrypt(struct bucket_cache *cache, const struct kms_context *context,
	const struct kms_wrapped_key *wrapped, struct attempt *attempt, uint8_t ret_key[KEY_SIZE],
	uint64_t *ret_live_until);
struct kms_context call_bucket_context(const struct bucket_cache *cache, const struct bucket_id *id);
struct kms_context call_file_context(const struct bucket_cache *cache, const uint8_t file_id[FILE_ID_SIZE]);

/* ---- entries.c ---- */

/*
 * One wrapped bucket key that somebody asked for.
 *
 *              acquire            call succeeds       time over, drop_all
 *   ENTRY_IDLE ───────► FETCHING ──────────────► HELD ───────────────────► IDLE
 *   ENTRY_FAILED ─────►    │                                   (evicted: the entry goes)
 *        ▲ (after a while) │ call fails
 *        └─────────────────┘
 *
 * Invariants: 1. ref is set exactly in HELD. 2. While FETCHING or with waiters an entry stays in the table.
 * 3. Exactly one thread is in the call of a FETCHING entry.
 */
enum entry_state { ENTRY_IDLE, ENTRY_FETCHING, ENTRY_HELD, ENTRY_FAILED };

struct entry {
	uint8_t digest[SHA256_SIZE];
	enum entry_state state;
	struct bucket_ref *ref;
	struct failure failure;
	unsigned waiters;
	uint64_t flights; /* calls that came back */
	uint64_t used;    /* turn of the cache's clock of uses */
	UT_hash_handle hh;
};

enum err entries_digest(const struct bucket_id *id, const struct kms_wrapped_key *wrapped, uint8_t ret[SHA256_SIZE]);
/** Called without the lock; may call the KMS. */
enum err entries_acquire(struct bucket_cache *cache, const struct bucket_id *id, const struct kms_wrapped_key *wrapped,
	struct attempt *attempt, struct bucket_ref **ret);
/** The live key of @digest, a new reference, or NULL. With the lock held. */
struct bucket_ref *entries_held(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE]);
/** Put a key that was just generated into the table (a new reference). With the lock held. */
void entries_put(struct bucket_cache *cache, const uint8_t digest[SHA256_SIZE], struct bucket_ref *ref);
/** Drop what is expired; returns the ns until the next expiry. With the lock held. */
uint64_t entries_expire(struct bucket_cache *cache);
/** Drop everything and revoke it. With the lock held. */
void entries_drop_all(struct bucket_cache *cache);
void entries_free(struct bucket_cache *cache);

/* ---- buckets.c ---- */

/*
 * The key that wraps a bucket's new data keys.
 * Invariants: 1. used <= record.reserved <= lifetime_files of the cache, and record.reserved is what is durable. 2. While busy,
 * one thread prepares; fields change only under the lock. 3. A bucket stays in the table as long as the cache lives (there are
 * as many as the vault's configuration has).
 */
struct bucket {
	struct bucket_id id;
	int has_record, busy;
	struct bucket_record record;
	uint8_t digest[SHA256_SIZE]; /* of record.wrapped */
	uint64_t used;
	uint64_t flights;
	struct failure failure; /* of the last flight */
	UT_hash_handle hh;
};

enum err buckets_acquire(
	struct bucket_cache *cache, const struct bucket_id *id, struct attempt *attempt, struct bucket_ref **ret);
void buckets_free(struct bucket_cache *cache);
/** No bucket wraps with the key that it has: the next acquire makes one. With the lock held, released while flights come back. */
void buckets_retire(struct bucket_cache *cache);

/* ---- keycache.c ---- */

struct bucket_cache {
	struct call_target target; /* under the lock; copied for each call */
	int retargeted;            /* records on the disk are of the key before: a bucket begins with a new key */
	uint8_t volume_id[VOLUME_ID_SIZE];
	uint64_t lifetime, lifetime_files, cache_time;
	unsigned max_entries;
	struct bucket_store store;
	const struct clock *clock;
	const struct reporter *reporter;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a flight came back */
	struct entry *entries;
	struct entry *last; /* of these, the one that was held last; or NULL */
	struct bucket *buckets;
	uint64_t uses;  /* turns: who was used last */
	uint64_t epoch; /* raised by drop_all: what was asked for before it is not kept */
	struct failure unreachable;
	struct troubled troubled[TROUBLED_MAX];
	struct bucket_cache_stats stats;

	_Atomic uint64_t wraps, unwraps, direct, alive; /* counted without the lock */
};

void cache_lock(const struct bucket_cache *cache);
void cache_unlock(const struct bucket_cache *cache);
uint64_t cache_now(const struct bucket_cache *cache);

#endif
