/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/authorize.h"
#include "kms/engine/blob.h"
#include "kms/engine/context.h"
#include "kms/engine/material.h"
#include "kms/engine/operations.h"
#include "kms/engine/resolve.h"

enum { BLOB_MAX = BLOB_OVERHEAD + BLOB_PLAINTEXT_MAX, RANDOM_MAX = 1024 };

/* A symmetric key with the symmetric algorithm, or not at all. */
static enum err check_use(const struct call *call, const struct store_key *key, const char *algorithm)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	if (strcmp(key->usage, "ENCRYPT_DECRYPT") != 0)
		return err_fail(ERR_KMS_INVALID_KEY_USAGE, "%s key usage is %s which is not valid for %s.", arn,
			key->usage, call->op->name);
	if (algorithm != NULL && strcmp(algorithm, "SYMMETRIC_DEFAULT") != 0)
		return err_fail(ERR_KMS_INVALID_KEY_USAGE, "Algorithm %s and key spec %s are not compatible.",
			algorithm, key->spec);
	return ERR_OK;
}

static enum err refuse_recipient(const struct call *call)
{
	if (json_is_object(json_object_get(call->request, "Recipient")))
		return err_fail(
			ERR_KMS_UNSUPPORTED_OPERATION, "Recipient is not supported: there are no Nitro enclaves here.");
	if (json_array_size(json_object_get(call->request, "DryRunModifiers")) > 0)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "DryRunModifiers are not supported here.");
	return ERR_OK;
}

static enum err encrypt_under(struct call *call, const struct store_key *key, const char *context_member,
	const void *in, size_t len, uint8_t *blob)
{
	struct blob_header header = {.multi_region = key->multi_region};
	struct cmk_key material AUTO_WIPE;
	uint8_t *context AUTO_FREE = NULL;
	size_t context_len;
	enum err e;

	memcpy(header.key, key->id, UUID_SIZE);
	memcpy(header.backing, key->current, UUID_SIZE);
	TRY(context_encode(json_object_get(call->request, context_member), &context, &context_len));
	e = material_load(call->engine, key, key->current, &material);
	if (e == ERR_NOT_FOUND) /* deleted since it was looked up */
		return resolve_key_missing(key);
	TRY(e);
	return blob_seal(call->engine->secrets->blob_header, &material, &header, context, context_len, in, len, blob);
}

/* KeyMaterialId of a backing key, into the answer or the audit record. */
static enum err put_material_id(struct call *call, json_t *object, const char *member, const struct store_key *key,
	const uint8_t backing[UUID_SIZE])
{
	struct store_backing row;

	TRY(store_backing_find(call->engine->store, key->row, backing, &row));
	if (object != NULL && json_object_set_new(object, member, json_string(row.material_id)) != 0)
		return ERR_NO_MEMORY;
	if (call->additional == NULL)
		call->additional = json_object();
	return json_object_set_new(
		       call->additional, object == NULL ? member : "keyMaterialId", json_string(row.material_id)) == 0
		       ? ERR_OK
		       : ERR_NO_MEMORY;
}

static json_t *answer_with_arn(const char *member, const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	return json_pack("{s:s}", member, arn);
}

static enum err set_blob(json_t *body, const char *name, const void *p, size_t len)
{
	return json_set_blob(body, name, p, len) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

enum err op_encrypt(struct call *call)
{
	uint8_t *plaintext AUTO_SECRET = NULL;
	uint8_t blob[BLOB_MAX];
	size_t len;

