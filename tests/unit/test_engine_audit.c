/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/secret.h"
#include "tests/support/keystore.h"

#define DAY (UINT64_C(86400) * CLOCK_SECOND)
/* Marks that must not be found in any record. */
#define SECRET_TEXT "c2VjcmV0LXNlY3JldC1zZWNyZXQh" /* base64 of "secret-secret-secret!" */

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

/* All records that match, as a JSON array. */
static enum err collect(void *context, const char *record)
{
	json_t *parsed = json_loads(record, JSON_REJECT_DUPLICATES, NULL);
	char *again = json_text(parsed, NULL);

	/* Records are written without a tree: the same compact form all the same. */
	assert_non_null(parsed);
	assert_string_equal(record, again);
	secret_heap_free(again);
	json_array_append_new(context, parsed);
	return ERR_OK;
}

static json_t *records(struct keystore *k, const struct engine_audit_filter *filter)
{
	json_t *list = json_array();

	assert_int_equal(engine_audit_list(k->engine, filter, collect, list), ERR_OK);
	return list;
}

static size_t count(struct keystore *k, const struct engine_audit_filter *filter)
{
	json_t *list = records(k, filter);
	size_t n = json_array_size(list);

	json_decref(list);
	return n;
}

static json_t *last(struct keystore *k)
{
	const struct engine_audit_filter newest = {.limit = 1};
	json_t *list = records(k, &newest), *record;

	assert_int_equal(json_array_size(list), 1);
	record = json_incref(json_array_get(list, 0));
	json_decref(list);
	return record;
}

/* What callers send, in every place where it may stand in a record, comes out as it went in. */
static void texts_are_escaped(void **state)
{
	struct keystore *k = *state;
	char id[64];
	json_t *r;

	keystore_new_key(k, id, (char[ENGINE_ARN_SIZE]){""});
	snprintf(k->caller.user_agent, sizeof(k->caller.user_agent), "a\"b\\c\n\x01\xc3\xa9\xff");
	keystore_do(k, "Encrypt", "{'KeyId':'%s','Plaintext':'YQ==','EncryptionContext':{'\\\\\\u0001':'\\n\\u00e9/'}}",
		id);
	r = last(k);
	assert_string_equal(text(r, "userAgent"), "a\"b\\c\n\x01\xc3\xa9?");
	assert_string_equal(
		text(json_object_get(json_object_get(r, "requestParameters"), "encryptionContext"), "\\\x01"),
		"\n\xc3\xa9/");
	json_decref(r);
}

static void a_record_is_complete(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *r, *resource;

	keystore_new_key(k, id, arn);
	snprintf(k->caller.source_ip, sizeof(k->caller.source_ip), "192.0.2.7");
	snprintf(k->caller.user_agent, sizeof(k->caller.user_agent), "aws-cli/2");
	snprintf(k->caller.access_key_id, sizeof(k->caller.access_key_id), "AKIAEXAMPLE");
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256','EncryptionContext':{'a':'b'}}", id);
	r = last(k);
	assert_string_equal(text(r, "eventVersion"), "1.09");
	assert_string_equal(text(json_object_get(r, "userIdentity"), "type"), "Root");
	assert_string_equal(text(json_object_get(r, "userIdentity"), "principalId"), KEYSTORE_ACCOUNT);
	assert_string_equal(text(json_object_get(r, "userIdentity"), "arn"), "arn:aws:iam::000000000000:root");
	assert_string_equal(text(json_object_get(r, "userIdentity"), "accountId"), KEYSTORE_ACCOUNT);
	assert_string_equal(text(json_object_get(r, "userIdentity"), "accessKeyId"), "AKIAEXAMPLE");
	assert_string_equal(text(r, "eventTime"), "2023-11-14T22:13:20Z");
	assert_string_equal(text(r, "eventSource"), "kms.amazonaws.com");
	assert_string_equal(text(r, "eventName"), "GenerateDataKey");
	assert_string_equal(text(r, "awsRegion"), KEYSTORE_REGION);
	assert_string_equal(text(r, "sourceIPAddress"), "192.0.2.7");
	assert_string_equal(text(r, "userAgent"), "aws-cli/2");
	assert_null(json_object_get(r, "errorCode"));
	assert_int_equal(json_object_size(json_object_get(r, "requestParameters")), 3);
	assert_string_equal(text(json_object_get(r, "requestParameters"), "keyId"), id);
	assert_string_equal(text(json_object_get(r, "requestParameters"), "keySpec"), "AES_256");
	assert_string_equal(
		text(json_object_get(json_object_get(r, "requestParameters"), "encryptionContext"), "a"), "b");
	assert_true(json_is_null(json_object_get(r, "responseElements")));
	assert_int_equal(strlen(text(json_object_get(r, "additionalEventData"), "keyMaterialId")), 64);
	assert_int_equal(strlen(text(r, "requestID")), 36);
	assert_int_equal(strlen(text(r, "eventID")), 36);
	assert_true(json_is_true(json_object_get(r, "readOnly")));
	resource = json_array_get(json_object_get(r, "resources"), 0);
	assert_string_equal(text(resource, "ARN"), arn);
	assert_string_equal(text(resource, "accountId"), KEYSTORE_ACCOUNT);
	assert_string_equal(text(resource, "type"), "AWS::KMS::Key");
	assert_string_equal(text(r, "eventType"), "AwsApiCall");
	assert_string_equal(text(r, "recipientAccountId"), KEYSTORE_ACCOUNT);
	json_decref(r);
}

