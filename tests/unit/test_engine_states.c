/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/random.h"
#include "tests/support/keystore.h"

/*
 * Every cell of operation × key state, from a table of its own written down from "Key states of AWS KMS keys" in the developer
 * guide: o allowed, d DisabledException, i KMSInvalidStateException, u UnsupportedOperationException.
 * Columns: Enabled, Disabled, PendingDeletion, PendingImport, Unavailable, Creating, Updating.
 */
static const enum key_state columns[] = {KEY_ENABLED, KEY_DISABLED, KEY_PENDING_DELETION, KEY_PENDING_IMPORT,
	KEY_UNAVAILABLE, KEY_CREATING, KEY_UPDATING};
static const char *const is[] = {
	"enabled", "disabled", "pending deletion", "pending import", "unavailable", "creating", "updating"};

static const struct {
	const char *operation;
	const char *cells;
	const char *request; /* %s: the key's id */
} table[] = {
	{"CancelKeyDeletion", "iioiiii", "{'KeyId':'%s'}"},
	{"CreateAlias", "ooioooo", "{'AliasName':'alias/new','TargetKeyId':'%s'}"},
	{"DescribeKey", "ooooooo", "{'KeyId':'%s'}"},
	{"DisableKey", "ooiioii", "{'KeyId':'%s'}"},
	{"DisableKeyRotation", "odiuuio", "{'KeyId':'%s'}"},
	{"EnableKey", "ooiioii", "{'KeyId':'%s'}"},
	{"EnableKeyRotation", "odiuuio", "{'KeyId':'%s'}"},
	{"Encrypt", "odiiiio", "{'KeyId':'%s','Plaintext':'aGVsbG8='}"},
	{"GenerateDataKey", "odiiiio", "{'KeyId':'%s','KeySpec':'AES_256'}"},
	{"GenerateDataKeyWithoutPlaintext", "odiiiio", "{'KeyId':'%s','KeySpec':'AES_256'}"},
	{"GetKeyRotationStatus", "ooouuoo", "{'KeyId':'%s'}"},
	{"ListAliases", "ooooooo", "{'KeyId':'%s'}"},
	{"ListKeyRotations", "ooooooo", "{'KeyId':'%s'}"},
	{"RotateKeyOnDemand", "odiuuio", "{'KeyId':'%s'}"},
	{"ScheduleKeyDeletion", "ooioooi", "{'KeyId':'%s'}"},
	{"UpdateAlias", "ooioooo", "{'AliasName':'alias/old','TargetKeyId':'%s'}"},
	{"UpdateKeyDescription", "ooioooo", "{'KeyId':'%s','Description':'x'}"},
	{"Decrypt", "odiiiio", NULL},
	{"ReEncrypt source", "odiiiio", NULL},
	{"ReEncrypt destination", "odiiiio", "{'CiphertextBlob':'BLOB','DestinationKeyId':'%s'}"},
	{"DeleteAlias", "ooooooo", "{'AliasName':'alias/of-the-key'}"},
};

static enum err expected(char cell)
{
	switch (cell) {
	case 'o':
		return ERR_OK;
	case 'd':
		return ERR_KMS_DISABLED;
	case 'i':
		return ERR_KMS_INVALID_STATE;
	default:
		return ERR_KMS_UNSUPPORTED_OPERATION;
	}
}

struct scene {
	char id[64], arn[ENGINE_ARN_SIZE], blob[512]; /* the key in question and a blob under it */
	char other[64], other_blob[512];
};

static void encrypt(struct keystore *k, const char *key, char ret[512])
{
	json_t *body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", key);

	keystore_text(body, "CiphertextBlob", ret);
	json_decref(body);
}

static void prepare(struct keystore *k, struct scene *s)
{
	char arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, s->id, s->arn);
	keystore_new_key(k, s->other, arn);
	encrypt(k, s->id, s->blob);
	encrypt(k, s->other, s->other_blob);
	keystore_try(k, "DeleteAlias", "{'AliasName':'alias/old'}");
	keystore_try(k, "DeleteAlias", "{'AliasName':'alias/new'}");
	keystore_try(k, "DeleteAlias", "{'AliasName':'alias/of-the-key'}");
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/old','TargetKeyId':'%s'}", s->other);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/of-the-key','TargetKeyId':'%s'}", s->id);
}

static enum err perform(struct keystore *k, const struct scene *s, size_t row)
{
	const char *operation = table[row].operation;
	char request[1024];

	if (strcmp(operation, "Decrypt") == 0)
		return keystore_try(k, "Decrypt", "{'CiphertextBlob':'%s'}", s->blob);
	if (strcmp(operation, "ReEncrypt source") == 0)
		return keystore_try(
			k, "ReEncrypt", "{'CiphertextBlob':'%s','DestinationKeyId':'%s'}", s->blob, s->other);
	if (strcmp(operation, "ReEncrypt destination") == 0)
		return keystore_try(
			k, "ReEncrypt", "{'CiphertextBlob':'%s','DestinationKeyId':'%s'}", s->other_blob, s->id);
	if (strcmp(operation, "DeleteAlias") == 0)
		return keystore_try(k, operation, "%s", table[row].request);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(request, sizeof(request), table[row].request, s->id);
#pragma GCC diagnostic pop
	return keystore_try(k, operation, "%s", request);
}

