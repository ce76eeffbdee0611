/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/random.h"
#include "kms/base/xaes.h"
#include "kms/engine/audit.h"
#include "kms/engine/internal.h"
#include "kms/engine/material.h"

enum { ID_RANDOM = 16, SECRET_LENGTH = ENGINE_SECRET_KEY_SIZE - 1 };
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

static void new_id(char ret[ENGINE_ACCESS_KEY_ID_SIZE])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	memcpy(ret, "AKIA", 4);
	for (int i = 0; i < ID_RANDOM; i++)
		ret[4 + i] = alphabet[random_below(32)];
	ret[4 + ID_RANDOM] = '\0';
}

static enum err new_secret(char ret[ENGINE_SECRET_KEY_SIZE])
{
	uint8_t *bytes AUTO_SECRET = secret_alloc(30);

	if (bytes == NULL)
		return ERR_NO_MEMORY;
	random_bytes(bytes, 30);
	encode_base64(bytes, 30, ret);
	return ERR_OK;
}

static enum err fill_identity(struct store_access_key *key, const char *account, const char *arn)
{
	snprintf(key->account, sizeof(key->account), "%s", account != NULL ? account : ENGINE_DEFAULT_ACCOUNT);
	if (strlen(key->account) != 12 || strspn(key->account, "0123456789") != 12)
		return err_fail(ERR_USAGE, "an account has 12 digits");
	if (arn != NULL && strlen(arn) >= sizeof(key->arn))
		return err_fail(ERR_USAGE, "an identity's ARN has at most %zu characters", sizeof(key->arn) - 1);
	if (arn != NULL)
		snprintf(key->arn, sizeof(key->arn), "%s", arn);
	else
		snprintf(key->arn, sizeof(key->arn), "arn:aws:iam::%s:root", key->account);
	return ERR_OK;
}

static enum err seal_and_insert(struct engine *engine, struct store_access_key *key, const char *secret)
{
	struct sealed_subject subject = access_subject(engine, key->id, key->arn);

	key->sealed_len = SECRET_LENGTH + XAES_OVERHEAD;
	TRY(material_seal(engine->secrets->seal, &subject, secret, SECRET_LENGTH, key->sealed));
	return store_access_key_insert(engine->store, key);
}

/* As with every change, neither it nor its record exists without the other. */
static enum err insert_recorded(struct engine *engine, struct store_access_key *key, const char *secret)
{
	const struct audit_access_key done = {
		.event = "CreateAccessKey", .id = key->id, .arn = key->arn, .now = key->created};
	struct store_txn txn AUTO_ROLLBACK = {NULL};

	TRY(store_txn_begin(engine->store, &txn));
	TRY(seal_and_insert(engine, key, secret));
	TRY(audit_access_key(engine, &done));
	return store_txn_commit(&txn);
}

/* The refusal itself is what the caller hears, recorded or not. */
static enum err refuse_recorded(struct engine *engine, struct audit_access_key what, enum err e, const char *exception)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	char message[256];

	snprintf(message, sizeof(message), "%s", err_text(e));
	encode_utf8_repair(message);
	what.exception = exception;
	what.message = message;
	if (store_txn_begin(engine->store, &txn) != ERR_OK || audit_access_key(engine, &what) != ERR_OK ||
		store_txn_commit(&txn) != ERR_OK)
		report(engine->reporter, REPORT_ERROR, "KMS %s: a refused request went unrecorded", what.event);
	return err_fail(e, "%s", message);
}

enum err engine_access_key_create(struct engine *engine, const char *account, const char *arn,
	char ret_id[ENGINE_ACCESS_KEY_ID_SIZE], char ret_secret[ENGINE_SECRET_KEY_SIZE])
{
	struct store_access_key key = {.created = engine->clock->wall(engine->clock)};
	char *secret AUTO_SECRET = secret_alloc(ENGINE_SECRET_KEY_SIZE);
	enum err e;

	if (secret == NULL)
		return ERR_NO_MEMORY;
	e = fill_identity(&key, account, arn);
	if (e != ERR_OK)
		return refuse_recorded(engine,
			(struct audit_access_key){.event = "CreateAccessKey", .now = key.created}, e,
			"ValidationException");
	TRY(new_secret(secret));
	new_id(key.id);
	TRY(insert_recorded(engine, &key, secret));
	memcpy(ret_id, key.id, ENGINE_ACCESS_KEY_ID_SIZE);
	memcpy(ret_secret, secret, ENGINE_SECRET_KEY_SIZE);
	return ERR_OK;
}

enum err engine_find_access_key(struct engine *engine, const char *access_key_id, struct engine_access_key *ret)
{
	struct store_access_key row;
	struct sealed_subject subject;
	char *secret AUTO_SECRET = secret_alloc(ENGINE_SECRET_KEY_SIZE);
	enum err e;

	if (secret == NULL)
		return ERR_NO_MEMORY;
	e = store_access_key_find(engine->store, access_key_id, &row);
	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KMS_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
	TRY(e);
	if (row.sealed_len != SECRET_LENGTH + XAES_OVERHEAD)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: an access key has the wrong size");
	subject = access_subject(engine, row.id, row.arn);
	TRY(material_open(engine->secrets->seal, &subject, row.sealed, row.sealed_len, secret));
	memcpy(ret->secret, secret, ENGINE_SECRET_KEY_SIZE);
	snprintf(ret->account, sizeof(ret->account), "%s", row.account);
	snprintf(ret->arn, sizeof(ret->arn), "%s", row.arn);
	return ERR_OK;
}

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

static enum err delete_recorded(struct engine *engine, const struct audit_access_key *what)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};

	TRY(store_txn_begin(engine->store, &txn));
	TRY(store_access_key_delete(engine->store, what->id));
	TRY(audit_access_key(engine, what));
	return store_txn_commit(&txn);
}

enum err engine_access_key_delete(struct engine *engine, const char *access_key_id)
{
	struct audit_access_key what = {.event = "DeleteAccessKey", .now = engine->clock->wall(engine->clock)};
	char id[ENGINE_ACCESS_KEY_SIZE];
	struct store_access_key key;
	enum err e;

	/* Fit for the record; what this changes was no access key's id. */
	snprintf(id, sizeof(id), "%s", access_key_id);
	encode_utf8_repair(id);
	what.id = id;
	if (store_access_key_find(engine->store, id, &key) == ERR_OK)
		what.arn = key.arn;
	e = delete_recorded(engine, &what);
	return e == ERR_NOT_FOUND ? refuse_recorded(engine, what, e, "NoSuchEntityException") : e;
}
