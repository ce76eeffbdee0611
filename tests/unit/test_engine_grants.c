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
#include "tests/support/iam.h"

#define ALICE    "arn:aws:iam::000000000000:user/alice"
#define BOB      "arn:aws:iam::000000000000:user/bob"
#define DATA_KEY "'KeySpec':'AES_256'"

struct grant {
	char id[512], token[512];
};

static int two_users(void **state)
{
	char arn[ENGINE_ARN_SIZE];
	int rc = keystore_setup(state);

	iam_user(*state, "alice", arn);
	assert_string_equal(arn, ALICE);
	iam_user(*state, "bob", arn);
	return rc;
}

static struct grant create(struct keystore *k, const char *key, const char *rest)
{
	json_t *body = keystore_ok(k, "CreateGrant", "{'KeyId':'%s',%s}", key, rest);
	struct grant g = {.id = ""};

	keystore_text(body, "GrantId", g.id);
	keystore_text(body, "GrantToken", g.token);
	assert_int_equal(json_object_size(body), 2);
	assert_int_equal(strlen(g.id), 64);
	json_decref(body);
	return g;
}

static void a_grant_lets_its_grantee_do_its_operations(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], other[64], message[512];
	struct grant g;

	keystore_new_key(k, other, arn);
	keystore_new_key(k, key, arn);
	g = create(k, key, "'GranteePrincipal':'" ALICE "','Operations':['GenerateDataKey','DescribeKey']");
	iam_become(k, "alice");
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", key);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	snprintf(message, sizeof(message),
		"User: " ALICE " is not authorized to perform: kms:Encrypt on resource: %s because no identity-based "
		"policy allows the kms:Encrypt action",
		arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, message, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", other);
	iam_become(k, "bob");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", key);
	iam_become(k, "root");
	keystore_do(k, "RevokeGrant", "{'KeyId':'%s','GrantId':'%s'}", key, g.id);
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", key);
	/* Its token verifies still, and opens nothing any more. */
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey",
		"{'KeyId':'%s'," DATA_KEY ",'GrantTokens':['%s']}", key, g.token);
}

static void constraints_on_the_encryption_context(void **state)
{
	static const struct {
		const char *constraint, *context;
		int allowed;
	} cases[] = {
		{"'EncryptionContextSubset':{'a':'1'}", "{'a':'1'}", 1},
		{"'EncryptionContextSubset':{'a':'1'}", "{'b':'2','a':'1'}", 1},
		{"'EncryptionContextSubset':{'a':'1'}", "{'a':'2'}", 0},
		{"'EncryptionContextSubset':{'a':'1'}", "{'A':'1'}", 1},
		{"'EncryptionContextSubset':{'a':'x'}", "{'a':'X'}", 0},
		{"'EncryptionContextEquals':{'a':'1','b':'2'}", "{'B':'2','A':'1'}", 1},
		{"'EncryptionContextEquals':{'a':'1','A':'1'}", "{'a':'1','c':'3'}", 0},
		{"'EncryptionContextEquals':{'a':'1','c':'3'}", "{'a':'1','A':'1'}", 0},
		{"'EncryptionContextSubset':{'a':'1'}", "{}", 0},
		{"'EncryptionContextEquals':{'a':'1','b':'2'}", "{'b':'2','a':'1'}", 1},
		{"'EncryptionContextEquals':{'a':'1','b':'2'}", "{'b':'2','a':'1','c':''}", 0},
		{"'EncryptionContextEquals':{'a':'1','b':'2'}", "{'a':'1'}", 0},
	};
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], rest[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err e;

		iam_become(k, "root");
		keystore_new_key(k, key, arn);
		snprintf(rest, sizeof(rest),
			"'GranteePrincipal':'" ALICE
			"','Operations':['GenerateDataKey','DescribeKey'],'Constraints':{%s}",
			cases[i].constraint);
		create(k, key, rest);
		iam_become(k, "alice");
		e = keystore_try(k, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY ",'EncryptionContext':%s}", key,
			cases[i].context);
		if (e != (cases[i].allowed ? ERR_OK : ERR_KMS_ACCESS_DENIED))
			fail_msg("case %zu: %s", i, err_name(e));
		/* It says nothing of operations without a context. */
		keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	}
}