static void every_cell(void **state)
{
	struct keystore *k = *state;
	size_t cells = 0;

	for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
		for (size_t column = 0; column < sizeof(columns) / sizeof(columns[0]); column++, cells++) {
			struct scene s;
			enum err e;

			prepare(k, &s);
			keystore_force_state(k, s.id, columns[column]);
			e = perform(k, &s, row);
			if (e != expected(table[row].cells[column]))
				fail_msg("%s on a key that is %s: %s instead of %s", table[row].operation, is[column],
					err_name(e), err_name(expected(table[row].cells[column])));
		}
	}
	assert_int_equal(cells, 21 * 7);
}

static void the_messages_name_key_and_state(void **state)
{
	struct keystore *k = *state;

	for (size_t column = 1; column < sizeof(columns) / sizeof(columns[0]) - 1; column++) {
		struct scene s;
		char message[300];

		prepare(k, &s);
		keystore_force_state(k, s.id, columns[column]);
		snprintf(message, sizeof(message), "%s is %s.", s.arn, is[column]);
		keystore_fails(k, column == 1 ? ERR_KMS_DISABLED : ERR_KMS_INVALID_STATE, message, "GenerateDataKey",
			"{'KeyId':'%s','KeySpec':'AES_256'}", s.id);
	}
}

static void a_refused_change_changes_nothing(void **state)
{
	struct keystore *k = *state;
	struct scene s;
	json_t *body;

	prepare(k, &s);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s'}", s.id);
	keystore_fails(
		k, ERR_KMS_INVALID_STATE, NULL, "UpdateAlias", "{'AliasName':'alias/old','TargetKeyId':'%s'}", s.id);
	keystore_fails(
		k, ERR_KMS_INVALID_STATE, NULL, "UpdateKeyDescription", "{'KeyId':'%s','Description':'x'}", s.id);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'alias/old'}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "KeyId")), s.other);
	json_decref(body);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", s.id);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "Description")), "");
	json_decref(body);
}

/* A key that this version would not make, straight into the store: of another usage or with imported material. */
static void insert_foreign(
	struct keystore *k, const char *usage, const char *origin, char ret_id[64], char ret_arn[256])
{
	struct store_key key = {.state = KEY_ENABLED, .created = KEYSTORE_WALL};
	struct store *store = keystore_store(k);

	random_uuid(key.id);
	snprintf(key.account, sizeof(key.account), KEYSTORE_ACCOUNT);
	snprintf(key.region, sizeof(key.region), KEYSTORE_REGION);
	snprintf(key.spec, sizeof(key.spec), "SYMMETRIC_DEFAULT");
	snprintf(key.usage, sizeof(key.usage), "%s", usage);
	snprintf(key.origin, sizeof(key.origin), "%s", origin);
	assert_int_equal(store_begin(store), ERR_OK);
	assert_int_equal(store_key_insert(store, &key, "", &key.row), ERR_OK);
	assert_int_equal(store_commit(store), ERR_OK);
	store_close(store);
	encode_uuid(key.id, ret_id);
	snprintf(ret_arn, 256, "arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT ":key/%s", ret_id);
}

static void imported_material_rotates_to_new_material_alone(void **state)
{
	static const char *const operations[] = {"EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus"};
	struct keystore *k = *state;
	char id[64], arn[256];

	insert_foreign(k, "ENCRYPT_DECRYPT", "EXTERNAL", id, arn);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		keystore_fails(k, ERR_KMS_UNSUPPORTED_OPERATION, NULL, operations[i], "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_INVALID_STATE, NULL, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	keystore_do(k, "ListKeyRotations", "{'KeyId':'%s'}", id);
}

static void a_key_for_signing_does_not_encrypt(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[256], message[400];

	insert_foreign(k, "SIGN_VERIFY", "AWS_KMS", id, arn);
	snprintf(message, sizeof(message), "%s key usage is SIGN_VERIFY which is not valid for Encrypt.", arn);
	keystore_fails(k, ERR_KMS_INVALID_KEY_USAGE, message, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	snprintf(message, sizeof(message), "%s key usage is SIGN_VERIFY which is not valid for GenerateDataKey.", arn);
	keystore_fails(
		k, ERR_KMS_INVALID_KEY_USAGE, message, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_cell, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(the_messages_name_key_and_state, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(a_refused_change_changes_nothing, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(
			imported_material_rotates_to_new_material_alone, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(a_key_for_signing_does_not_encrypt, keystore_setup, keystore_teardown),
	};

	return cmocka_run_group_tests_name("engine_states", tests, NULL, NULL);
}
