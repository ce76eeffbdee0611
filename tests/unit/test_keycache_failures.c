/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache does when the KMS refuses, cannot be reached or answers nonsense; what leaves it, and what stays. */
#include "keycache/keycache_internal.h"
#include "tests/support/cache_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static enum err wrap_error(struct cache_fixture *x)
{
	struct bucket_ref *ref = NULL;
	enum err e = bucket_cache_acquire_for_wrap(x->cache, &cache_fixture_vault, &ref);

	assert_true((e == ERR_OK) == (ref != NULL));
	bucket_ref_release(ref);
	return e;
}

static enum err unwrap_error(struct cache_fixture *x, const struct kms_wrapped_key *wrapped)
{
	struct bucket_ref *ref = NULL;
	enum err e = bucket_cache_acquire_for_unwrap(x->cache, &cache_fixture_vault, wrapped, &ref);

	assert_true((e == ERR_OK) == (ref != NULL));
	bucket_ref_release(ref);
	return e;
}

/* Disabled, denied, pending deletion, deleted: held until its time is over, then refused, then healed. */
static void refusals(void **state)
{
	static const struct {
		enum fake_kms_state state;
		enum err want;
	} table[] = {
		{FAKE_KMS_DISABLED, ERR_KMS_DISABLED},
		{FAKE_KMS_DENIED, ERR_KMS_ACCESS_DENIED},
		{FAKE_KMS_PENDING_DELETION, ERR_KMS_INVALID_STATE},
		{FAKE_KMS_DELETED, ERR_KMS_NOT_FOUND},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct cache_fixture x;
		struct bucket_ref *open;

		cache_fixture_setup(&x);
		open = cache_fixture_wrap(&x);
		fake_kms_set_state(x.kms, x.arn, table[i].state);
		clock_fake_advance(&x.clock, 300 * CLOCK_SECOND - 1);
		assert_int_equal(wrap_error(&x), ERR_OK);
		assert_int_equal(unwrap_error(&x, &x.record.wrapped), ERR_OK);
		assert_true(bucket_ref_live(open));
		assert_int_equal(fake_kms_calls(x.kms, NULL), 1);

		clock_fake_advance(&x.clock, 1);
		assert_false(bucket_ref_live(open));
		assert_int_equal(unwrap_error(&x, &x.record.wrapped), table[i].want);
		assert_int_equal(wrap_error(&x), table[i].want);
		/* One call a second, however many files ask; no new key behind the administrator's back. */
		for (unsigned n = 0; n < 1000; n++) {
			assert_int_equal(wrap_error(&x), table[i].want);
			assert_int_equal(unwrap_error(&x, &x.record.wrapped), table[i].want);
		}
		assert_int_equal(cache_fixture_decrypts(&x), 1);
		assert_int_equal(cache_fixture_generates(&x), 1);
		assert_int_equal(cache_fixture_stats(&x).decrypt_refused, 1);
		assert_int_equal(cache_fixture_stats(&x).repeats, 2001);
		assert_int_equal(err_to_errno(table[i].want), 13);
		clock_fake_advance(&x.clock, CLOCK_SECOND);
		assert_int_equal(unwrap_error(&x, &x.record.wrapped), table[i].want);
		assert_int_equal(cache_fixture_decrypts(&x), 2);
		assert_int_equal(x.reports[REPORT_NOTICE], 1);
		assert_non_null(strstr(x.last_report, x.arn));
		assert_non_null(strstr(x.last_report, err_to_exception(table[i].want)));

		fake_kms_set_state(x.kms, x.arn, FAKE_KMS_ENABLED);
		clock_fake_advance(&x.clock, CLOCK_SECOND);
		assert_int_equal(unwrap_error(&x, &x.record.wrapped), ERR_OK);
		assert_int_equal(wrap_error(&x), ERR_OK);
		assert_int_equal(x.reports[REPORT_NOTICE], 2);
		assert_non_null(strstr(x.last_report, "works again"));
		assert_int_equal(cache_fixture_generates(&x), 1);
		bucket_ref_release(open);
		cache_fixture_teardown(&x);
	}
}

