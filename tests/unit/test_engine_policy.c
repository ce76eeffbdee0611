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
#include "kms/engine/simulate.h"
#include "tests/support/iam.h"

/* Key policies, identity policies and sessions through the engine, with values of condition keys from real calls. */

#define ROOT  "arn:aws:iam::000000000000:root"
#define ALICE "arn:aws:iam::000000000000:user/alice"
#define HOUR  (UINT64_C(3600) * CLOCK_SECOND)

/* A policy as a member of a request: its quotes are escaped. */
static char *escaped(const char *statements)
{
	char *out = malloc(2 * strlen(statements) + 128), *p = out;

	assert_non_null(out);
	p += sprintf(p, "{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[");
	for (; *statements != '\0'; statements++) {
		if (*statements == '\'')
			*p++ = '\\';
		*p++ = *statements == '\'' ? '"' : *statements;
	}
	strcpy(p, "]}");
	return out;
}

static enum err put(struct keystore *k, const char *key, const char *statements, const char *more)
{
	char *policy = escaped(statements);
	enum err e = keystore_try(k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'%s'%s}", key, policy, more);

	free(policy);
	return e;
}

#define ROOT_ALL "{'Effect':'Allow','Principal':{'AWS':'" ROOT "'},'Action':'kms:*','Resource':'*'}"
#define TO_ALICE(action, more)                                                                                         \
	",{'Effect':'Allow','Principal':{'AWS':'" ALICE "'},'Action':'" action "','Resource':'*'" more "}"

static int with_alice(void **state)
{
	char arn[ENGINE_ARN_SIZE];
	int rc = keystore_setup(state);

	iam_user(*state, "alice", arn);
	return rc;
}

static void put_get_list(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], text[512];
	json_t *body;

	keystore_new_key(k, key, arn);
	body = keystore_ok(k, "GetKeyPolicy", "{'KeyId':'%s'}", key);
	assert_non_null(strstr(json_string_value(json_object_get(body, "Policy")), "\"key-default-1\""));
	keystore_text(body, "PolicyName", text);
	assert_string_equal(text, "default");
	json_decref(body);
	body = keystore_ok(k, "ListKeyPolicies", "{'KeyId':'%s'}", key);
	assert_string_equal(json_string_value(json_array_get(json_object_get(body, "PolicyNames"), 0)), "default");
	assert_true(json_is_false(json_object_get(body, "Truncated")));
	json_decref(body);
	assert_int_equal(put(k, key, ROOT_ALL TO_ALICE("kms:Encrypt", ""), ""), ERR_OK);
	body = keystore_ok(k, "GetKeyPolicy", "{'KeyId':'%s','PolicyName':'default'}", key);
	assert_non_null(strstr(json_string_value(json_object_get(body, "Policy")), ALICE));
	json_decref(body);
	keystore_fails(
		k, ERR_KMS_NOT_FOUND, "No such policy exists", "GetKeyPolicy", "{'KeyId':'%s','PolicyName':'x'}", key);
	keystore_reopen(k);
	iam_become(k, "alice");
	keystore_do(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key);
	iam_become(k, "root");
	/* What is replaced is in force at once. */
	assert_int_equal(put(k, key, ROOT_ALL, ""), ERR_OK);
	iam_become(k, "alice");
	assert_int_equal(keystore_try(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key), ERR_KMS_ACCESS_DENIED);
}

