/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/idle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { LIMIT = 100 }; /* seconds */

static void never(void **state)
{
	struct idle i;

	(void)state;
	idle_begin(&i, 0, 5);
	assert_int_equal(idle_look(&i, 0, UINT64_MAX), -1);
	assert_true(idle_memory(0) == 86400);
}

static void unused(void **state)
{
	struct idle i;
	uint64_t now = 7, looks = 0;

	(void)state;
	idle_begin(&i, LIMIT, now);
	for (int wait; (wait = idle_look(&i, 0, now)) != 0; looks++) {
		assert_in_range(wait, 1, LIMIT * 1000 / 8);
		now += (uint64_t)wait;
	}
	assert_int_equal(now, 7 + LIMIT * 1250);
	assert_int_equal(looks, 10);
}

static void requests_and_users_begin_anew(void **state)
{
	struct idle i;

	(void)state;
	idle_begin(&i, LIMIT, 0);
	assert_int_equal(idle_look(&i, 0, LIMIT * 1250 - 1), 1);
	assert_true(idle_look(&i, 1, LIMIT * 1250) > 0);
	assert_true(idle_look(&i, 1, 2 * LIMIT * 1250 - 1) > 0);
	assert_int_equal(idle_look(&i, 1, 2 * LIMIT * 1250), 0);
	idle_used(&i, 2 * LIMIT * 1250);
	assert_true(idle_look(&i, 1, 3 * LIMIT * 1250 - 1) > 0);
	assert_int_equal(idle_look(&i, 1, 3 * LIMIT * 1250), 0);
}

/*
 * Users at random times, whom the kernel answers from memory while it may: whenever idle_look() says unused, the last of them came
 * at least the whole time before.
 */
static void no_use_is_overlooked(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		uint64_t now = 0, requests = 0, used = 0, remembered = 0, look = 0;
		struct idle i;
		int wait = 1;

		srand(seed);
		idle_begin(&i, LIMIT, 0);
		for (int n = 0; n < 3000 && wait; n++) {
			now += (uint64_t)rand() % 60000;
			while (wait && look <= now) {
				wait = idle_look(&i, requests, look);
				if (!wait)
					assert_true(look - used >= LIMIT * 1000);
				look += (uint64_t)wait;
			}
			used = now;
			if (now >= remembered) {
				requests++;
				remembered = now + (uint64_t)(idle_memory(LIMIT) * 1000);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never),
		cmocka_unit_test(unused),
		cmocka_unit_test(requests_and_users_begin_anew),
		cmocka_unit_test(no_use_is_overlooked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
