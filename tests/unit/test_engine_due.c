/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "tests/support/keystore.h"

/* Scheduled work against clocks that jump, machines that are off, and rows that are damaged. */

#define DAY (UINT64_C(86400) * CLOCK_SECOND)

static size_t waiting(struct keystore *k)
{
	struct store *store = keystore_store(k);
	size_t n;

	assert_int_equal(store_key_waiting(store, &n), ERR_OK);
	store_close(store);
	return n;
}

static void run_due(struct keystore *k)
{
	uint64_t next;

	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_true(next > k->clock.clock.wall(&k->clock.clock));
}

static void new_doomed(struct keystore *k, char id[64])
{
	char arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", id);
}

static void jump(struct keystore *k, uint64_t ns)
{
	atomic_fetch_add(&k->clock.epoch, ns);
}

static void a_clock_set_forward_destroys_nothing(void **state)
{
	struct keystore *k = *state;
	char id[64];

	new_doomed(k, id);
	jump(k, 1000 * DAY);
	run_due(k);
	assert_int_equal(waiting(k), 1);
	keystore_reopen(k); /* another process on the same boot knows no more */
	run_due(k);
	assert_int_equal(waiting(k), 1);
	keystore_do(k, "CancelKeyDeletion", "{'KeyId':'%s'}", id);
	keystore_do(k, "EnableKey", "{'KeyId':'%s'}", id);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
}

static void time_that_passed_counts_whatever_the_clock_did(void **state)
{
	struct keystore *k = *state;
	char id[64];

	new_doomed(k, id);
	jump(k, 1000 * DAY);
	clock_fake_advance(&k->clock, 7 * DAY - 1);
	run_due(k);
	assert_int_equal(waiting(k), 1);
	clock_fake_advance(&k->clock, 1);
	run_due(k);
	assert_int_equal(waiting(k), 0);
}

static void a_clock_set_back_delays(void **state)
{
	struct keystore *k = *state;
	char id[64];

	new_doomed(k, id);
	jump(k, -(10 * DAY));
	clock_fake_advance(&k->clock, 8 * DAY);
	run_due(k);
	assert_int_equal(waiting(k), 1);
	clock_fake_advance(&k->clock, 9 * DAY);
	run_due(k);
	assert_int_equal(waiting(k), 0);
}

/* The machine is off for ten days: one of them counts. */
static void a_start_of_the_machine_counts_for_a_day_at_most(void **state)
{
	struct keystore *k = *state;
	char id[64];

	new_doomed(k, id);
	atomic_fetch_add(&k->clock.boots, 1);
	clock_fake_advance(&k->clock, 10 * DAY);
	keystore_reopen(k);
	run_due(k);
	assert_int_equal(waiting(k), 1);
	clock_fake_advance(&k->clock, 6 * DAY - 1);
	run_due(k);
	assert_int_equal(waiting(k), 1);
	clock_fake_advance(&k->clock, 1);
	run_due(k);
	assert_int_equal(waiting(k), 0);
}

/* Off at night, every night: all of it counts. */
static void short_nights_count_in_full(void **state)
{
	struct keystore *k = *state;
	char id[64];

	new_doomed(k, id);
	for (int i = 0; i < 14; i++) {
		run_due(k);
		assert_int_equal(waiting(k), 1);
		atomic_fetch_add(&k->clock.boots, 1);
		clock_fake_advance(&k->clock, DAY / 2);
	}
	run_due(k);
	assert_int_equal(waiting(k), 0);
}

/* ---- Damage ---- */

static void execute(struct keystore *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void execute(struct keystore *k, const char *fmt, ...)
{
	char sql[512];
	sqlite3 *db;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof(sql), fmt, ap);
	va_end(ap);
	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
}

static size_t rotations(struct keystore *k, const char *id)
{
	json_t *body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s'}", id);
	size_t n = json_array_size(json_object_get(body, "Rotations"));

	json_decref(body);
	return n;
}

static void a_damaged_row_holds_up_nobody(void **state)
{
	struct keystore *k = *state;
	char doomed[3][64], turning[3][64], arn[ENGINE_ARN_SIZE];

	for (int i = 0; i < 3; i++) {
		new_doomed(k, doomed[i]);
		keystore_new_key(k, turning[i], arn);
		keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':90}", turning[i]);
	}
	/* The first of each: an account that does not fit, a backing key that cannot be one. */
	execute(k, "UPDATE keys SET account = '%064d' WHERE row = 1", 0);
	execute(k, "UPDATE keys SET spec = '%064d' WHERE row = 2", 0);
	clock_fake_advance(&k->clock, 90 * DAY);
	run_due(k);
	assert_int_equal(waiting(k), 1);
	for (int i = 1; i < 3; i++) {
		keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", doomed[i]);
		assert_int_equal(rotations(k, turning[i]), 1);
	}
	execute(k, "UPDATE keys SET spec = 'SYMMETRIC_DEFAULT' WHERE row = 2");
	assert_int_equal(rotations(k, turning[0]), 0);
	run_due(k);
	assert_int_equal(rotations(k, turning[0]), 1);
}

static void an_import_token_is_good_for_a_day(void **state)
{
	struct keystore *k = *state;
	char id[512], token[512];
	json_t *made = keystore_ok(k, "CreateKey", "{'Origin':'EXTERNAL'}"), *got;

	keystore_text(json_object_get(made, "KeyMetadata"), "KeyId", id);
	json_decref(made);
	got = keystore_ok(k, "GetParametersForImport",
		"{'KeyId':'%s','WrappingAlgorithm':'RSAES_OAEP_SHA_256','WrappingKeySpec':'RSA_2048'}", id);
	keystore_text(got, "ImportToken", token);
	json_decref(got);
	clock_fake_advance(&k->clock, DAY - CLOCK_SECOND);
	/* Nothing is wrong with the token yet: what is refused is the material. */
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, NULL, "ImportKeyMaterial",
		"{'KeyId':'%s','ImportToken':'%s','EncryptedKeyMaterial':'eA==',"
		"'ExpirationModel':'KEY_MATERIAL_DOES_NOT_EXPIRE'}",
		id, token);
	clock_fake_advance(&k->clock, 2 * CLOCK_SECOND);
	keystore_fails(k, ERR_KMS_EXPIRED_IMPORT_TOKEN, "The import token is expired.", "ImportKeyMaterial",
		"{'KeyId':'%s','ImportToken':'%s','EncryptedKeyMaterial':'eA==',"
		"'ExpirationModel':'KEY_MATERIAL_DOES_NOT_EXPIRE'}",
		id, token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(a_clock_set_forward_destroys_nothing),
		TEST(time_that_passed_counts_whatever_the_clock_did),
		TEST(a_clock_set_back_delays),
		TEST(a_start_of_the_machine_counts_for_a_day_at_most),
		TEST(short_nights_count_in_full),
		TEST(a_damaged_row_holds_up_nobody),
		TEST(an_import_token_is_good_for_a_day),
	};

	return cmocka_run_group_tests_name("engine_due", tests, NULL, NULL);
}
