/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one cache: who calls, who waits, and that nothing races (run under ThreadSanitizer too). */
#include "tests/support/cache_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { THREADS = 8 };

struct worker {
	struct cache_fixture *x;
	const struct kms_wrapped_key *wrapped; /* NULL: wrap */
	pthread_t thread;
	enum err result;
	struct bucket_ref *ref;
};

static _Atomic unsigned started;

static void *acquire(void *arg)
{
	struct worker *w = arg;

	atomic_fetch_add(&started, 1);
	w->result = w->wrapped ? bucket_cache_acquire_for_unwrap(w->x->cache, &cache_fixture_vault, w->wrapped, &w->ref)
			       : bucket_cache_acquire_for_wrap(w->x->cache, &cache_fixture_vault, &w->ref);
	return NULL;
}

static void pause_ms(long ms)
{
	const struct timespec t = {0, ms * 1000000};

	nanosleep(&t, NULL);
}

static void start(struct worker *w, struct cache_fixture *x, const struct kms_wrapped_key *wrapped)
{
	for (size_t i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.x = x, .wrapped = wrapped};
		assert_int_equal(pthread_create(&w[i].thread, NULL, acquire, &w[i]), 0);
	}
}

static void join(struct worker *w)
{
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
}

/* One call is held inside the KMS until the seven others had time to arrive. */
static void fly_together(struct cache_fixture *x, const struct kms_wrapped_key *wrapped, struct worker *w)
{
	fake_kms_reset_counts(x->kms);
	fake_kms_block(x->kms);
	atomic_store(&started, 0);
	start(w, x, wrapped);
	assert_int_equal(fake_kms_wait_blocked(x->kms, 1), 1);
	while (atomic_load(&started) < THREADS)
		pause_ms(1);
	pause_ms(300);
	assert_int_equal(fake_kms_calls(x->kms, NULL), 1);
	fake_kms_release(x->kms);
	join(w);
}

static void check_shared(struct cache_fixture *x, struct worker *w)
{
	struct bucket_cache_stats s = cache_fixture_stats(x);

	assert_int_equal(fake_kms_calls(x->kms, NULL), 1);
	assert_int_equal(s.misses, 1);
	assert_int_equal(s.waits, THREADS - 1);
	assert_int_equal(s.hits, 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(w[i].result, ERR_OK);
		assert_ptr_equal(w[i].ref, w[0].ref);
	}
	for (size_t i = 0; i < THREADS; i++)
		bucket_ref_release(w[i].ref);
}

static void single_flight_unwrap(void **state)
{
	struct worker w[THREADS];
	struct kms_wrapped_key wrapped;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	wrapped = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	fly_together(&x, &wrapped, w);
	check_shared(&x, w);
	cache_fixture_teardown(&x);
}

static void single_flight_generate(void **state)
{
	struct worker w[THREADS];
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	fly_together(&x, NULL, w);
	check_shared(&x, w);
	assert_int_equal(cache_fixture_generates(&x), 1);
	assert_int_equal(x.saves, 1);
	cache_fixture_teardown(&x);
}

static void single_flight_after_remount(void **state)
{
	struct worker w[THREADS];
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	cache_fixture_reopen(&x);
	fly_together(&x, NULL, w);
	check_shared(&x, w);
	assert_int_equal(cache_fixture_decrypts(&x), 1);
	cache_fixture_teardown(&x);
}

/* Whoever waits gets that call's failure: one call, eight refusals. */
static void shared_failure(void **state)
{
	struct worker w[THREADS];
	struct kms_wrapped_key wrapped;
	struct cache_fixture x;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		cache_fixture_setup(&x);
		wrapped = cache_fixture_foreign_key(&x, &cache_fixture_vault);
		fake_kms_set_state(x.kms, x.arn, FAKE_KMS_DISABLED);
		fly_together(&x, round ? &wrapped : NULL, w);
		for (size_t i = 0; i < THREADS; i++) {
			assert_int_equal(w[i].result, ERR_KMS_DISABLED);
			assert_null(w[i].ref);
		}
		assert_int_equal(fake_kms_calls(x.kms, NULL), 1);
		assert_int_equal(cache_fixture_stats(&x).misses, 1);
		assert_int_equal(cache_fixture_stats(&x).waits, THREADS - 1);
		assert_int_equal(x.reports[REPORT_NOTICE], 1);
		cache_fixture_teardown(&x);
	}
}

/* A call that was under way when everything was dropped brings nothing into the cache. */
static void dropped_in_flight(void **state)
{
	struct worker w;
	struct kms_wrapped_key wrapped;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	wrapped = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	fake_kms_reset_counts(x.kms);
	fake_kms_block(x.kms);
	w = (struct worker){.x = &x, .wrapped = &wrapped};
	assert_int_equal(pthread_create(&w.thread, NULL, acquire, &w), 0);
	assert_int_equal(fake_kms_wait_blocked(x.kms, 1), 1);
	bucket_cache_drop_all(x.cache);
	fake_kms_release(x.kms);
	pthread_join(w.thread, NULL);
	assert_int_equal(w.result, ERR_OK);
	assert_true(bucket_ref_live(w.ref));
	assert_int_equal(cache_fixture_decrypts(&x), 2);
	bucket_ref_release(w.ref);
	cache_fixture_teardown(&x);
}

