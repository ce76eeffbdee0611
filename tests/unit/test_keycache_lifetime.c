/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks of a bucket key, what is counted, and what a crash may cost: exact numbers of KMS calls throughout. */
#include "tests/support/cache_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t file_id[FILE_ID_SIZE] = {1, 2, 3};
static const struct data_key data_key = {{9, 8, 7}};

static void one_call_for_many_files(void **state)
{
	struct bucket_cache_stats s;
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	for (unsigned i = 0; i < 10000; i++) {
		struct bucket_ref *ref = cache_fixture_wrap(&x);
		uint8_t wrapped[WRAPPED_DATA_KEY_SIZE];
		struct data_key back;

		assert_int_equal(bucket_ref_wrap(ref, file_id, &data_key, wrapped), ERR_OK);
		assert_int_equal(bucket_ref_unwrap(ref, file_id, wrapped, &back), ERR_OK);
		assert_memory_equal(back.b, data_key.b, KEY_SIZE);
		bucket_ref_release(ref);
	}
	s = cache_fixture_stats(&x);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 1);
	assert_int_equal(s.generate_ok, 1);
	assert_int_equal(s.decrypt_ok, 0);
	assert_int_equal(s.misses, 1);
	assert_int_equal(s.hits, 9999);
	assert_int_equal(s.wraps, 10000);
	assert_int_equal(s.unwraps, 10000);
	assert_int_equal(s.calls_without, 20000);
	assert_int_equal(s.entries, 1);
	assert_int_equal(x.saves, 3); /* the record, and two more blocks of 4096 */
	cache_fixture_teardown(&x);
}

/* What the header keeps is bound to file, volume and key. */
static void wrapped_keys_are_bound(void **state)
{
	struct cache_fixture x;
	struct bucket_ref *ref;
	uint8_t wrapped[WRAPPED_DATA_KEY_SIZE], other[FILE_ID_SIZE] = {1, 2, 4};
	struct kms_wrapped_key kms_key;
	struct data_key back = {{0}}, zero = {{0}};

	(void)state;
	cache_fixture_setup(&x);
	ref = cache_fixture_wrap(&x);
	assert_int_equal(bucket_ref_wrap(ref, file_id, &data_key, wrapped), ERR_OK);
	assert_int_equal(bucket_ref_unwrap(ref, other, wrapped, &back), ERR_TAMPERED);
	for (size_t i = 0; i < sizeof(wrapped); i++) {
		wrapped[i] ^= 1;
		assert_int_equal(bucket_ref_unwrap(ref, file_id, wrapped, &back), ERR_TAMPERED);
		wrapped[i] ^= 1;
	}
	assert_memory_equal(back.b, zero.b, KEY_SIZE);
	kms_key = *bucket_ref_wrapped(ref);
	assert_string_equal(kms_key.key_arn, x.arn);
	bucket_ref_release(ref);
	x.config.volume_id[0] ^= 1;
	cache_fixture_reopen(&x);
	/* Another volume: already the KMS refuses the blob, because the context differs. */
	assert_int_equal(bucket_cache_acquire_for_unwrap(x.cache, &cache_fixture_vault, &kms_key, &ref),
		ERR_KMS_INVALID_CIPHERTEXT);
	cache_fixture_teardown(&x);
}

static void context_names_volume_and_bucket(void **state)
{
	const struct bucket_id other = {{0xb0, 1}};
	struct cache_fixture x;
	struct bucket_ref *ref = NULL;
	struct kms_wrapped_key wrapped;
	json_t *c;

	(void)state;
	cache_fixture_setup(&x);
	ref = cache_fixture_wrap(&x);
	wrapped = *bucket_ref_wrapped(ref);
	bucket_ref_release(ref);
	c = fake_kms_last_context(x.kms);
	assert_int_equal(json_object_size(c), 2);
	assert_string_equal(
		json_string_value(json_object_get(c, "signetfs:volume")), "a7a7a7a7-a7a7-a7a7-a7a7-a7a7a7a7a7a7");
	assert_string_equal(
		json_string_value(json_object_get(c, "signetfs:bucket")), "00000000000000000000000000000000");
	json_decref(c);
	/* The same blob under another bucket is another entry and another context: the KMS says no. */
	assert_int_equal(bucket_cache_acquire_for_unwrap(x.cache, &other, &wrapped, &ref), ERR_KMS_INVALID_CIPHERTEXT);
	cache_fixture_teardown(&x);
}

static struct bucket_ref *unwrap_again(struct cache_fixture *x, const struct kms_wrapped_key *wrapped)
{
	struct bucket_ref *ref = NULL;

