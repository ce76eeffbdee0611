/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/engine/iam.h"
#include "tests/support/iam.h"

/* Policies, grants and trusts are for who a principal was when they were made: who is given the name later has nothing of it. */

#define ROOT "arn:aws:iam::000000000000:root"
#define ADA  "arn:aws:iam::000000000000:user/ada"
#define APP  "arn:aws:iam::000000000000:role/app"
#define ONE  "arn:aws:sts::000000000000:assumed-role/app/one"

#define TRUST                                                                                                          \
	"{'Statement':{'Effect':'Allow','Action':'sts:AssumeRole','Principal':{'AWS':'arn:aws:iam::000000000000:user/" \
	"%s'}}}"
/* Root administers, and one principal encrypts. */
#define POLICY                                                                                                         \
	"{\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":{\\\"AWS\\\":\\\"" ROOT                   \
	"\\\"},\\\"Action\\\":\\\"kms:*\\\",\\\"Resource\\\":\\\"*\\\"},{\\\"Effect\\\":\\\"Allow\\\","                \
	"\\\"Principal\\\":{\\\"AWS\\\":[\\\"%s\\\"]},\\\"Action\\\":\\\"kms:Encrypt\\\",\\\"Resource\\\":\\\"*\\\"}]" \
	"}"

struct scene {
	struct keystore *k;
	char key[64], arn[ENGINE_ARN_SIZE];
};

static void make_user(struct keystore *k, const char *name)
{
	char arn[ENGINE_ARN_SIZE];

	iam_user(k, name, arn);
}

static void make_role(struct keystore *k, const char *name, const char *trusted)
{
	char arn[ENGINE_ARN_SIZE], trust[512];

	snprintf(trust, sizeof(trust), TRUST, trusted);
	iam_role(k, name, trust, arn);
}

static void id_of(struct keystore *k, const char *who, char ret[ENGINE_UNIQUE_ID_SIZE])
{
	struct engine_principal p;

	assert_int_equal(engine_principal_find(k->engine, who, &p), ERR_OK);
	memcpy(ret, p.user_id, ENGINE_UNIQUE_ID_SIZE);
}

static struct scene scene_of(void **state)
{
	struct scene s = {.k = *state};

	make_user(s.k, "ada");
	make_role(s.k, "app", "ada");
	keystore_new_key(s.k, s.key, s.arn);
	return s;
}

static enum err encrypt(const struct scene *s)
{
	return keystore_try(s->k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", s->arn);
}

/* As the session app/one. */
static void become_session(const struct scene *s)
{
	const char *code;
	json_t *body;

	iam_become(s->k, "ada");
	body = iam_sts(s->k, "AssumeRole", "{'RoleArn':'" APP "','RoleSessionName':'one'}", &code);
	assert_non_null(body);
	iam_become_session(s->k, json_object_get(body, "Credentials"));
	json_decref(body);
}

static void shows(const struct scene *s, const char *principal)
{
	json_t *body, *policy, *list;

	iam_become(s->k, "root");
	body = keystore_ok(s->k, "GetKeyPolicy", "{'KeyId':'%s'}", s->key);
	policy = json_loads(json_string_value(json_object_get(body, "Policy")), 0, NULL);
	assert_non_null(policy);
	list = json_object_get(
		json_object_get(json_array_get(json_object_get(policy, "Statement"), 1), "Principal"), "AWS");
	assert_string_equal(json_string_value(json_array_get(list, 0)), principal);
	json_decref(policy);
	json_decref(body);
}

static void a_key_policy_is_not_for_a_namesake(void **state)
{
	struct scene s = scene_of(state);
	char id[ENGINE_UNIQUE_ID_SIZE];

	id_of(s.k, "ada", id);
	keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", s.key, ADA);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_OK);
	shows(&s, ADA);
	assert_int_equal(engine_principal_delete(s.k->engine, "ada"), ERR_OK);
	shows(&s, id);
	make_user(s.k, "ada");
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_KMS_ACCESS_DENIED);
	shows(&s, id);
	keystore_reopen(s.k);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_KMS_ACCESS_DENIED);
	/* The policy as it is shown cannot be put, as at AWS; put for the new one, it is theirs. */
	iam_become(s.k, "root");
	keystore_fails(
		s.k, ERR_KMS_MALFORMED_POLICY, NULL, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", s.key, id);
	keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", s.key, ADA);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_OK);
	shows(&s, ADA);
}

static void neither_a_role_nor_its_session_has_a_namesakes(void **state)
{
	static const char *const named[] = {APP, ONE};
	struct scene s = scene_of(state);
	char id[ENGINE_UNIQUE_ID_SIZE];

	for (size_t i = 0; i < 2; i++) {
		iam_become(s.k, "root");
		id_of(s.k, "role/app", id);
		keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", s.key, named[i]);
		become_session(&s);
		assert_int_equal(encrypt(&s), ERR_OK);
		assert_int_equal(engine_principal_delete(s.k->engine, "role/app"), ERR_OK);
		make_role(s.k, "app", "ada");
		become_session(&s);
		assert_int_equal(encrypt(&s), ERR_KMS_ACCESS_DENIED);
		shows(&s, id);
	}
}

static void a_trust_is_not_for_a_namesake(void **state)
{
	struct scene s = scene_of(state);
	const char *code;
	char *trust;

	assert_int_equal(engine_principal_delete(s.k->engine, "ada"), ERR_OK);
	make_user(s.k, "ada");
	iam_become(s.k, "ada");
	assert_null(iam_sts(s.k, "AssumeRole", "{'RoleArn':'" APP "','RoleSessionName':'one'}", &code));
	assert_string_equal(code, "AccessDenied");
	assert_int_equal(engine_principal_trust(s.k->engine, "role/app", &trust), ERR_OK);
	assert_null(strstr(trust, ADA));
	assert_non_null(strstr(trust, "\"AIDA"));
	free(trust);
}

/* ListGrants: the grantee and retiring principal of its one entry. */
static void grants_show(const struct scene *s, const char *grantee, const char *retiring)
{
	json_t *body, *entry;

	iam_become(s->k, "root");
	body = keystore_ok(s->k, "ListGrants", "{'KeyId':'%s'}", s->key);
	assert_int_equal(json_array_size(json_object_get(body, "Grants")), 1);
	entry = json_array_get(json_object_get(body, "Grants"), 0);
	assert_string_equal(json_string_value(json_object_get(entry, "GranteePrincipal")), grantee);
	assert_string_equal(json_string_value(json_object_get(entry, "RetiringPrincipal")), retiring);
	json_decref(body);
}

static size_t listed(struct keystore *k, const char *operation, const char *request)
{
	json_t *body = keystore_ok(k, operation, "%s", request);
	size_t n = json_array_size(json_object_get(body, "Grants"));

	json_decref(body);
	return n;
}

static void a_grant_is_not_for_a_namesake(void **state)
{
	struct scene s = scene_of(state);
	char ada[ENGINE_UNIQUE_ID_SIZE], app[ENGINE_UNIQUE_ID_SIZE], grant[512], of_ada[256];
	json_t *body;

	id_of(s.k, "ada", ada);
	id_of(s.k, "role/app", app);
	snprintf(of_ada, sizeof(of_ada), "{'KeyId':'%s','GranteePrincipal':'" ADA "'}", s.key);
	body = keystore_ok(s.k, "CreateGrant",
		"{'KeyId':'%s','Name':'n','GranteePrincipal':'" ADA "','RetiringPrincipal':'" APP
		"','Operations':['Encrypt','RetireGrant']}",
		s.key);
	keystore_text(body, "GrantId", grant);
	json_decref(body);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_OK);
	grants_show(&s, ADA, APP);
	assert_int_equal(listed(s.k, "ListGrants", of_ada), 1);
	assert_int_equal(listed(s.k, "ListRetirableGrants", "{'RetiringPrincipal':'" APP "'}"), 1);
	assert_int_equal(engine_principal_delete(s.k->engine, "ada"), ERR_OK);
	assert_int_equal(engine_principal_delete(s.k->engine, "role/app"), ERR_OK);
	grants_show(&s, ada, app);
	make_user(s.k, "ada");
	make_role(s.k, "app", "ada");
	grants_show(&s, ada, app);
	assert_int_equal(listed(s.k, "ListGrants", of_ada), 0);
	assert_int_equal(listed(s.k, "ListRetirableGrants", "{'RetiringPrincipal':'" APP "'}"), 0);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_KMS_ACCESS_DENIED);
	/* Neither the grantee's nor the retiring principal's namesake retires it. */
	assert_int_equal(
		keystore_try(s.k, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", s.arn, grant), ERR_KMS_ACCESS_DENIED);
	become_session(&s);
	assert_int_equal(
		keystore_try(s.k, "RetireGrant", "{'KeyId':'%s','GrantId':'%s'}", s.arn, grant), ERR_KMS_ACCESS_DENIED);
	/* The same request again is a grant for somebody else, so another one. */
	iam_become(s.k, "root");
	keystore_do(s.k, "CreateGrant",
		"{'KeyId':'%s','Name':'n','GranteePrincipal':'" ADA "','RetiringPrincipal':'" APP
		"','Operations':['Encrypt','RetireGrant']}",
		s.key);
	snprintf(of_ada, sizeof(of_ada), "{'KeyId':'%s'}", s.key);
	assert_int_equal(listed(s.k, "ListGrants", of_ada), 2);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_OK);
}

