/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/engine/iam.h"
#include "kms/engine/opened_secrets.h"
#include "tests/support/keystore.h"

#define ALIAS_ARN(name) "arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT ":" name
#define DAY             (UINT64_C(86400) * CLOCK_SECOND)

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static void create_update_delete(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn[ENGINE_ARN_SIZE];
	json_t *body, *entry;

	keystore_new_key(k, a, arn);
	keystore_new_key(k, b, arn);
	assert_null(keystore_ok(k, "CreateAlias", "{'AliasName':'alias/x/y_z-1','TargetKeyId':'%s'}", a));
	clock_fake_advance(&k->clock, 5 * CLOCK_SECOND);
	assert_null(keystore_ok(k, "UpdateAlias", "{'AliasName':'alias/x/y_z-1','TargetKeyId':'%s'}", arn));
	body = keystore_ok(k, "ListAliases", "{}");
	assert_int_equal(json_array_size(json_object_get(body, "Aliases")), 1);
	entry = json_array_get(json_object_get(body, "Aliases"), 0);
	assert_int_equal(json_object_size(entry), 5);
	assert_string_equal(text(entry, "AliasName"), "alias/x/y_z-1");
	assert_string_equal(text(entry, "AliasArn"), ALIAS_ARN("alias/x/y_z-1"));
	assert_string_equal(text(entry, "TargetKeyId"), b);
	assert_true(json_real_value(json_object_get(entry, "CreationDate")) == 1700000000.0);
	assert_true(json_real_value(json_object_get(entry, "LastUpdatedDate")) == 1700000005.0);
	assert_true(json_is_false(json_object_get(body, "Truncated")));
	json_decref(body);
	assert_null(keystore_ok(k, "DeleteAlias", "{'AliasName':'alias/x/y_z-1'}"));
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Alias " ALIAS_ARN("alias/x/y_z-1") " is not found.", "DeleteAlias",
		"{'AliasName':'alias/x/y_z-1'}");
}

static void refusals(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], longest[300];

	keystore_new_key(k, id, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/x','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_ALREADY_EXISTS, "An alias with the name " ALIAS_ARN("alias/x") " already exists",
		"CreateAlias", "{'AliasName':'alias/x','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_VALIDATION,
		"Alias must start with the prefix \"alias/\". Please see "
		"https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
		"CreateAlias", "{'AliasName':'x','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "CreateAlias", "{'AliasName':'alias/','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_VALIDATION, "alias/a:b contains invalid characters for an alias", "CreateAlias",
		"{'AliasName':'alias/a:b','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_INVALID_ALIAS_NAME, NULL, "CreateAlias",
		"{'AliasName':'alias/aws/mine','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Alias " ALIAS_ARN("alias/none") " is not found.", "UpdateAlias",
		"{'AliasName':'alias/none','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "CreateAlias",
		"{'AliasName':'alias/y','TargetKeyId':'12345678-1234-1234-1234-123456789012'}");
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "alias/", 6);
	longest[256] = '\0';
	keystore_do(k, "CreateAlias", "{'AliasName':'%s','TargetKeyId':'%s'}", longest, id);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", longest);
	longest[256] = 'a';
	longest[257] = '\0';
	keystore_fails(
		k, ERR_KMS_VALIDATION, NULL, "CreateAlias", "{'AliasName':'%s','TargetKeyId':'%s'}", longest, id);
}

static void fifty_aliases_and_pages(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn[ENGINE_ARN_SIZE], marker[512] = "";
	size_t seen = 0;
	int more = 1;

	keystore_new_key(k, a, arn);
	keystore_new_key(k, b, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/000','TargetKeyId':'%s'}", b);
	for (int i = 1; i <= 50; i++)
		keystore_do(k, "CreateAlias", "{'AliasName':'alias/%03d','TargetKeyId':'%s'}", i, a);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "A key may have at most 50 aliases.", "CreateAlias",
		"{'AliasName':'alias/051','TargetKeyId':'%s'}", a);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "A key may have at most 50 aliases.", "UpdateAlias",
		"{'AliasName':'alias/000','TargetKeyId':'%s'}", a);
	keystore_do(k, "UpdateAlias", "{'AliasName':'alias/007','TargetKeyId':'%s'}", a); /* where it is already */
	while (more) {
		json_t *body = marker[0] != '\0' ? keystore_ok(k, "ListAliases",
							   "{'KeyId':'%s','Limit':20,'Marker':'%s'}", a, marker)
						 : keystore_ok(k, "ListAliases", "{'KeyId':'%s','Limit':20}", a);
		json_t *list = json_object_get(body, "Aliases");

		for (size_t i = 0; i < json_array_size(list); i++) {
			char expected[32];

			snprintf(expected, sizeof(expected), "alias/%03zu", ++seen);
			assert_string_equal(text(json_array_get(list, i), "AliasName"), expected);
		}
		more = json_is_true(json_object_get(body, "Truncated"));
		if (more)
			keystore_text(body, "NextMarker", marker);
		json_decref(body);
	}
	assert_int_equal(seen, 50);
	/* A marker belongs to the listing that gave it: not to another key's, not to all keys'. */
	keystore_fails(k, ERR_KMS_INVALID_MARKER, NULL, "ListAliases", "{'KeyId':'%s','Marker':'%s'}", b, marker);
	keystore_fails(k, ERR_KMS_INVALID_MARKER, NULL, "ListAliases", "{'Marker':'%s'}", marker);
}

