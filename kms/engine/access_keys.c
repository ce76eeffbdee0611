/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/base/xaes.h"
#include "kms/engine/access_keys.h"
#include "kms/engine/audit_iam.h"
#include "kms/engine/material.h"
#include "kms/engine/opened_secrets.h"
#include "kms/engine/principals.h"
#include "kms/engine/session.h"

enum { ID_RANDOM = 16, SECRET_LENGTH = ENGINE_SECRET_KEY_SIZE - 1, KEYS_OF_USER_MAX = 2 };
_Static_assert(SECRET_LENGTH == BASE64_LEN(30), "30 random bytes are 40 characters");

static struct sealed_subject access_subject(const struct engine *engine, const char *id, const char *arn)
{
	return (struct sealed_subject){.kind = SEALED_ACCESS_KEY,
		.keystore = engine->id,
		.a = id,
		.a_len = strlen(id),
		.b = arn, /* so that nobody can give an access key another identity by editing the row */
		.b_len = strlen(arn)};
}

void access_key_new_id(const char prefix[4], char ret[ENGINE_ACCESS_KEY_ID_SIZE])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	memcpy(ret, prefix, 4);
	for (int i = 0; i < ID_RANDOM; i++)
		ret[4 + i] = alphabet[random_below(32)];
	ret[4 + ID_RANDOM] = '\0';
}

enum err access_key_new_secret(char ret[ENGINE_SECRET_KEY_SIZE])
{
	uint8_t *bytes AUTO_SECRET = secret_alloc(30);

	if (bytes == NULL)
		return ERR_NO_MEMORY;
	random_bytes(bytes, 30);
	encode_base64(bytes, 30, ret);
	return ERR_OK;
}

enum err access_key_refuse(void)
{
	return err_fail(ERR_KMS_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
}

/* ---- Making one ---- */

struct creation {
	const char *account, *arn;
	const char *secret;
	struct store_access_key row;
	json_t *response;
};

static enum err fill_root(struct engine *engine, struct store_access_key *row, const char *account)
{
	enum err e;

	if (strlen(account) != ENGINE_ACCOUNT_SIZE - 1 || strspn(account, "0123456789") != ENGINE_ACCOUNT_SIZE - 1)
		return err_fail(ERR_USAGE, "an account has 12 digits");
	e = store_account_find(engine->store, account);
	if (e == ERR_NOT_FOUND)
		return err_fail(e, "there is no account %s", account);
	TRY(e);
	snprintf(row->account, sizeof(row->account), "%s", account);
	principal_root_arn(account, row->arn);
	return ERR_OK;
}

static enum err fill_user(struct engine *engine, struct store_access_key *row, const char *arn)
{
	struct store_principal user;
	size_t count;

	if (strlen(arn) >= sizeof(row->arn))
		return err_fail(ERR_USAGE, "an identity's ARN has at most %zu characters", sizeof(row->arn) - 1);
	TRY(principal_find(engine, arn, &user));
	if (user.kind != STORE_USER)
		return err_fail(ERR_USAGE, "%s is a role: it has no access keys, but sessions (sts assume-role)", arn);
	TRY(store_access_key_count(engine->store, user.row, &count));
	if (count >= KEYS_OF_USER_MAX)
		return err_fail(ERR_LIMIT, "%s has %d access keys already, which is the most", arn, KEYS_OF_USER_MAX);
	snprintf(row->account, sizeof(row->account), "%s", user.account);
	snprintf(row->arn, sizeof(row->arn), "%s", arn);
	row->principal = user.row;
	return ERR_OK;
}

/* NULL for the account's root, which has no user name. */
static const char *user_of(const char *arn)
{
	const char *user = arn != NULL ? strstr(arn, ":user/") : NULL;

	return user != NULL ? user + strlen(":user/") : NULL;
}

static enum err create(struct engine *engine, void *context)
{
	struct creation *c = context;
	struct store_access_key *row = &c->row;
	struct sealed_subject subject;
	char date[CLOCK_ISO8601_SIZE];

	TRY(c->arn != NULL ? fill_user(engine, row, c->arn)
			   : fill_root(engine, row, c->account != NULL ? c->account : ENGINE_DEFAULT_ACCOUNT));
	subject = access_subject(engine, row->id, row->arn);
	row->sealed_len = SECRET_LENGTH + XAES_OVERHEAD;
	TRY(material_seal(engine->secrets->seal, &subject, c->secret, SECRET_LENGTH, row->sealed));
	TRY(store_access_key_insert(engine->store, row));
	clock_iso8601(row->created, date);
	json_object_set_new(c->response, "accessKey",
		json_pack("{s:s*, s:s, s:s, s:s}", "userName", user_of(row->arn), "accessKeyId", row->id, "status",
			"Active", "createDate", date));
	return ERR_OK;
}

/* What came from outside is recorded as far as it is text. */
static json_t *text_or_null(const char *text)
{
	char fit[ENGINE_ARN_SIZE];

	if (text == NULL)
		return NULL;
	snprintf(fit, sizeof(fit), "%s", text);
	encode_utf8_repair(fit);
	return json_string(fit);
}

enum err engine_access_key_create(struct engine *engine, const char *account, const char *arn,
	char ret_id[ENGINE_ACCESS_KEY_ID_SIZE], char ret_secret[ENGINE_SECRET_KEY_SIZE])
{
	json_t *parameters AUTO_JSON = json_pack("{s:o*}", "userName", text_or_null(user_of(arn)));
	json_t *response AUTO_JSON = json_object();
	char *secret AUTO_SECRET = secret_alloc(ENGINE_SECRET_KEY_SIZE);
	struct creation c = {.account = account, .arn = arn, .secret = secret, .response = response};

	if (secret == NULL)
		return ERR_NO_MEMORY;
	c.row.created = engine->clock->wall(engine->clock);
	access_key_new_id("AKIA", c.row.id);
	TRY(access_key_new_secret(secret));
	TRY(iam_change_recorded(engine, &(struct iam_change){.event = "CreateAccessKey",
						.parameters = parameters,
						.response = response,
						.change = create,
						.context = &c}));
	memcpy(ret_id, c.row.id, ENGINE_ACCESS_KEY_ID_SIZE);
	memcpy(ret_secret, secret, ENGINE_SECRET_KEY_SIZE);
	return ERR_OK;
}

/* ---- Who signs with one ---- */

static enum err describe(struct engine *engine, const struct store_access_key *row, struct engine_caller *who)
{
	struct store_principal user;
	char arn[ENGINE_ARN_SIZE];
	enum err e;

