/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/engine/iam.h"
#include "tests/support/iam.h"

/* Ways around what a policy, a grant or a session says: each was open once, or is tried because it was open elsewhere. */

#define ACCOUNT "000000000000"
#define OTHER   "111122223333"
#define ROOT    "arn:aws:iam::" ACCOUNT ":root"
#define ALICE   "arn:aws:iam::" ACCOUNT ":user/alice"
#define BOB     "arn:aws:iam::" ACCOUNT ":user/bob"

static int two_users(void **state)
{
	char arn[ENGINE_ARN_SIZE];
	int rc = keystore_setup(state);

	iam_user(*state, "alice", arn);
	iam_user(*state, "bob", arn);
	return rc;
}

/* The key's policy: root may everything, and @statement. In it ' stands for ", as everywhere. */
static void put_policy(struct keystore *k, const char *key, const char *statement)
{
	char policy[4096], *p = policy;
	static const char head[] = "{'Version':'2012-10-17','Statement':[{'Effect':'Allow','Principal':{'AWS':'" ROOT
				   "'},'Action':'kms:*','Resource':'*'},";

	for (int part = 0; part < 2; part++)
		for (const char *t = part == 0 ? head : statement; *t != '\0'; t++) {
			if (*t == '\'')
				*p++ = '\\';
			*p++ = *t;
		}
	strcpy(p, "]}");
	iam_become(k, "root");
	keystore_do(k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'%s'}", key, policy);
}

#define TO_ALICE(effect, action, condition)                                                                            \
	"{'Effect':'" effect "','Principal':{'AWS':'" ALICE "'},'Action':'" action                                     \
	"','Resource':'*','Condition':" condition "}"

/* ---- Conditions ---- */

/* A variable that holds a whole ARN, with its colons, is compared as that ARN: "grants, but none to yourself". */
static void an_arn_in_a_variable(void **state)
{
	static const struct {
		const char *statement;
		int to_alice, to_bob;
	} cases[] = {
		{TO_ALICE(
			 "Allow", "kms:CreateGrant", "{'ArnNotEquals':{'kms:GranteePrincipal':'${aws:PrincipalArn}'}}"),
			0, 1},
		{TO_ALICE("Allow", "kms:CreateGrant", "{'ArnEquals':{'kms:GranteePrincipal':'${aws:PrincipalArn}'}}"),
			1, 0},
		{TO_ALICE("Allow", "kms:CreateGrant",
			 "{'ArnLike':{'kms:GranteePrincipal':'arn:aws:iam::${aws:PrincipalAccount}:user/b*'}}"),
			0, 1},
		{TO_ALICE("Allow", "kms:CreateGrant", "{}") "," TO_ALICE(
			 "Deny", "kms:CreateGrant", "{'ArnLike':{'kms:GranteePrincipal':'${aws:PrincipalArn}'}}"),
			0, 1},
	};
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, key, arn);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum err a, b;

		put_policy(k, key, cases[i].statement);
		iam_become(k, "alice");
		a = keystore_try(k, "CreateGrant",
			"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt']}", key);
		b = keystore_try(
			k, "CreateGrant", "{'KeyId':'%s','GranteePrincipal':'" BOB "','Operations':['Decrypt']}", key);
		if (a != (cases[i].to_alice ? ERR_OK : ERR_KMS_ACCESS_DENIED) ||
			b != (cases[i].to_bob ? ERR_OK : ERR_KMS_ACCESS_DENIED))
			fail_msg("case %zu: alice %s, bob %s", i, err_name(a), err_name(b));
	}
}

/* With a larger quota a key has more aliases than AWS's 50, and each counts: the name that sorts last, too. */
static void the_alias_beyond_the_fiftieth(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];

	assert_int_equal(engine_set_resource_quotas(k->engine, "aliases-per-key=80"), ERR_OK);
	keystore_new_key(k, key, arn);
	for (int i = 0; i < 60; i++)
		keystore_do(k, "CreateAlias", "{'AliasName':'alias/a%02d','TargetKeyId':'%s'}", i, key);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/z-sealed','TargetKeyId':'%s'}", key);
	put_policy(k, key,
		TO_ALICE("Allow", "kms:*", "{}") "," TO_ALICE(
			"Deny", "kms:*", "{'ForAnyValue:StringEquals':{'kms:ResourceAliases':'alias/z-sealed'}}"));
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
}

/* Names of tags differ by case; a condition is about the one that is spelt as it says. */
static void a_tag_in_another_case(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, key, arn);
	keystore_do(k, "TagResource",
		"{'KeyId':'%s','Tags':[{'TagKey':'Level','TagValue':'secret'},{'TagKey':'LEVEL','TagValue':'public'}]}",
		key);
	put_policy(k, key, TO_ALICE("Allow", "kms:DescribeKey", "{'StringEquals':{'aws:ResourceTag/Level':'public'}}"));
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
	put_policy(k, key,
		TO_ALICE("Allow", "kms:*", "{}") "," TO_ALICE(
			"Deny", "kms:TagResource", "{'StringEquals':{'aws:RequestTag/Level':'top'}}"));
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "TagResource",
		"{'KeyId':'%s','Tags':[{'TagKey':'LEVEL','TagValue':'low'},{'TagKey':'Level','TagValue':'top'}]}", key);
}

