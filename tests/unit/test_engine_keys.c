/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "tests/support/keystore.h"

#define DAY (UINT64_C(86400) * CLOCK_SECOND)
#define ROOT_POLICY                                                                                                    \
	"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":{"     \
	"\\\"AWS\\\":\\\"arn:aws:iam::000000000000:root\\\"},\\\"Action\\\":\\\"kms:*\\\",\\\"Resource\\\":\\\"*\\\"}" \
	"]}"

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static void describe_matches(struct keystore *k, const char *name, const char *arn)
{
	json_t *body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", name);

	assert_string_equal(text(json_object_get(body, "KeyMetadata"), "Arn"), arn);
	json_decref(body);
}

static void create_key_answers_all_metadata(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "CreateKey",
		"{'Description':'first','KeySpec':'SYMMETRIC_DEFAULT','KeyUsage':'ENCRYPT_DECRYPT','Origin':'AWS_KMS',"
		"'MultiRegion':false,'Tags':[{'TagKey':'a','TagValue':'b'}],'Unknown':{'x':1}}");
	json_t *m = json_object_get(body, "KeyMetadata");
	char arn[256];

	assert_int_equal(json_object_size(m), 15);
	assert_string_equal(text(m, "AWSAccountId"), KEYSTORE_ACCOUNT);
	assert_int_equal(strlen(text(m, "KeyId")), 36);
	snprintf(arn, sizeof(arn), "arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT ":key/%s", text(m, "KeyId"));
	assert_string_equal(text(m, "Arn"), arn);
	assert_true(json_real_value(json_object_get(m, "CreationDate")) == 1700000000.0);
	assert_true(json_is_true(json_object_get(m, "Enabled")));
	assert_string_equal(text(m, "Description"), "first");
	assert_string_equal(text(m, "KeyUsage"), "ENCRYPT_DECRYPT");
	assert_string_equal(text(m, "KeyState"), "Enabled");
	assert_string_equal(text(m, "Origin"), "AWS_KMS");
	assert_string_equal(text(m, "KeyManager"), "CUSTOMER");
	assert_string_equal(text(m, "CustomerMasterKeySpec"), "SYMMETRIC_DEFAULT");
	assert_string_equal(text(m, "KeySpec"), "SYMMETRIC_DEFAULT");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(m, "EncryptionAlgorithms"), 0)), "SYMMETRIC_DEFAULT");
	assert_true(json_is_false(json_object_get(m, "MultiRegion")));
	assert_int_equal(strlen(text(m, "CurrentKeyMaterialId")), 64);
	json_decref(body);
}

static void create_key_refuses_what_it_cannot_honour(void **state)
{
	struct keystore *k = *state;

	keystore_fails(k, ERR_KMS_UNSUPPORTED_OPERATION,
		"The key spec SM2 is not supported in this Region: it is there in China Regions alone.", "CreateKey",
		"{'KeySpec':'SM2','KeyUsage':'SIGN_VERIFY'}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.", "CreateKey",
		"{'KeySpec':'ECC_NIST_P256'}");
	keystore_fails(k, ERR_KMS_VALIDATION, "KeyUsage KEY_AGREEMENT is not compatible with KeySpec ECC_SECG_P256K1",
		"CreateKey", "{'KeySpec':'ECC_SECG_P256K1','KeyUsage':'KEY_AGREEMENT'}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is "
		"deprecated.",
		"CreateKey", "{'KeySpec':'SYMMETRIC_DEFAULT','CustomerMasterKeySpec':'SYMMETRIC_DEFAULT'}");
	keystore_fails(k, ERR_KMS_VALIDATION, "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
		"CreateKey", "{'KeyUsage':'SIGN_VERIFY'}");
	keystore_fails(k, ERR_KMS_UNSUPPORTED_OPERATION,
		"Origin AWS_CLOUDHSM is not supported here: there are no custom key stores.", "CreateKey",
		"{'Origin':'AWS_CLOUDHSM'}");
	keystore_fails(k, ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, "Custom key store cks-1 is not found.", "CreateKey",
		"{'CustomKeyStoreId':'cks-1'}");
	keystore_fails(k, ERR_KMS_UNSUPPORTED_OPERATION, NULL, "CreateKey", "{'XksKeyId':'x'}");
	keystore_fails(k, ERR_KMS_TAG, "Tag keys that begin with aws: are reserved.", "CreateKey",
		"{'Tags':[{'TagKey':'aws:x','TagValue':''}]}");
	keystore_fails(k, ERR_KMS_TAG, "A tag key is given twice.", "CreateKey",
		"{'Tags':[{'TagKey':'x','TagValue':''},{'TagKey':'x','TagValue':'y'}]}");
}

static void fifty_tags_and_no_more(void **state)
{
	struct keystore *k = *state;
	char tags[4096] = "";
	size_t used = 0;

	for (int i = 0; i < 50; i++)
		used += (size_t)snprintf(
			tags + used, sizeof(tags) - used, "%s{'TagKey':'t%d','TagValue':''}", i > 0 ? "," : "", i);
	keystore_do(k, "CreateKey", "{'Tags':[%s]}", tags);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "A key may have at most 50 tags.", "CreateKey",
		"{'Tags':[%s,{'TagKey':'one more','TagValue':''}]}", tags);
}