/* ---- A keystore from before ---- */

static void run_sql(struct keystore *k, const char *sql)
{
	char *message = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(k->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	sqlite3_close(db);
}

/* What schema 4 had not. */
#define AS_SCHEMA_4                                                                                                    \
	"ALTER TABLE key_policies DROP COLUMN principals; ALTER TABLE principals DROP COLUMN trusted;"                 \
	"ALTER TABLE grants DROP COLUMN grantee_id; ALTER TABLE grants DROP COLUMN retiring_id;" KEYSTORE_BACK_TO_6    \
	"DROP TABLE key_counts; DROP TABLE gone_keys;"                                                                 \
	"PRAGMA user_version = 4"

static void an_older_keystore_is_bound_to_who_is_there(void **state)
{
	struct scene s = scene_of(state);
	char other[64], other_arn[ENGINE_ARN_SIZE];

	make_user(s.k, "bob");
	keystore_new_key(s.k, other, other_arn);
	keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", s.key, ONE);
	keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", other,
		"arn:aws:iam::000000000000:user/bob");
	keystore_do(s.k, "CreateGrant",
		"{'KeyId':'%s','GranteePrincipal':'" ADA "','RetiringPrincipal':'" ROOT "','Operations':['Encrypt']}",
		s.key);
	assert_int_equal(engine_principal_delete(s.k->engine, "bob"), ERR_OK);
	engine_close(s.k->engine);
	run_sql(s.k, AS_SCHEMA_4);
	s.k->engine = keystore_another(s.k);
	/* Who is there has it still, */
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_OK);
	become_session(&s);
	assert_int_equal(encrypt(&s), ERR_OK);
	/* and no namesake gets it, of those who were gone before neither. */
	assert_int_equal(engine_principal_delete(s.k->engine, "ada"), ERR_OK);
	make_user(s.k, "ada");
	make_user(s.k, "bob");
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_KMS_ACCESS_DENIED);
	iam_become(s.k, "bob");
	assert_int_equal(keystore_try(s.k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", other_arn),
		ERR_KMS_ACCESS_DENIED);
}