	TRY(check_use(call, &call->key, call_string(call, "EncryptionAlgorithm")));
	TRY(json_get_blob(call->request, "Plaintext", &plaintext, &len));
	TRY(encrypt_under(call, &call->key, "EncryptionContext", plaintext, len, blob));
	TRY(call_answer(call, answer_with_arn("KeyId", &call->key)));
	TRY(set_blob(call->body, "CiphertextBlob", blob, len + BLOB_OVERHEAD));
	json_object_set_new(call->body, "EncryptionAlgorithm", json_string("SYMMETRIC_DEFAULT"));
	return put_material_id(call, NULL, "keyMaterialId", &call->key, call->key.current);
}

/* ---- Opening a blob: Decrypt, and the first half of ReEncrypt ---- */

struct opened {
	struct store_key key;
	struct blob_header header;
	uint8_t *plaintext; /* secret_alloc */
	size_t len;
};

static void opened_auto(struct opened *o)
{
	secret_free(o->plaintext);
}
#define AUTO_OPENED __attribute__((cleanup(opened_auto)))

struct open_request {
	const char *key_member, *context_member, *algorithm_member, *action;
};

/* The blob says which key it is under; naming a key in the request only asserts it. */
static enum err find_blob_key(
	struct call *call, const struct open_request *r, const struct blob_header *header, struct store_key *ret)
{
	const char *named = call_string(call, r->key_member);
	struct store_key key;
	enum err e;

	if (named != NULL) {
		TRY(resolve_key(call, named, &key));
		if (memcmp(key.id, header->key, UUID_SIZE) != 0)
			return err_fail(ERR_KMS_INCORRECT_KEY,
				"The key ID in the request does not identify a CMK that can perform this operation.");
	} else {
		e = store_key_find(call->engine->store, call->region, header->key, &key);
		if (e == ERR_NOT_FOUND)
			return err_fail(ERR_KMS_ACCESS_DENIED,
				"The ciphertext refers to a customer master key that does not exist, does not exist in "
				"this region, or you are not allowed to access.");
		TRY(e);
	}
	*ret = key;
	return ERR_OK;
}

static enum err open_plaintext(
	struct call *call, const struct open_request *r, const uint8_t *blob, size_t blob_len, struct opened *o)
{
	uint8_t *plaintext AUTO_SECRET = secret_alloc(blob_len - BLOB_OVERHEAD);
	uint8_t *context AUTO_FREE = NULL;
	struct cmk_key material AUTO_WIPE;
	size_t context_len;
	enum err e;

	if (plaintext == NULL)
		return ERR_NO_MEMORY;
	TRY(context_encode(json_object_get(call->request, r->context_member), &context, &context_len));
	e = material_load(call->engine, &o->key, o->header.backing, &material);
	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "%s", "");
	TRY(e);
	TRY(blob_open(&material, context, context_len, blob, blob_len, plaintext));
	o->len = blob_len - BLOB_OVERHEAD;
	o->plaintext = STEAL(plaintext);
	return ERR_OK;
}

static enum err open_blob(struct call *call, const struct open_request *r, struct opened *o)
{
	uint8_t *blob AUTO_SECRET = NULL;
	size_t blob_len;

	TRY(refuse_recipient(call));
	TRY(json_get_blob(call->request, "CiphertextBlob", &blob, &blob_len));
	TRY(blob_parse(call->engine->secrets->blob_header, blob, blob_len, &o->header));
	TRY(find_blob_key(call, r, &o->header, &o->key));
	TRY(call_use_key(call, &o->key, r->action));
	TRY(check_use(call, &o->key, call_string(call, r->algorithm_member)));
	return open_plaintext(call, r, blob, blob_len, o);
}

enum err op_decrypt(struct call *call)
{
	static const struct open_request r = {"KeyId", "EncryptionContext", "EncryptionAlgorithm", "Decrypt"};
	struct opened o AUTO_OPENED = {.plaintext = NULL};

	TRY(open_blob(call, &r, &o));
	TRY(call_answer(call, answer_with_arn("KeyId", &o.key)));
	TRY(set_blob(call->body, "Plaintext", o.plaintext, o.len));
	json_object_set_new(call->body, "EncryptionAlgorithm", json_string("SYMMETRIC_DEFAULT"));
	return put_material_id(call, call->body, "KeyMaterialId", &o.key, o.header.backing);
}

static enum err put_both_material_ids(struct call *call, const struct opened *o, const struct store_key *to)
{
	TRY(put_material_id(call, call->body, "SourceKeyMaterialId", &o->key, o->header.backing));
	TRY(put_material_id(call, NULL, "sourceKeyMaterialId", &o->key, o->header.backing));
	TRY(put_material_id(call, call->body, "DestinationKeyMaterialId", to, to->current));
	TRY(put_material_id(call, NULL, "destinationKeyMaterialId", to, to->current));
	json_object_del(call->additional, "keyMaterialId");
	return ERR_OK;
}

