/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include "kms/store/sql.h"
#include "tests/support/keystore.h"

/*
 * How SQLite goes about each statement. Whatever serves a request finds its rows by an index, in the order in which they are
 * wanted, so that no request takes longer the more keys there are. A new statement that walks a table turns this red.
 */

/* What may: its table has one row, it looks at what belongs to one key, or it is a report that a person asked for. */
static const struct {
	enum sql which;
	const char *why;
} excused[] = {
	{SQL_AUDIT_HEAD_GET, "one row"},
	{SQL_GENERATION_GET, "one row"},
	{SQL_GENERATION_RAISE, "one row"},
	{SQL_BACKING_LIST, "sorts the materials of one key"},
	{SQL_KEY_WAITING, "an index of the keys that wait for their deletion"},
	{SQL_AUDIT_NEWEST, "sorts as many as were asked for"},
	{SQL_ACCESS_LIST, "a report"},
	{SQL_ACCOUNT_LIST, "a report"},
	{SQL_ACCOUNT_USES, "before an account is deleted"},
	{SQL_PRINCIPAL_LIST, "a report"},
	{SQL_UID_LIST, "a report"},
	{SQL_AUDIT_COUNT, "a report: costs"},
	{SQL_KEY_CUSTOMERS, "a report: costs"},
	{SQL_KEY_GONE_EACH, "a report: costs"},
	{SQL_KEY_COUNT_EACH, "a report: quotas"},
	{SQL_MOST_ALIASES, "a report: quotas"},
	{SQL_MOST_GRANTS, "a report: quotas"},
	{SQL_MOST_TAGS, "a report: quotas"},
	{SQL_MOST_ROTATIONS, "a report: quotas"},
	{SQL_MOST_POLICY, "a report: quotas"},
};

static const char *excuse_of(enum sql which)
{
	for (size_t i = 0; i < sizeof(excused) / sizeof(excused[0]); i++)
		if (excused[i].which == which)
			return excused[i].why;
	return NULL;
}

/* Statements that begin anywhere in a table on purpose, and read on until they have as many rows as were asked for. */
static const enum sql in_order_of_rows[] = {SQL_AUDIT_WALK, SQL_AUDIT_DROP};

static int goes_by_rows(enum sql which)
{
	for (size_t i = 0; i < sizeof(in_order_of_rows) / sizeof(in_order_of_rows[0]); i++)
		if (in_order_of_rows[i] == which)
			return 1;
	return 0;
}

/*
 * Steps that take the longer the more rows there are: reading a table or an index from end to end, sorting, and reading all
 * rows behind a row number, or behind the first column of an index for keys, until one happens to match.
 */
static int grows(enum sql which, const char *step)
{
	if (strcmp(step, "SCAN CONSTANT ROW") == 0)
		return 0;
	if (strncmp(step, "SCAN ", 5) == 0 || strstr(step, "USE TEMP B-TREE") != NULL)
		return 1;
	return (strstr(step, "(rowid>?)") != NULL || strstr(step, "(rowid<?)") != NULL ||
		       strstr(step, "(key>?)") != NULL) &&
	       !goes_by_rows(which);
}

static int plan_grows(sqlite3 *db, enum sql which)
{
	char text[8192];
	sqlite3_stmt *plan;
	int found = 0, rc;

	snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql_text(which));
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &plan, NULL), SQLITE_OK);
	while ((rc = sqlite3_step(plan)) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(plan, 3);

		if (!grows(which, step))
			continue;
		found = 1;
		if (excuse_of(which) == NULL)
			print_message("%s\n  of: %s\n", step, sql_text(which));
	}
	assert_int_equal(rc, SQLITE_DONE);
	sqlite3_finalize(plan);
	return found;
}

static void no_statement_walks_a_table(void **state)
{
	struct keystore *k = *state;
	int bad = 0;
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(k->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	for (int i = 0; i < SQL_COUNT; i++)
		bad += plan_grows(db, (enum sql)i) && excuse_of((enum sql)i) == NULL;
	sqlite3_close(db);
	assert_int_equal(bad, 0);
}

/* An excuse that is not needed any more hides the next mistake. */
static void every_excuse_is_needed(void **state)
{
	struct keystore *k = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(k->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	for (size_t i = 0; i < sizeof(excused) / sizeof(excused[0]); i++)
		if (!plan_grows(db, excused[i].which))
			fail_msg("%s needs no excuse: %s", sql_text(excused[i].which), excused[i].why);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_statement_walks_a_table, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(every_excuse_is_needed, keystore_setup, keystore_teardown),
	};

	return cmocka_run_group_tests_name("store_plans", tests, NULL, NULL);
}