static void refused_generation(void **state)
{
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	fake_kms_set_state(x.kms, x.arn, FAKE_KMS_DISABLED);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(wrap_error(&x), ERR_KMS_DISABLED);
	assert_int_equal(cache_fixture_generates(&x), 1);
	assert_int_equal(cache_fixture_stats(&x).generate_refused, 1);
	assert_int_equal(x.saves, 0);
	assert_non_null(strstr(x.last_report, "alias/vault"));
	fake_kms_set_state(x.kms, x.arn, FAKE_KMS_ENABLED);
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	assert_int_equal(wrap_error(&x), ERR_OK);
	cache_fixture_teardown(&x);
}

/* Unreachable: what is held goes on until its time is over; one question a second for all keys together. */
static void unreachable(void **state)
{
	struct kms_wrapped_key foreign[10];
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	for (size_t i = 0; i < 10; i++)
		foreign[i] = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	assert_int_equal(wrap_error(&x), ERR_OK);
	fake_kms_reset_counts(x.kms);
	fake_kms_set_state(x.kms, NULL, FAKE_KMS_UNREACHABLE);
	clock_fake_advance(&x.clock, 300 * CLOCK_SECOND - 1);
	assert_int_equal(wrap_error(&x), ERR_OK);
	clock_fake_advance(&x.clock, 1);
	assert_int_equal(wrap_error(&x), ERR_KMS_UNREACHABLE);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(unwrap_error(&x, &foreign[i]), ERR_KMS_UNREACHABLE);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 1);
	assert_int_equal(err_to_errno(ERR_KMS_UNREACHABLE), 5);
	assert_int_equal(cache_fixture_stats(&x).decrypt_failed, 1);
	assert_int_equal(x.reports[REPORT_NOTICE], 1);
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	assert_int_equal(unwrap_error(&x, &foreign[0]), ERR_KMS_UNREACHABLE);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 2);

	/* A repeated failure does not grow old: a second after the last question every key asks again. */
	fake_kms_set_state(x.kms, NULL, FAKE_KMS_ENABLED);
	clock_fake_advance(&x.clock, CLOCK_SECOND / 2);
	for (size_t i = 1; i < 10; i++)
		assert_int_equal(unwrap_error(&x, &foreign[i]), ERR_KMS_UNREACHABLE);
	assert_int_equal(wrap_error(&x), ERR_KMS_UNREACHABLE);
	clock_fake_advance(&x.clock, CLOCK_SECOND / 2);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(unwrap_error(&x, &foreign[i]), ERR_OK);
	assert_int_equal(wrap_error(&x), ERR_OK);
	assert_non_null(strstr(x.last_report, "works again"));
	cache_fixture_teardown(&x);
}

/* The remembered blob is of a CMK that this KMS does not know: a new key is made, once. */
static void foreign_record(void **state)
{
	static const enum err errors[] = {ERR_KMS_INVALID_CIPHERTEXT, ERR_KMS_INCORRECT_KEY};
	struct cache_fixture x;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cache_fixture_setup(&x);
		assert_int_equal(wrap_error(&x), ERR_OK);
		cache_fixture_reopen(&x);
		fake_kms_fail_next(x.kms, "Decrypt", errors[i], 1);
		assert_int_equal(wrap_error(&x), ERR_OK);
		assert_int_equal(fake_kms_injected(x.kms), 1);
		assert_int_equal(wrap_error(&x), ERR_OK);
		assert_int_equal(cache_fixture_generates(&x), 2);
		assert_int_equal(cache_fixture_decrypts(&x), 1);
		assert_int_equal(x.reports[REPORT_WARNING], 1);
		assert_int_equal(x.reports[REPORT_NOTICE], 0);
		cache_fixture_teardown(&x);
	}
}

static void nonsense_from_the_kms(void **state)
{
	struct kms_wrapped_key wrapped;
	struct cache_fixture x;
	const char *other;

	(void)state;
	cache_fixture_setup(&x);
	other = fake_kms_add_key(x.kms, NULL);
	wrapped = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	fake_kms_answer_as(x.kms, other);
	assert_int_equal(unwrap_error(&x, &wrapped), ERR_KMS_WRONG_ANSWER);
	fake_kms_answer_as(x.kms, NULL);
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	fake_kms_answer_plaintext_size(x.kms, 31);
	assert_int_equal(unwrap_error(&x, &wrapped), ERR_KMS_PROTOCOL);
	assert_int_equal(wrap_error(&x), ERR_KMS_PROTOCOL);
	assert_int_equal(x.saves, 0);
	fake_kms_answer_plaintext_size(x.kms, 0);
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	assert_int_equal(unwrap_error(&x, &wrapped), ERR_OK);
	fake_kms_set_blob_size(x.kms, KMS_BLOB_MAX + 1);
	assert_int_equal(wrap_error(&x), ERR_LIMIT);
	fake_kms_set_blob_size(x.kms, KMS_BLOB_MAX);
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	assert_int_equal(wrap_error(&x), ERR_OK);
	assert_int_equal(unwrap_error(&x, &x.record.wrapped), ERR_OK);
	assert_int_equal(cache_fixture_stats(&x).decrypt_failed, 2);
	assert_int_equal(cache_fixture_stats(&x).generate_failed, 2);
	cache_fixture_teardown(&x);
}