/* More flights at once than there may be entries: when they are back, the bound holds again. */
static void bound_after_many_flights(void **state)
{
	enum { MAX = 2 };
	struct kms_wrapped_key keys[THREADS];
	struct worker w[THREADS];
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	x.config.max_entries = MAX;
	cache_fixture_reopen(&x);
	for (size_t i = 0; i < THREADS; i++)
		keys[i] = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	fake_kms_block(x.kms);
	for (size_t i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.x = &x, .wrapped = &keys[i]};
		assert_int_equal(pthread_create(&w[i].thread, NULL, acquire, &w[i]), 0);
	}
	assert_int_equal(fake_kms_wait_blocked(x.kms, THREADS), THREADS);
	fake_kms_release(x.kms);
	join(w);
	assert_int_equal(bucket_cache_entries(x.cache, NULL, 0), MAX);
	assert_int_equal(cache_fixture_stats(&x).entries, THREADS);
	assert_int_equal(cache_fixture_stats(&x).evictions, THREADS - MAX);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(w[i].result, ERR_OK);
		assert_true(bucket_ref_live(w[i].ref));
		bucket_ref_release(w[i].ref);
	}
	assert_int_equal(cache_fixture_stats(&x).entries, MAX);
	cache_fixture_teardown(&x);
}

/* ---- Everything at once ---- */

enum { KEYS = 6, ROUNDS = 3000 };

struct storm {
	struct cache_fixture *x;
	struct kms_wrapped_key keys[KEYS];
	_Atomic unsigned next, good, bad;
};

static void use(struct bucket_ref *ref)
{
	static const uint8_t id[FILE_ID_SIZE] = {1};
	const struct data_key key = {{7}};
	struct data_key back;
	uint8_t wrapped[WRAPPED_DATA_KEY_SIZE];

	if (bucket_ref_wrap(ref, id, &key, wrapped) != ERR_OK || bucket_ref_unwrap(ref, id, wrapped, &back) != ERR_OK ||
		memcmp(&key, &back, sizeof(key)) != 0)
		abort();
	(void)bucket_ref_live(ref);
}

static void storm_step(struct storm *s, unsigned n)
{
	struct bucket_cache_entry entries[8];
	struct bucket_cache_stats stats;
	struct bucket_ref *ref = NULL;
	enum err e;

	if (n % 500 == 499)
		bucket_cache_drop_all(s->x->cache);
	if (n % 50 == 7)
		clock_fake_advance(&s->x->clock, (n % 200 == 7 ? 400 : 40) * CLOCK_SECOND);
	if (n % 97 == 3)
		fake_kms_fail_next(s->x->kms, NULL, ERR_KMS_DISABLED, 1);
	if (n % 64 == 0) {
		bucket_cache_expire(s->x->cache);
		bucket_cache_stats(s->x->cache, &stats);
		bucket_cache_entries(s->x->cache, entries, 8);
	}
	if (n % 3 == 0)
		e = bucket_cache_acquire_for_wrap(s->x->cache, &cache_fixture_vault, &ref);
	else
		e = bucket_cache_acquire_for_unwrap(s->x->cache, &cache_fixture_vault, &s->keys[n % KEYS], &ref);
	if (e != ERR_OK && e != ERR_KMS_DISABLED)
		abort();
	atomic_fetch_add(e == ERR_OK ? &s->good : &s->bad, 1);
	if (e == ERR_OK)
		use(ref);
	bucket_ref_release(ref);
}

static void *storm_worker(void *arg)
{
	struct storm *s = arg;
	unsigned n;

	while ((n = atomic_fetch_add(&s->next, 1)) < ROUNDS)
		storm_step(s, n);
	return NULL;
}

static void storm(void **state)
{
	struct cache_fixture x;
	struct storm s = {.x = &x};
	pthread_t threads[THREADS];
	struct bucket_cache_stats stats;

	(void)state;
	cache_fixture_setup(&x);
	x.config.max_entries = 3;
	x.config.lifetime_files = 100;
	cache_fixture_reopen(&x);
	for (size_t i = 0; i < KEYS; i++)
		s.keys[i] = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	fake_kms_reset_counts(x.kms);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm_worker, &s), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stats = cache_fixture_stats(&x);
	assert_int_equal(s.good + s.bad, ROUNDS);
	assert_true(s.good > ROUNDS / 2 && fake_kms_injected(x.kms) > 0);
	assert_int_equal(stats.hits + stats.misses + stats.waits + stats.repeats, ROUNDS);
	assert_int_equal(stats.generate_ok + stats.generate_refused + stats.generate_failed + stats.decrypt_ok +
				 stats.decrypt_refused + stats.decrypt_failed,
		fake_kms_calls(x.kms, NULL));
	assert_int_equal(stats.wraps, s.good);
	assert_true(stats.evictions > 0);
	assert_true(stats.expirations > 0);
	assert_true(stats.entries <= 3);
	cache_fixture_teardown(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_flight_unwrap),
		cmocka_unit_test(single_flight_generate),
		cmocka_unit_test(single_flight_after_remount),
		cmocka_unit_test(shared_failure),
		cmocka_unit_test(dropped_in_flight),
		cmocka_unit_test(bound_after_many_flights),
		cmocka_unit_test(storm),
	};

	return cmocka_run_group_tests_name("keycache/threads", tests, NULL, NULL);
}