	principal_root_arn(row->account, arn);
	if (row->principal == 0) {
		if (strcmp(row->arn, arn) != 0) /* of a keystore from before there were users */
			return access_key_refuse();
		principal_describe_root(row->account, who);
		return ERR_OK;
	}
	e = store_principal_get(engine->store, row->principal, &user);
	if (e == ERR_NOT_FOUND)
		return access_key_refuse();
	TRY(e);
	principal_describe_user(&user, who);
	/* The secret is bound to the ARN; the row's number of the user is not. */
	return strcmp(who->arn, row->arn) == 0 ? ERR_OK : access_key_refuse();
}

static enum err open_secret(struct engine *engine, const struct store_access_key *row, char *ret)
{
	struct sealed_subject subject = access_subject(engine, row->id, row->arn);

	if (row->sealed_len != SECRET_LENGTH + XAES_OVERHEAD)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: an access key has the wrong size");
	if (opened_secrets_get(engine->opened, row, ret))
		return ERR_OK;
	TRY(material_open(engine->secrets->seal, &subject, row->sealed, row->sealed_len, ret));
	ret[SECRET_LENGTH] = '\0';
	opened_secrets_put(engine->opened, row, ret);
	return ERR_OK;
}

enum err engine_find_access_key(
	struct engine *engine, const char *access_key_id, const char *token, struct engine_access_key *ret)
{
	char *secret AUTO_SECRET = secret_alloc(ENGINE_SECRET_KEY_SIZE);
	struct engine_caller who = {.principal = 0};
	struct store_access_key row;
	enum err e;

	if (names_starts_with(access_key_id, "ASIA"))
		return session_open(engine, access_key_id, token, ret);
	if (secret == NULL)
		return ERR_NO_MEMORY;
	/* Lasting keys have no token. */
	e = token[0] == '\0' ? store_access_key_find(engine->store, access_key_id, &row) : ERR_NOT_FOUND;
	if (e == ERR_NOT_FOUND)
		return access_key_refuse();
	TRY(e);
	TRY(open_secret(engine, &row, secret));
	TRY(describe(engine, &row, &who));
	memcpy(ret->secret, secret, ENGINE_SECRET_KEY_SIZE);
	ret->who = who;
	return ERR_OK;
}

enum err access_key_stands(struct engine *engine, const struct engine_caller *caller)
{
	int lasting = names_starts_with(caller->access_key_id, "AKIA"); /* temporary credentials end by themselves */
	struct store_access_key key;
	enum err e = lasting ? store_access_key_find(engine->store, caller->access_key_id, &key) : ERR_OK;

	if (e == ERR_NOT_FOUND || (e == ERR_OK && lasting && strcmp(key.arn, caller->arn) != 0))
		return access_key_refuse();
	return e;
}

/* ---- Listing and deleting ---- */

struct listing {
	engine_access_key_fn each;
	void *context;
};

static enum err list_one(void *context, const struct store_access_key *key)
{
	const struct listing *l = context;

	return l->each(l->context, key->id, key->account, key->arn, key->created);
}

enum err engine_access_key_list(struct engine *engine, engine_access_key_fn each, void *context)
{
	struct listing l = {each, context};

	return store_access_key_list(engine->store, list_one, &l);
}

static enum err delete_key(struct engine *engine, void *context)
{
	return store_access_key_delete(engine->store, context);
}

enum err engine_access_key_delete(struct engine *engine, const char *access_key_id)
{
	json_t *parameters AUTO_JSON = json_object();
	char id[ENGINE_ACCESS_KEY_SIZE];
	struct store_access_key key;

	/* Fit for the record; what this changes was no access key's id. */
	snprintf(id, sizeof(id), "%s", access_key_id);
	encode_utf8_repair(id);
	if (store_access_key_find(engine->store, id, &key) == ERR_OK && user_of(key.arn) != NULL)
		json_object_set_new(parameters, "userName", json_string(user_of(key.arn)));
	json_object_set_new(parameters, "accessKeyId", json_string(id));
	return iam_change_recorded(engine,
		&(struct iam_change){
			.event = "DeleteAccessKey", .parameters = parameters, .change = delete_key, .context = id});
}