	assert_int_equal(bucket_cache_acquire_for_unwrap(x->cache, &cache_fixture_vault, wrapped, &ref), ERR_OK);
	return ref;
}

/* The key that was used last is found by comparing: with all that makes it that key. */
static void last_used_is_nobody_elses(void **state)
{
	const struct bucket_id other = {{0xb0, 1}};
	struct cache_fixture x;
	struct bucket_ref *ref = NULL, *same;
	struct kms_wrapped_key wrapped, changed;

	(void)state;
	cache_fixture_setup(&x);
	ref = cache_fixture_wrap(&x);
	wrapped = *bucket_ref_wrapped(ref);
	bucket_ref_release(unwrap_again(&x, &wrapped));
	same = unwrap_again(&x, &wrapped);
	assert_ptr_equal(same, ref);
	bucket_ref_release(same);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 1);

	same = NULL;
	assert_int_equal(bucket_cache_acquire_for_unwrap(x.cache, &other, &wrapped, &same), ERR_KMS_INVALID_CIPHERTEXT);
	changed = wrapped;
	changed.blob[changed.blob_len - 1] ^= 1;
	assert_int_equal(bucket_cache_acquire_for_unwrap(x.cache, &cache_fixture_vault, &changed, &same),
		ERR_KMS_INVALID_CIPHERTEXT);
	changed = wrapped;
	changed.blob_len--;
	assert_int_equal(bucket_cache_acquire_for_unwrap(x.cache, &cache_fixture_vault, &changed, &same),
		ERR_KMS_INVALID_CIPHERTEXT);
	changed = wrapped;
	changed.key_arn[strlen(changed.key_arn) - 1] ^= 1;
	assert_int_not_equal(bucket_cache_acquire_for_unwrap(x.cache, &cache_fixture_vault, &changed, &same), ERR_OK);
	assert_null(same);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 5);

	/* Nor does it outlive its time. */
	bucket_ref_release(unwrap_again(&x, &wrapped));
	clock_fake_advance(&x.clock, 300 * CLOCK_SECOND);
	same = unwrap_again(&x, &wrapped);
	assert_ptr_not_equal(same, ref);
	assert_true(bucket_ref_live(same));
	assert_int_equal(fake_kms_calls(x.kms, NULL), 6);
	bucket_ref_release(same);
	bucket_cache_drop_all(x.cache);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 6);
	bucket_ref_release(unwrap_again(&x, &wrapped));
	assert_int_equal(fake_kms_calls(x.kms, NULL), 7);
	bucket_ref_release(ref);
	cache_fixture_teardown(&x);
}

static void busy_key_expires(void **state)
{
	struct cache_fixture x;
	struct bucket_ref *ref, *again;

	(void)state;
	cache_fixture_setup(&x);
	ref = cache_fixture_wrap(&x);
	for (unsigned second = 0; second < 300; second++) {
		assert_true(bucket_ref_live(ref));
		bucket_ref_release(cache_fixture_wrap(&x));
		clock_fake_advance(&x.clock, CLOCK_SECOND);
	}
	assert_int_equal(fake_kms_calls(x.kms, NULL), 1);
	assert_false(bucket_ref_live(ref));
	/* No new key within the lifetime: the same blob is decrypted. */
	again = cache_fixture_wrap(&x);
	assert_int_equal(cache_fixture_generates(&x), 1);
	assert_int_equal(cache_fixture_decrypts(&x), 1);
	assert_true(bucket_ref_live(again));
	assert_false(bucket_ref_live(ref));
	assert_ptr_not_equal(ref, again);
	assert_memory_equal(bucket_ref_wrapped(ref), bucket_ref_wrapped(again), sizeof(struct kms_wrapped_key));
	assert_int_equal(cache_fixture_stats(&x).expirations, 1);
	assert_int_equal(cache_fixture_stats(&x).entries, 2);
	bucket_ref_release(ref);
	assert_int_equal(cache_fixture_stats(&x).entries, 1);
	bucket_ref_release(again);
	cache_fixture_teardown(&x);
}

/* Counted from the question: a KMS that takes a minute to answer does not lengthen a key's stay. */
static enum err slow_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response);
static struct slow_kms {
	struct kms kms;
	struct cache_fixture *x;
} slow;
static void slow_close(struct kms *kms)
{
	(void)kms;
}
static enum err slow_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	struct slow_kms *s = (struct slow_kms *)kms;

	clock_fake_advance(&s->x->clock, 60 * CLOCK_SECOND);
	return kms_call(fake_kms_client(s->x->kms), operation, request, ret_response);
}

