/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/engine/iam.h"
#include "kms/engine/sts.h"
#include "tests/support/iam.h"

static void quoted(const char *text, char *out, size_t size)
{
	assert_true(strlen(text) < size);
	snprintf(out, size, "%s", text);
	for (char *p = out; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
}

static void expect_ok(enum err e)
{
	if (e != ERR_OK)
		fail_msg("%s", err_text(e));
}

void iam_user(struct keystore *k, const char *name, char ret_arn[ENGINE_ARN_SIZE])
{
	const struct engine_principal_spec spec = {.name = name};
	struct engine_principal p;

	expect_ok(engine_principal_create(k->engine, &spec, &p));
	memcpy(ret_arn, p.arn, ENGINE_ARN_SIZE);
}

void iam_role(struct keystore *k, const char *name, const char *trust, char ret_arn[ENGINE_ARN_SIZE])
{
	char text[2048];
	const struct engine_principal_spec spec = {.is_role = 1, .name = name, .trust = text};
	struct engine_principal p;

	quoted(trust, text, sizeof(text));
	expect_ok(engine_principal_create(k->engine, &spec, &p));
	memcpy(ret_arn, p.arn, ENGINE_ARN_SIZE);
}

void iam_attach(struct keystore *k, const char *who, const char *policy, const char *statement)
{
	char text[4096], whole[4400];

	quoted(statement, text, sizeof(text));
	snprintf(whole, sizeof(whole), "{\"Version\":\"2012-10-17\",\"Statement\":[%s]}", text);
	expect_ok(engine_principal_attach(k->engine, who, policy, whole));
}

static void become(struct keystore *k, const struct engine_caller *who, const char *access_key_id)
{
	struct engine_caller caller = *who;

	snprintf(caller.region, sizeof(caller.region), "%s", KEYSTORE_REGION);
	snprintf(caller.access_key_id, sizeof(caller.access_key_id), "%s", access_key_id);
	snprintf(caller.source_ip, sizeof(caller.source_ip), "192.0.2.7");
	caller.secure = 1;
	k->caller = caller;
}

void iam_become(struct keystore *k, const char *who)
{
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE];
	struct engine_access_key key;
	struct engine_principal p;

	if (strcmp(who, "root") == 0) {
		expect_ok(engine_caller_for_uid(k->engine, getuid(), &k->caller));
		return;
	}
	expect_ok(engine_principal_find(k->engine, who, &p));
	expect_ok(engine_access_key_create(k->engine, NULL, p.arn, id, secret));
	expect_ok(engine_find_access_key(k->engine, id, "", &key));
	assert_string_equal(key.secret, secret);
	become(k, &key.who, id);
	expect_ok(engine_access_key_delete(k->engine, id)); /* a user has two at most; the caller stays who it is */
	k->caller.access_key_id[0] = '\0';
}

void iam_become_session(struct keystore *k, const json_t *credentials)
{
	const char *id = json_string_value(json_object_get(credentials, "AccessKeyId"));
	const char *token = json_string_value(json_object_get(credentials, "SessionToken"));
	struct engine_access_key key;

	expect_ok(engine_find_access_key(k->engine, id, token, &key));
	assert_string_equal(key.secret, json_string_value(json_object_get(credentials, "SecretAccessKey")));
	become(k, &key.who, id);
}

json_t *iam_sts(struct keystore *k, const char *action, const char *parameters, const char **ret_code)
{
	struct engine_sts_reply reply;
	json_t *request;
	char text[4096];

	quoted(parameters, text, sizeof(text));
	request = json_loads(text, 0, NULL);
	assert_non_null(request);
	engine_sts_call(k->engine, &k->caller, action, request, &reply);
	json_decref(request);
	*ret_code = reply.code;
	assert_true((reply.code == NULL) == (reply.result != NULL));
	if (reply.code != NULL)
		print_message("%s: %s\n", reply.code, reply.message);
	return reply.result;
}