enum err op_re_encrypt(struct call *call)
{
	static const struct open_request r = {
		"SourceKeyId", "SourceEncryptionContext", "SourceEncryptionAlgorithm", "ReEncryptFrom"};
	struct opened o AUTO_OPENED = {.plaintext = NULL};
	struct store_key to = call->key;
	char source[ENGINE_ARN_SIZE];
	uint8_t blob[BLOB_MAX];

	TRY(open_blob(call, &r, &o));
	TRY(call_use_key(call, &to, "ReEncryptTo"));
	TRY(check_use(call, &to, call_string(call, "DestinationEncryptionAlgorithm")));
	TRY(encrypt_under(call, &to, "DestinationEncryptionContext", o.plaintext, o.len, blob));
	TRY(call_answer(call, answer_with_arn("KeyId", &to)));
	TRY(set_blob(call->body, "CiphertextBlob", blob, o.len + BLOB_OVERHEAD));
	names_key_arn(&o.key, source);
	json_object_set_new(call->body, "SourceKeyId", json_string(source));
	json_object_set_new(call->body, "SourceEncryptionAlgorithm", json_string("SYMMETRIC_DEFAULT"));
	json_object_set_new(call->body, "DestinationEncryptionAlgorithm", json_string("SYMMETRIC_DEFAULT"));
	return put_both_material_ids(call, &o, &to);
}

/* ---- Data keys and random bytes ---- */

static enum err data_key_length(const struct call *call, size_t *ret)
{
	const char *spec = call_string(call, "KeySpec");
	int64_t bytes = call_integer(call, "NumberOfBytes", 0);

	if ((spec == NULL) == (bytes == 0))
		return err_fail(ERR_KMS_VALIDATION, "Please specify either number of bytes or key spec.");
	*ret = spec == NULL ? (size_t)bytes : strcmp(spec, "AES_256") == 0 ? 32 : 16;
	return ERR_OK;
}

static enum err generate_data_key(struct call *call, int with_plaintext)
{
	uint8_t *plaintext AUTO_SECRET = NULL;
	uint8_t blob[BLOB_OVERHEAD + RANDOM_MAX];
	size_t len;

	TRY(refuse_recipient(call));
	TRY(data_key_length(call, &len));
	TRY(check_use(call, &call->key, NULL));
	plaintext = secret_alloc(len);
	if (plaintext == NULL)
		return ERR_NO_MEMORY;
	random_bytes(plaintext, len);
	TRY(encrypt_under(call, &call->key, "EncryptionContext", plaintext, len, blob));
	TRY(call_answer(call, answer_with_arn("KeyId", &call->key)));
	TRY(set_blob(call->body, "CiphertextBlob", blob, len + BLOB_OVERHEAD));
	if (with_plaintext)
		TRY(set_blob(call->body, "Plaintext", plaintext, len));
	return put_material_id(call, call->body, "KeyMaterialId", &call->key, call->key.current);
}

enum err op_generate_data_key(struct call *call)
{
	return generate_data_key(call, 1);
}

enum err op_generate_data_key_without_plaintext(struct call *call)
{
	return generate_data_key(call, 0);
}

enum err op_generate_random(struct call *call)
{
	int64_t len = call_integer(call, "NumberOfBytes", 0);
	uint8_t *bytes AUTO_SECRET = NULL;

	TRY(refuse_recipient(call));
	if (call_string(call, "CustomKeyStoreId") != NULL)
		return err_fail(ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, "Custom key store %s is not found.",
			call_string(call, "CustomKeyStoreId"));
	if (len == 0)
		return err_fail(ERR_KMS_VALIDATION, "NumberOfBytes is required.");
	bytes = secret_alloc((size_t)len);
	if (bytes == NULL)
		return ERR_NO_MEMORY;
	random_bytes(bytes, (size_t)len);
	TRY(call_answer(call, json_object()));
	return set_blob(call->body, "Plaintext", bytes, (size_t)len);
}