/* A key of ReEncrypt's is one that no other operation has. */
static void a_condition_of_another_operation(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, key, arn);
	put_policy(k, key, TO_ALICE("Allow", "kms:*", "{'Bool':{'kms:ReEncryptOnSameKey':'true'}}"));
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key);
}

/* Who was deleted after it signed is nobody, not even one of all. */
static void deleted_since_it_signed(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	struct engine_caller alice;

	keystore_new_key(k, key, arn);
	put_policy(k, key, "{'Effect':'Allow','Principal':'*','Action':'kms:DescribeKey','Resource':'*'}");
	iam_become(k, "alice");
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	alice = k->caller;
	iam_become(k, "root");
	assert_int_equal(engine_principal_delete(k->engine, "alice"), ERR_OK);
	k->caller = alice;
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
}

/* ---- Grants ---- */

/* A grant to an account is for whom its identity policies let, as a key policy's word for the account is. */
static void a_grant_to_an_account(void **state)
{
	const struct engine_principal_spec spec = {.account = OTHER, .name = "bea"};
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	struct engine_principal bea;

	keystore_new_key(k, key, arn);
	assert_int_equal(engine_account_create(k->engine, OTHER, "other"), ERR_OK);
	assert_int_equal(engine_principal_create(k->engine, &spec, &bea), ERR_OK);
	keystore_do(k, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'arn:aws:iam::" OTHER ":root','Operations':['DescribeKey']}", key);
	iam_become(k, bea.arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", arn);
	iam_attach(k, bea.arn, "look", "{'Effect':'Allow','Action':'kms:DescribeKey','Resource':'*'}");
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", arn);
	/* The key's own account is no exception. */
	iam_become(k, "root");
	keystore_do(k, "CreateGrant", "{'KeyId':'%s','GranteePrincipal':'" ROOT "','Operations':['DescribeKey']}", key);
	iam_become(k, "alice");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
}

static void create_grant(struct keystore *k, const char *key, char id[512], char token[512])
{
	json_t *body = keystore_ok(k, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt','RetireGrant']}", key);

	keystore_text(body, "GrantId", id);
	keystore_text(body, "GrantToken", token);
	json_decref(body);
}

/* Whoever is not let in learns from RetireGrant neither which keys there are nor which grants. */
static void retiring_tells_nothing_of_other_accounts(void **state)
{
	static const char missing[] =
		"arn:aws:kms:" KEYSTORE_REGION ":" ACCOUNT ":key/12345678-1234-1234-1234-1234567890ab";
	static const char none[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], id[512], token[512], message[512];

	keystore_new_key(k, key, arn);
	create_grant(k, key, id, token);
	assert_int_equal(engine_account_create(k->engine, OTHER, "other"), ERR_OK);
	k->caller = (struct engine_caller){
		.account = OTHER, .arn = "arn:aws:iam::" OTHER ":root", .region = KEYSTORE_REGION, .secure = 1};
	for (int i = 0; i < 3; i++) {
		const char *named = i == 0 ? missing : arn;

		snprintf(message, sizeof(message),
			"User: arn:aws:iam::" OTHER ":root is not authorized to perform: kms:RetireGrant on resource: "
			"%s because the resource does not exist in this Region, no resource-based policies allow "
			"access, or a resource-based policy explicitly denies access",
			named);
		keystore_fails(k, ERR_KMS_ACCESS_DENIED, message, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", named,
			i == 2 ? id : none);
	}
}

/* What is in a Region is not touched from another. */
static void a_grant_is_retired_in_its_region(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], id[512], token[512];

	keystore_new_key(k, key, arn);
	create_grant(k, key, id, token);
	iam_become(k, "alice");
	snprintf(k->caller.region, sizeof(k->caller.region), "eu-west-1");
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "RetireGrant", "{'GrantToken':'%s'}", token);
	snprintf(k->caller.region, sizeof(k->caller.region), KEYSTORE_REGION);
	keystore_do(k, "RetireGrant", "{'GrantToken':'%s'}", token);
}