static void what_put_key_policy_refuses(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], *long_policy = malloc(40000);

	keystore_new_key(k, key, arn);
	assert_int_equal(put(k, key, "{}", ""), ERR_KMS_MALFORMED_POLICY);
	/* Nobody would be left to change it. */
	assert_int_equal(put(k, key, &TO_ALICE("kms:*", "")[1], ""), ERR_KMS_MALFORMED_POLICY);
	assert_int_equal(
		put(k, key, ROOT_ALL ",{'Effect':'Deny','Principal':'*','Action':'kms:Put*','Resource':'*'}", ""),
		ERR_KMS_MALFORMED_POLICY);
	/* Principals that are not there. */
	assert_int_equal(put(k, key,
				 ROOT_ALL ",{'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::000000000000:user/bob'},"
					  "'Action':'kms:*','Resource':'*'}",
				 ""),
		ERR_KMS_MALFORMED_POLICY);
	assert_int_equal(
		put(k, key,
			ROOT_ALL
			",{'Effect':'Allow','Principal':{'AWS':'999999999999'},'Action':'kms:*','Resource':'*'}",
			""),
		ERR_KMS_MALFORMED_POLICY);
	memset(long_policy, ' ', 39999);
	long_policy[39999] = '\0';
	memcpy(long_policy, ROOT_ALL, strlen(ROOT_ALL));
	json_t *request = json_pack("{s:s, s:s}", "KeyId", key, "Policy", long_policy);
	struct engine_reply reply;

	engine_call(k->engine, &k->caller, "PutKeyPolicy", request, &reply);
	assert_int_equal(reply.error, ERR_KMS_LIMIT_EXCEEDED);
	json_decref(request);
	free(long_policy);
	/* Unless it is asked for: then only the new policy counts. */
	assert_int_equal(put(k, key, &TO_ALICE("kms:*", "")[1], ",'BypassPolicyLockoutSafetyCheck':true"), ERR_OK);
	assert_int_equal(put(k, key, ROOT_ALL, ""), ERR_KMS_ACCESS_DENIED);
	assert_int_equal(keystore_try(k, "DescribeKey", "{'KeyId':'%s'}", key), ERR_KMS_ACCESS_DENIED);
	iam_become(k, "alice");
	assert_int_equal(put(k, key, ROOT_ALL TO_ALICE("kms:*", ""), ""), ERR_OK);
}