static void time_counts_from_the_question(void **state)
{
	static const struct kms_ops ops = {.call = slow_call, .close = slow_close};
	struct cache_fixture x;
	struct bucket_ref *ref;

	(void)state;
	cache_fixture_setup(&x);
	slow = (struct slow_kms){{&ops}, &x};
	x.config.kms = &slow.kms;
	cache_fixture_reopen(&x);
	ref = cache_fixture_wrap(&x);
	clock_fake_advance(&x.clock, 240 * CLOCK_SECOND - 1);
	assert_true(bucket_ref_live(ref));
	clock_fake_advance(&x.clock, 1);
	assert_false(bucket_ref_live(ref));
	bucket_ref_release(ref);
	/* A call longer than the cache time still serves whoever made it, and ends. */
	x.config.cache_time = 10 * CLOCK_SECOND;
	cache_fixture_reopen(&x);
	fake_kms_reset_counts(x.kms);
	ref = cache_fixture_unwrap(&x, &x.record.wrapped);
	assert_false(bucket_ref_live(ref));
	bucket_ref_release(ref);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_decrypts(&x), 2);
	cache_fixture_teardown(&x);
}

static void lifetime_by_time(void **state)
{
	struct cache_fixture x;
	struct bucket_record first;

	(void)state;
	cache_fixture_setup(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	first = x.record;
	assert_true(first.created == FIXTURE_START);
	clock_fake_advance(&x.clock, 7 * 24 * 3600 * CLOCK_SECOND - 1);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_generates(&x), 1);
	clock_fake_advance(&x.clock, 1);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_generates(&x), 2);
	assert_memory_not_equal(&x.record.wrapped, &first.wrapped, sizeof(first.wrapped));
	assert_true(x.record.created == first.created + 7 * 24 * 3600 * CLOCK_SECOND);
	/* The old key still opens what it wrapped. */
	bucket_ref_release(cache_fixture_unwrap(&x, &first.wrapped));
	cache_fixture_teardown(&x);
}

static void lifetime_by_files(void **state)
{
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	x.config.lifetime_files = 10;
	cache_fixture_reopen(&x);
	for (unsigned i = 0; i < 35; i++)
		bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_generates(&x), 4);
	assert_int_equal(x.record.reserved, 10);
	assert_int_equal(x.saves, 4);
	cache_fixture_teardown(&x);
}

/* A remount costs one Decrypt and no new key; what was reserved counts as used, so nothing is ever counted too low. */
static void remount_and_crash(void **state)
{
	struct cache_fixture x;
	struct bucket_cache_entry entry;

	(void)state;
	cache_fixture_setup(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(x.record.reserved, 4096);
	cache_fixture_reopen(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_generates(&x), 1);
	assert_int_equal(cache_fixture_decrypts(&x), 1);
	assert_int_equal(x.record.reserved, 8192);
	assert_int_equal(bucket_cache_entries(x.cache, &entry, 1), 1);
	assert_true(entry.wrapping);
	assert_int_equal(entry.wrapped_files, 4097);
	for (unsigned i = 1; i < 4096; i++)
		bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(x.record.reserved, 8192);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(x.record.reserved, 12288);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 2);
	cache_fixture_teardown(&x);
}

/* Remount after remount: the lifetime in files is never exceeded, however little each mount uses. */
static void reservations_run_out(void **state)
{
	struct cache_fixture x;
	unsigned mounts = 0;

	(void)state;
	cache_fixture_setup(&x);
	x.config.lifetime_files = 3 * 4096 + 100;
	do {
		cache_fixture_reopen(&x);
		bucket_ref_release(cache_fixture_wrap(&x));
		mounts++;
		assert_true(x.record.reserved <= 3 * 4096 + 100);
	} while (cache_fixture_generates(&x) == 1);
	assert_int_equal(mounts, 5); /* three blocks, one of 100, then a new key */
	cache_fixture_teardown(&x);
}

/* Disk full: no key may wrap what is not counted durably. */
static void save_fails(void **state)
{
	struct cache_fixture x;
	struct bucket_ref *ref = NULL;

	(void)state;
	cache_fixture_setup(&x);
	x.save_error = ERR_LIMIT;
	assert_int_equal(bucket_cache_acquire_for_wrap(x.cache, &cache_fixture_vault, &ref), ERR_LIMIT);
	assert_null(ref);
	assert_int_equal(cache_fixture_stats(&x).entries, 0);
	/* Not for every file a call, while it lasts. */
	assert_int_equal(bucket_cache_acquire_for_wrap(x.cache, &cache_fixture_vault, &ref), ERR_LIMIT);
	assert_int_equal(cache_fixture_generates(&x), 1);
	x.save_error = ERR_OK;
	clock_fake_advance(&x.clock, CLOCK_SECOND);
	for (unsigned i = 0; i < 4096; i++)
		bucket_ref_release(cache_fixture_wrap(&x));
	x.save_error = ERR_LIMIT;
	assert_int_equal(bucket_cache_acquire_for_wrap(x.cache, &cache_fixture_vault, &ref), ERR_LIMIT);
	assert_int_equal(x.record.reserved, 4096);
	x.save_error = ERR_OK;
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(x.record.reserved, 8192);
	assert_int_equal(cache_fixture_generates(&x), 2);
	cache_fixture_teardown(&x);
}

