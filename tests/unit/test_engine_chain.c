/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/support/keystore.h"

/* The audit trail's chain: what somebody with the file and without the root key does to the records is noticed, and where. */

enum { RECORDS = 20, DAY = 86400 };

struct finding {
	enum engine_trail_fault fault;
	int64_t from, to;
};

struct findings {
	size_t count;
	struct finding item[64];
};

static void note(void *context, enum engine_trail_fault fault, int64_t from, int64_t to)
{
	struct findings *f = context;

	assert_true(f->count < 64);
	f->item[f->count++] = (struct finding){fault, from, to};
}

static struct findings verify(struct keystore *k, const char *anchor, struct engine_trail *ret)
{
	struct findings f = {.count = 0};
	struct engine_trail report;

	assert_int_equal(engine_audit_verify(k->engine, anchor, note, &f, &report), ERR_OK);
	assert_int_equal(report.faults, f.count);
	if (ret)
		*ret = report;
	return f;
}

static void make_records(struct keystore *k, int count)
{
	for (int i = 0; i < count; i++)
		keystore_do(k, "GenerateRandom", "{'NumberOfBytes':8}");
}

static void sql(struct keystore *k, const char *text)
{
	char *why = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

static void assert_only(const struct findings *f, enum engine_trail_fault fault, int64_t from, int64_t to)
{
	assert_int_equal(f->count, 1);
	assert_int_equal(f->item[0].fault, fault);
	assert_int_equal(f->item[0].from, from);
	assert_int_equal(f->item[0].to, to);
}

static void a_whole_trail_verifies(void **state)
{
	struct keystore *k = *state;
	struct engine_trail report;

	assert_int_equal(verify(k, NULL, &report).count, 0);
	assert_int_equal(report.verified, 0);
	make_records(k, RECORDS);
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "GenerateRandom", "{'NumberOfBytes':0}");
	keystore_do(k, "CreateKey", "{}");
	keystore_reopen(k);
	make_records(k, 1);
	assert_int_equal(verify(k, NULL, &report).count, 0);
	assert_int_equal(report.verified, RECORDS + 3);
	assert_int_equal(report.first, 1);
	assert_int_equal(report.last, RECORDS + 3);
	assert_int_equal(report.before_chain, 0);
}

/* Each edit, and the one fault it must be. */
static const struct {
	const char *edit;
	enum engine_trail_fault fault;
	int64_t from, to;
} edits[] = {
	{"UPDATE audit SET record = replace(record, 'GenerateRandom', 'GenerateRandon') WHERE seq = 7", TRAIL_CHANGED,
		7, 7},
	{"UPDATE audit SET operation = 'Encrypt' WHERE seq = 1", TRAIL_CHANGED, 1, 1},
	{"UPDATE audit SET error = '' WHERE seq = 9", TRAIL_CHANGED, 9, 9},
	{"UPDATE audit SET key_arn = '' WHERE seq = 9", TRAIL_CHANGED, 9, 9},
	{"UPDATE audit SET time = time - 1 WHERE seq = 20", TRAIL_CHANGED, 20, 20},
	{"UPDATE audit SET account = '111111111111' WHERE seq = 12", TRAIL_CHANGED, 12, 12},
	{"UPDATE audit SET chain = randomblob(32) WHERE seq = 12", TRAIL_CHANGED, 12, 12},
	{"UPDATE audit SET chain = NULL WHERE seq = 3", TRAIL_CHANGED, 3, 3},
	{"DELETE FROM audit WHERE seq > 15", TRAIL_MISSING, 16, 20},
	{"DELETE FROM audit", TRAIL_MISSING, 1, 20},
	{"INSERT INTO audit SELECT seq + 1, time, account, key_arn, operation, error, record, chain FROM audit WHERE "
	 "seq = 20",
		TRAIL_FOREIGN, 21, 21},
	{"UPDATE audit_head SET last_seq = 20, tag = randomblob(32)", TRAIL_HEAD, 0, 0},
	{"DELETE FROM audit_head", TRAIL_HEAD, 0, 0},
	/* The end moved back to where an earlier record was: its chain value is known, the tag over it is not. */
	{"DELETE FROM audit WHERE seq > 15; UPDATE audit_head SET last_seq = 15, last_chain = "
	 "(SELECT chain FROM audit WHERE seq = 15)",
		TRAIL_HEAD, 0, 0},
};