/* A key policy with one condition for Alice; the call that is asked; what a root's call did before, if need be. */
static const struct {
	const char *action, *condition;
	const char *operation, *request; /* %s: the key */
	int allowed;
} calls[] = {
	{"kms:Encrypt", "'StringEquals':{'kms:EncryptionContext:for':'ada'}", "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGk=','EncryptionContext':{'for':'ada'}}", 1},
	{"kms:Encrypt", "'StringEquals':{'kms:EncryptionContext:for':'ada'}", "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGk=','EncryptionContext':{'for':'bob'}}", 0},
	{"kms:Encrypt", "'StringEquals':{'kms:EncryptionContext:FOR':'ada'}", "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGk=','EncryptionContext':{'for':'ada'}}", 1},
	{"kms:Encrypt", "'Null':{'kms:EncryptionContextKeys':'false'}", "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}",
		0},
	{"kms:Encrypt", "'ForAllValues:StringEquals':{'kms:EncryptionContextKeys':['a','b']}", "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGk=','EncryptionContext':{'a':'','c':''}}", 0},
	{"kms:Encrypt", "'StringEquals':{'kms:EncryptionAlgorithm':'SYMMETRIC_DEFAULT'}", "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGk='}", 1},
	{"kms:*",
		"'StringEquals':{'kms:KeySpec':'SYMMETRIC_DEFAULT','kms:KeyUsage':'ENCRYPT_DECRYPT','kms:KeyOrigin':'"
		"AWS_KMS'}",
		"DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'Bool':{'kms:MultiRegion':'true'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*",
		"'StringEquals':{'kms:CallerAccount':'000000000000','aws:PrincipalType':'User','aws:username':'alice'}",
		"DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'ArnEquals':{'aws:PrincipalArn':'" ALICE "'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'IpAddress':{'aws:SourceIp':'192.0.2.0/24'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'IpAddress':{'aws:SourceIp':'198.51.100.0/24'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*", "'Bool':{'aws:SecureTransport':'true'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'DateLessThan':{'aws:CurrentTime':'2023-11-14T22:13:21Z'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'DateLessThan':{'aws:CurrentTime':'2023-11-14T22:13:20Z'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*", "'NumericEquals':{'aws:EpochTime':'1700000000'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'StringEquals':{'aws:RequestedRegion':'" KEYSTORE_REGION "'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'StringEquals':{'aws:ResourceTag/Team':'storage'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'StringEquals':{'aws:ResourceTag/Team':'other'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*", "'StringEquals':{'aws:ResourceAccount':'000000000000'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'StringEquals':{'kms:RequestAlias':'alias/mine'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*", "'StringEquals':{'kms:RequestAlias':'alias/mine'}", "DescribeKey", "{'KeyId':'alias/mine','X':'%s'}",
		1},
	{"kms:*", "'ForAnyValue:StringLike':{'kms:ResourceAliases':'alias/m*'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'Null':{'kms:ViaService':'true'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'StringEquals':{'kms:ViaService':'s3.us-east-1.amazonaws.com'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*", "'Null':{'aws:TokenIssueTime':'true'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	{"kms:*", "'NumericGreaterThanEquals':{'kms:ScheduleKeyDeletionPendingWindowInDays':'14'}",
		"ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", 0},
	{"kms:*", "'NumericGreaterThanEquals':{'kms:ScheduleKeyDeletionPendingWindowInDays':'14'}",
		"ScheduleKeyDeletion", "{'KeyId':'%s'}", 1},
	{"kms:*", "'NumericLessThan':{'kms:RotationPeriodInDays':'100'}", "EnableKeyRotation",
		"{'KeyId':'%s','RotationPeriodInDays':90}", 1},
	{"kms:*", "'NumericLessThan':{'kms:RotationPeriodInDays':'100'}", "EnableKeyRotation", "{'KeyId':'%s'}", 0},
	{"kms:*", "'ForAllValues:StringEquals':{'kms:GrantOperations':['Encrypt','Decrypt']}", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt']}", 1},
	{"kms:*", "'ForAllValues:StringEquals':{'kms:GrantOperations':['Encrypt','Decrypt']}", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt','DescribeKey']}", 0},
	{"kms:*", "'Bool':{'kms:GrantIsForAWSResource':'true'}", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt']}", 0},
	{"kms:*", "'StringEquals':{'kms:GrantConstraintType':'EncryptionContextSubset','kms:EncryptionContext:a':'b'}",
		"CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ALICE
		"','Operations':['Decrypt'],'Constraints':{'EncryptionContextSubset':{'a':'b'}}}",
		1},
	{"kms:*", "'StringEquals':{'kms:GranteePrincipal':'" ALICE "'}", "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ROOT "','Operations':['Decrypt']}", 0},
	{"kms:*", "'Bool':{'kms:BypassPolicyLockoutSafetyCheck':'false'}", "DescribeKey", "{'KeyId':'%s'}", 0},
	{"kms:*", "'StringLike':{'aws:userid':'AIDA*'}", "DescribeKey", "{'KeyId':'%s'}", 1},
	/* What the operation does not have is as if not there: nobody meets a condition by adding a member to the request. */
	{"kms:*", "'StringEquals':{'kms:EncryptionContext:for':'ada'}", "ScheduleKeyDeletion",
		"{'KeyId':'%s','EncryptionContext':{'for':'ada'}}", 0},
	{"kms:*", "'StringEquals':{'kms:EncryptionContextKeys':'for'}", "DescribeKey",
		"{'KeyId':'%s','EncryptionContext':{'for':'ada'}}", 0},
	{"kms:*", "'StringEquals':{'kms:SigningAlgorithm':'ED25519'}", "DescribeKey",
		"{'KeyId':'%s','SigningAlgorithm':'ED25519'}", 0},
	{"kms:*", "'StringEquals':{'aws:RequestTag/Team':'storage'}", "DisableKey",
		"{'KeyId':'%s','Tags':[{'TagKey':'Team','TagValue':'storage'}]}", 0},
	{"kms:*", "'StringEquals':{'aws:RequestTag/Team':'storage'}", "TagResource",
		"{'KeyId':'%s','Tags':[{'TagKey':'Team','TagValue':'storage'}]}", 1},
	{"kms:*", "'StringEquals':{'aws:TagKeys':'Team'}", "DisableKey", "{'KeyId':'%s','TagKeys':['Team']}", 0},
};

static void condition_keys_of_real_calls(void **state)
{
	struct keystore *k = *state;
	char key[64], statements[2048];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		json_t *body;
		enum err e;

		iam_become(k, "root");
		body = keystore_ok(k, "CreateKey", "{'Tags':[{'TagKey':'team','TagValue':'storage'}]}");
		snprintf(key, sizeof(key), "%s",
			json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "KeyId")));
		json_decref(body);
		keystore_do(k, "CreateAlias", "{'AliasName':'alias/mine','TargetKeyId':'%s'}", key);
		snprintf(statements, sizeof(statements),
			ROOT_ALL ",{'Effect':'Allow','Principal':{'AWS':'" ALICE
				 "'},'Action':'%s','Resource':'*','Condition':{%s}}",
			calls[i].action, calls[i].condition);
		assert_int_equal(put(k, key, statements, ""), ERR_OK);
		iam_become(k, "alice");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		e = keystore_try(k, calls[i].operation, calls[i].request, key);
#pragma GCC diagnostic pop
		if (e != (calls[i].allowed ? ERR_OK : ERR_KMS_ACCESS_DENIED))
			fail_msg("%s with %s: %s", calls[i].operation, calls[i].condition, err_name(e));
		iam_become(k, "root");
		keystore_do(k, "DeleteAlias", "{'AliasName':'alias/mine'}");
	}
}

static void identity_policies_and_aliases(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], who[ENGINE_ARN_SIZE];

	keystore_new_key(k, key, arn);
	iam_attach(k, "alice", "use",
		"{'Effect':'Allow','Action':['kms:Create*','kms:List*','kms:DescribeKey'],'Resource':'*'}");
	iam_become(k, "alice");
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	keystore_do(k, "ListKeys", "{}");
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/a','TargetKeyId':'%s'}", key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED,
		"User: " ALICE " is not authorized to perform: kms:DeleteAlias on resource: "
		"arn:aws:kms:" KEYSTORE_REGION ":000000000000:alias/a because no identity-based policy allows the "
		"kms:DeleteAlias action",
		"DeleteAlias", "{'AliasName':'alias/a'}");
	iam_attach(k, "alice", "no", "{'Effect':'Deny','Action':'kms:DescribeKey','Resource':'*'}");
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
	assert_int_equal(engine_principal_detach(k->engine, "alice", "no"), ERR_OK);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	assert_int_equal(engine_principal_detach(k->engine, "alice", "no"), ERR_NOT_FOUND);
	/* Deleted, she is nobody, whatever was in force for her name; and anew she starts with nothing of her own. */
	assert_int_equal(engine_principal_delete(k->engine, "alice"), ERR_OK);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
	iam_user(k, "alice", who);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
}