/* ---- The service-managed key ---- */

static void managed_key_is_made_on_first_use(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "GenerateDataKey", "{'KeyId':'alias/aws/signetfs','KeySpec':'AES_256'}");
	char arn[512];
	json_t *m;

	keystore_text(body, "KeyId", arn);
	json_decref(body);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'alias/aws/signetfs'}");
	m = json_object_get(body, "KeyMetadata");
	assert_string_equal(text(m, "Arn"), arn);
	assert_string_equal(text(m, "KeyManager"), "AWS");
	assert_string_equal(text(m, "KeyState"), "Enabled");
	assert_string_equal(
		text(m, "Description"), "Default key that protects signetfs vaults when no other key is defined");
	json_decref(body);
	body = keystore_ok(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", arn);
	assert_true(json_is_true(json_object_get(body, "KeyRotationEnabled")));
	assert_int_equal(json_integer_value(json_object_get(body, "RotationPeriodInDays")), 365);
	json_decref(body);
	body = keystore_ok(k, "ListKeys", "{}");
	assert_int_equal(json_array_size(json_object_get(body, "Keys")), 1);
	json_decref(body);
}

static void managed_key_is_per_region(void **state)
{
	struct keystore *k = *state;
	json_t *a = keystore_ok(k, "DescribeKey", "{'KeyId':'alias/aws/signetfs'}"), *b;

	snprintf(k->caller.region, sizeof(k->caller.region), "us-east-2");
	b = keystore_ok(k, "DescribeKey", "{'KeyId':'alias/aws/signetfs'}");
	assert_string_not_equal(
		text(json_object_get(a, "KeyMetadata"), "KeyId"), text(json_object_get(b, "KeyMetadata"), "KeyId"));
	json_decref(a);
	json_decref(b);
}

static void managed_key_is_not_administrable(void **state)
{
	static const char *const operations[] = {"EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion",
		"EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"};
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "Encrypt", "{'KeyId':'alias/aws/signetfs','Plaintext':'aGVsbG8='}");
	char arn[512], id[64], other[ENGINE_ARN_SIZE], message[600];

	keystore_text(body, "KeyId", arn);
	json_decref(body);
	keystore_new_key(k, id, other);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		snprintf(message, sizeof(message),
			"User: arn:aws:iam::000000000000:root is not authorized to perform: kms:%s on resource: %.255s "
			"because no resource-based policy allows the kms:%s action",
			operations[i], arn, operations[i]);
		keystore_fails(k, ERR_KMS_ACCESS_DENIED, message, operations[i], "{'KeyId':'%s'}", arn);
	}
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "UpdateKeyDescription", "{'KeyId':'%s','Description':'x'}", arn);
	keystore_fails(
		k, ERR_KMS_ACCESS_DENIED, NULL, "CreateAlias", "{'AliasName':'alias/m','TargetKeyId':'%s'}", arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "UpdateAlias",
		"{'AliasName':'alias/aws/signetfs','TargetKeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DeleteAlias", "{'AliasName':'alias/aws/signetfs'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'alias/aws/other'}");
}

static void managed_key_rotates_yearly(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "DescribeKey", "{'KeyId':'alias/aws/signetfs'}");
	char id[64];
	uint64_t next;

	snprintf(id, sizeof(id), "%s", text(json_object_get(body, "KeyMetadata"), "KeyId"));
	json_decref(body);
	clock_fake_advance(&k->clock, 365 * DAY);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_true(next == KEYSTORE_WALL + 2 * 365 * DAY);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s'}", id);
	assert_int_equal(json_array_size(json_object_get(body, "Rotations")), 1);
	assert_string_equal(text(json_array_get(json_object_get(body, "Rotations"), 0), "RotationType"), "AUTOMATIC");
	json_decref(body);
}

/* ---- Who may ---- */

static void others_may_nothing(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], message[600];
	struct engine_caller root = k->caller;

	keystore_new_key(k, id, arn);
	snprintf(k->caller.arn, sizeof(k->caller.arn), "arn:aws:iam::000000000000:user/eve");
	snprintf(message, sizeof(message),
		"User: arn:aws:iam::000000000000:user/eve is not authorized to perform: kms:GenerateDataKey on "
		"resource: "
		"%s because no identity-based policy allows the kms:GenerateDataKey action",
		arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, message, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED,
		"User: arn:aws:iam::000000000000:user/eve is not authorized to perform: kms:ListKeys on resource: * "
		"because no identity-based policy allows the kms:ListKeys action",
		"ListKeys", "{}");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateRandom", "{'NumberOfBytes':8}");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey",
		"{'KeyId':'alias/aws/signetfs','KeySpec':'AES_256'}");
	k->caller = root;
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'alias/aws/signetf'}");
}