static void create_key_refuses_a_policy_that_is_none(void **state)
{
	struct keystore *k = *state;
	json_t *body;

	keystore_do(k, "CreateKey", "{'Policy':'%s'}", ROOT_POLICY);
	keystore_fails(k, ERR_KMS_MALFORMED_POLICY, "the policy is no JSON object: JSON line 1 column 4: syntax error",
		"CreateKey", "{'Policy':'{not json'}");
	keystore_fails(k, ERR_KMS_MALFORMED_POLICY, "the policy has no Statement, or more than 1024", "CreateKey",
		"{'Policy':'{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[]}'}");
	keystore_fails(k, ERR_KMS_MALFORMED_POLICY,
		"The new key policy will not allow you to update the key policy in the future.", "CreateKey",
		"{'Policy':'{\\\"Statement\\\":[{\\\"Effect\\\":\\\"Deny\\\",\\\"Principal\\\":{\\\"AWS\\\":"
		"\\\"arn:aws:iam::000000000000:root\\\"},\\\"Action\\\":\\\"kms:*\\\",\\\"Resource\\\":\\\"*\\\"}]}'}");
	/* Nothing of a refused key stays. */
	body = keystore_ok(k, "ListKeys", "{}");
	assert_int_equal(json_array_size(json_object_get(body, "Keys")), 1);
	json_decref(body);
}

static void a_key_answers_to_four_names(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/a','TargetKeyId':'%s'}", arn);
	describe_matches(k, id, arn);
	describe_matches(k, arn, arn);
	describe_matches(k, "alias/a", arn);
	describe_matches(k, "arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT ":alias/a", arn);
}

static void unknown_names_are_told_apart(void **state)
{
	struct keystore *k = *state;

	keystore_fails(k, ERR_KMS_NOT_FOUND,
		"Key 'arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT
		":key/12345678-1234-1234-1234-123456789012' does not exist",
		"DescribeKey", "{'KeyId':'12345678-1234-1234-1234-123456789012'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND,
		"Alias arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT ":alias/none is not found.", "DescribeKey",
		"{'KeyId':'alias/none'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid keyId 'x'", "DescribeKey", "{'KeyId':'x'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid arn us-west-2", "DescribeKey",
		"{'KeyId':'arn:aws:kms:us-west-2:" KEYSTORE_ACCOUNT ":key/12345678-1234-1234-1234-123456789012'}");
	keystore_fails(k, ERR_KMS_INVALID_ARN, "Invalid arn 'arn:aws:s3:::bucket'", "DescribeKey",
		"{'KeyId':'arn:aws:s3:::bucket'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid keyId 'arn:aws:s3:::bucket'", "GenerateDataKey",
		"{'KeyId':'arn:aws:s3:::bucket','KeySpec':'AES_256'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND,
		"Key 'arn:aws:kms:" KEYSTORE_REGION ":" KEYSTORE_ACCOUNT
		":key/mrk-00000000000000000000000000000000' does not exist",
		"DescribeKey", "{'KeyId':'mrk-00000000000000000000000000000000'}");
}

static void administration_takes_no_alias(void **state)
{
	static const char *const operations[] = {"EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion",
		"EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus", "RotateKeyOnDemand",
		"ListKeyRotations", "ListAliases"};
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/a','TargetKeyId':'%s'}", id);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid keyId 'alias/a'", operations[i], "{'KeyId':'alias/a'}");
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid keyId 'alias/a'", "UpdateKeyDescription",
		"{'KeyId':'alias/a','Description':''}");
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid keyId 'alias/a'", "CreateAlias",
		"{'AliasName':'alias/b','TargetKeyId':'alias/a'}");
}

static void regions_do_not_see_each_other(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, id, arn);
	snprintf(k->caller.region, sizeof(k->caller.region), "us-east-2");
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_NOT_FOUND, "Invalid arn " KEYSTORE_REGION, "DescribeKey", "{'KeyId':'%s'}", arn);
	body = keystore_ok(k, "ListKeys", "{}");
	assert_int_equal(json_array_size(json_object_get(body, "Keys")), 0);
	json_decref(body);
}

static void disable_enable_describe(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, id, arn);
	assert_null(keystore_ok(k, "DisableKey", "{'KeyId':'%s'}", id));
	assert_null(keystore_ok(k, "UpdateKeyDescription", "{'KeyId':'%s','Description':'new'}", id));
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", id);
	assert_true(json_is_false(json_object_get(json_object_get(body, "KeyMetadata"), "Enabled")));
	assert_string_equal(text(json_object_get(body, "KeyMetadata"), "KeyState"), "Disabled");
	assert_string_equal(text(json_object_get(body, "KeyMetadata"), "Description"), "new");
	json_decref(body);
	assert_null(keystore_ok(k, "EnableKey", "{'KeyId':'%s'}", arn));
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
}