/* One bad key says nothing about the others. */
static void failures_stay_apart(void **state)
{
	struct kms_wrapped_key good, bad;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	good = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	bad = good;
	bad.blob[20] ^= 1;
	assert_int_equal(unwrap_error(&x, &bad), ERR_KMS_INVALID_CIPHERTEXT);
	assert_int_equal(unwrap_error(&x, &good), ERR_OK);
	assert_int_equal(wrap_error(&x), ERR_OK);
	bad = good;
	bad.key_arn[strlen(bad.key_arn) - 1] ^= 1;
	assert_int_equal(unwrap_error(&x, &bad), ERR_KMS_INCORRECT_KEY);
	assert_int_equal(x.reports[REPORT_NOTICE], 0);
	cache_fixture_teardown(&x);
}

static void least_recently_used_leaves(void **state)
{
	enum { KEYS = 6, MAX = 4 };
	struct kms_wrapped_key k[KEYS];
	struct bucket_ref *held;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	x.config.max_entries = MAX;
	cache_fixture_reopen(&x);
	for (size_t i = 0; i < KEYS; i++)
		k[i] = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	held = cache_fixture_unwrap(&x, &k[0]);
	for (size_t i = 1; i < MAX; i++)
		assert_int_equal(unwrap_error(&x, &k[i]), ERR_OK);
	assert_int_equal(unwrap_error(&x, &k[1]), ERR_OK);
	assert_int_equal(unwrap_error(&x, &k[4]), ERR_OK); /* k[0] leaves: held, but used longest ago */
	assert_int_equal(cache_fixture_stats(&x).evictions, 1);
	assert_true(bucket_ref_live(held));
	assert_int_equal(cache_fixture_stats(&x).entries, MAX + 1);
	assert_int_equal(unwrap_error(&x, &k[5]), ERR_OK); /* k[2] leaves, for k[1] was used again */
	fake_kms_reset_counts(x.kms);
	assert_int_equal(unwrap_error(&x, &k[1]), ERR_OK);
	assert_int_equal(unwrap_error(&x, &k[3]), ERR_OK);
	assert_int_equal(cache_fixture_decrypts(&x), 0);
	assert_int_equal(unwrap_error(&x, &k[2]), ERR_OK);
	assert_int_equal(cache_fixture_decrypts(&x), 1);
	assert_int_equal(bucket_cache_entries(x.cache, NULL, 0), MAX);
	bucket_ref_release(held);
	assert_int_equal(cache_fixture_stats(&x).entries, MAX);
	cache_fixture_teardown(&x);
}

/* A vault full of blobs that do not open must not fill the memory. */
static void failed_entries_are_bounded(void **state)
{
	struct kms_wrapped_key bad;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	x.config.max_entries = 8;
	cache_fixture_reopen(&x);
	bad = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	for (unsigned i = 0; i < 1000; i++) {
		memcpy(bad.blob + 16, &i, sizeof(i));
		assert_int_equal(unwrap_error(&x, &bad), ERR_KMS_INVALID_CIPHERTEXT);
	}
	assert_int_equal(HASH_COUNT(x.cache->entries), 8);
	assert_int_equal(cache_fixture_stats(&x).evictions, 0);
	cache_fixture_teardown(&x);
}

static int key_is_zero(const struct bucket_ref *ref)
{
	static const uint8_t zero[KEY_SIZE];

	return memcmp(ref->key->b, zero, KEY_SIZE) == 0;
}

