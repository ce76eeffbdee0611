/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_CACHE_FIXTURE_H
#define SIGNETFS_TESTS_CACHE_FIXTURE_H

/* A bucket-key cache over the fake KMS, the fake clock and a record in memory that survives the cache. */

#include <pthread.h>
#include "keycache/keycache.h"
#include "tests/support/fake_kms.h"

#define FIXTURE_START (UINT64_C(1700000000) * CLOCK_SECOND)

struct cache_fixture {
	struct fake_kms *kms;
	const char *arn;
	struct clock_fake clock;
	struct reporter reporter;
	_Atomic unsigned reports[REPORT_DEBUG + 1]; /* how many of each level */
	pthread_mutex_t report_lock;                /* last_report, while threads run */
	char last_report[2048];
	/* The store: one record, for any bucket. */
	struct bucket_record record;
	int has_record;
	enum err load_error, save_error;
	_Atomic unsigned loads, saves;
	struct bucket_cache_config config;
	struct bucket_cache *cache;
};

/** Defaults: cache time 300 s, lifetime 7 days, 2^20 files. */
void cache_fixture_setup(struct cache_fixture *x);
/** As a remount, or a crash: the cache goes, KMS, clock and record stay. Change x->config before to change the cache. */
void cache_fixture_reopen(struct cache_fixture *x);
void cache_fixture_teardown(struct cache_fixture *x);

extern const struct bucket_id cache_fixture_vault; /* all zero */

struct bucket_ref *cache_fixture_wrap(struct cache_fixture *x);
struct bucket_ref *cache_fixture_unwrap(struct cache_fixture *x, const struct kms_wrapped_key *wrapped);
struct bucket_cache_stats cache_fixture_stats(const struct cache_fixture *x);
unsigned cache_fixture_generates(const struct cache_fixture *x);
unsigned cache_fixture_decrypts(const struct cache_fixture *x);
/** A bucket key made behind the cache's back, for bucket @id. */
struct kms_wrapped_key cache_fixture_foreign_key(struct cache_fixture *x, const struct bucket_id *id);

#endif
