/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/latency.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { THREADS = 4, NOTES = 20000 };

static void nothing_took_no_time(void **state)
{
	static struct latency l;
	struct latency_summary s;

	(void)state;
	latency_summarize(&l, &s);
	assert_int_equal(s.count + s.sum + s.max + s.p50 + s.p90 + s.p99, 0);
}

/* 1 … 10,000: the percentiles are known, and what is told is at most a sixteenth above them. */
static void percentiles_are_at_most_a_sixteenth_high(void **state)
{
	static struct latency l;
	struct latency_summary s;

	(void)state;
	for (uint64_t ns = 1; ns <= 10000; ns++)
		latency_note(&l, ns);
	latency_summarize(&l, &s);
	assert_int_equal(s.count, 10000);
	assert_int_equal(s.sum, 50005000);
	assert_int_equal(s.max, 10000);
	assert_in_range(s.p50, 5000, 5000 + 5000 / 16);
	assert_in_range(s.p90, 9000, 9000 + 9000 / 16);
	assert_in_range(s.p99, 9900, 10000);
}

/* Whatever the value: alone, it is every percentile, exactly, because nothing is above the longest. */
static void one_value_is_all_of_them(void **state)
{
	static const uint64_t values[] = {0, 1, 15, 16, 17, 31, 32, 1000, 123456789, UINT64_C(1) << 39, UINT64_MAX};
	struct latency_summary s;

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct latency l = {0};

		latency_note_own(&l, values[i]);
		latency_summarize(&l, &s);
		assert_int_equal(s.count, 1);
		assert_true(s.p50 == values[i] && s.p99 == values[i] && s.max == values[i]);
	}
}

/* For each bucket its own bound and the first value behind it: none overlap, none is left out. */
static void buckets_meet(void **state)
{
	struct latency_summary s;

	(void)state;
	for (uint64_t ns = 1; ns < UINT64_C(1) << 38; ns += ns / 7 + 1) {
		struct latency l = {0};

		latency_note_own(&l, ns);
		latency_note_own(&l, UINT64_C(1) << 38);
		latency_summarize(&l, &s);
		assert_true(s.p50 >= ns && s.p50 - ns <= ns / 16);
	}
}

static void sums_are_counted_together(void **state)
{
	struct latency a = {0}, b = {0};
	struct latency_summary s;

	(void)state;
	latency_note_own(&a, 100);
	latency_note_own(&b, 5);
	latency_note_own(&b, 7);
	latency_add(&b, &a);
	latency_summarize(&b, &s);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.sum, 112);
	assert_int_equal(s.max, 100);
	assert_int_equal(s.p50, 7);
}

static void *note_many(void *context)
{
	for (uint64_t i = 1; i <= NOTES; i++)
		latency_note(context, i);
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	static struct latency l;
	struct latency_summary s;
	pthread_t thread[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, note_many, &l), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	latency_summarize(&l, &s);
	assert_int_equal(s.count, THREADS * NOTES);
	assert_int_equal(s.sum, (uint64_t)THREADS * NOTES * (NOTES + 1) / 2);
	assert_int_equal(s.max, NOTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_took_no_time),
		cmocka_unit_test(percentiles_are_at_most_a_sixteenth_high),
		cmocka_unit_test(one_value_is_all_of_them),
		cmocka_unit_test(buckets_meet),
		cmocka_unit_test(sums_are_counted_together),
		cmocka_unit_test(threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