/* ---- Sessions ---- */

/* STS rests on no row that another process has changed meanwhile, such as the access key that was deleted since it was found. */
static void what_another_process_took_away(void **state)
{
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE], role[ENGINE_ARN_SIZE];
	struct engine *other = keystore_another(k);
	struct engine_access_key key;
	const char *code;
	json_t *given;

	iam_role(k, "app",
		"{'Statement':{'Effect':'Allow','Principal':{'AWS':'000000000000'},'Action':'sts:AssumeRole'}}", role);
	iam_attach(k, "alice", "assume", "{'Effect':'Allow','Action':'sts:*','Resource':'*'}");
	assert_int_equal(engine_access_key_create(k->engine, NULL, ALICE, id, secret), ERR_OK);
	assert_int_equal(engine_find_access_key(k->engine, id, "", &key), ERR_OK);
	key.who.secure = 1;
	snprintf(key.who.access_key_id, sizeof(key.who.access_key_id), "%s", id);
	k->caller = key.who;
	given = iam_sts(
		k, "AssumeRole", "{'RoleArn':'arn:aws:iam::000000000000:role/app','RoleSessionName':'s1'}", &code);
	assert_non_null(given);
	json_decref(given);
	assert_int_equal(engine_principal_detach(other, "alice", "assume"), ERR_OK);
	given = iam_sts(
		k, "AssumeRole", "{'RoleArn':'arn:aws:iam::000000000000:role/app','RoleSessionName':'s2'}", &code);
	assert_null(given);
	assert_string_equal(code, "AccessDenied");
	given = iam_sts(k, "GetSessionToken", "{}", &code);
	assert_non_null(given);
	json_decref(given);
	assert_int_equal(engine_access_key_delete(other, id), ERR_OK);
	given = iam_sts(k, "GetSessionToken", "{}", &code);
	assert_null(given);
	assert_string_equal(code, "InvalidClientTokenId");
	engine_close(other);
}

