/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "kms/base/random.h"
#include "kms/base/xaes.h"
#include "kms/engine/material.h"
#include "kms/engine/rotation.h"
#include "kms/engine/wrapping.h"

enum { TOKEN_VERSION = 1, TOKEN_BODY_SIZE = WRAPPING_TOKEN_SIZE - SHA256_SIZE };

struct token {
	uint8_t wrapping[UUID_SIZE], key[UUID_SIZE];
	uint64_t expires;
};

static struct sealed_subject subject_of(
	const struct engine *engine, const struct store_key *key, const uint8_t wrapping[UUID_SIZE])
{
	return (struct sealed_subject){.kind = SEALED_WRAPPING_KEY,
		.keystore = engine->id,
		.a = key->id,
		.a_len = UUID_SIZE,
		.b = wrapping,
		.b_len = UUID_SIZE};
}

static enum err token_mac(struct call *call, const uint8_t *body, uint8_t ret[SHA256_SIZE])
{
	const struct bytes_view parts[] = {{LABEL_KMS_IMPORT_TOKEN, sizeof(LABEL_KMS_IMPORT_TOKEN)},
		{call->region, strlen(call->region) + 1}, {body, TOKEN_BODY_SIZE}};

	return kdf_hmacv(call->engine->secrets->marker, KEY_SIZE, parts, sizeof(parts) / sizeof(parts[0]), ret);
}

static enum err write_token(struct call *call, const struct token *t, uint8_t ret[WRAPPING_TOKEN_SIZE])
{
	struct writer w;

	writer_init(&w, ret, TOKEN_BODY_SIZE);
	writer_u8(&w, TOKEN_VERSION);
	writer_put(&w, t->wrapping, UUID_SIZE);
	writer_put(&w, t->key, UUID_SIZE);
	writer_u64(&w, t->expires);
	return token_mac(call, ret, ret + TOKEN_BODY_SIZE);
}

enum err wrapping_store(struct call *call, const struct store_key *key, const char *algorithm,
	const struct pkey_bytes *private_key, uint8_t ret_token[WRAPPING_TOKEN_SIZE], uint64_t *ret_expires)
{
	struct store_wrapping row = {.expires = call->now + ENGINE_DAY, .sealed_len = private_key->len + XAES_OVERHEAD};
	struct token t = {.expires = row.expires};
	struct sealed_subject subject;

	if (row.sealed_len > sizeof(row.sealed))
		return err_fail(ERR_LIMIT, "a wrapping key of %zu bytes is longer than is supported", private_key->len);
	random_uuid(row.id);
	memcpy(t.wrapping, row.id, UUID_SIZE);
	memcpy(t.key, key->id, UUID_SIZE);
	snprintf(row.algorithm, sizeof(row.algorithm), "%s", algorithm);
	subject = subject_of(call->engine, key, row.id);
	TRY(material_seal(call->engine->secrets->seal, &subject, private_key->p, private_key->len, row.sealed));
	TRY(store_wrapping_insert(call->engine->store, key->row, &row));
	*ret_expires = row.expires;
	return write_token(call, &t, ret_token);
}

static enum err invalid_token(void)
{
	return err_fail(
		ERR_KMS_INVALID_IMPORT_TOKEN, "The import token is invalid or is associated with a different KMS key.");
}

static enum err expired_token(void)
{
	return err_fail(ERR_KMS_EXPIRED_IMPORT_TOKEN, "The import token is expired.");
}

static enum err read_token(struct call *call, const struct pkey_bytes *bytes, struct token *ret)
{
	uint8_t mac[SHA256_SIZE], version;
	struct reader r;

	if (bytes->len != WRAPPING_TOKEN_SIZE)
		return invalid_token();
	TRY(token_mac(call, bytes->p, mac));
	if (!secret_equal(mac, bytes->p + TOKEN_BODY_SIZE, sizeof(mac)))
		return invalid_token();
	reader_init(&r, bytes->p, TOKEN_BODY_SIZE);
	if (reader_u8(&r, &version) != ERR_OK || version != TOKEN_VERSION ||
		reader_copy(&r, ret->wrapping, UUID_SIZE) != ERR_OK || reader_copy(&r, ret->key, UUID_SIZE) != ERR_OK ||
		reader_u64(&r, &ret->expires) != ERR_OK)
		return invalid_token();
	return ERR_OK;
}

enum err wrapping_open(struct call *call, const struct store_key *key, const struct pkey_bytes *token, char *algorithm,
	struct pkey_bytes *ret_private)
{
	struct sealed_subject subject;
	struct store_wrapping row;
	struct token t;
	enum err e;

	TRY(read_token(call, token, &t));
	if (memcmp(t.key, key->id, UUID_SIZE) != 0)
		return invalid_token();
	if (t.expires <= call->now)
		return expired_token();
	e = store_wrapping_find(call->engine->store, key->row, t.wrapping, &row);
	if (e == ERR_NOT_FOUND)
		return invalid_token();
	TRY(e);
	if (row.sealed_len <= XAES_OVERHEAD)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a wrapping key has the wrong size");
	ret_private->len = row.sealed_len - XAES_OVERHEAD;
	ret_private->p = secret_alloc(ret_private->len);
	if (ret_private->p == NULL)
		return ERR_NO_MEMORY;
	memcpy(algorithm, row.algorithm, sizeof(row.algorithm));
	subject = subject_of(call->engine, key, row.id);
	return material_open(call->engine->secrets->seal, &subject, row.sealed, row.sealed_len, ret_private->p);
}
