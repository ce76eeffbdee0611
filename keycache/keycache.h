/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_KEYCACHE_H
#define SIGNETFS_KEYCACHE_H

/*
 * Bucket keys: one KMS call makes a key that wraps the data keys of many files (as Amazon S3 Bucket Keys do).
 *
 * Two clocks, kept apart:
 *   lifetime    how long, and for how many files, a bucket key wraps NEW data keys      (default 7 days, 2^20 files)
 *   cache time  how long a bucket key's plaintext may stay in memory, counted from the moment the KMS was asked (earlier
 *               than the answer, so never too long), so that a busy key expires too and the KMS is asked again (default 300 s)
 *
 * A refusal by the KMS (disabled, denied, deleted: kms_error_is_refusal()) leaves no plaintext behind. When the KMS cannot be
 * reached, what is cached works until its cache time is over. Nothing is served past it: every use of a key asks
 * bucket_ref_live() first.
 *
 * A failure is remembered for BUCKET_FAILURE_TIME and repeated to whoever asks for the same key, or, when the KMS cannot be
 * reached, for any key, so that a tree of files under a key that cannot be had does not make a call (with its
 * retries) for every file. After that the KMS is asked again: enabling the key heals without further ado.
 *
 * Threads: every function may be called from many threads. Concurrent misses on one key share one KMS call; a caller that waits
 * gets that call's result.
 */

#include <stdint.h>
#include "kms/base/clock.h"
#include "kms/base/err.h"
#include "kms/base/ids.h"
#include "kms/base/report.h"
#include "kms/base/secret.h"
#include "kms/kms.h"

struct bucket_cache;
struct bucket_ref; /* one borrowed bucket key */

/** What a vault remembers between mounts of the bucket key that wraps new data keys. Not secret. */
struct bucket_record {
	struct kms_wrapped_key wrapped;
	uint64_t created;  /* wall clock, ns */
	uint64_t reserved; /* upper bound of the data keys wrapped so far; never below the true number */
};

/**
 * Where records are kept; the vault supplies it. Called without locks held, one call at a time per bucket. A record is saved
 * before the first use of what it says, so a crash never lets a key wrap more than its lifetime allows.
 */
struct bucket_store {
	/* ERR_NOT_FOUND: none. ERR_FORMAT, ERR_TAMPERED, ERR_VAULT: damaged; reported, and a new bucket key is made. */
	enum err (*load)(void *context, const struct bucket_id *id, struct bucket_record *ret);
	enum err (*save)(void *context, const struct bucket_id *id, const struct bucket_record *record); /* durable */
	void *context;
};

struct bucket_cache_config {
	struct kms *kms;                   /* borrowed */
	const char *key_id;                /* CMK for new bucket keys: id, ARN, alias; copied */
	uint8_t volume_id[VOLUME_ID_SIZE]; /* goes into the encryption context */
	uint64_t lifetime;                 /* ns; 0 = default */
	uint64_t lifetime_files;           /* 0 = default */
	uint64_t cache_time;               /* ns; 0 = default */
	unsigned max_entries;              /* plaintext keys held, least recently used leaves; 0 = default 256 */
	struct bucket_store store;
	const struct clock *clock;
	const struct reporter *reporter;
};

#define BUCKET_LIFETIME_DEFAULT       (7 * 24 * 3600 * CLOCK_SECOND)
#define BUCKET_LIFETIME_FILES_DEFAULT (UINT64_C(1) << 20)
#define BUCKET_CACHE_TIME_DEFAULT     (300 * CLOCK_SECOND)
#define BUCKET_FAILURE_TIME           (1 * CLOCK_SECOND)
/** Data keys are counted in blocks of this many: after a crash, or a mount, at most so many uses of a bucket key are lost. */
#define BUCKET_RESERVE UINT64_C(4096)

enum err bucket_cache_new(const struct bucket_cache_config *config, struct bucket_cache **ret);
/** Wipes everything. No reference may be outstanding. */
void bucket_cache_free(struct bucket_cache *cache);

/**
 * Borrow the live bucket key of bucket @id to wrap one data key (counted against its lifetime).
 * On success *ret is held until bucket_ref_release(). Errors: any of the KMS's, final (the client below has retried).
 * May block for one KMS call.
 */
enum err bucket_cache_acquire_for_wrap(struct bucket_cache *cache, const struct bucket_id *id, struct bucket_ref **ret);

/**
 * Borrow the bucket key that @wrapped is, found by the SHA-256 of blob, ARN and bucket id, to unwrap data keys.
 * @id enters the encryption context, so a header moved to another bucket does not open.
 */