static void what_create_grant_refuses(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, key, arn);
	keystore_fails(k, ERR_KMS_INVALID_ARN,
		"ARN does not refer to a valid principal: arn:aws:iam::000000000000:user/nobody", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'arn:aws:iam::000000000000:user/nobody','Operations':['Decrypt']}",
		key);
	keystore_fails(k, ERR_KMS_INVALID_ARN, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE
		"','RetiringPrincipal':'arn:aws:iam::999999999999:root','Operations':['Decrypt']}",
		key);
	keystore_fails(k, ERR_KMS_VALIDATION, "A grant needs at least one operation.", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':[]}", key);
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['DisableKey']}", key);
	keystore_fails(k, ERR_KMS_VALIDATION,
		"Operations of the grant are not valid for a key of KeySpec SYMMETRIC_DEFAULT and KeyUsage "
		"ENCRYPT_DECRYPT.",
		"CreateGrant", "{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt','Sign']}", key);
	keystore_fails(k, ERR_KMS_VALIDATION,
		"A grant has EncryptionContextEquals or EncryptionContextSubset, not both.", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextEquals':{'a':'b'},"
		"'EncryptionContextSubset':{'a':'b'}}}",
		key);
	keystore_fails(k, ERR_KMS_DRY_RUN, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt'],'DryRun':true}", key);
	body = keystore_ok(k, "ListGrants", "{'KeyId':'%s'}", key);
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 0);
	json_decref(body);
}

static void a_name_makes_a_retry_harmless(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	struct grant a, b, c;
	json_t *body;

	keystore_new_key(k, key, arn);
	a = create(k, key,
		"'Name':'n','GranteePrincipal':'" ALICE
		"','Operations':['Decrypt','Encrypt'],'Constraints':{'EncryptionContextSubset':{'a':'1','b':'2'}}");
	b = create(k, key,
		"'Name':'n','GranteePrincipal':'" ALICE
		"','Operations':['Encrypt','Decrypt'],'Constraints':{'EncryptionContextSubset':{'b':'2','a':'1'}}");
	assert_string_equal(a.id, b.id);
	assert_string_not_equal(a.token, b.token);
	c = create(k, key, "'Name':'n','GranteePrincipal':'" ALICE "','Operations':['Encrypt']");
	assert_string_not_equal(a.id, c.id);
	c = create(k, key, "'GranteePrincipal':'" ALICE "','Operations':['Encrypt']");
	body = keystore_ok(k, "ListGrants", "{'KeyId':'%s'}", key);
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 3);
	json_decref(body);
}

/* A grant that gives CreateGrant hands on no more than it has. */
static void grants_made_by_a_grant(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, key, arn);
	create(k, key,
		"'GranteePrincipal':'" ALICE "','Operations':['CreateGrant','Decrypt'],"
		"'Constraints':{'EncryptionContextSubset':{'a':'1'}}");
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" BOB "','Operations':['Decrypt']}", key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" BOB
		"','Operations':['Decrypt','Encrypt'],'Constraints':{'EncryptionContextSubset':{'a':'1'}}}",
		key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" BOB
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextSubset':{'a':'2'}}}",
		key);
	create(k, key,
		"'GranteePrincipal':'" BOB
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextSubset':{'a':'1','b':'2'}}");
	create(k, key,
		"'GranteePrincipal':'" BOB
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextEquals':{'a':'1'}}");
	/* Of an equal context a subset is weaker. */
	iam_become(k, "root");
	keystore_new_key(k, key, arn);
	create(k, key,
		"'GranteePrincipal':'" ALICE "','Operations':['CreateGrant','Decrypt'],"
		"'Constraints':{'EncryptionContextEquals':{'a':'1'}}");
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" BOB
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextSubset':{'a':'1'}}}",
		key);
	create(k, key,
		"'GranteePrincipal':'" BOB
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextEquals':{'a':'1'}}");
}

static void who_may_retire(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	struct grant g;

	keystore_new_key(k, key, arn);
	/* The retiring principal, by id. */
	g = create(k, key, "'GranteePrincipal':'" ALICE "','RetiringPrincipal':'" BOB "','Operations':['Decrypt']");
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", arn, g.id);
	iam_become(k, "bob");
	keystore_fails(
		k, ERR_KMS_DRY_RUN, NULL, "RetireGrant", "{'KeyId':'%s','GrantId':'%s','DryRun':true}", arn, g.id);
	assert_null(keystore_ok(k, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", arn, g.id));
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", arn, g.id);
	/* A grantee that may, by token. */
	iam_become(k, "root");
	g = create(k, key, "'GranteePrincipal':'" ALICE "','Operations':['Decrypt','RetireGrant']");
	iam_become(k, "bob");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "RetireGrant", "{'GrantToken':'%s'}", g.token);
	iam_become(k, "alice");
	keystore_do(k, "RetireGrant", "{'GrantToken':'%s'}", g.token);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "RetireGrant", "{'GrantToken':'%s'}", g.token);
	/* The account's root; a policy can deny it. */
	iam_become(k, "root");
	g = create(k, key, "'GranteePrincipal':'" ALICE "','RetiringPrincipal':'" BOB "','Operations':['Decrypt']");
	iam_attach(k, "bob", "no", "{'Effect':'Deny','Action':'kms:RetireGrant','Resource':'*'}");
	iam_become(k, "bob");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "RetireGrant", "{'GrantToken':'%s'}", g.token);
	iam_become(k, "root");
	keystore_do(k, "RetireGrant", "{'GrantToken':'%s'}", g.token);
}