/* The plaintext goes with the last holder, not before and not later; an idle mount wipes by bucket_cache_expire(). */
static void wiped_with_the_last_holder(void **state)
{
	struct cache_fixture x;
	struct bucket_ref *a, *b;

	(void)state;
	cache_fixture_setup(&x);
	a = cache_fixture_wrap(&x);
	b = bucket_ref_hold(a);
	assert_int_equal(atomic_load(&a->refs), 3);
	assert_int_equal(bucket_cache_expire(x.cache), 300 * CLOCK_SECOND);
	clock_fake_advance(&x.clock, 299 * CLOCK_SECOND);
	assert_int_equal(bucket_cache_expire(x.cache), CLOCK_SECOND);
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	assert_true(bucket_cache_expire(x.cache) == UINT64_MAX);
	assert_int_equal(atomic_load(&a->refs), 2);
	bucket_ref_release(a);
	assert_int_equal(cache_fixture_stats(&x).entries, 1);
	assert_false(key_is_zero(b));
	bucket_ref_release(b);
	assert_int_equal(cache_fixture_stats(&x).entries, 0);
	assert_int_equal(cache_fixture_stats(&x).expirations, 1);
	cache_fixture_teardown(&x);
}

static void memory_of_a_released_key_is_zero(void **state)
{
	struct cache_fixture x;
	struct bucket_ref *ref;
	const volatile uint8_t *key;

	(void)state;
	cache_fixture_setup(&x);
	ref = cache_fixture_wrap(&x);
	key = ref->key->b;
	assert_false(key_is_zero(ref));
	clock_fake_advance(&x.clock, 300 * CLOCK_SECOND);
	bucket_cache_expire(x.cache);
	bucket_ref_release(ref);
	/* The pool of secret memory keeps its pages mapped and its free blocks zero. */
	for (size_t i = 0; i < KEY_SIZE; i++)
		assert_int_equal(key[i], 0);
	cache_fixture_teardown(&x);
}

static void drop_all(void **state)
{
	struct cache_fixture x;
	struct bucket_ref *held;

	(void)state;
	cache_fixture_setup(&x);
	held = cache_fixture_wrap(&x);
	bucket_cache_drop_all(x.cache);
	assert_false(bucket_ref_live(held));
	assert_int_equal(bucket_cache_entries(x.cache, NULL, 0), 0);
	bucket_ref_release(held);
	assert_int_equal(cache_fixture_stats(&x).entries, 0);
	held = cache_fixture_wrap(&x);
	assert_true(bucket_ref_live(held));
	assert_int_equal(cache_fixture_decrypts(&x), 1);
	assert_int_equal(cache_fixture_generates(&x), 1);
	bucket_ref_release(held);
	cache_fixture_teardown(&x);
}

static void entries_describe(void **state)
{
	struct bucket_cache_entry e[3];
	struct kms_wrapped_key foreign;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	foreign = cache_fixture_foreign_key(&x, &cache_fixture_vault);
	bucket_ref_release(cache_fixture_wrap(&x));
	bucket_ref_release(cache_fixture_wrap(&x));
	clock_fake_advance(&x.clock, 10 * CLOCK_SECOND);
	bucket_ref_release(cache_fixture_unwrap(&x, &foreign));
	clock_fake_advance(&x.clock, 10 * CLOCK_SECOND);
	assert_int_equal(bucket_cache_entries(x.cache, e, 3), 2);
	assert_string_equal(e[0].key_arn, x.arn);
	assert_int_equal(e[0].wrapping, 1);
	assert_int_equal(e[0].wrapped_files, 2);
	assert_true(e[0].cache_time_left == 280 * CLOCK_SECOND);
	assert_true(e[0].lifetime_left == (7 * 24 * 3600 - 20) * CLOCK_SECOND);
	assert_int_equal(e[1].wrapping, 0);
	assert_true(e[1].cache_time_left == 290 * CLOCK_SECOND);
	assert_true(e[1].lifetime_left == 0 && e[1].wrapped_files == 0);
	cache_fixture_teardown(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(refused_generation),
		cmocka_unit_test(unreachable),
		cmocka_unit_test(foreign_record),
		cmocka_unit_test(nonsense_from_the_kms),
		cmocka_unit_test(failures_stay_apart),
		cmocka_unit_test(least_recently_used_leaves),
		cmocka_unit_test(failed_entries_are_bounded),
		cmocka_unit_test(wiped_with_the_last_holder),
		cmocka_unit_test(memory_of_a_released_key_is_zero),
		cmocka_unit_test(drop_all),
		cmocka_unit_test(entries_describe),
	};

	return cmocka_run_group_tests_name("keycache/failures", tests, NULL, NULL);
}
