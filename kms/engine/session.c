/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/encode.h"
#include "kms/base/xaes.h"
#include "kms/engine/access_keys.h"
#include "kms/engine/material.h"
#include "kms/engine/principals.h"
#include "kms/engine/session.h"

enum {
	VERSION = 1,
	SECRET_LENGTH = ENGINE_SECRET_KEY_SIZE - 1,
	PLAIN_MAX = 2 + 3 * 8 + SECRET_LENGTH + 2 + 64 + 2 + ENGINE_SESSION_POLICY_SIZE,
	SEALED_MAX = PLAIN_MAX + XAES_OVERHEAD
};
_Static_assert(BASE64_LEN(SEALED_MAX) < SESSION_TOKEN_SIZE, "a token has room");

static struct sealed_subject subject_of(const struct engine *engine, const char *access_key_id)
{
	return (struct sealed_subject){
		.kind = SEALED_SESSION, .keystore = engine->id, .a = access_key_id, .a_len = strlen(access_key_id)};
}

/* ---- Out ---- */

static void put_text(struct writer *w, const char *text)
{
	writer_u16(w, (uint16_t)strlen(text));
	writer_put(w, text, strlen(text));
}

static enum err encode(const struct session *s, uint8_t *buf, size_t *ret_len)
{
	struct writer w;

	writer_init(&w, buf, PLAIN_MAX);
	writer_u8(&w, VERSION);
	writer_u8(&w, (uint8_t)s->kind);
	writer_u64(&w, (uint64_t)s->principal);
	writer_u64(&w, s->issued);
	writer_u64(&w, s->expires);
	writer_put(&w, s->secret, SECRET_LENGTH);
	put_text(&w, s->name);
	put_text(&w, s->policy);
	return writer_end(&w, ret_len);
}

enum err session_issue(struct engine *engine, struct session *s, char ret_token[SESSION_TOKEN_SIZE])
{
	uint8_t *plain AUTO_SECRET = secret_alloc(PLAIN_MAX);
	uint8_t sealed[SEALED_MAX];
	struct sealed_subject subject;
	size_t len;

	if (plain == NULL)
		return ERR_NO_MEMORY;
	access_key_new_id("ASIA", s->access_key_id);
	TRY(access_key_new_secret(s->secret));
	subject = subject_of(engine, s->access_key_id);
	TRY(encode(s, plain, &len));
	TRY(material_seal(engine->secrets->seal, &subject, plain, len, sealed));
	encode_base64(sealed, len + XAES_OVERHEAD, ret_token);
	return ERR_OK;
}

/* ---- In ---- */

static enum err take_text(struct reader *r, char *buf, size_t size)
{
	uint16_t len;

	TRY(reader_u16(r, &len));
	if (len >= size)
		return ERR_FORMAT;
	TRY(reader_copy(r, buf, len));
	buf[len] = '\0';
	return ERR_OK;
}

static enum err decode(const uint8_t *plain, size_t len, struct session *s)
{
	struct reader r;
	uint8_t version, kind;
	uint64_t principal;

	reader_init(&r, plain, len);
	TRY(reader_u8(&r, &version));
	TRY(reader_u8(&r, &kind));
	if (version != VERSION || kind < SESSION_OF_ROLE || kind > SESSION_FEDERATED)
		return ERR_FORMAT;
	s->kind = (enum session_kind)kind;
	TRY(reader_u64(&r, &principal));
	s->principal = (int64_t)principal;
	TRY(reader_u64(&r, &s->issued));
	TRY(reader_u64(&r, &s->expires));
	TRY(reader_copy(&r, s->secret, SECRET_LENGTH));
	s->secret[SECRET_LENGTH] = '\0';
	TRY(take_text(&r, s->name, sizeof(s->name)));
	TRY(take_text(&r, s->policy, sizeof(s->policy)));
	return reader_end(&r);
}

static enum err unseal(struct engine *engine, const char *access_key_id, const char *token, struct session *s)
{
	uint8_t *plain AUTO_SECRET = secret_alloc(PLAIN_MAX);
	struct sealed_subject subject = subject_of(engine, access_key_id);
	uint8_t sealed[SEALED_MAX];
	size_t len;

	if (plain == NULL)
		return ERR_NO_MEMORY;
	if (decode_base64(token, strlen(token), sealed, sizeof(sealed), &len) != ERR_OK || len <= XAES_OVERHEAD ||
		material_open(engine->secrets->seal, &subject, sealed, len, plain) != ERR_OK)
		return access_key_refuse();
	return decode(plain, len - XAES_OVERHEAD, s) == ERR_OK ? ERR_OK : access_key_refuse();
}

static void describe(const struct session *s, const struct store_principal *row, struct engine_caller *c)
{
	if (s->kind == SESSION_OF_ROLE)
		principal_describe_session(row, s->name, c);
	else if (s->kind == SESSION_FEDERATED)
		principal_describe_federated(row, s->name, c);
	else
		principal_describe_user(row, c);
	c->token_issued = s->issued;
	memcpy(c->session_policy, s->policy, sizeof(c->session_policy));
}

static enum err check_session(struct engine *engine, const struct session *s, struct store_principal *row)
{
	enum err e;

	if (engine->clock->wall(engine->clock) >= s->expires)
		return err_fail(ERR_KMS_EXPIRED_TOKEN, "The security token included in the request is expired");
	e = store_principal_get(engine->store, s->principal, row);
	if (e == ERR_NOT_FOUND)
		return access_key_refuse();
	TRY(e);
	return (row->kind == STORE_ROLE) == (s->kind == SESSION_OF_ROLE) ? ERR_OK : access_key_refuse();
}

enum err session_open(
	struct engine *engine, const char *access_key_id, const char *token, struct engine_access_key *ret)
{
	struct session *s AUTO_SECRET = secret_alloc(sizeof(*s));
	struct store_principal row;

	if (s == NULL)
		return ERR_NO_MEMORY;
	TRY(unseal(engine, access_key_id, token, s));
	TRY(check_session(engine, s, &row));
	*ret = (struct engine_access_key){.secret = ""};
	memcpy(ret->secret, s->secret, sizeof(ret->secret));
	describe(s, &row, &ret->who);
	return ERR_OK;
}
