/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/engine/iam.h"
#include "tests/support/keystore.h"

/* Ways round the audit trail: what a caller sends must not keep its call out of the record, or empty the record of what matters. */

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static enum err collect(void *context, const char *record)
{
	json_t *parsed = json_loads(record, 0, NULL);

	assert_non_null(parsed);
	json_array_append_new(context, parsed);
	return ERR_OK;
}

static json_t *records(struct keystore *k, const struct engine_audit_filter *filter)
{
	json_t *list = json_array();

	assert_int_equal(engine_audit_list(k->engine, filter, collect, list), ERR_OK);
	return list;
}

/* The only record there is. */
static json_t *only_record(struct keystore *k)
{
	const struct engine_audit_filter all = {.limit = 0};
	json_t *list = records(k, &all), *record;

	assert_int_equal(json_array_size(list), 1);
	record = json_incref(json_array_get(list, 0));
	json_decref(list);
	return record;
}

static void set_agent(struct keystore *k, const char *bytes)
{
	snprintf(k->caller.user_agent, sizeof(k->caller.user_agent), "%s", bytes);
}

static void a_user_agent_of_any_bytes_is_recorded(void **state)
{
	struct keystore *k = *state;
	json_t *r;

	set_agent(k, "evil\xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf sound \xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91 "
		     "cut\xe2\x82");
	keystore_do(k, "GenerateRandom", "{'NumberOfBytes':8}");
	r = only_record(k);
	assert_string_equal(text(r, "eventName"), "GenerateRandom");
	assert_string_equal(
		text(r, "userAgent"), "evil\?\?(\?\?\?\?\?\?\?\?\? sound \xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91 cut\?\?");
	json_decref(r);
}

static void a_refusal_of_any_bytes_is_recorded(void **state)
{
	struct keystore *k = *state;
	json_t *r;

	set_agent(k, "\x80");
	snprintf(k->caller.access_key_id, sizeof(k->caller.access_key_id), "AK\xfe");
	engine_audit_refusal(k->engine, &k->caller, "Decrypt", ERR_KMS_INCOMPLETE_SIGNATURE, "Got '\xff'", "some-id");
	r = only_record(k);
	assert_string_equal(text(r, "errorCode"), "IncompleteSignatureException");
	assert_string_equal(text(r, "errorMessage"), "Got '?'");
	assert_string_equal(text(r, "userAgent"), "?");
	assert_string_equal(text(json_object_get(r, "userIdentity"), "accessKeyId"), "AK?");
	json_decref(r);
}

/* A name that is shown is cut after 256 bytes, which may be the middle of a character. */
static void a_message_cut_inside_a_character_is_still_text(void **state)
{
	struct keystore *k = *state;
	char name[600] = "x";
	struct engine_reply reply;
	json_t *request, *r;

	for (int i = 0; i < 200; i++)
		strcat(name, "\xc3\xa9");
	request = json_pack("{s:s}", "KeyId", name);
	engine_call(k->engine, &k->caller, "DescribeKey", request, &reply);
	json_decref(request);
	assert_int_equal(reply.error, ERR_KMS_NOT_FOUND);
	assert_int_equal(strncmp(reply.message, "Invalid keyId 'x\xc3\xa9", 18), 0);
	r = json_string(reply.message);
	assert_non_null(r); /* what cannot be sent is no answer */
	json_decref(r);
	r = only_record(k);
	assert_string_equal(text(r, "errorMessage"), reply.message);
	json_decref(r);
}

/* Every context that is accepted is in the record: what was decrypted for what is the point of having one. */
static void a_context_of_many_pairs_is_recorded(void **state)
{
	struct keystore *k = *state;
	json_t *context = json_object(), *request, *r, *recorded;
	struct engine_reply reply;
	char name[16];

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		json_object_set_new(context, name, json_string("value"));
	}
	request = json_pack(
		"{s:s, s:s, s:o}", "KeyId", "alias/none", "Plaintext", "aGVsbG8=", "EncryptionContext", context);
	engine_call(k->engine, &k->caller, "Encrypt", request, &reply);
	assert_int_equal(reply.error, ERR_KMS_NOT_FOUND);
	r = only_record(k);
	recorded = json_object_get(json_object_get(r, "requestParameters"), "encryptionContext");
	assert_true(json_equal(recorded, context));
	json_decref(r);
	json_decref(request);
}

static void a_context_that_no_operation_accepts_is_not_recorded(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], big[8200];
	json_t *request, *list, *parameters;
	struct engine_reply reply;

	keystore_new_key(k, id, arn);
	memset(big, 'v', sizeof(big));
	big[8192] = '\0'; /* and the name makes it one more than is allowed */
	request = json_pack("{s:s, s:s, s:{s:s}}", "KeyId", id, "Plaintext", "aGVsbG8=", "EncryptionContext", "n", big);
	engine_call(k->engine, &k->caller, "Encrypt", request, &reply);
	json_decref(request);
	assert_int_equal(reply.error, ERR_KMS_VALIDATION);
	keystore_fails(k, ERR_KMS_SERIALIZATION, NULL, "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGVsbG8=','EncryptionContext':{'n':['nested']}}", id);
	list = records(k, &(const struct engine_audit_filter){.operation = "Encrypt"});
	for (size_t i = 0; i < 2; i++) {
		parameters = json_object_get(json_array_get(list, i), "requestParameters");
		assert_int_equal(json_object_size(parameters), 1);
		assert_string_equal(text(parameters, "keyId"), id);
	}
	json_decref(list);
}

