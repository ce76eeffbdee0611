/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsck and restore while the nth call to the lower tree fails, for every n: a sound vault is never called damaged and never changed, a
 * damaged one never loses anything, nothing is called clean or complete that was not seen, and the next run ends whole.
 */
#include "tests/support/copy_tree.h"
#include "tests/support/faulty_lower.h"
#include "tests/support/rescue_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const int errnos[] = {EIO, EACCES, ENOSPC};
enum { ERRNOS = sizeof(errnos) / sizeof(errnos[0]) };

struct case_of {
	struct vault_fixture *x;
	struct faulty_lower faulty;
	char dest[600], kept[600];
};

static void begin(struct case_of *c, struct vault_fixture *x)
{
	c->x = x;
	faulty_lower_init(&c->faulty);
	x->lower = &c->faulty.lower;
	snprintf(c->dest, sizeof(c->dest), "%s/dest", x->top);
	snprintf(c->kept, sizeof(c->kept), "%s/kept", x->top);
}

/* ---- A sound vault ---- */

/* What these fail to do is done otherwise, or is for people or speed: the lock's text, room that is set aside, exchange instead of rename. */
static int may_fail(const char *what)
{
	static const char *const calls[] = {
		"pwrite", "ftruncate", "fallocate", "unlinkat", "fstatvfs", "fstatfs", "renameat2"};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(what, calls[i]) == 0)
			return 1;
	return 0;
}

static void check_one_sound(struct case_of *c, int repair, unsigned at, int errnum)
{
	struct rescue_checked r;

	faulty_lower_arm(&c->faulty, FAULT_ANY, at, errnum);
	rescue_check(c->x, repair, &r);
	if (c->faulty.injected && rescue_says_clean(&r) && !may_fail(c->faulty.what))
		fail_msg("call %u, %s: %s: called clean", at, c->faulty.what, strerror(errnum));
	if (r.told[FSCK_DAMAGED] || r.told[FSCK_LEFTOVER] || r.told[FSCK_IN_FLIGHT])
		fail_msg("call %u, %s: %s: a sound vault is told to be\n%s", at, c->faulty.what, strerror(errnum),
			r.text);
	faulty_lower_disarm(&c->faulty);
}

static void a_sound_vault_stays_sound(void **state)
{
	struct vault_fixture x;
	struct case_of c;
	struct rescue_checked r;
	struct rescue_inventory before, now;
	unsigned struck = 0;

	(void)state;
	rescue_make_sound(&x);
	begin(&c, &x);
	rescue_inventory_take(x.path, &before);
	for (int repair = 0; repair < 2; repair++)
		for (int e = 0; e < ERRNOS; e++)
			for (unsigned at = 1; at == 1 || c.faulty.injected; at++, struck++)
				check_one_sound(&c, repair, at, errnos[e]);
	assert_true(struck > 500);
	rescue_check(&x, 0, &r);
	assert_true(rescue_says_clean(&r) && r.counts.files == 5);
	rescue_inventory_take(x.path, &now);
	rescue_inventory_check(&before, &now);
	rescue_inventory_check(&now, &before);
	vault_fixture_open(&x);
	rescue_check_sound(&x);
	rescue_inventory_free(&before);
	rescue_inventory_free(&now);
	vault_fixture_done(&x);
}

/* ---- A damaged vault ---- */

static void repair_struck(
	struct case_of *c, const struct rescue_inventory *before, enum fault_kind kind, unsigned at, int errnum)
{
	struct vault_fixture *x = c->x;
	struct rescue_checked r, again, last;
	struct rescue_inventory now;

	vault_fixture_remove_tree(x->path);
	copy_tree(c->kept, x->path);
	faulty_lower_arm(&c->faulty, kind, at, errnum);
	rescue_check(x, 1, &r);
	faulty_lower_disarm(&c->faulty);
	rescue_check(x, 1, &again);
	rescue_check(x, 0, &last);
	if (again.error != ERR_OK || again.counts.left[FSCK_DAMAGED] || again.counts.left[FSCK_UNCHECKED] ||
		!rescue_says_clean(&last))
		fail_msg("call %u, %s: %s: left behind\n%s\n-- then:\n%s\n-- last:\n%s", at, c->faulty.what,
			strerror(errnum), r.text, again.text, last.text);
	rescue_inventory_take(x->path, &now);
	rescue_inventory_check(before, &now);
	rescue_inventory_free(&now);
	vault_fixture_open(x);
	rescue_check_sound(x);
	vault_fixture_close(x);
}

static void a_struck_repair_loses_nothing(void **state)
{
	struct vault_fixture x;
	struct case_of c;
	struct rescue_checked r;
	struct rescue_inventory before;

	(void)state;
	rescue_make_damaged(&x);
	begin(&c, &x);
	rescue_inventory_take(x.path, &before);
	rescue_check(&x, 0, &r);
	assert_int_equal(r.told[FSCK_DAMAGED] + r.told[FSCK_IN_FLIGHT] + r.told[FSCK_LEFTOVER], RESCUE_DAMAGES);
	assert_int_equal(rename(x.path, c.kept), 0);
	/* Every call once, and some with each other reason. */
	for (int e = 0; e < ERRNOS; e++)
		for (unsigned at = 1; at == 1 || c.faulty.injected; at += e ? 7 : 1)
			repair_struck(&c, &before, FAULT_ANY, at, errnos[e]);
	for (unsigned at = 1; at == 1 || c.faulty.injected; at++)
		repair_struck(&c, &before, FAULT_POWER, at, EIO);
	rescue_inventory_free(&before);
	vault_fixture_done(&x);
}

/* ---- Restoring ---- */

static void restore_struck(struct case_of *c, unsigned at, int errnum)
{
	struct rescue_restored r;

	vault_fixture_remove_tree(c->dest);
	faulty_lower_arm(&c->faulty, FAULT_ANY, at, errnum);
	rescue_restore(c->x, c->dest, 0, &r);
	if (!rescue_says_complete(&r) && r.error == ERR_OK && r.told == 0)
		fail_msg("call %u, %s: %s: incomplete, and nothing is told", at, c->faulty.what, strerror(errnum));
	faulty_lower_disarm(&c->faulty);
	/* What says that it is complete is. */
	rescue_check_restored(c->dest, rescue_says_complete(&r));
}

static void what_is_restored_is_right_or_told(void **state)
{
	struct vault_fixture x;
	struct case_of c;
	unsigned struck = 0;

	(void)state;
	rescue_make_sound(&x);
	begin(&c, &x);
	for (int e = 0; e < ERRNOS; e++)
		for (unsigned at = 1; at == 1 || c.faulty.injected; at++, struck++)
			restore_struck(&c, at, errnos[e]);
	assert_true(struck > 150);
	vault_fixture_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_vault_stays_sound),
		cmocka_unit_test(a_struck_repair_loses_nothing),
		cmocka_unit_test(what_is_restored_is_right_or_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