static void deletion_waits_and_can_be_cancelled(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], message[300];
	json_t *body;

	keystore_new_key(k, id, arn);
	snprintf(message, sizeof(message), "%s is not pending deletion.", arn);
	keystore_fails(k, ERR_KMS_INVALID_STATE, message, "CancelKeyDeletion", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_VALIDATION, "PendingWindowInDays must be between 7 and 30 (inclusive).",
		"ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':6}", id);
	keystore_fails(k, ERR_KMS_VALIDATION, "PendingWindowInDays must be between 7 and 30 (inclusive).",
		"ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':31}", id);
	body = keystore_ok(k, "ScheduleKeyDeletion", "{'KeyId':'%s'}", id);
	assert_string_equal(text(body, "KeyId"), arn);
	assert_string_equal(text(body, "KeyState"), "PendingDeletion");
	assert_int_equal(json_integer_value(json_object_get(body, "PendingWindowInDays")), 30);
	assert_true(json_real_value(json_object_get(body, "DeletionDate")) == 1700000000.0 + 30 * 86400);
	json_decref(body);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", id);
	assert_true(json_real_value(json_object_get(json_object_get(body, "KeyMetadata"), "DeletionDate")) ==
		    1700000000.0 + 30 * 86400);
	json_decref(body);
	body = keystore_ok(k, "CancelKeyDeletion", "{'KeyId':'%s'}", id);
	assert_string_equal(text(body, "KeyId"), arn);
	json_decref(body);
	body = keystore_ok(k, "DescribeKey", "{'KeyId':'%s'}", id);
	assert_string_equal(text(json_object_get(body, "KeyMetadata"), "KeyState"), "Disabled");
	assert_null(json_object_get(json_object_get(body, "KeyMetadata"), "DeletionDate"));
	json_decref(body);
}

static void deletion_happens_when_it_is_due(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512], message[300];
	uint64_t next;
	json_t *body;

	keystore_new_key(k, id, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/gone','TargetKeyId':'%s'}", id);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", id);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_true(next == KEYSTORE_WALL + 7 * DAY);
	clock_fake_advance(&k->clock, 7 * DAY - 1);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	keystore_do(k, "DescribeKey", "{'KeyId':'alias/gone'}");
	clock_fake_advance(&k->clock, 1);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_true(next == UINT64_MAX);
	snprintf(message, sizeof(message), "Key '%s' does not exist", arn);
	keystore_fails(k, ERR_KMS_NOT_FOUND, message, "DescribeKey", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'alias/gone'}");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED,
		"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or "
		"you are not allowed to access.",
		"Decrypt", "{'CiphertextBlob':'%s'}", blob);
}

static void list_keys_pages(void **state)
{
	struct keystore *k = *state;
	char ids[7][64], arn[ENGINE_ARN_SIZE], marker[512] = "";
	size_t seen = 0, pages = 0;

	for (int i = 0; i < 7; i++)
		keystore_new_key(k, ids[i], arn);
	for (int more = 1; more; pages++) {
		json_t *body = marker[0] != '\0' ? keystore_ok(k, "ListKeys", "{'Limit':3,'Marker':'%s'}", marker)
						 : keystore_ok(k, "ListKeys", "{'Limit':3}");
		json_t *keys = json_object_get(body, "Keys");

		for (size_t i = 0; i < json_array_size(keys); i++)
			assert_string_equal(text(json_array_get(keys, i), "KeyId"), ids[seen++]);
		more = json_is_true(json_object_get(body, "Truncated"));
		if (more)
			keystore_text(body, "NextMarker", marker);
		else
			assert_null(json_object_get(body, "NextMarker"));
		json_decref(body);
	}
	assert_int_equal(seen, 7);
	assert_int_equal(pages, 3);
	keystore_fails(k, ERR_KMS_INVALID_MARKER, NULL, "ListAliases", "{'Marker':'%s'}", marker);
	keystore_fails(k, ERR_KMS_INVALID_MARKER, NULL, "ListKeys", "{'Marker':'nonsense'}");
	marker[3] = marker[3] == 'A' ? 'B' : 'A';
	keystore_fails(k, ERR_KMS_INVALID_MARKER, NULL, "ListKeys", "{'Marker':'%s'}", marker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(create_key_answers_all_metadata),
		TEST(create_key_refuses_what_it_cannot_honour),
		TEST(fifty_tags_and_no_more),
		TEST(create_key_refuses_a_policy_that_is_none),
		TEST(a_key_answers_to_four_names),
		TEST(unknown_names_are_told_apart),
		TEST(administration_takes_no_alias),
		TEST(regions_do_not_see_each_other),
		TEST(disable_enable_describe),
		TEST(deletion_waits_and_can_be_cancelled),
		TEST(deletion_happens_when_it_is_due),
		TEST(list_keys_pages),
	};

	return cmocka_run_group_tests_name("engine_keys", tests, NULL, NULL);
}
