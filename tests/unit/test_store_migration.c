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
#include <unistd.h>
#include "tests/support/golden.h"
#include "tests/support/keystore.h"

/* A keystore that schema version 1 wrote opens, and everything in it still works. */

#define OLD_KEY "c94be5b7-a382-447d-a465-95d66b457614"
#define OLD_BLOB                                                                                                       \
	"AQDJS+W3o4JEfaRlldZrRXYUQeH69D7+QgStN34kcnY7X2YNepuA717WwcE9sbdpuCMVvih/z40GymCxJ+LZOiPJS3vu/Uo5mIjWGJKR9DyV" \
	"DXj9KQj8AN8jjXuhk33oasj0soYObs4EBg=="

static int integer(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	int n;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return n;
}

/* Put the old keystore in the place of the fixture's new one. */
static int old_setup(void **state)
{
	size_t len;
	char *sql = (char *)golden_read("v1-keys.sql", &len), *message = NULL;
	struct keystore *k;
	sqlite3 *db;

	keystore_setup(state);
	k = *state;
	engine_close(k->engine);
	unlink(k->path);
	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	assert_int_equal(integer(db, "PRAGMA user_version"), 1);
	sqlite3_close(db);
	free(sql);
	clock_fake_advance(&k->clock, UINT64_C(86400) * CLOCK_SECOND);
	k->engine = keystore_another(k);
	return 0;
}

static void an_old_keystore_is_brought_up_to_date(void **state)
{
	struct keystore *k = *state;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	assert_int_equal(integer(db, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
	assert_int_equal(integer(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
	assert_int_equal(integer(db, "SELECT count(*) FROM backing_keys WHERE rotated = created"), 3);
	assert_int_equal(integer(db, "SELECT count(*) FROM backing_keys JOIN materials USING (place)"), 3);
	sqlite3_close(db);
}

static void old_ciphertext_opens_and_old_rotations_are_listed(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(
		k, "Decrypt", "{'CiphertextBlob':'" OLD_BLOB "','EncryptionContext':{'k':'v'},'KeyId':'alias/old'}");

	assert_string_equal(json_string_value(json_object_get(body, "Plaintext")), "c2NoZW1hIDE=");
	json_decref(body);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'" OLD_KEY "','IncludeKeyMaterial':'ALL_KEY_MATERIAL'}");
	assert_int_equal(json_array_size(json_object_get(body, "Rotations")), 2);
	json_decref(body);
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'" OLD_KEY "'}");
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'" OLD_KEY "'}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "Description")),
		"from schema 1");
	json_decref(body);
}

/* What was pending deletion waits its whole period anew by service time: nothing is known of the days before. */
static void an_old_pending_deletion_goes_on(void **state)
{
	struct keystore *k = *state;
	struct store *store = keystore_store(k);
	uint64_t next;
	size_t waiting;

	assert_int_equal(store_key_waiting(store, &waiting), ERR_OK);
	assert_int_equal(waiting, 1);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	clock_fake_advance(&k->clock, UINT64_C(7) * 86400 * CLOCK_SECOND);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_int_equal(store_key_waiting(store, &waiting), ERR_OK);
	assert_int_equal(waiting, 0);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, old_setup, keystore_teardown)
		TEST(an_old_keystore_is_brought_up_to_date),
		TEST(old_ciphertext_opens_and_old_rotations_are_listed),
		TEST(an_old_pending_deletion_goes_on),
	};

	return cmocka_run_group_tests_name("store_migration", tests, NULL, NULL);
}