/* Which users another account has is not told either. */
static void listing_retirable_grants_of_others(void **state)
{
	static const char *const principals[] = {"arn:aws:iam::" OTHER ":user/bea",
		"arn:aws:iam::" OTHER ":user/nobody", "arn:aws:iam::" OTHER ":root", "arn:aws:iam::999999999999:root"};
	const struct engine_principal_spec spec = {.account = OTHER, .name = "bea"};
	struct keystore *k = *state;
	struct engine_principal bea;

	assert_int_equal(engine_account_create(k->engine, OTHER, "other"), ERR_OK);
	assert_int_equal(engine_principal_create(k->engine, &spec, &bea), ERR_OK);
	for (size_t i = 0; i < sizeof(principals) / sizeof(principals[0]); i++)
		keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "ListRetirableGrants", "{'RetiringPrincipal':'%s'}",
			principals[i]);
	keystore_fails(k, ERR_KMS_INVALID_ARN, NULL, "ListRetirableGrants", "{'RetiringPrincipal':'bea'}");
	keystore_fails(k, ERR_KMS_INVALID_ARN, NULL, "ListRetirableGrants",
		"{'RetiringPrincipal':'arn:aws:iam::" ACCOUNT ":user/nobody'}");
}

static void count_grants(struct keystore *k, const char *key, const char *filter, size_t expected)
{
	json_t *body = keystore_ok(k, "ListGrants", "{'KeyId':'%s'%s}", key, filter);

	if (json_array_size(json_object_get(body, "Grants")) != expected)
		fail_msg("%s: %zu", filter, json_array_size(json_object_get(body, "Grants")));
	json_decref(body);
}

/* The grants of who is gone are found by the id that stands for him, and not by the name that another bears now. */
static void listing_the_grants_of_who_is_gone(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], id[512], token[512], gone[512], filter[700];
	json_t *body;

	keystore_new_key(k, key, arn);
	create_grant(k, key, id, token);
	keystore_do(k, "CreateGrant", "{'KeyId':'%s','GranteePrincipal':'" BOB "','Operations':['Decrypt']}", key);
	assert_int_equal(engine_principal_delete(k->engine, "alice"), ERR_OK);
	body = keystore_ok(k, "ListGrants", "{'KeyId':'%s','GrantId':'%s'}", key, id);
	keystore_text(json_array_get(json_object_get(body, "Grants"), 0), "GranteePrincipal", gone);
	json_decref(body);
	assert_memory_equal(gone, "AIDA", 4);
	iam_user(k, "alice", arn);
	count_grants(k, key, ",'GranteePrincipal':'" ALICE "'", 0);
	snprintf(filter, sizeof(filter), ",'GrantId':'%s','GranteePrincipal':'" ALICE "'", id);
	count_grants(k, key, filter, 0);
	snprintf(filter, sizeof(filter), ",'GranteePrincipal':'%s'", gone);
	count_grants(k, key, filter, 1);
	snprintf(filter, sizeof(filter), ",'Limit':1,'GranteePrincipal':'%s'", gone);
	count_grants(k, key, filter, 1);
	count_grants(k, key, ",'GranteePrincipal':'AIDAAAAAAAAAAAAAAAAAA'", 0);
	count_grants(k, key, ",'GranteePrincipal':'s3.amazonaws.com'", 0);
	count_grants(k, key, "", 2);
}

/* ---- Sessions ---- */

/* A federated session is narrowed for good: it takes on no role, whomever the role trusts. */
static void a_federated_user_takes_on_no_role(void **state)
{
	static const char policy[] =
		"'Policy':'{\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"*\\\","
		"\\\"Resource\\\":\\\"*\\\"}}'";
	struct keystore *k = *state;
	char role[ENGINE_ARN_SIZE], request[512];
	const char *code = NULL;
	json_t *session;

	iam_role(k, "app", "{'Statement':{'Effect':'Allow','Action':'sts:AssumeRole','Principal':{'AWS':'" ROOT "'}}}",
		role);
	iam_attach(k, "alice", "all", "{'Effect':'Allow','Action':'*','Resource':'*'}");
	iam_become(k, "alice");
	snprintf(request, sizeof(request), "{'Name':'fred',%s}", policy);
	session = iam_sts(k, "GetFederationToken", request, &code);
	assert_non_null(session);
	iam_become_session(k, json_object_get(session, "Credentials"));
	json_decref(session);
	snprintf(request, sizeof(request), "{'RoleArn':'%s','RoleSessionName':'one'}", role);
	assert_null(iam_sts(k, "AssumeRole", request, &code));
	assert_string_equal(code, "AccessDenied");
	/* The user's own session may. */
	iam_become(k, "alice");
	session = iam_sts(k, "AssumeRole", request, &code);
	assert_non_null(session);
	json_decref(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, two_users, keystore_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_arn_in_a_variable),
		TEST(the_alias_beyond_the_fiftieth),
		TEST(a_tag_in_another_case),
		TEST(a_condition_of_another_operation),
		TEST(deleted_since_it_signed),
		TEST(a_grant_to_an_account),
		TEST(retiring_tells_nothing_of_other_accounts),
		TEST(a_grant_is_retired_in_its_region),
		TEST(listing_retirable_grants_of_others),
		TEST(listing_the_grants_of_who_is_gone),
		TEST(a_federated_user_takes_on_no_role),
	};

	return cmocka_run_group_tests_name("engine_bypass", tests, NULL, NULL);
}
