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
#include "kms/engine/names.h"
#include "tests/support/keystore.h"

static struct engine *open_engine(struct keystore *k)
{
	const struct engine_config config = {
		.keystore = k->path, .root_key = &k->root, .region = KEYSTORE_REGION, .clock = &k->clock.clock};
	struct engine *engine;
	enum err e = engine_open(&config, &engine);

	if (e != ERR_OK)
		fail_msg("engine_open: %s", err_text(e));
	return engine;
}

int keystore_setup(void **state)
{
	struct keystore *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	snprintf(k->dir, sizeof(k->dir), "/tmp/signetfs-test-XXXXXX");
	assert_non_null(mkdtemp(k->dir));
	snprintf(k->path, sizeof(k->path), "%s/kms.db", k->dir);
	memset(k->root.b, 0x5a, sizeof(k->root.b));
	clock_fake_init(&k->clock, KEYSTORE_WALL);
	assert_int_equal(engine_create(k->path, &k->root, "params", 6), ERR_OK);
	k->engine = open_engine(k);
	assert_int_equal(engine_caller_for_uid(k->engine, getuid(), &k->caller), ERR_OK);
	*state = k;
	return 0;
}

int keystore_teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct keystore *k = *state;
	char path[128];

	engine_close(k->engine);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", k->path, suffixes[i]);
		unlink(path);
	}
	rmdir(k->dir);
	free(k);
	return 0;
}

struct engine *keystore_another(struct keystore *k)
{
	return open_engine(k);
}

void keystore_reopen(struct keystore *k)
{
	engine_close(k->engine);
	k->engine = NULL;
	k->engine = open_engine(k);
}

struct store *keystore_store(struct keystore *k)
{
	struct store *store;

	assert_int_equal(store_open(k->path, &store), ERR_OK);
	return store;
}

__attribute__((format(printf, 3, 0))) static void call(
	struct keystore *k, const char *operation, const char *fmt, va_list ap, struct engine_reply *ret)
{
	char text[16384];
	json_t *request;
	json_error_t at;
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	assert_true(n >= 0 && (size_t)n < sizeof(text));
	for (char *p = text; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	request = json_loads(text, JSON_DECODE_ANY, &at);
	if (request == NULL)
		fail_msg("%s: the test's request is no JSON: %s", operation, text);
	engine_call(k->engine, &k->caller, operation, request, ret);
	json_decref(request);
}

__attribute__((format(printf, 3, 0))) static json_t *expect_ok(
	struct keystore *k, const char *operation, const char *fmt, va_list ap)
{
	struct engine_reply reply;

	call(k, operation, fmt, ap, &reply);
	if (reply.error != ERR_OK)
		fail_msg("%s %s: %s: %s", operation, fmt, err_to_exception(reply.error), reply.message);
	assert_string_equal(reply.message, "");
	assert_int_equal(strlen(reply.request_id), 36);
	return reply.body;
}

json_t *keystore_ok(struct keystore *k, const char *operation, const char *fmt, ...)
{
	json_t *body;
	va_list ap;

	va_start(ap, fmt);
	body = expect_ok(k, operation, fmt, ap);
	va_end(ap);
	return body;
}

void keystore_do(struct keystore *k, const char *operation, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_decref(expect_ok(k, operation, fmt, ap));
	va_end(ap);
}

void keystore_fails(
	struct keystore *k, enum err error, const char *message, const char *operation, const char *fmt, ...)
{
	struct engine_reply reply;
	va_list ap;

	va_start(ap, fmt);
	call(k, operation, fmt, ap, &reply);
	va_end(ap);
	if (reply.error != error)
		fail_msg("%s %s: %s (%s) instead of %s", operation, fmt, err_name(reply.error), reply.message,
			err_name(error));
	assert_null(reply.body);
	if (message != NULL)
		assert_string_equal(reply.message, message);
}

enum err keystore_try(struct keystore *k, const char *operation, const char *fmt, ...)
{
	struct engine_reply reply;
	va_list ap;

	va_start(ap, fmt);
	call(k, operation, fmt, ap, &reply);
	va_end(ap);
	json_decref(reply.body);
	return reply.error;
}

void keystore_text(const json_t *body, const char *member, char ret[512])
{
	const char *text = json_string_value(json_object_get(body, member));

	assert_non_null(text);
	snprintf(ret, 512, "%s", text);
}

void keystore_new_key(struct keystore *k, char ret_id[64], char ret_arn[ENGINE_ARN_SIZE])
{
	json_t *body = keystore_ok(k, "CreateKey", "{}"), *m = json_object_get(body, "KeyMetadata");

	snprintf(ret_id, 64, "%s", json_string_value(json_object_get(m, "KeyId")));
	snprintf(ret_arn, ENGINE_ARN_SIZE, "%s", json_string_value(json_object_get(m, "Arn")));
	json_decref(body);
}

void keystore_force_state(struct keystore *k, const char *key_id, enum key_state state)
{
	struct store *store = keystore_store(k);
	struct store_key key;
	struct key_name name;

	assert_int_equal(names_parse(key_id, &name), ERR_OK);
	assert_int_equal(store_begin(store), ERR_OK);
	assert_int_equal(store_key_find(store, KEYSTORE_REGION, name.id, &key), ERR_OK);
	key.state = state;
	assert_int_equal(store_key_update(store, &key), ERR_OK);
	assert_int_equal(store_commit(store), ERR_OK);
	store_close(store);
}