/* A document that somebody damaged stops nobody from opening the keystore, and lets nobody in. */
static void a_damaged_document_is_no_obstacle_to_the_others(void **state)
{
	struct scene s = scene_of(state);
	char other[64], other_arn[ENGINE_ARN_SIZE];

	keystore_new_key(s.k, other, other_arn);
	keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", s.key, ADA);
	keystore_do(s.k, "PutKeyPolicy", "{'KeyId':'%s','Policy':'" POLICY "'}", other, ADA);
	engine_close(s.k->engine);
	run_sql(s.k, "UPDATE key_policies SET document = 'nonsense' WHERE version = 2;" AS_SCHEMA_4);
	s.k->engine = keystore_another(s.k);
	iam_become(s.k, "ada");
	assert_int_equal(encrypt(&s), ERR_OK);
	assert_int_equal(
		keystore_try(s.k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", other_arn), ERR_KMS_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(a_key_policy_is_not_for_a_namesake),
		TEST(neither_a_role_nor_its_session_has_a_namesakes),
		TEST(a_trust_is_not_for_a_namesake),
		TEST(a_grant_is_not_for_a_namesake),
		TEST(an_older_keystore_is_bound_to_who_is_there),
		TEST(a_damaged_document_is_no_obstacle_to_the_others),
	};

	return cmocka_run_group_tests_name("engine_identity", tests, NULL, NULL);
}