static void every_edit_is_noticed(void **state)
{
	struct keystore *k = *state;
	struct findings f;

	make_records(k, RECORDS);
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		sql(k, "CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_head AS SELECT * FROM audit_head");
		sql(k, edits[i].edit);
		f = verify(k, NULL, NULL);
		if (edits[i].fault == TRAIL_HEAD && f.count == 2)
			f.count = 1; /* and the first record cannot be verified */
		if (f.count != 1 || f.item[0].fault != edits[i].fault)
			fail_msg("%s: %zu faults, the first is %d", edits[i].edit, f.count, (int)f.item[0].fault);
		assert_only(&f, edits[i].fault, edits[i].from, edits[i].to);
		sql(k, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept;"
		       "DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head; DROP TABLE kept_head");
		assert_int_equal(verify(k, NULL, NULL).count, 0);
	}
}

static void a_gap_is_told_with_what_it_leaves_uncertain(void **state)
{
	struct keystore *k = *state;
	struct findings f;

	make_records(k, RECORDS);
	sql(k, "DELETE FROM audit WHERE seq IN (5, 6)");
	f = verify(k, NULL, NULL);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.item[0].fault, TRAIL_MISSING);
	assert_int_equal(f.item[0].from, 5);
	assert_int_equal(f.item[0].to, 6);
	assert_int_equal(f.item[1].fault, TRAIL_UNCERTAIN);
	assert_int_equal(f.item[1].from, 7);
}

static void two_records_that_change_places_are_two_faults(void **state)
{
	struct keystore *k = *state;
	struct findings f;

	make_records(k, RECORDS);
	sql(k, "UPDATE audit SET seq = 100 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 6;"
	       "UPDATE audit SET seq = 6 WHERE seq = 100");
	f = verify(k, NULL, NULL);
	assert_true(f.count >= 2);
	assert_int_equal(f.item[0].fault, TRAIL_CHANGED);
	assert_int_equal(f.item[0].from, 5);
	assert_int_equal(f.item[1].from, 6);
}

/* Nothing is written on a trail whose end was tampered with, and so nothing is answered. */
static void a_tampered_end_stops_the_service(void **state)
{
	struct keystore *k = *state;

	make_records(k, 2);
	sql(k, "UPDATE audit_head SET last_seq = 1, last_chain = (SELECT chain FROM audit WHERE seq = 1)");
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateRandom", "{'NumberOfBytes':8}");
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "CreateKey", "{}");
}

/* The chain cannot be taken away to have the rest adopted as an old trail: the secret says that there is one. */
static void a_chain_is_begun_once(void **state)
{
	struct keystore *k = *state;

	make_records(k, 3);
	sql(k, "DELETE FROM audit_head; UPDATE audit SET chain = NULL; DELETE FROM audit WHERE seq = 2");
	keystore_reopen(k);
	assert_int_equal(verify(k, NULL, NULL).item[0].fault, TRAIL_HEAD);
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateRandom", "{'NumberOfBytes':8}");
}

static void an_anchor_tells_an_older_state(void **state)
{
	struct keystore *k = *state;
	struct engine_trail report;
	struct findings f;
	char anchor[ENGINE_ANCHOR_SIZE];

	make_records(k, 5);
	sql(k, "CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_head AS SELECT * FROM audit_head");
	make_records(k, 5);
	verify(k, NULL, &report);
	memcpy(anchor, report.anchor, sizeof(anchor));
	make_records(k, 5);
	assert_int_equal(verify(k, anchor, NULL).count, 0);
	/* As from a backup: sound in itself. */
	sql(k, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DELETE FROM audit_head;"
	       "INSERT INTO audit_head SELECT * FROM kept_head");
	assert_int_equal(verify(k, NULL, NULL).count, 0);
	f = verify(k, anchor, NULL);
	assert_only(&f, TRAIL_NO_ANCHOR, 10, 10);
	assert_int_equal(engine_audit_verify(k->engine, "10:abc", note, &f, &report), ERR_USAGE);
	assert_int_equal(engine_audit_verify(k->engine, "", note, &f, &report), ERR_USAGE);
}