static void assumed_roles(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], role[ENGINE_ARN_SIZE];
	const char *code;
	json_t *session, *who;

	keystore_new_key(k, key, arn);
	iam_role(k, "app",
		"{'Statement':{'Effect':'Allow','Principal':{'AWS':'" ALICE
		"'},'Action':'sts:AssumeRole','Condition':{'StringEquals':{'sts:ExternalId':'x'}}}}",
		role);
	iam_attach(
		k, "role/app", "use", "{'Effect':'Allow','Action':['kms:Encrypt','kms:DescribeKey'],'Resource':'*'}");
	assert_null(iam_sts(
		k, "AssumeRole", "{'RoleArn':'arn:aws:iam::000000000000:role/app','RoleSessionName':'s1'}", &code));
	assert_string_equal(code, "AccessDenied"); /* root may not */
	iam_become(k, "alice");
	assert_null(iam_sts(
		k, "AssumeRole", "{'RoleArn':'arn:aws:iam::000000000000:role/app','RoleSessionName':'s1'}", &code));
	assert_string_equal(code, "AccessDenied"); /* the trust asks for an ExternalId */
	assert_null(iam_sts(k, "AssumeRole",
		"{'RoleArn':'arn:aws:iam::000000000000:role/app','RoleSessionName':'s 1','ExternalId':'x'}", &code));
	assert_string_equal(code, "ValidationError");
	assert_null(iam_sts(k, "AssumeRole",
		"{'RoleArn':'arn:aws:iam::000000000000:role/"
		"app','RoleSessionName':'s1','ExternalId':'x','DurationSeconds':'3601'}",
		&code));
	assert_string_equal(code, "ValidationError");
	assert_null(iam_sts(k, "AssumeRole",
		"{'RoleArn':'arn:aws:iam::000000000000:role/"
		"app','RoleSessionName':'s1','ExternalId':'x','Policy':'{}'}",
		&code));
	assert_string_equal(code, "MalformedPolicyDocument");
	session = iam_sts(k, "AssumeRole",
		"{'RoleArn':'arn:aws:iam::000000000000:role/"
		"app','RoleSessionName':'s1','ExternalId':'x','DurationSeconds':'900'}",
		&code);
	assert_non_null(session);
	iam_become_session(k, json_object_get(session, "Credentials"));
	who = iam_sts(k, "GetCallerIdentity", "{}", &code);
	assert_string_equal(
		json_string_value(json_object_get(who, "Arn")), "arn:aws:sts::000000000000:assumed-role/app/s1");
	json_decref(who);
	keystore_do(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DisableKey", "{'KeyId':'%s'}", key);
	/* Its time is over. */
	struct engine_access_key found;
	const json_t *given = json_object_get(session, "Credentials");
	const char *id = json_string_value(json_object_get(given, "AccessKeyId"));
	char token[4096];

	snprintf(token, sizeof(token), "%s", json_string_value(json_object_get(given, "SessionToken")));
	assert_int_equal(engine_find_access_key(k->engine, id, "", &found), ERR_KMS_UNRECOGNIZED_CLIENT);
	assert_int_equal(
		engine_find_access_key(k->engine, "ASIAAAAAAAAAAAAAAAAA", token, &found), ERR_KMS_UNRECOGNIZED_CLIENT);
	clock_fake_advance(&k->clock, HOUR / 4);
	assert_int_equal(engine_find_access_key(k->engine, id, token, &found), ERR_KMS_EXPIRED_TOKEN);
	token[10] = token[10] == 'A' ? 'B' : 'A';
	assert_int_equal(engine_find_access_key(k->engine, id, token, &found), ERR_KMS_UNRECOGNIZED_CLIENT);
	json_decref(session);
}

