/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/engine/cost.h"
#include "kms/engine/iam.h"
#include "kms/engine/names.h"
#include "tests/support/iam.h"

/* Resource quotas at their border, what is refused before it is an operation, and what keys that are gone cost. */

#define USER "arn:aws:iam::000000000000:user/ada"

/* ---- Resource quotas ---- */

static void keys_of_an_account_in_a_region(void **state)
{
	static const char message[] = "An account may have at most 3 customer keys in a Region.";
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	uint64_t due;

	assert_int_equal(engine_set_resource_quotas(k->engine, "keys=3"), ERR_OK);
	keystore_do(k, "GenerateDataKey",
		"{'KeyId':'alias/aws/signetfs','KeySpec':'AES_256'}"); /* AWS managed: not counted */
	keystore_do(k, "CreateKey", "{'MultiRegion':true}");
	keystore_do(k, "CreateKey", "{'KeySpec':'ECC_NIST_P256','KeyUsage':'SIGN_VERIFY'}");
	keystore_new_key(k, id, arn);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, message, "CreateKey", "{}");
	/* Of another Region another count; one that waits for its deletion counts until it is gone. */
	snprintf(k->caller.region, sizeof(k->caller.region), "eu-west-1");
	keystore_do(k, "CreateKey", "{}");
	snprintf(k->caller.region, sizeof(k->caller.region), KEYSTORE_REGION);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", id);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, message, "CreateKey", "{}");
	for (int day = 0; day < 8; day++) {
		assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
		clock_fake_advance(&k->clock, UINT64_C(86400) * CLOCK_SECOND);
	}
	assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", id);
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, message, "CreateKey", "{}");
	/* Raised, also for another process that opens the keystore: the count is the keystore's. */
	keystore_reopen(k);
	assert_int_equal(engine_set_resource_quotas(k->engine, "keys=4"), ERR_OK);
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "An account may have at most 4 customer keys in a Region.",
		"CreateKey", "{}");
}

static void a_replica_counts_in_its_region(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "CreateKey", "{'MultiRegion':true}");
	char id[64];

	snprintf(id, sizeof(id), "%s",
		json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "KeyId")));
	json_decref(body);
	assert_int_equal(engine_set_resource_quotas(k->engine, "keys=1"), ERR_OK);
	snprintf(k->caller.region, sizeof(k->caller.region), "us-east-1");
	keystore_do(k, "CreateKey", "{}");
	snprintf(k->caller.region, sizeof(k->caller.region), KEYSTORE_REGION);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "An account may have at most 1 customer keys in a Region.",
		"ReplicateKey", "{'KeyId':'%s','ReplicaRegion':'us-east-1'}", id);
	keystore_do(k, "ReplicateKey", "{'KeyId':'%s','ReplicaRegion':'us-west-2'}", id);
}

static void what_a_key_may_have(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], user[ENGINE_ARN_SIZE], tags[4096], *p = tags;

	iam_user(k, "ada", user);
	keystore_new_key(k, id, arn);
	assert_int_equal(engine_set_resource_quotas(k->engine, "aliases-per-key=2, grants-per-key=3"), ERR_OK);
	for (int i = 0; i < 2; i++)
		keystore_do(k, "CreateAlias", "{'AliasName':'alias/a%d','TargetKeyId':'%s'}", i, id);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "A key may have at most 2 aliases.", "CreateAlias",
		"{'AliasName':'alias/more','TargetKeyId':'%s'}", id);
	for (int i = 0; i < 3; i++)
		keystore_do(
			k, "CreateGrant", "{'KeyId':'%s','GranteePrincipal':'" USER "','Operations':['Encrypt']}", id);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "A key may have at most 3 grants.", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" USER "','Operations':['Encrypt']}", id);
	for (int i = 0; i < 50; i++)
		p += sprintf(p, "%s{'TagKey':'t%d','TagValue':''}", i ? "," : "", i);
	keystore_do(k, "TagResource", "{'KeyId':'%s','Tags':[%s]}", id, tags);
	keystore_do(k, "TagResource", "{'KeyId':'%s','Tags':[{'TagKey':'t7','TagValue':'again'}]}", id);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, "A key may have at most 50 tags.", "TagResource",
		"{'KeyId':'%s','Tags':[{'TagKey':'one-more','TagValue':''}]}", id);
	for (int i = 0; i < 25; i++)
		keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, NULL, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
}

static void numbers_that_are_none(void **state)
{
	static const char *const bad[] = {"keys", "keys=", "keys=0", "keys=-1", "keys=+1", "keys=1x",
		"keys=99999999999", "nothing=4", "=4", "tags-per-key=51", "policy-bytes=40000",
		"on-demand-rotations-per-key=26"};
	struct keystore *k = *state;

	assert_int_equal(engine_set_resource_quotas(k->engine, "keys=1"), ERR_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(engine_set_resource_quotas(k->engine, bad[i]), ERR_CONFIG);
		assert_int_equal(engine_check_quotas("", bad[i]), ERR_CONFIG);
	}
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, NULL, "CreateKey", "{}");
	assert_int_equal(engine_set_resource_quotas(k->engine, ""), ERR_OK);
	keystore_do(k, "CreateKey", "{}");
}