/* ReEncrypt uses two keys; whoever asks what was done with either finds it. */
static void reencryption_is_found_by_either_key(void **state)
{
	struct keystore *k = *state;
	char from[64], to[64], arn_from[ENGINE_ARN_SIZE], arn_to[ENGINE_ARN_SIZE], blob[512];
	const char *const keys[] = {from, to, arn_from, arn_to};
	json_t *body, *list;

	keystore_new_key(k, from, arn_from);
	keystore_new_key(k, to, arn_to);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", from);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	keystore_do(k, "ReEncrypt", "{'CiphertextBlob':'%s','DestinationKeyId':'%s'}", blob, to);
	for (size_t i = 0; i < 4; i++) {
		list = records(k, &(const struct engine_audit_filter){.key = keys[i], .operation = "ReEncrypt"});
		assert_int_equal(json_array_size(list), 1);
		json_decref(list);
	}
	list = records(k, &(const struct engine_audit_filter){.key = to});
	assert_int_equal(json_array_size(list), 2); /* CreateKey and ReEncrypt */
	json_decref(list);
}

/* The records of one operation. */
static json_t *records_of(struct keystore *k, const char *operation, size_t n)
{
	const struct engine_audit_filter filter = {.operation = operation};
	json_t *list = records(k, &filter);

	assert_int_equal(json_array_size(list), n);
	return list;
}

static void making_an_access_key_is_recorded(void **state)
{
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE], *whole;
	const struct engine_principal_spec spec = {.name = "kim"};
	struct engine_principal kim;
	json_t *list, *r, *made;

	assert_int_equal(engine_principal_create(k->engine, &spec, &kim), ERR_OK);
	assert_int_equal(
		engine_access_key_create(k->engine, NULL, "arn:aws:iam::000000000000:user/kim", id, secret), ERR_OK);
	list = records_of(k, "CreateAccessKey", 1);
	r = json_array_get(list, 0);
	assert_string_equal(text(r, "eventSource"), "iam.amazonaws.com");
	assert_string_equal(text(r, "eventTime"), "2023-11-14T22:13:20Z");
	assert_string_equal(text(r, "eventType"), "AwsApiCall");
	assert_string_equal(text(json_object_get(r, "userIdentity"), "arn"), "arn:aws:iam::000000000000:root");
	assert_string_equal(text(r, "sourceIPAddress"), "local");
	assert_true(json_is_false(json_object_get(r, "readOnly")));
	assert_string_equal(text(json_object_get(r, "requestParameters"), "userName"), "kim");
	made = json_object_get(json_object_get(r, "responseElements"), "accessKey");
	assert_string_equal(text(made, "accessKeyId"), id);
	assert_string_equal(text(made, "userName"), "kim");
	assert_string_equal(text(made, "status"), "Active");
	assert_string_equal(text(made, "createDate"), "2023-11-14T22:13:20Z");
	assert_null(json_object_get(r, "errorCode"));
	assert_int_equal(strlen(text(r, "eventID")), 36);
	assert_int_equal(strlen(text(r, "requestID")), 36);
	whole = json_dumps(r, 0);
	assert_null(strstr(whole, secret));
	free(whole);
	json_decref(list);
}

static void deleting_an_access_key_is_recorded(void **state)
{
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE];
	json_t *list, *r;

	assert_int_equal(engine_access_key_create(k->engine, NULL, NULL, id, secret), ERR_OK);
	assert_int_equal(engine_access_key_delete(k->engine, id), ERR_OK);
	assert_int_equal(engine_access_key_delete(k->engine, id), ERR_NOT_FOUND);
	assert_int_equal(engine_access_key_delete(k->engine, "\xff"), ERR_NOT_FOUND);
	list = records_of(k, "DeleteAccessKey", 3);
	r = json_array_get(list, 0);
	assert_string_equal(text(r, "eventSource"), "iam.amazonaws.com");
	assert_string_equal(text(json_object_get(r, "requestParameters"), "accessKeyId"), id);
	assert_true(json_is_null(json_object_get(r, "responseElements")));
	assert_null(json_object_get(r, "errorCode"));
	r = json_array_get(list, 1);
	assert_string_equal(text(r, "errorCode"), "NoSuchEntityException");
	assert_string_equal(text(json_object_get(r, "requestParameters"), "accessKeyId"), id);
	json_decref(list);
}

static void refused_access_keys_are_recorded(void **state)
{
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE], arn[400];
	json_t *list;

	memset(arn, 'x', sizeof(arn));
	memcpy(arn, "arn:aws:iam::000000000000:user/", 31);
	arn[sizeof(arn) - 1] = '\0';
	assert_int_equal(engine_access_key_create(k->engine, "12", NULL, id, secret), ERR_USAGE);
	/* Cut to what the row holds it would be another identity's. */
	assert_int_equal(engine_access_key_create(k->engine, NULL, arn, id, secret), ERR_USAGE);
	list = records_of(k, "CreateAccessKey", 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(text(json_array_get(list, i), "errorCode"), "ValidationException");
		assert_true(json_is_null(json_object_get(json_array_get(list, i), "responseElements")));
	}
	json_decref(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_user_agent_of_any_bytes_is_recorded),
		TEST(a_refusal_of_any_bytes_is_recorded),
		TEST(a_message_cut_inside_a_character_is_still_text),
		TEST(a_context_of_many_pairs_is_recorded),
		TEST(a_context_that_no_operation_accepts_is_not_recorded),
		TEST(reencryption_is_found_by_either_key),
		TEST(making_an_access_key_is_recorded),
		TEST(deleting_an_access_key_is_recorded),
		TEST(refused_access_keys_are_recorded),
	};

	return cmocka_run_group_tests_name("engine_trail", tests, NULL, NULL);
}
