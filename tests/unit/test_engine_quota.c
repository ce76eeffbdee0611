/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/engine/quota.h"
#include "tests/support/keystore.h"

/* Request quotas: whose, of what, and how fast they come back. */

static const char message[] =
	"You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";

static void a_bucket_empties_and_fills(void **state)
{
	struct keystore *k = *state;

	assert_int_equal(engine_set_quotas(k->engine, ""), ERR_OK);
	for (int i = 0; i < 5; i++)
		keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, message, "CreateKey", "{}");
	keystore_do(k, "ListKeys", "{}"); /* of another class */
	clock_fake_advance(&k->clock, CLOCK_SECOND / 5);
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, message, "CreateKey", "{}");
	clock_fake_advance(&k->clock, 100 * CLOCK_SECOND);
	for (int i = 0; i < 5; i++)
		keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, message, "CreateKey", "{}");
}

static void each_region_pays_for_itself(void **state)
{
	struct keystore *k = *state;

	assert_int_equal(engine_set_quotas(k->engine, "CreateKey=1"), ERR_OK);
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, message, "CreateKey", "{}");
	snprintf(k->caller.region, sizeof(k->caller.region), "eu-west-1");
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, message, "CreateKey", "{}");
}

/* Region names cost nothing: who makes up ever new ones gets no more than a bounded number of buckets, and empties nobody else's. */
static void made_up_regions_share_a_bucket(void **state)
{
	struct quota *q = quota_new();
	int class = quota_class("CreateKey", ""), granted = 0;
	char region[32];

	(void)state;
	assert_non_null(q);
	assert_int_equal(quota_configure(q, "CreateKey=1"), ERR_OK);
	assert_int_equal(quota_take(q, "111122223333", "eu-west-1", class, CLOCK_SECOND), ERR_OK);
	for (int i = 0; i < 5000; i++) {
		snprintf(region, sizeof(region), "made-up-%d", i % 500);
		granted += quota_take(q, "000000000000", region, class, CLOCK_SECOND) == ERR_OK;
	}
	assert_int_equal(granted, 17); /* 16 regions, and all others together */
	assert_int_equal(quota_take(q, "111122223333", "eu-west-1", class, CLOCK_SECOND), ERR_KMS_THROTTLING);
	quota_free(q);
}

static void symmetric_operations_share_a_bucket(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	assert_int_equal(engine_set_quotas(k->engine, "cryptographic-symmetric=2"), ERR_OK);
	keystore_do(k, "GenerateRandom", "{'NumberOfBytes':8}");
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	keystore_fails(k, ERR_KMS_THROTTLING, message, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
	assert_int_equal(engine_set_quotas(k->engine, "none"), ERR_OK);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
}

static void nonsense_changes_nothing(void **state)
{
	static const char *const bad[] = {"CreateKey", "CreateKey=", "CreateKey=0", "CreateKey=-1", "CreateKey=1x",
		"Nothing=4", "=4", "CreateKey=99999999"};
	struct keystore *k = *state;

	assert_int_equal(engine_set_quotas(k->engine, "CreateKey=1, ListKeys=7"), ERR_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(engine_set_quotas(k->engine, bad[i]), ERR_CONFIG);
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, message, "CreateKey", "{}");
}

static void the_classes_are_aws_s(void **state)
{
	static const struct {
		const char *operation, *spec, *class;
		uint32_t rate;
	} expected[] = {
		{"Encrypt", "", "cryptographic-symmetric", 10000},
		{"Sign", "RSASSA_PSS_SHA_256", "cryptographic-rsa", 1000},
		{"Decrypt", "RSAES_OAEP_SHA_256", "cryptographic-rsa", 1000},
		{"Verify", "ECC_", "cryptographic-ecc", 1000},
		{"GenerateMac", "", "cryptographic-symmetric", 10000},
		{"GenerateDataKeyPair", "RSA_4096", "key-pair-RSA_4096", 1},
		{"GenerateDataKeyPairWithoutPlaintext", "ECC_NIST_P256", "key-pair-ECC_NIST_P256", 100},
		{"DescribeKey", "", "DescribeKey", 2000},
		{"CreateGrant", "", "CreateGrant", 50},
		{"GetParametersForImport", "", "GetParametersForImport", 1},
		{"CreateKey", "", "CreateKey", 5},
	};
	struct quota *q = quota_new();

	(void)state;
	assert_int_equal(quota_rate(q, 0), 0);
	assert_int_equal(quota_configure(q, ""), ERR_OK);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		int class = quota_class(expected[i].operation, expected[i].spec);

		assert_string_equal(quota_class_name(class), expected[i].class);
		assert_int_equal(quota_rate(q, class), expected[i].rate);
	}
	assert_int_equal(quota_class("Nothing", ""), -1);
	quota_free(q);
}

struct seen {
	int single, summed;
	json_int_t count;
};

static enum err look(void *context, const char *text)
{
	struct seen *s = context;
	json_t *record = json_loads(text, 0, NULL), *details = json_object_get(record, "serviceEventDetails");

	if (details) {
		json_t *errors = json_object_get(details, "errors");

		s->summed++;
		s->count += json_integer_value(json_object_get(details, "count"));
		assert_int_equal(json_integer_value(json_object_get(errors, "InvalidSignatureException")),
			json_integer_value(json_object_get(details, "count")));
	} else {
		s->single++;
	}
	json_decref(record);
	return ERR_OK;
}

/* Whoever reaches the port can be refused as often as they like: it neither fills the disk nor goes unseen. */
static void a_flood_of_nobody_is_summed_up(void **state)
{
	const struct engine_audit_filter all = {.limit = 0};
	const struct engine_caller nobody = {.source_ip = "192.0.2.1"};
	struct keystore *k = *state;
	struct seen seen = {0};
	uint64_t due;

	for (int i = 0; i < 5000; i++)
		engine_audit_refusal(k->engine, &nobody, "Decrypt", ERR_KMS_SIGNATURE_MISMATCH, "no", "id");
	assert_int_equal(engine_audit_list(k->engine, &all, look, &seen), ERR_OK);
	assert_int_equal(seen.single, 100);
	assert_int_equal(seen.summed, 0);
	assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
	clock_fake_advance(&k->clock, CLOCK_SECOND);
	for (int i = 0; i < 15; i++)
		engine_audit_refusal(k->engine, &nobody, "Decrypt", ERR_KMS_SIGNATURE_MISMATCH, "no", "id");
	keystore_reopen(k); /* closing records what was counted */
	seen = (struct seen){0};
	assert_int_equal(engine_audit_list(k->engine, &all, look, &seen), ERR_OK);
	assert_int_equal(seen.single, 110);
	assert_int_equal(seen.summed, 2);
	assert_int_equal(seen.count, 4905);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(a_bucket_empties_and_fills),
		TEST(each_region_pays_for_itself),
		cmocka_unit_test(made_up_regions_share_a_bucket),
		TEST(symmetric_operations_share_a_bucket),
		TEST(nonsense_changes_nothing),
		TEST(a_flood_of_nobody_is_summed_up),
		cmocka_unit_test(the_classes_are_aws_s),
	};

	return cmocka_run_group_tests_name("engine_quota", tests, NULL, NULL);
}