/* ---- The report ---- */

static const json_t *entry_of(const json_t *body, const char *list, const char *quota)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(body, list), i, entry) {
		if (strcmp(json_string_value(json_object_get(entry, "Quota")), quota) == 0)
			return entry;
	}
	fail_msg("no quota %s", quota);
	return NULL;
}

static void expect(const json_t *entry, const char *member, json_int_t value)
{
	if (json_integer_value(json_object_get(entry, member)) != value)
		fail_msg("%s is %lld, not %lld", member, (long long)json_integer_value(json_object_get(entry, member)),
			(long long)value);
}

static void use_and_headroom(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	const json_t *entry;
	json_t *body;

	keystore_new_key(k, id, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/a','TargetKeyId':'%s'}", id);
	body = keystore_ok(k, "SignetfsGetQuotas", "{}");
	assert_true(json_is_false(json_object_get(body, "RequestQuotasEnforced")));
	assert_int_equal(json_array_size(json_object_get(body, "RequestQuotas")), 0);
	json_decref(body);
	assert_int_equal(engine_set_quotas(k->engine, "CreateKey=2"), ERR_OK);
	keystore_do(k, "CreateKey", "{}");
	keystore_do(k, "CreateKey", "{}");
	keystore_fails(k, ERR_KMS_THROTTLING, NULL, "CreateKey", "{}");
	body = keystore_ok(k, "SignetfsGetQuotas", "{}");
	entry = entry_of(body, "RequestQuotas", "CreateKey");
	expect(entry, "Limit", 2);
	expect(entry, "Used", 2);
	expect(entry, "Left", 0);
	expect(entry, "Requests", 2);
	expect(entry, "Throttled", 1);
	entry = entry_of(body, "RequestQuotas", "cryptographic-symmetric");
	expect(entry, "Left", 10000);
	entry = entry_of(body, "ResourceQuotas", "keys");
	expect(entry, "Limit", 100000);
	expect(entry, "Used", 3);
	expect(entry, "Left", 99997);
	assert_string_equal(json_string_value(json_object_get(entry, "AccountId")), KEYSTORE_ACCOUNT);
	assert_string_equal(json_string_value(json_object_get(entry, "Region")), KEYSTORE_REGION);
	entry = entry_of(body, "ResourceQuotas", "aliases-per-key");
	expect(entry, "Used", 1);
	assert_string_equal(json_string_value(json_object_get(entry, "KeyArn")), arn);
	expect(entry_of(body, "ResourceQuotas", "grants-per-key"), "Used", 0);
	json_decref(body);
	clock_fake_advance(&k->clock, CLOCK_SECOND / 2);
	body = keystore_ok(k, "SignetfsGetQuotas", "{}");
	expect(entry_of(body, "RequestQuotas", "CreateKey"), "Left", 1);
	json_decref(body);
}

/* It tells of all accounts: an identity policy that allows kms:* is not enough. */
static void the_report_is_the_owners(void **state)
{
	struct keystore *k = *state;
	char user[ENGINE_ARN_SIZE];

	iam_user(k, "ada", user);
	iam_attach(k, "ada", "all", "{'Effect':'Allow','Action':'kms:*','Resource':'*'}");
	iam_become(k, "ada");
	keystore_do(k, "ListKeys", "{}");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "SignetfsGetQuotas", "{}");
	assert_int_equal(engine_account_create(k->engine, "111122223333", "other"), ERR_OK);
	k->caller = (struct engine_caller){
		.account = "111122223333", .arn = "arn:aws:iam::111122223333:root", .region = KEYSTORE_REGION};
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "SignetfsGetQuotas", "{}");
}

/* ---- What is refused before it is an operation ---- */

struct seen {
	int single, summed;
	json_int_t count;
	char account[32];
};

static enum err look(void *context, const char *text)
{
	struct seen *s = context;
	json_t *record = json_loads(text, 0, NULL), *details = json_object_get(record, "serviceEventDetails");

	if (details != NULL) {
		s->summed++;
		s->count += json_integer_value(json_object_get(details, "count"));
		snprintf(
			s->account, sizeof(s->account), "%s", json_string_value(json_object_get(details, "accountId")));
	} else if (json_object_get(record, "errorCode") != NULL) {
		s->single++;
	}
	json_decref(record);
	return ERR_OK;
}

static struct seen trail_of(struct keystore *k)
{
	const struct engine_audit_filter all = {.limit = 0};
	struct seen seen = {0};

	assert_int_equal(engine_audit_list(k->engine, &all, look, &seen), ERR_OK);
	return seen;
}