static void session_policies_and_deleted_roles(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE], role[ENGINE_ARN_SIZE];
	struct engine_access_key found;
	const char *code;
	json_t *session, *given;

	keystore_new_key(k, key, arn);
	iam_role(k, "app", "{'Statement':{'Effect':'Allow','Principal':{'AWS':'" ALICE "'},'Action':'sts:AssumeRole'}}",
		role);
	iam_attach(k, "role/app", "use", "{'Effect':'Allow','Action':'kms:*','Resource':'*'}");
	iam_become(k, "alice");
	session = iam_sts(k, "AssumeRole",
		"{'RoleArn':'arn:aws:iam::000000000000:role/"
		"app','RoleSessionName':'s1','Policy':'{\\'Statement\\':{\\'Effect\\':"
		"\\'Allow\\',\\'Action\\':\\'kms:DescribeKey\\',\\'Resource\\':\\'*\\'}}'}",
		&code);
	assert_non_null(session);
	given = json_object_get(session, "Credentials");
	iam_become_session(k, given);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key);
	assert_int_equal(engine_principal_delete(k->engine, "role/app"), ERR_OK);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
	assert_int_equal(engine_find_access_key(k->engine, json_string_value(json_object_get(given, "AccessKeyId")),
				 json_string_value(json_object_get(given, "SessionToken")), &found),
		ERR_KMS_UNRECOGNIZED_CLIENT);
	json_decref(session);
}

static void federated_users(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	const char *code;
	json_t *session;

	keystore_new_key(k, key, arn);
	iam_attach(k, "alice", "all", "{'Effect':'Allow','Action':['kms:*','sts:*'],'Resource':'*'}");
	iam_become(k, "alice");
	session = iam_sts(k, "GetFederationToken", "{'Name':'fred'}", &code);
	assert_non_null(session);
	assert_string_equal(json_string_value(json_object_get(json_object_get(session, "FederatedUser"), "Arn")),
		"arn:aws:sts::000000000000:federated-user/fred");
	iam_become_session(k, json_object_get(session, "Credentials"));
	/* Without a policy of its own it may nothing but what names it. */
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", key);
	iam_become(k, "root");
	assert_int_equal(
		put(k, key,
			ROOT_ALL ",{'Effect':'Allow','Principal':{'AWS':'arn:aws:sts::000000000000:federated-user/"
				 "fred'},'Action':'kms:DescribeKey','Resource':'*'}",
			""),
		ERR_OK);
	iam_become_session(k, json_object_get(session, "Credentials"));
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", key);
	json_decref(session);
	/* A session cannot make another. */
	assert_null(iam_sts(k, "GetFederationToken", "{'Name':'fred'}", &code));
	assert_string_equal(code, "AccessDenied");
}

/* ---- Several accounts ---- */