static void wrong_names_of_grants(void **state)
{
	struct keystore *k = *state;
	char key[64], other[64], arn[ENGINE_ARN_SIZE];
	struct grant g;

	keystore_new_key(k, other, arn);
	keystore_new_key(k, key, arn);
	g = create(k, key, "'GranteePrincipal':'" ALICE "','Operations':['Decrypt']");
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "RevokeGrant", "{'KeyId':'%s','GrantId':'%s'}", other, g.id);
	keystore_fails(k, ERR_KMS_INVALID_GRANT_ID, NULL, "RevokeGrant", "{'KeyId':'%s','GrantId':'x'}", key);
	keystore_fails(
		k, ERR_KMS_INVALID_GRANT_TOKEN, "The grant token is not valid.", "RetireGrant", "{'GrantToken':'x'}");
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "RetireGrant", "{}");
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "RetireGrant", "{'GrantToken':'%s','GrantId':'%s'}", g.token, g.id);
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "RetireGrant", "{'GrantId':'%s'}", g.id);
	g.token[30] = g.token[30] == 'A' ? 'B' : 'A';
	keystore_fails(k, ERR_KMS_INVALID_GRANT_TOKEN, NULL, "RetireGrant", "{'GrantToken':'%s'}", g.token);
	keystore_fails(k, ERR_KMS_INVALID_GRANT_TOKEN, NULL, "DescribeKey", "{'KeyId':'%s','GrantTokens':['%s']}", key,
		g.token);
}

static void listings(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], marker[512] = "";
	struct grant g = {"", ""};
	json_t *body, *entry;
	size_t seen = 0;

	keystore_new_key(k, key, arn);
	for (int i = 0; i < 7; i++)
		g = create(k, key,
			i % 2 ? "'GranteePrincipal':'" ALICE "','Operations':['Decrypt']"
			      : "'GranteePrincipal':'" BOB "','RetiringPrincipal':'" ALICE
				"','Operations':['Decrypt'],'Name':'n','Constraints':{'EncryptionContextEquals':{'a':'"
				"b'}}");
	/* The named one is one. */
	body = keystore_ok(k, "ListGrants", "{'KeyId':'%s','GranteePrincipal':'" BOB "'}", key);
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 1);
	entry = json_array_get(json_object_get(body, "Grants"), 0);
	assert_string_equal(json_string_value(json_object_get(entry, "KeyId")), arn);
	assert_string_equal(
		json_string_value(json_object_get(entry, "IssuingAccount")), "arn:aws:iam::000000000000:root");
	assert_string_equal(json_string_value(json_object_get(entry, "RetiringPrincipal")), ALICE);
	assert_string_equal(json_string_value(json_object_get(entry, "Name")), "n");
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(json_object_get(entry, "Constraints"), "EncryptionContextEquals"), "a")),
		"b");
	assert_int_equal(json_object_size(entry), 9);
	json_decref(body);
	for (int more = 1; more;) {
		body = marker[0] != '\0'
			       ? keystore_ok(k, "ListGrants", "{'KeyId':'%s','Limit':3,'Marker':'%s'}", key, marker)
			       : keystore_ok(k, "ListGrants", "{'KeyId':'%s','Limit':3}", key);
		seen += json_array_size(json_object_get(body, "Grants"));
		more = json_is_true(json_object_get(body, "Truncated"));
		if (more)
			keystore_text(body, "NextMarker", marker);
		json_decref(body);
	}
	assert_int_equal(seen, 4);
	body = keystore_ok(k, "ListGrants", "{'KeyId':'%s','GrantId':'%s'}", key, g.id);
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 1);
	json_decref(body);
	body = keystore_ok(k, "ListRetirableGrants", "{'RetiringPrincipal':'" ALICE "'}");
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(json_object_get(body, "Grants"), 0), "KeyId")), arn);
	json_decref(body);
	body = keystore_ok(k, "ListRetirableGrants", "{'RetiringPrincipal':'" BOB "'}");
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 0);
	json_decref(body);
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "ListRetirableGrants", "{'RetiringPrincipal':'" ALICE "'}");
}