static void changes_say_what_they_changed(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *r;

	keystore_new_key(k, id, arn);
	r = last(k);
	assert_string_equal(text(json_object_get(json_object_get(r, "responseElements"), "keyMetadata"), "keyId"), id);
	assert_true(json_is_false(json_object_get(r, "readOnly")));
	json_decref(r);
	keystore_do(k, "DisableKey", "{'KeyId':'%s'}", id);
	r = last(k);
	assert_string_equal(text(json_object_get(r, "responseElements"), "keyId"), arn);
	assert_true(json_is_false(json_object_get(r, "readOnly")));
	json_decref(r);
}

static void every_call_is_one_record_and_refusals_too(void **state)
{
	const struct engine_audit_filter all = {.limit = 0};
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *r;

	keystore_new_key(k, id, arn);
	assert_int_equal(count(k, &all), 1);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", id);
	assert_int_equal(count(k, &all), 2);
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "DescribeKey", "{}");
	assert_int_equal(count(k, &all), 3);
	keystore_fails(k, ERR_KMS_UNKNOWN_OPERATION, NULL, "Nonsense", "{}");
	assert_int_equal(count(k, &all), 4);
	keystore_fails(k, ERR_KMS_INVALID_STATE, NULL, "CancelKeyDeletion", "{'KeyId':'%s'}", id);
	assert_int_equal(count(k, &all), 5);
	r = last(k);
	assert_string_equal(text(r, "errorCode"), "KMSInvalidStateException");
	assert_non_null(strstr(text(r, "errorMessage"), "is not pending deletion."));
	assert_true(json_is_null(json_object_get(r, "responseElements")));
	assert_string_equal(text(json_array_get(json_object_get(r, "resources"), 0), "ARN"), arn);
	json_decref(r);
	engine_audit_refusal(
		k->engine, &k->caller, "ListKeys", ERR_KMS_SIGNATURE_MISMATCH, "no match", "the-request-id");
	r = last(k);
	assert_string_equal(text(r, "errorCode"), "InvalidSignatureException");
	assert_string_equal(text(r, "requestID"), "the-request-id");
	json_decref(r);
}

static void filters(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn_a[ENGINE_ARN_SIZE], arn_b[ENGINE_ARN_SIZE];
	json_t *list;

	keystore_new_key(k, a, arn_a); /* second 0 */
	keystore_new_key(k, b, arn_b);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/b','TargetKeyId':'%s'}", b);
	clock_fake_advance(&k->clock, 10 * CLOCK_SECOND);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", a); /* second 10 */
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'x'}");
	clock_fake_advance(&k->clock, 10 * CLOCK_SECOND);
	keystore_do(k, "DisableKey", "{'KeyId':'%s'}", b); /* second 20 */