static void other_accounts_learn_nothing(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], missing[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	snprintf(missing, sizeof(missing), "%s", arn);
	missing[strlen(missing) - 1] = missing[strlen(missing) - 1] == '0' ? '1' : '0';
	snprintf(k->caller.account, sizeof(k->caller.account), "111122223333");
	snprintf(k->caller.arn, sizeof(k->caller.arn), "arn:aws:iam::111122223333:root");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", missing);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", id);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'alias/aws/signetfs','KeySpec':'AES_256'}");
}

static void the_owner_and_root_are_the_account_root(void **state)
{
	struct keystore *k = *state;
	struct engine_caller caller;

	assert_int_equal(engine_caller_for_uid(k->engine, 0, &caller), ERR_OK);
	assert_string_equal(caller.arn, "arn:aws:iam::000000000000:root");
	assert_string_equal(caller.account, "000000000000");
	assert_string_equal(caller.region, KEYSTORE_REGION);
	assert_int_equal(engine_caller_for_uid(k->engine, 4242, &caller), ERR_KMS_ACCESS_DENIED);
	assert_non_null(strstr(err_text(ERR_KMS_ACCESS_DENIED), "4242"));
}

/* ---- Access keys ---- */

struct found {
	int count;
	char id[32], account[16];
};

static enum err note(void *context, const char *id, const char *account, const char *arn, uint64_t created)
{
	struct found *f = context;

	assert_string_equal(arn, "arn:aws:iam::123456789012:root");
	assert_true(created == KEYSTORE_WALL);
	snprintf(f->id, sizeof(f->id), "%s", id);
	snprintf(f->account, sizeof(f->account), "%s", account);
	f->count++;
	return ERR_OK;
}

/* An opened secret is found again under the row that it was opened from, and under no other. */
static void opened_secrets(void **state)
{
	struct opened_secrets *opened = opened_secrets_new();
	struct store_access_key row = {
		.id = "AKIAQQQQQQQQQQQQQQQQ", .arn = "arn:aws:iam::000000000000:root", .sealed_len = 80};
	struct store_access_key other[] = {row, row, row, row};
	char secret[ENGINE_SECRET_KEY_SIZE] = "a secret", found[ENGINE_SECRET_KEY_SIZE] = "";

	(void)state;
	assert_non_null(opened);
	assert_int_equal(opened_secrets_get(opened, &row, found), 0);
	opened_secrets_put(opened, &row, secret);
	assert_int_equal(opened_secrets_get(opened, &row, found), 1);
	assert_string_equal(found, secret);
	other[0].id[4] = 'R'; /* looked for in the same place */
	other[1].arn[27] = 't';
	other[2].sealed[79] ^= 1;
	other[3].sealed_len = 79;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_int_equal(opened_secrets_get(opened, &other[i], found), 0);
	assert_int_equal(opened_secrets_get(opened, &row, found), 1);
	opened_secrets_forget(opened);
	assert_int_equal(opened_secrets_get(opened, &row, found), 0);
	opened_secrets_free(opened);
}

static void access_keys(void **state)
{
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE];
	struct engine_access_key key;
	struct found f = {0};

	assert_int_equal(engine_access_key_create(k->engine, "123456789012", NULL, id, secret), ERR_NOT_FOUND);
	assert_int_equal(engine_account_create(k->engine, "123456789012", "other"), ERR_OK);
	assert_int_equal(engine_access_key_create(k->engine, "123456789012", NULL, id, secret), ERR_OK);
	assert_int_equal(strlen(id), 20);
	assert_int_equal(strncmp(id, "AKIA", 4), 0);
	assert_int_equal(strlen(secret), 40);
	keystore_reopen(k);
	assert_int_equal(engine_find_access_key(k->engine, id, "", &key), ERR_OK);
	assert_string_equal(key.secret, secret);
	assert_string_equal(key.who.account, "123456789012");
	assert_string_equal(key.who.arn, "arn:aws:iam::123456789012:root");
	assert_int_equal(engine_access_key_list(k->engine, note, &f), ERR_OK);
	assert_int_equal(f.count, 1);
	assert_string_equal(f.id, id);
	assert_int_equal(engine_access_key_delete(k->engine, id), ERR_OK);
	assert_int_equal(engine_access_key_delete(k->engine, id), ERR_NOT_FOUND);
	assert_int_equal(engine_find_access_key(k->engine, id, "", &key), ERR_KMS_UNRECOGNIZED_CLIENT);
	assert_int_equal(engine_access_key_create(k->engine, "12", NULL, id, secret), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(create_update_delete),
		TEST(refusals),
		TEST(fifty_aliases_and_pages),
		TEST(managed_key_is_made_on_first_use),
		TEST(managed_key_is_per_region),
		TEST(managed_key_is_not_administrable),
		TEST(managed_key_rotates_yearly),
		TEST(others_may_nothing),
		TEST(other_accounts_learn_nothing),
		TEST(the_owner_and_root_are_the_account_root),
		TEST(access_keys),
		TEST(opened_secrets),
	};

	return cmocka_run_group_tests_name("engine_aliases", tests, NULL, NULL);
}