static void across_accounts(void **state)
{
	const struct engine_principal_spec spec = {.account = "111122223333", .name = "bea"};
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	struct engine_principal bea;

	keystore_new_key(k, key, arn);
	assert_int_equal(engine_principal_create(k->engine, &spec, &bea), ERR_NOT_FOUND);
	assert_int_equal(engine_account_create(k->engine, "111122223333", "other"), ERR_OK);
	assert_int_equal(engine_principal_create(k->engine, &spec, &bea), ERR_OK);
	assert_int_equal(
		put(k, key,
			ROOT_ALL ",{'Effect':'Allow','Principal':{'AWS':'111122223333'},'Action':'kms:Encrypt',"
				 "'Resource':'*'}",
			""),
		ERR_OK);
	iam_become(k, bea.arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", arn);
	iam_attach(k, bea.arn, "use", "{'Effect':'Allow','Action':'kms:*','Resource':'*'}");
	keystore_do(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DescribeKey", "{'KeyId':'%s'}", arn);
	/* What administers a key, AWS leaves to the key's own account, whatever its policy says. */
	iam_become(k, "root");
	assert_int_equal(
		put(k, key,
			ROOT_ALL
			",{'Effect':'Allow','Principal':{'AWS':['111122223333','arn:aws:iam::111122223333:user/bea']},"
			"'Action':'kms:*','Resource':'*'}",
			""),
		ERR_OK);
	iam_become(k, bea.arn);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s'}", arn);
	keystore_do(k, "GetKeyRotationStatus", "{'KeyId':'%s'}", arn);
	keystore_do(k, "CreateGrant", "{'KeyId':'%s','GranteePrincipal':'" ALICE "','Operations':['Decrypt']}", arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "ScheduleKeyDeletion", "{'KeyId':'%s'}", arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "DisableKey", "{'KeyId':'%s'}", arn);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "GetKeyPolicy", "{'KeyId':'%s'}", arn);
	keystore_fails(
		k, ERR_KMS_ACCESS_DENIED, NULL, "CreateAlias", "{'AliasName':'alias/b','TargetKeyId':'%s'}", arn);
	assert_int_equal(put(k, arn, ROOT_ALL, ""), ERR_KMS_ACCESS_DENIED);
	/* By its id alone a key is looked for in one's own account. */
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "Encrypt", "{'KeyId':'%s','Plaintext':'aGk='}", key);
	assert_int_equal(engine_account_delete(k->engine, "111122223333"), ERR_BUSY);
	assert_int_equal(engine_principal_delete(k->engine, bea.arn), ERR_OK);
	assert_int_equal(engine_account_delete(k->engine, "111122223333"), ERR_OK);
	assert_int_equal(engine_account_delete(k->engine, "000000000000"), ERR_USAGE);
}

/* A replica is a key that is made in its own region, and that is where the caller has to be let make one. */
static void a_replica_is_made_in_its_region(void **state)
{
	struct keystore *k = *state;
	char key[512];
	json_t *body = keystore_ok(k, "CreateKey", "{'MultiRegion':true}");

	keystore_text(json_object_get(body, "KeyMetadata"), "KeyId", key);
	json_decref(body);
	assert_int_equal(put(k, key, ROOT_ALL TO_ALICE("kms:ReplicateKey", ""), ""), ERR_OK);
	iam_attach(k, "alice", "make",
		"{'Effect':'Allow','Action':'kms:CreateKey','Resource':'*',"
		"'Condition':{'StringEquals':{'aws:RequestedRegion':['" KEYSTORE_REGION "','eu-west-1']}}}");
	iam_become(k, "alice");
	keystore_fails(
		k, ERR_KMS_ACCESS_DENIED, NULL, "ReplicateKey", "{'KeyId':'%s','ReplicaRegion':'us-east-1'}", key);
	keystore_do(k, "ReplicateKey", "{'KeyId':'%s','ReplicaRegion':'eu-west-1'}", key);
}

/* ---- User ids, limits, names ---- */