#define COUNT(...) count(k, &(const struct engine_audit_filter){__VA_ARGS__})
	assert_int_equal(COUNT(.limit = 0), 6);
	assert_int_equal(COUNT(.from = KEYSTORE_WALL + 10 * CLOCK_SECOND), 3);
	assert_int_equal(COUNT(.to = KEYSTORE_WALL + 10 * CLOCK_SECOND), 3);
	assert_int_equal(COUNT(.from = KEYSTORE_WALL + 10 * CLOCK_SECOND, .to = KEYSTORE_WALL + 20 * CLOCK_SECOND), 2);
	assert_int_equal(COUNT(.key = a), 2);
	assert_int_equal(COUNT(.key = arn_b), 3);
	assert_int_equal(COUNT(.key = "alias/b"), 3);
	assert_int_equal(COUNT(.operation = "DescribeKey"), 2);
	assert_int_equal(COUNT(.operation = "DescribeKey", .error = ""), 1);
	assert_int_equal(COUNT(.error = "NotFoundException"), 1);
	assert_int_equal(COUNT(.limit = 2), 2);
	list = records(k, &(const struct engine_audit_filter){.limit = 2});
	assert_string_equal(text(json_array_get(list, 0), "eventName"), "DescribeKey");
	assert_string_equal(text(json_array_get(list, 1), "eventName"), "DisableKey");
	json_decref(list);
	assert_int_equal(engine_audit_list(k->engine, &(const struct engine_audit_filter){.key = "x"}, collect, NULL),
		ERR_USAGE);
}

static void what_the_service_does_is_recorded(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	uint64_t next;
	json_t *list;

	keystore_do(k, "DescribeKey", "{'KeyId':'alias/aws/signetfs'}");
	keystore_new_key(k, id, arn);
	keystore_do(k, "EnableKeyRotation", "{'KeyId':'%s','RotationPeriodInDays':90}", id);
	clock_fake_advance(&k->clock, 90 * DAY);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", id);
	clock_fake_advance(&k->clock, 7 * DAY);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	list = records(k, &(const struct engine_audit_filter){.operation = "RotateKey"});
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text(json_array_get(list, 0), "eventType"), "AwsServiceEvent");
	assert_string_equal(text(json_object_get(json_array_get(list, 0), "serviceEventDetails"), "keyId"), id);
	json_decref(list);
	assert_int_equal(COUNT(.operation = "DeleteKey", .key = arn), 1);
	list = records(k, &(const struct engine_audit_filter){.operation = "CreateKey"});
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
		text(json_object_get(json_array_get(list, 0), "userIdentity"), "invokedBy"), "AWS Internal");
	json_decref(list);
}

static enum err no_secrets(void *context, const char *record)
{
	const char *const *forbidden = context;

	for (; *forbidden != NULL; forbidden++)
		if (strstr(record, *forbidden) != NULL)
			fail_msg("'%s' is in an audit record: %s", *forbidden, record);
	return ERR_OK;
}

static void no_secret_enters_a_record(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], data_key[512], data_blob[512], blob[512], random[512];
	const char *forbidden[] = {
		SECRET_TEXT, data_key, data_blob, blob, random, "grant-token-mark", "unknown-member-mark", NULL};
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'" SECRET_TEXT "','X':'unknown-member-mark'}", id);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	body = keystore_ok(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	keystore_text(body, "Plaintext", data_key);
	keystore_text(body, "CiphertextBlob", data_blob);
	json_decref(body);
	body = keystore_ok(k, "GenerateRandom", "{'NumberOfBytes':32}");
	keystore_text(body, "Plaintext", random);
	json_decref(body);
	keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
	keystore_do(k, "ReEncrypt", "{'CiphertextBlob':'%s','DestinationKeyId':'%s'}", blob, id);
	/* The same values in the wrong places and with errors. */
	keystore_fails(k, ERR_KMS_SERIALIZATION, NULL, "Encrypt",
		"{'KeyId':1,'Plaintext':'" SECRET_TEXT "','EncryptionContext':'" SECRET_TEXT "'}");
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "Encrypt", "{'Plaintext':'" SECRET_TEXT "'}");
	keystore_fails(k, ERR_KMS_INVALID_GRANT_TOKEN, NULL, "Encrypt",
		"{'KeyId':'x','GrantTokens':['grant-token-mark'],'Plaintext':'" SECRET_TEXT "'}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, NULL, "Encrypt", "{'KeyId':'x','Plaintext':['" SECRET_TEXT "']}");
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, NULL, "Decrypt", "{'CiphertextBlob':'" SECRET_TEXT "'}");
	assert_int_equal(
		engine_audit_list(k->engine, &(const struct engine_audit_filter){.limit = 0}, no_secrets, forbidden),
		ERR_OK);
	assert_int_equal(COUNT(.limit = 0), 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(a_record_is_complete),
		TEST(texts_are_escaped),
		TEST(changes_say_what_they_changed),
		TEST(every_call_is_one_record_and_refusals_too),
		TEST(filters),
		TEST(what_the_service_does_is_recorded),
		TEST(no_secret_enters_a_record),
	};

	return cmocka_run_group_tests_name("engine_audit", tests, NULL, NULL);
}
