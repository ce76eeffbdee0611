/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/engine/operations.h"
#include "tests/support/keystore.h"
#include "tests/support/prng.h"

/*
 * Random requests to every operation, made of members that the model knows and values of every type: each is answered or refused
 * with an exception, and none ends as an internal failure.
 */

enum { REQUESTS = 12000 };

static const char *const operations[] = {"CancelKeyDeletion", "CreateAlias", "CreateKey", "Decrypt", "DeleteAlias",
	"DescribeKey", "DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation", "Encrypt",
	"GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateRandom", "GetKeyRotationStatus", "ListAliases",
	"ListKeyRotations", "ListKeys", "ReEncrypt", "RotateKeyOnDemand", "ScheduleKeyDeletion", "UpdateAlias",
	"UpdateKeyDescription"};

struct material {
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];
	char long_text[10000];
};

static json_t *some_text(struct prng *rng, const struct material *m)
{
	const char *const texts[] = {"", "x", m->id, m->arn, m->blob, "alias/a", "alias/aws/signetfs", "alias/",
		"alias/a:b", "arn:aws:kms:::", "arn:aws:kms:eu-central-1:000000000000:alias/a",
		"arn:aws:kms:eu-central-1:0:key/x", "mrk-", "AES_256", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT",
		"RSA_2048", "AWS_KMS", "aGVsbG8=", "====", "AAAA", "\xc3\xa9\xe2\x82\xac", "%s%n", "'", m->long_text,
		"{}", "{\"Statement\":[]}", "ALL_KEY_MATERIAL"};

	return json_string(texts[prng_below(rng, sizeof(texts) / sizeof(texts[0]))]);
}

static json_t *some_value(struct prng *rng, const struct material *m, int depth)
{
	static const json_int_t numbers[] = {0, 1, -1, 7, 32, 1024, 1025, INT32_MAX, INT64_MAX, INT64_MIN};
	json_t *list;

	switch (prng_below(rng, depth > 3 ? 5 : 9)) {
	case 0:
		return json_integer(numbers[prng_below(rng, sizeof(numbers) / sizeof(numbers[0]))]);
	case 1:
		return json_boolean(prng_below(rng, 2));
	case 2:
		return json_null();
	case 3:
		return json_real(1.5);
	case 5:
		list = json_array();
		for (uint64_t n = prng_below(rng, 12); n > 0; n--)
			json_array_append_new(list, some_value(rng, m, depth + 1));
		return list;
	case 6:
		list = json_object();
		json_object_set_new(list, "TagKey", some_value(rng, m, depth + 1));
		json_object_set_new(list, "TagValue", some_value(rng, m, depth + 1));
		return list;
	default:
		return some_text(rng, m);
	}
}

static json_t *some_request(struct prng *rng, const struct material *m, const char *operation)
{
	const struct operation *op = operations_find(operation);
	json_t *request = json_object();

	assert_non_null(op);
	for (const struct member *member = op->members; member->name != NULL; member++) {
		uint64_t choice = prng_below(rng, 10);

		if (choice < 3)
			continue;
		if (choice < 6 && member->type == MEMBER_STRING)
			json_object_set_new(request, member->name, json_string(m->id));
		else if (choice < 6 && member->type == MEMBER_BLOB)
			json_object_set_new(request, member->name, json_string(m->blob));
		else
			json_object_set_new(request, member->name, some_value(rng, m, 0));
	}
	return request;
}

static void random_requests(void **state)
{
	struct keystore *k = *state;
	struct material *m = calloc(1, sizeof(*m));
	unsigned answered = 0, refused = 0;
	struct prng rng;
	json_t *body;

	prng_init(&rng);
	memset(m->long_text, 'a', sizeof(m->long_text) - 1);
	keystore_new_key(k, m->id, m->arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", m->id);
	keystore_text(body, "CiphertextBlob", m->blob);
	json_decref(body);
	for (int i = 0; i < REQUESTS; i++) {
		const char *operation = operations[prng_below(&rng, sizeof(operations) / sizeof(operations[0]))];
		json_t *request = some_request(&rng, m, operation);
		struct engine_reply reply;

		engine_call(k->engine, &k->caller, operation, request, &reply);
		if (reply.error == ERR_KMS_INTERNAL || (reply.error != ERR_OK && reply.body != NULL))
			fail_msg("%s %s: %s", operation, json_dumps(request, 0), reply.message);
		answered += reply.error == ERR_OK;
		refused += reply.error != ERR_OK;
		json_decref(reply.body);
		json_decref(request);
	}
	assert_true(answered > REQUESTS / 50);
	assert_true(refused > REQUESTS / 50);
	free(m);
}

static void long_values_leave_room_for_the_reason(void **state)
{
	struct keystore *k = *state;
	char value[3000];

	memset(value, 'k', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	json_t *request = json_pack("{s:s}", "KeyId", value);
	struct engine_reply reply;

	engine_call(k->engine, &k->caller, "DescribeKey", request, &reply);
	assert_int_equal(reply.error, ERR_KMS_VALIDATION);
	assert_non_null(
		strstr(reply.message, "at 'keyId' failed to satisfy constraint: Member must have length less than or "
				      "equal to 2048"));
	json_decref(request);
}

/* A member that the model of the operation does not have is checked by nobody, so nobody may look at it. */
static void members_of_other_operations(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "ListKeys", "{'GrantTokens':[1]}");
	keystore_do(k, "DisableKey", "{'KeyId':'%s','GrantTokens':[null,{}],'Tags':[7],'EncryptionContext':5}", id);
	keystore_fails(k, ERR_KMS_SERIALIZATION, "NUMBER_VALUE can not be converted to a String", "DescribeKey",
		"{'KeyId':'%s','GrantTokens':[1]}", id);
}

static void no_request_at_all(void **state)
{
	struct keystore *k = *state;
	struct engine_reply reply;

	engine_call(k->engine, &k->caller, "ListKeys", NULL, &reply);
	assert_int_equal(reply.error, ERR_KMS_SERIALIZATION);
	engine_call(k->engine, &k->caller, "", NULL, &reply);
	assert_int_equal(reply.error, ERR_KMS_UNKNOWN_OPERATION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_requests, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(
			long_values_leave_room_for_the_reason, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(members_of_other_operations, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(no_request_at_all, keystore_setup, keystore_teardown),
	};

	return cmocka_run_group_tests_name("engine_hostile", tests, NULL, NULL);
}