static void damaged_record(void **state)
{
	static const enum err damages[] = {ERR_FORMAT, ERR_TAMPERED, ERR_VAULT};
	struct bucket_ref *ref = NULL;
	struct cache_fixture x;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		cache_fixture_setup(&x);
		bucket_ref_release(cache_fixture_wrap(&x));
		cache_fixture_reopen(&x);
		x.load_error = damages[i];
		bucket_ref_release(cache_fixture_wrap(&x));
		assert_int_equal(cache_fixture_generates(&x), 2);
		assert_int_equal(x.reports[REPORT_WARNING], 1);
		cache_fixture_teardown(&x);
	}
	cache_fixture_setup(&x);
	x.load_error = ERR_UNSUPPORTED;
	assert_int_equal(bucket_cache_acquire_for_wrap(x.cache, &cache_fixture_vault, &ref), ERR_UNSUPPORTED);
	assert_int_equal(fake_kms_calls(x.kms, NULL), 0);
	cache_fixture_teardown(&x);
}

/* A record from the future: an hour is a clock set right, more is a wrong one. */
static void clock_set_back(void **state)
{
	struct cache_fixture x;

	(void)state;
	cache_fixture_setup(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	x.record.created += 3600 * CLOCK_SECOND;
	cache_fixture_reopen(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_generates(&x), 1);
	x.record.created += 1;
	cache_fixture_reopen(&x);
	bucket_ref_release(cache_fixture_wrap(&x));
	assert_int_equal(cache_fixture_generates(&x), 2);
	cache_fixture_teardown(&x);
}

/* ---- Without bucket keys ---- */

static void direct(void **state)
{
	struct cache_fixture x;
	struct kms_wrapped_key wrapped;
	struct data_key made, back;
	struct bucket_cache_stats s;
	uint64_t until = 0;
	uint8_t other[FILE_ID_SIZE] = {4};
	json_t *c;

	(void)state;
	cache_fixture_setup(&x);
	assert_int_equal(bucket_cache_direct_generate(x.cache, file_id, &made, &wrapped, &until), ERR_OK);
	assert_true(until == x.clock.now + 300 * CLOCK_SECOND);
	c = fake_kms_last_context(x.kms);
	assert_int_equal(json_object_size(c), 2);
	assert_string_equal(json_string_value(json_object_get(c, "signetfs:file")), "01020300000000000000000000000000");
	json_decref(c);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(bucket_cache_direct_decrypt(x.cache, file_id, &wrapped, &back, &until), ERR_OK);
		assert_memory_equal(back.b, made.b, KEY_SIZE);
	}
	assert_int_equal(
		bucket_cache_direct_decrypt(x.cache, other, &wrapped, &back, &until), ERR_KMS_INVALID_CIPHERTEXT);
	s = cache_fixture_stats(&x);
	assert_int_equal(cache_fixture_generates(&x), 1);
	assert_int_equal(cache_fixture_decrypts(&x), 11);
	assert_int_equal(s.generate_ok, 1);
	assert_int_equal(s.decrypt_ok, 10);
	assert_int_equal(s.decrypt_refused, 1);
	assert_int_equal(s.calls_without, 11);
	assert_int_equal(s.entries, 0);
	cache_fixture_teardown(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_for_many_files),
		cmocka_unit_test(wrapped_keys_are_bound),
		cmocka_unit_test(context_names_volume_and_bucket),
		cmocka_unit_test(last_used_is_nobody_elses),
		cmocka_unit_test(busy_key_expires),
		cmocka_unit_test(time_counts_from_the_question),
		cmocka_unit_test(lifetime_by_time),
		cmocka_unit_test(lifetime_by_files),
		cmocka_unit_test(remount_and_crash),
		cmocka_unit_test(reservations_run_out),
		cmocka_unit_test(save_fails),
		cmocka_unit_test(damaged_record),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(direct),
	};

	return cmocka_run_group_tests_name("keycache/lifetime", tests, NULL, NULL);
}