enum err bucket_cache_acquire_for_unwrap(struct bucket_cache *cache, const struct bucket_id *id,
	const struct kms_wrapped_key *wrapped, struct bucket_ref **ret);

/** Another reference to the same key. */
struct bucket_ref *bucket_ref_hold(struct bucket_ref *ref);
/** The key is wiped when the last holder lets go of an expired or evicted one. NULL is fine. */
void bucket_ref_release(struct bucket_ref *ref);

/** False once the cache time is over or the KMS refused the key: stop using it and everything derived under it, acquire again. A few ns. */
int bucket_ref_live(const struct bucket_ref *ref);

/** When (clock monotonic, ns) the key's cache time is over; 0 when the KMS refused it already. */
uint64_t bucket_ref_live_until(const struct bucket_ref *ref);

/** What goes into a header beside the wrapped data key. Valid while the reference is held. */
const struct kms_wrapped_key *bucket_ref_wrapped(const struct bucket_ref *ref);

/** AES-256-GCM under the bucket key, random nonce; AAD = label ‖ volume id ‖ file id. ERR_TAMPERED: not wrapped by this key for this file. */
enum err bucket_ref_wrap(const struct bucket_ref *ref, const uint8_t file_id[FILE_ID_SIZE], const struct data_key *key,
	uint8_t ret_wrapped[WRAPPED_DATA_KEY_SIZE]);
enum err bucket_ref_unwrap(const struct bucket_ref *ref, const uint8_t file_id[FILE_ID_SIZE],
	const uint8_t wrapped[WRAPPED_DATA_KEY_SIZE], struct data_key *ret_key);

/**
 * Without bucket keys (`--bucket-key off`): one KMS call a file. The answer is cached nowhere; *ret_live_until (clock
 * monotonic, ns) bounds its use by the cache time. Context: volume id and file id.
 */
enum err bucket_cache_direct_generate(struct bucket_cache *cache, const uint8_t file_id[FILE_ID_SIZE],
	struct data_key *ret_key, struct kms_wrapped_key *ret_wrapped, uint64_t *ret_live_until);
enum err bucket_cache_direct_decrypt(struct bucket_cache *cache, const uint8_t file_id[FILE_ID_SIZE],
	const struct kms_wrapped_key *wrapped, struct data_key *ret_key, uint64_t *ret_live_until);

/**
 * From now on @kms (borrowed) is asked, and new bucket keys are made under @key_id; the keys that wrapped so far only unwrap. A wrap that
 * another thread acquired just before may still be under the old CMK. For a vault that moves to another CMK. ERR_LIMIT: the id is too long.
 */
enum err bucket_cache_retarget(struct bucket_cache *cache, struct kms *kms, const char *key_id);

/** The encryption context of a bucket's keys. */
void bucket_cache_context(const struct bucket_cache *cache, const struct bucket_id *id, struct kms_context *ret);

/** Drop every plaintext key now (suspend, `signetfs` told to lock). References stop being live. The next use asks the KMS. */
void bucket_cache_drop_all(struct bucket_cache *cache);

/**
 * Wipe what nobody asked for since its cache time was over (an acquire does it too, an idle mount does not). Returns the ns until
 * the next key expires, UINT64_MAX when none is held: call again then.
 */
uint64_t bucket_cache_expire(struct bucket_cache *cache);

struct bucket_cache_stats {
	uint64_t generate_ok, generate_refused, generate_failed; /* GenerateDataKey calls by result */
	uint64_t decrypt_ok, decrypt_refused, decrypt_failed;    /* Decrypt calls by result */
	uint64_t
		calls_without; /* calls that a mount without bucket keys would have made: wraps + unwraps + direct ones */
	/* Every acquire counts once: served from memory, made a call, waited for another's, or got a remembered failure. */
	uint64_t hits, misses, waits, repeats;
	uint64_t evictions, expirations;
	uint64_t wraps, unwraps;
	uint64_t entries; /* plaintext keys in memory now, those that only their holders keep included */
};
void bucket_cache_stats(const struct bucket_cache *cache, struct bucket_cache_stats *ret);

struct bucket_cache_entry {
	struct bucket_id id;
	char key_arn[KMS_ARN_MAX + 1];
	int wrapping;                            /* the one that wraps new data keys */
	uint64_t wrapped_files, age;             /* of a wrapping one; ns since it was made */
	uint64_t cache_time_left, lifetime_left; /* ns */
};
/** What the client below has seen. */
void bucket_cache_kms_stats(const struct bucket_cache *cache, struct kms_stats *ret);

/** Copy up to @max entries out; returns how many there are. For `signetfs stats`. */
size_t bucket_cache_entries(const struct bucket_cache *cache, struct bucket_cache_entry *out, size_t max);

#endif