static void reopen_with_retention(struct keystore *k, uint64_t days)
{
	const struct engine_config config = {.keystore = k->path,
		.root_key = &k->root,
		.clock = &k->clock.clock,
		.audit_retention = days * DAY * CLOCK_SECOND};

	engine_close(k->engine);
	assert_int_equal(engine_open(&config, &k->engine), ERR_OK);
}

static void retention_keeps_the_chain_verifiable(void **state)
{
	struct keystore *k = *state;
	struct engine_trail report;
	uint64_t due;
	char anchor[ENGINE_ANCHOR_SIZE];

	make_records(k, 6);
	clock_fake_advance(&k->clock, 10 * DAY * CLOCK_SECOND);
	make_records(k, 4);
	verify(k, NULL, &report);
	memcpy(anchor, report.anchor, sizeof(anchor));
	reopen_with_retention(k, 7);
	assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
	assert_int_equal(verify(k, anchor, &report).count, 0);
	assert_int_equal(report.first, 7);
	assert_int_equal(report.last, 11); /* and a record that says what was removed */
	assert_int_equal(report.verified, 5);
	clock_fake_advance(&k->clock, 30 * DAY * CLOCK_SECOND);
	assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
	assert_int_equal(verify(k, NULL, &report).count, 0);
	assert_int_equal(report.first, 12);
	assert_int_equal(report.verified, 1);
	/* Removing more than retention did is noticed. */
	sql(k, "DELETE FROM audit");
	assert_int_equal(verify(k, NULL, NULL).count, 1);
}

/* As schema 3 had it: records without a chain, a secret sealed as one without. */
static void an_older_keystore_is_adopted(void **state)
{
	struct keystore *k = *state;
	struct engine_trail report;
	char old[128];

	engine_close(k->engine);
	snprintf(old, sizeof(old), "%s-old", k->path);
	assert_int_equal(engine_create(old, &k->root, "params", 6), ERR_OK);
	assert_int_equal(rename(old, k->path), 0);
	sql(k, KEYSTORE_BACK_TO_6
		"DROP TABLE audit; DROP TABLE audit_head; DROP TABLE generation; DROP TABLE key_counts; DROP TABLE "
		"gone_keys;"
		"ALTER TABLE key_policies DROP COLUMN principals; ALTER TABLE principals DROP COLUMN trusted;"
		"ALTER TABLE grants DROP COLUMN grantee_id; ALTER TABLE grants DROP COLUMN retiring_id;"
		"CREATE TABLE audit (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, account TEXT NOT "
		"NULL,"
		" key_arn TEXT, operation TEXT NOT NULL, error TEXT, record TEXT NOT NULL);"
		"CREATE INDEX audit_by_time ON audit (time);"
		"INSERT INTO audit VALUES (4, 5, '000000000000', NULL, 'ListKeys', NULL, "
		"'{\"eventName\":\"ListKeys\"}');"
		"PRAGMA user_version = 3");
	k->engine = keystore_another(k);
	make_records(k, 3);
	keystore_reopen(k);
	assert_int_equal(verify(k, NULL, &report).count, 0);
	assert_int_equal(report.before_chain, 1);
	assert_int_equal(report.first, 5);
	assert_int_equal(report.verified, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, keystore_setup, keystore_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_whole_trail_verifies),
		TEST(every_edit_is_noticed),
		TEST(a_gap_is_told_with_what_it_leaves_uncertain),
		TEST(two_records_that_change_places_are_two_faults),
		TEST(a_tampered_end_stops_the_service),
		TEST(a_chain_is_begun_once),
		TEST(an_anchor_tells_an_older_state),
		TEST(retention_keeps_the_chain_verifiable),
		TEST(an_older_keystore_is_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
