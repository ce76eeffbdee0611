/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, clocks, reports: what the machine gives. */
#include "kms/base/clock.h"
#include "kms/base/random.h"
#include "kms/base/report.h"
#include "tests/support/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void random_bytes_differ(void **state)
{
	uint8_t a[1000] = {0}, b[1000] = {0};

	(void)state;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	random_bytes(NULL, 0);
}

static void uuids_are_version_4(void **state)
{
	uint8_t id[16], other[16];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		random_uuid(id);
		assert_int_equal(id[6] >> 4, 4);
		assert_int_equal(id[8] >> 6, 2);
	}
	random_uuid(other);
	assert_memory_not_equal(id, other, sizeof(id));
}

static void random_below_reaches_every_value_and_no_more(void **state)
{
	unsigned seen[7] = {0};

	(void)state;
	for (unsigned i = 0; i < 7000; i++) {
		uint64_t v = random_below(7);

		assert_true(v < 7);
		seen[v]++;
	}
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(seen[i], 700, 1300);
	assert_int_equal(random_below(1), 0);
}

static int compare_nonces(const void *a, const void *b)
{
	return memcmp(a, b, 12);
}

static void nonces_never_repeat(void **state)
{
	enum { COUNT = 20000 };
	uint8_t(*nonces)[12] = calloc(COUNT, 12);
	uint8_t big[5000] = {0};

	(void)state;
	assert_non_null(nonces);
	for (unsigned i = 0; i < COUNT; i++)
		random_drawn(nonces[i], 12);
	qsort(nonces, COUNT, 12, compare_nonces);
	for (unsigned i = 1; i < COUNT; i++)
		assert_memory_not_equal(nonces[i - 1], nonces[i], 12);
	random_drawn(big, sizeof(big));
	free(nonces);
}

static int draw_in_child(void *shared)
{
	random_drawn(shared, 24);
	return 0;
}

static void forked_child_draws_other_nonces(void **state)
{
	uint8_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t mine[24], first[4];

	(void)state;
	random_drawn(first, sizeof(first));
	assert_int_equal(child_run(draw_in_child, shared), 0);
	random_drawn(mine, sizeof(mine));
	assert_memory_not_equal(mine, shared, sizeof(mine));
	munmap(shared, 4096);
}

/* _Fork() calls no handlers, as clone() does not. */
static void child_without_handlers_draws_other_nonces(void **state)
{
	uint8_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t mine[24], first[4], zero[24] = {0};
	int status;

	(void)state;
	random_drawn(first, sizeof(first));
	pid_t pid = _Fork();
	if (pid == 0) {
		random_drawn(shared, sizeof(mine));
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	random_drawn(mine, sizeof(mine));
	assert_memory_not_equal(mine, shared, sizeof(mine));
	assert_memory_not_equal(zero, shared, sizeof(zero));
	munmap(shared, 4096);
}

static void system_clock_goes_forward(void **state)
{
	const struct clock *c = clock_system();
	uint64_t before = c->monotonic(c), wall = c->wall(c);

	(void)state;
	c->sleep(c, 2000000);
	assert_true(c->monotonic(c) - before >= 2000000);
	assert_true(c->wall(c) > wall);
	/* 2020 to 2100, so that a mix-up of units shows. */
	assert_in_range(wall / CLOCK_SECOND, 1577836800, 4102444800);
}

static void fake_clock_moves_when_told(void **state)
{
	struct clock_fake fake;
	const struct clock *c = &fake.clock;
	uint64_t start;

	(void)state;
	clock_fake_init(&fake, 1000 * CLOCK_SECOND);
	start = c->monotonic(c);
	assert_int_equal(c->wall(c), 1000 * CLOCK_SECOND);
	clock_fake_advance(&fake, 5 * CLOCK_SECOND);
	c->sleep(c, CLOCK_SECOND);
	assert_int_equal(c->monotonic(c) - start, 6 * CLOCK_SECOND);
	assert_int_equal(c->wall(c), 1006 * CLOCK_SECOND);
}

static void times_are_written_in_utc(void **state)
{
	char text[CLOCK_ISO8601_SIZE];

	(void)state;
	clock_iso8601(UINT64_C(1795301083) * CLOCK_SECOND + 999999999, text);
	assert_string_equal(text, "2026-11-21T22:44:43Z");
	clock_iso8601(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	clock_iso8601(UINT64_MAX, text);
	assert_string_equal(text, "2554-07-21T23:34:33Z");
}

struct heard {
	unsigned count;
	enum report_level level;
	char text[4096];
};

static void hear(void *context, enum report_level level, const char *text)
{
	struct heard *h = context;

	h->count++;
	h->level = level;
	snprintf(h->text, sizeof(h->text), "%s", text);
}

static void reports_reach_the_sink(void **state)
{
	struct heard heard = {0};
	const struct reporter r = {hear, &heard}, silent = {NULL, NULL};

	(void)state;
	report(&r, REPORT_WARNING, "chunk %d of %s", 3, "x");
	report(&silent, REPORT_ERROR, "nobody");
	report(NULL, REPORT_ERROR, "nobody");
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.level, REPORT_WARNING);
	assert_string_equal(heard.text, "chunk 3 of x");
}

static void limiter_passes_once_a_minute(void **state)
{
	struct clock_fake fake;
	struct report_limiter *l;

	(void)state;
	clock_fake_init(&fake, 0);
	l = report_limiter_new(&fake.clock);
	assert_true(report_limiter_pass(l, 1));
	assert_false(report_limiter_pass(l, 1));
	assert_true(report_limiter_pass(l, 2));
	clock_fake_advance(&fake, 59 * CLOCK_SECOND);
	assert_false(report_limiter_pass(l, 1));
	clock_fake_advance(&fake, CLOCK_SECOND);
	assert_true(report_limiter_pass(l, 1));
	assert_false(report_limiter_pass(l, 1));
	report_limiter_free(l);
	report_limiter_free(NULL);
}

static void limiter_forgets_the_oldest(void **state)
{
	struct clock_fake fake;
	struct report_limiter *l;

	(void)state;
	clock_fake_init(&fake, 0);
	l = report_limiter_new(&fake.clock);
	for (unsigned long long key = 0; key < 1024; key++)
		assert_true(report_limiter_pass(l, key));
	assert_false(report_limiter_pass(l, 0));
	assert_true(report_limiter_pass(l, 5000));
	assert_true(report_limiter_pass(l, 0));
	assert_false(report_limiter_pass(l, 2));
	report_limiter_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(uuids_are_version_4),
		cmocka_unit_test(random_below_reaches_every_value_and_no_more),
		cmocka_unit_test(nonces_never_repeat),
		cmocka_unit_test(forked_child_draws_other_nonces),
		cmocka_unit_test(child_without_handlers_draws_other_nonces),
		cmocka_unit_test(system_clock_goes_forward),
		cmocka_unit_test(fake_clock_moves_when_told),
		cmocka_unit_test(times_are_written_in_utc),
		cmocka_unit_test(reports_reach_the_sink),
		cmocka_unit_test(limiter_passes_once_a_minute),
		cmocka_unit_test(limiter_forgets_the_oldest),
	};

	return cmocka_run_group_tests_name("base_system", tests, NULL, NULL);
}