static void user_ids(void **state)
{
	struct keystore *k = *state;
	struct engine_caller caller;

	assert_int_equal(engine_caller_for_uid(k->engine, 4242, &caller), ERR_KMS_ACCESS_DENIED);
	assert_int_equal(engine_uid_map(k->engine, 4242, "alice"), ERR_OK);
	assert_int_equal(engine_caller_for_uid(k->engine, 4242, &caller), ERR_OK);
	assert_string_equal(caller.arn, ALICE);
	assert_int_equal(engine_uid_map(k->engine, 0, "alice"), ERR_USAGE);
	assert_int_equal(engine_uid_map(k->engine, 4242, "nobody"), ERR_NOT_FOUND);
	assert_int_equal(engine_uid_map(k->engine, 4242, NULL), ERR_OK);
	assert_int_equal(engine_uid_map(k->engine, 4242, NULL), ERR_NOT_FOUND);
	assert_int_equal(engine_caller_for_uid(k->engine, 4242, &caller), ERR_KMS_ACCESS_DENIED);
}

static void limits_and_names(void **state)
{
	static const char *const bad[] = {
		"", "a b", "a/b", "\xff", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE];
	struct engine_principal p;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct engine_principal_spec spec = {.name = bad[i]};

		assert_int_equal(engine_principal_create(k->engine, &spec, &p), ERR_USAGE);
	}
	assert_int_equal(
		engine_principal_create(k->engine, &(struct engine_principal_spec){.name = "alice"}, &p), ERR_EXISTS);
	assert_int_equal(
		engine_principal_create(k->engine, &(struct engine_principal_spec){.name = "r", .is_role = 1}, &p),
		ERR_USAGE);
	for (int i = 0; i < 2; i++)
		assert_int_equal(engine_access_key_create(k->engine, NULL, ALICE, id, secret), ERR_OK);
	assert_int_equal(engine_access_key_create(k->engine, NULL, ALICE, id, secret), ERR_LIMIT);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		iam_attach(k, "alice", name, "{'Effect':'Allow','Action':'kms:*','Resource':'*'}");
	}
	assert_int_equal(engine_principal_attach(k->engine, "alice", "p20",
				 "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\"}}"),
		ERR_LIMIT);
	assert_int_equal(engine_principal_attach(k->engine, "alice", "p1", "{}"), ERR_KMS_MALFORMED_POLICY);
}

/* ---- Explaining ---- */

static void a_simulation_is_the_decision(void **state)
{
	struct keystore *k = *state;
	char key[64], arn[ENGINE_ARN_SIZE];
	struct engine_simulation what = {.principal = "alice", .action = "kms:Decrypt", .key = key};
	json_t *answer;

	keystore_new_key(k, key, arn);
	assert_int_equal(engine_simulate(k->engine, &what, &answer), ERR_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "Decision")), "implicitDeny");
	assert_string_equal(json_string_value(json_object_get(answer, "Reason")),
		"because no identity-based policy allows the kms:Decrypt action");
	assert_string_equal(json_string_value(json_object_get(answer, "Resource")), arn);
	assert_int_equal(json_array_size(json_object_get(answer, "Policies")), 1);
	json_decref(answer);
	what.key_policy =
		"{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}}";
	assert_int_equal(engine_simulate(k->engine, &what, &answer), ERR_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "Decision")), "explicitDeny");
	json_decref(answer);
	what.key_policy = NULL;
	what.principal = "root";
	assert_int_equal(engine_simulate(k->engine, &what, &answer), ERR_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "Decision")), "allowed");
	json_decref(answer);
	what.action = "kms:Fly";
	assert_int_equal(engine_simulate(k->engine, &what, &answer), ERR_USAGE);
	what.principal = "nobody";
	assert_int_equal(engine_simulate(k->engine, &what, &answer), ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, with_alice, keystore_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(put_get_list),
		TEST(what_put_key_policy_refuses),
		TEST(condition_keys_of_real_calls),
		TEST(identity_policies_and_aliases),
		TEST(what_another_process_took_away),
		TEST(assumed_roles),
		TEST(session_policies_and_deleted_roles),
		TEST(federated_users),
		TEST(across_accounts),
		TEST(a_replica_is_made_in_its_region),
		TEST(user_ids),
		TEST(limits_and_names),
		TEST(a_simulation_is_the_decision),
	};

	return cmocka_run_group_tests_name("engine_policy", tests, NULL, NULL);
}