/* A delay until a grant has spread, which its token bridges. */
static void a_token_before_the_grant_has_spread(void **state)
{
	struct keystore *k = *state;
	const struct engine_config config = {.keystore = k->path,
		.root_key = &k->root,
		.region = KEYSTORE_REGION,
		.clock = &k->clock.clock,
		.grant_delay = 5 * CLOCK_SECOND};
	char key[64], arn[ENGINE_ARN_SIZE];
	struct grant g, other;

	engine_close(k->engine);
	k->engine = NULL;
	assert_int_equal(engine_open(&config, &k->engine), ERR_OK);
	keystore_new_key(k, key, arn);
	other = create(k, key, "'GranteePrincipal':'" ALICE "','Operations':['DescribeKey']");
	g = create(k, key, "'GranteePrincipal':'" ALICE "','Operations':['GenerateDataKey']");
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey",
		"{'KeyId':'%s'," DATA_KEY ",'GrantTokens':['%s']}", key, other.token);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY ",'GrantTokens':['%s','%s']}", key, other.token,
		g.token);
	clock_fake_advance(&k->clock, 5 * CLOCK_SECOND - 1);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", key);
	clock_fake_advance(&k->clock, 1);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s'," DATA_KEY "}", key);
	/* A token is for the grantee alone. */
	iam_become(k, "bob");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GenerateDataKey",
		"{'KeyId':'%s'," DATA_KEY ",'GrantTokens':['%s']}", key, g.token);
}

#define NARROW                                                                                                         \
	"'Policy':'{\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"kms:%s\\\",\\\"Resource\\\":"   \
	"\\\"*\\\"}}'"

/* As the session app/one, with a policy of its own that allows one action. */
static void become_narrowed(struct keystore *k, const char *action)
{
	char request[1024];
	const char *code;
	json_t *body;

	iam_become(k, "alice");
	snprintf(request, sizeof(request),
		"{'RoleArn':'arn:aws:iam::000000000000:role/app','RoleSessionName':'one'," NARROW "}", action);
	body = iam_sts(k, "AssumeRole", request, &code);
	assert_non_null(body);
	iam_become_session(k, json_object_get(body, "Credentials"));
	json_decref(body);
}

/* A session that may only what its policy says retires nothing besides, unless the grant names the very session. */
static void a_session_policy_narrows_retiring(void **state)
{
	static const char *const retiring[] = {
		"arn:aws:iam::000000000000:role/app", "arn:aws:sts::000000000000:assumed-role/app/one"};
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], role[ENGINE_ARN_SIZE], text[512];

	iam_role(k, "app", "{'Statement':{'Effect':'Allow','Action':'sts:AssumeRole','Principal':{'AWS':'" ALICE "'}}}",
		role);
	keystore_new_key(k, key, arn);
	for (int i = 0; i < 2; i++) {
		struct grant g;

		iam_become(k, "root");
		snprintf(text, sizeof(text),
			"'GranteePrincipal':'" BOB "','RetiringPrincipal':'%s','Operations':['Encrypt']", retiring[i]);
		g = create(k, key, text);
		become_narrowed(k, "Encrypt");
		if (i == 0) {
			keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}",
				arn, g.id);
			become_narrowed(k, "RetireGrant");
		}
		keystore_do(k, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", arn, g.id);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, two_users, keystore_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_grant_lets_its_grantee_do_its_operations),
		TEST(constraints_on_the_encryption_context),
		TEST(what_create_grant_refuses),
		TEST(a_name_makes_a_retry_harmless),
		TEST(grants_made_by_a_grant),
		TEST(who_may_retire),
		TEST(a_session_policy_narrows_retiring),
		TEST(wrong_names_of_grants),
		TEST(listings),
		TEST(a_token_before_the_grant_has_spread),
	};

	return cmocka_run_group_tests_name("engine_grants", tests, NULL, NULL);
}