/* Signed by somebody, but no valid request, or one too many: these are bounded on the trail; what was decided is all there. */
static void floods_of_somebody_are_summed_up(void **state)
{
	struct keystore *k = *state;
	struct seen seen;
	const char *code;
	uint64_t due;

	for (int i = 0; i < 150; i++)
		keystore_fails(k, ERR_KMS_VALIDATION, NULL, "ListKeys", "{'Limit':0}");
	assert_int_equal(trail_of(k).single, 100);
	clock_fake_advance(&k->clock, 100 * CLOCK_SECOND);
	assert_int_equal(engine_set_quotas(k->engine, "ListKeys=1"), ERR_OK);
	keystore_do(k, "ListKeys", "{}");
	for (int i = 0; i < 150; i++)
		keystore_fails(k, ERR_KMS_THROTTLING, NULL, "ListKeys", "{}");
	assert_int_equal(trail_of(k).single, 200);
	for (int i = 0; i < 20; i++)
		assert_null(iam_sts(k, "NoSuchAction", "{}", &code));
	/* What was decided is recorded one by one, whatever the flood. */
	for (int i = 0; i < 20; i++)
		keystore_fails(
			k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'12345678-1234-1234-1234-1234567890ab'}");
	assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
	seen = trail_of(k);
	assert_int_equal(seen.single, 220);
	assert_int_equal(seen.summed, 1);
	assert_int_equal(seen.count, 50 + 50 + 20);
	assert_string_equal(seen.account, KEYSTORE_ACCOUNT);
}

static void sts_has_a_quota(void **state)
{
	struct keystore *k = *state;
	const char *code;

	assert_int_equal(engine_set_quotas(k->engine, "sts=2"), ERR_OK);
	for (int i = 0; i < 2; i++)
		json_decref(iam_sts(k, "GetCallerIdentity", "{}", &code));
	assert_null(code);
	assert_null(iam_sts(k, "GetCallerIdentity", "{}", &code));
	assert_string_equal(code, "Throttling");
	clock_fake_advance(&k->clock, CLOCK_SECOND / 2);
	json_decref(iam_sts(k, "GetCallerIdentity", "{}", &code));
	assert_null(code);
}

/* ---- What keys that are gone cost ---- */

#define DAY (UINT64_C(86400) * CLOCK_SECOND)

struct bill {
	char key[ENGINE_ARN_SIZE];
	double key_dollars, sign_dollars;
};

static void take_line(void *context, const struct cost_line *line)
{
	struct bill *b = context;

	if (strcmp(line->key_arn, b->key) != 0)
		return;
	if (strcmp(line->operation, "key") == 0)
		b->key_dollars = line->dollars;
	else if (strcmp(line->operation, "Sign") == 0)
		b->sign_dollars = line->dollars;
}

static struct bill bill_of(struct keystore *k, const char *key, uint64_t from, uint64_t to)
{
	const struct cost_month month = {from, to};
	struct bill bill = {.key_dollars = -1};
	struct cost_total total;

	snprintf(bill.key, sizeof(bill.key), "%s", key);
	assert_int_equal(engine_cost(k->engine, &month, take_line, &bill, &total), ERR_OK);
	return bill;
}

static void a_deleted_key_costs_until_it_was_to_be_deleted(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "CreateKey", "{'KeySpec':'ECC_NIST_P256','KeyUsage':'SIGN_VERIFY'}");
	char arn[ENGINE_ARN_SIZE];
	uint64_t start = k->clock.clock.wall(&k->clock.clock), due;
	struct bill bill;

	snprintf(arn, sizeof(arn), "%s",
		json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "Arn")));
	json_decref(body);
	for (int i = 0; i < 100; i++)
		keystore_do(k, "Sign", "{'KeyId':'%s','Message':'aGVsbG8=','SigningAlgorithm':'ECDSA_SHA_256'}", arn);
	clock_fake_advance(&k->clock, 6 * DAY);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", arn);
	clock_fake_advance(&k->clock, DAY);
	/* While it waits, and after it is gone: six days of thirty, and the requests at the price of its kind. */
	for (int day = 0; day < 9; day++) {
		bill = bill_of(k, arn, start, start + 30 * DAY);
		assert_float_equal(bill.key_dollars, 6.0 / 30, 1e-9);
		assert_float_equal(bill.sign_dollars, 0.15 * 100 / 10000, 1e-9);
		assert_int_equal(engine_run_due(k->engine, &due), ERR_OK);
		clock_fake_advance(&k->clock, DAY);
	}
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", arn);
	bill = bill_of(k, arn, start + 30 * DAY, start + 60 * DAY);
	assert_true(bill.key_dollars < 0); /* no line */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(keys_of_an_account_in_a_region),
		TEST(a_replica_counts_in_its_region),
		TEST(what_a_key_may_have),
		TEST(numbers_that_are_none),
		TEST(use_and_headroom),
		TEST(the_report_is_the_owners),
		TEST(floods_of_somebody_are_summed_up),
		TEST(sts_has_a_quota),
		TEST(a_deleted_key_costs_until_it_was_to_be_deleted),
	};

	return cmocka_run_group_tests_name("engine_limits", tests, NULL, NULL);
}
