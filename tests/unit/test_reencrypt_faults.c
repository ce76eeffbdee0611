/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A move whose nth lower call fails, is cut short, or is the last before the power goes, for every n: afterwards every file holds what it
 * held, before anything is mended, and a second run finishes the move.
 */
#include "tests/support/faulty_lower.h"
#include "tests/support/move_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct round {
	const char *name;
	int data;
	size_t blob; /* of the KMS: longer ones make longer headers */
};

static const struct round rounds[] = {
	{"rewrap, headers of 512 bytes", 0, 32},
	{"rewrap, headers of 1024 bytes", 0, 600},
	{"data, headers of 512 bytes", 1, 32},
	{"data, headers of 1024 bytes", 1, 600},
};

static void close_dead(struct move_fixture *m)
{
	(void)vault_close(m->x.v);
	m->x.v = NULL;
	m->x.lower = NULL;
}

/* False when the move makes fewer calls than @n. */
static int strike(const struct round *r, enum fault_kind kind, unsigned n, int errnum)
{
	struct faulty_lower lower;
	struct move_fixture m;
	int struck;

	move_fixture_init_blobs(&m, NULL, r->blob);
	m.times_moved = 1;
	vault_fixture_close(&m.x);
	faulty_lower_init(&lower);
	m.x.lower = &lower.lower;
	vault_fixture_open(&m.x);
	faulty_lower_arm(&lower, kind, n, errnum);
	(void)move_run(&m, &(struct move_how){.to = "alias/new", .data = r->data});
	struck = lower.injected > 0;
	if (kind != FAULT_POWER && kind != FAULT_POWER_TORN) {
		/* The running vault sees what it saw, too. */
		faulty_lower_disarm(&lower);
		move_check_contents(&m);
	}
	close_dead(&m);
	vault_fixture_open(&m.x);
	move_check_contents(&m);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new", .data = r->data}), ERR_OK);
	assert_int_equal(m.result.failed, 0);
	move_check_all_under(&m, "alias/new");
	move_fixture_done(&m);
	return struck;
}

static void strike_all(enum fault_kind kind, int errnum)
{
	for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
		unsigned n = 1;

		while (strike(&rounds[i], kind, n, errnum))
			n++;
		print_message("%s: %u faults\n", rounds[i].name, n - 1);
		assert_true(n > 10);
	}
}

static void a_call_that_fails_loses_nothing(void **state)
{
	(void)state;
	strike_all(FAULT_CHANGE, ENOSPC);
}

static void a_write_cut_short_loses_nothing(void **state)
{
	(void)state;
	strike_all(FAULT_SHORT_FAIL, EIO);
}

static void a_power_cut_that_tears_a_write_loses_nothing(void **state)
{
	(void)state;
	strike_all(FAULT_POWER_TORN, EIO);
}

static void a_read_that_fails_loses_nothing(void **state)
{
	(void)state;
	for (unsigned n = 1; strike(&rounds[2], FAULT_ANY, n, EIO); n += 7)
		;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_fails_loses_nothing),
		cmocka_unit_test(a_write_cut_short_loses_nothing),
		cmocka_unit_test(a_power_cut_that_tears_a_write_loses_nothing),
		cmocka_unit_test(a_read_that_fails_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
