/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/engine/authorize.h"
#include "kms/engine/blob.h"
#include "kms/engine/context.h"
#include "kms/engine/key_use.h"
#include "kms/engine/material.h"
#include "kms/engine/operations.h"
#include "kms/engine/pkey.h"
#include "kms/engine/resolve.h"

/* Encrypt, Decrypt, ReEncrypt: with a symmetric key, whose blob says which key it is under, or with an RSA key, whose does not. */

enum { BLOB_MAX = BLOB_OVERHEAD + BLOB_PLAINTEXT_MAX };

static int is_symmetric(const struct store_key *key)
{
	return strcmp(key->spec, "SYMMETRIC_DEFAULT") == 0;
}

static enum err refuse_context(const struct call *call, const struct store_key *key, const char *context_member)
{
	if (json_object_size(json_object_get(call->request, context_member)) == 0)
		return ERR_OK;
	return err_fail(ERR_KMS_VALIDATION, "%s is not supported with the key spec %s: only symmetric keys have one.",
		context_member, key->spec);
}

/* ---- Sealing ---- */

struct seal_request {
	const char *context_member, *algorithm_member;
};

static enum err seal_rsa(struct call *call, const struct store_key *key, const struct key_algorithm *algorithm,
	const struct pkey_bytes *in, struct pkey_bytes *ret)
{
	size_t max = pkey_encrypt_max(algorithm, key_spec_find(key->spec));
	struct pkey_bytes private_key AUTO_PKEY_BYTES = {NULL, 0};

	if (in->len > max)
		return err_fail(ERR_KMS_VALIDATION,
			"Algorithm %s and key spec %s cannot encrypt data larger than %zu bytes.", algorithm->name,
			key->spec, max);
	TRY(material_load_bytes(call->engine, key, key->current, &private_key));
	return pkey_encrypt(algorithm, &private_key, in->p, in->len, ret);
}

static enum err seal(struct call *call, const struct seal_request *r, const struct store_key *key,
	const struct pkey_bytes *in, struct pkey_bytes *ret)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {secret_alloc(BLOB_MAX), in->len + BLOB_OVERHEAD};
	const struct key_algorithm *algorithm;

	TRY(key_use_check(call, key, "ENCRYPT_DECRYPT", call_string(call, r->algorithm_member), &algorithm));
	if (algorithm->scheme != SCHEME_SYMMETRIC) {
		TRY(refuse_context(call, key, r->context_member));
		return seal_rsa(call, key, algorithm, in, ret);
	}
	if (out.p == NULL)
		return ERR_NO_MEMORY;
	TRY(key_use_encrypt(call, key, r->context_member, in->p, in->len, out.p));
	ret->len = out.len;
	ret->p = STEAL(out.p);
	return ERR_OK;
}

/* Which of a key's materials was used goes into the record, where the key can have several. */
static enum err record_material(struct call *call, const struct store_key *key)
{
	return is_symmetric(key) ? key_use_put_material(call, NULL, "keyMaterialId", key, key->current) : ERR_OK;
}

static void put_algorithm(struct call *call, const char *answer_member, const char *request_member)
{
	const char *name = call_string(call, request_member);

	json_object_set_new(call->body, answer_member, json_string(name != NULL ? name : "SYMMETRIC_DEFAULT"));
}

enum err op_encrypt(struct call *call)
{
	static const struct seal_request r = {"EncryptionContext", "EncryptionAlgorithm"};
	struct pkey_bytes plaintext AUTO_PKEY_BYTES = {NULL, 0}, blob AUTO_PKEY_BYTES = {NULL, 0};

	TRY(json_get_blob(call->request, "Plaintext", &plaintext.p, &plaintext.len));
	TRY(seal(call, &r, &call->key, &plaintext, &blob));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	TRY(key_use_set_blob(call->body, "CiphertextBlob", blob.p, blob.len));
	put_algorithm(call, "EncryptionAlgorithm", "EncryptionAlgorithm");
	return record_material(call, &call->key);
}

/* ---- Opening: Decrypt, and the first half of ReEncrypt ---- */

struct opened {
	struct store_key key;
	struct blob_header header;   /* of a symmetric blob */
	struct pkey_bytes plaintext; /* none when the ciphertext was not to be looked at */
};

static void opened_auto(struct opened *o)
{
	secret_free(o->plaintext.p);
}
#define AUTO_OPENED __attribute__((cleanup(opened_auto)))

struct open_request {
	const char *key_member, *context_member, *algorithm_member, *action;
};

static int is_asymmetric_algorithm(const char *name)
{
	return name != NULL && strcmp(name, "SYMMETRIC_DEFAULT") != 0;
}

static int is_foreign(const struct call *call, const char *account)
{
	return strcmp(account, call->caller->account) != 0;
}

/* Another account's key is asked for before anything else, so that no other answer tells whether it is there. */
static enum err check_foreign(struct call *call, const struct open_request *r)
{
	const char *named = call_string(call, r->key_member);
	struct store_key key;
	struct key_name name;

	call->action = r->action;
	if (named == NULL || names_parse(named, &name) != ERR_OK ||
		(name.kind != NAME_KEY_ARN && name.kind != NAME_ALIAS_ARN) || !is_foreign(call, name.account))
		return ERR_OK;
	TRY(resolve_key(call, named, &key));
	call_touch(call, &key);
	return authorize(call, r->action, &key);
}

static enum err refuse_ciphertext(void)
{
	return err_fail(ERR_KMS_ACCESS_DENIED,
		"The ciphertext refers to a customer master key that does not exist, does "
		"not exist in this region, or you are not allowed to access.");
}

/* Who brings another account's ciphertext, and may not open it, learns nothing of the key. */
static enum err use_blob_key(struct call *call, const struct open_request *r, const struct store_key *key)
{
	enum err e = call_use_key(call, key, r->action);

	if (e == ERR_KMS_ACCESS_DENIED && call_string(call, r->key_member) == NULL && is_foreign(call, key->account))
		return refuse_ciphertext();
	return e;
}

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
		if (e == ERR_NOT_FOUND || (e == ERR_OK && key.manager == KEY_MANAGER_SERVICE))
			return refuse_ciphertext();
		TRY(e);
	}
	*ret = key;
	return ERR_OK;
}

static enum err open_with(
	struct call *call, const struct open_request *r, const struct pkey_bytes *blob, struct opened *o)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {secret_alloc(blob->len - BLOB_OVERHEAD), blob->len - BLOB_OVERHEAD};
	uint8_t *context AUTO_FREE = NULL;
	struct cmk_key material AUTO_WIPE;
	size_t context_len;
	enum err e;

	if (out.p == NULL)
		return ERR_NO_MEMORY;
	TRY(context_encode(json_object_get(call->request, r->context_member), &context, &context_len));
	e = material_load(call->engine, &o->key, o->header.backing, &material);
	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "%s", "");
	TRY(e);
	TRY(blob_open(&material, context, context_len, blob->p, blob->len, out.p));
	o->plaintext.len = out.len;
	o->plaintext.p = STEAL(out.p);
	return ERR_OK;
}

/* A key pair's ciphertext says nothing of its key: the request has to. */
static enum err named_key(
	struct call *call, const struct open_request *r, const struct key_algorithm **ret_algorithm, struct opened *o)
{
	const char *named = call_string(call, r->key_member);
	char member[VALIDATE_NAME_SIZE];

	validate_lower_camel(r->key_member, member);
	if (named == NULL)
		return err_fail(ERR_KMS_VALIDATION,
			"1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not "
			"be null",
			member);
	TRY(resolve_key(call, named, &o->key));
	TRY(call_use_key(call, &o->key, r->action));
	return key_use_check(call, &o->key, "ENCRYPT_DECRYPT", call_string(call, r->algorithm_member), ret_algorithm);
}

static enum err open_rsa(
	struct call *call, const struct open_request *r, const struct pkey_bytes *blob, struct opened *o)
{
	struct pkey_bytes private_key AUTO_PKEY_BYTES = {NULL, 0};
	const struct key_algorithm *algorithm;

	TRY(named_key(call, r, &algorithm, o));
	TRY(refuse_context(call, &o->key, r->context_member));
	TRY(material_load_bytes(call->engine, &o->key, o->key.current, &private_key));
	return pkey_decrypt(algorithm, &private_key, blob->p, blob->len, &o->plaintext);
}

/* What is no blob of ours may be a key pair's, sent without its algorithm: then the key is what is wrong. */
static enum err refuse_blob(struct call *call, const struct open_request *r, enum err e)
{
	const char *named = call_string(call, r->key_member);
	struct store_key key;

	if (named == NULL && is_asymmetric_algorithm(call_string(call, r->algorithm_member)))
		return named_key(call, r, NULL, &(struct opened){.plaintext = {NULL, 0}});
	if (e != ERR_KMS_INVALID_CIPHERTEXT || named == NULL || resolve_key(call, named, &key) != ERR_OK ||
		is_symmetric(&key))
		return err_fail(e, "%s", "");
	TRY(call_use_key(call, &key, r->action));
	TRY(key_use_check(call, &key, "ENCRYPT_DECRYPT", call_string(call, r->algorithm_member), NULL));
	return err_fail(e, "%s", "");
}

/* DryRun with IGNORE_CIPHERTEXT asks for the permission alone. */
static enum err ignores_ciphertext(struct call *call, int *ret)
{
	*ret = json_array_size(json_object_get(call->request, "DryRunModifiers")) > 0;
	if (*ret && !call_true(call, "DryRun"))
		return err_fail(ERR_KMS_VALIDATION, "DryRunModifiers can be used only together with DryRun.");
	if (!*ret && call_string(call, "CiphertextBlob") == NULL)
		return err_fail(ERR_KMS_VALIDATION,
			"1 validation error detected: Value null at 'ciphertextBlob' failed to "
			"satisfy constraint: Member must not be null");
	return ERR_OK;
}

static enum err open_blob(struct call *call, const struct open_request *r, struct opened *o)
{
	struct pkey_bytes blob AUTO_PKEY_BYTES = {NULL, 0};
	const char *algorithm = call_string(call, r->algorithm_member);
	int ignored;
	enum err e;

	TRY(key_use_no_recipient(call));
	TRY(check_foreign(call, r));
	TRY(ignores_ciphertext(call, &ignored));
	if (ignored)
		return named_key(call, r, NULL, o);
	TRY(json_get_blob(call->request, "CiphertextBlob", &blob.p, &blob.len));
	if (is_asymmetric_algorithm(algorithm) && call_string(call, r->key_member) != NULL)
		return open_rsa(call, r, &blob, o);
	e = blob_parse(call->engine->secrets->blob_header, blob.p, blob.len, &o->header);
	if (e != ERR_OK)
		return refuse_blob(call, r, e);
	TRY(find_blob_key(call, r, &o->header, &o->key));
	TRY(use_blob_key(call, r, &o->key));
	TRY(key_use_check(call, &o->key, "ENCRYPT_DECRYPT", algorithm, NULL));
	return open_with(call, r, &blob, o);
}

enum err op_decrypt(struct call *call)
{
	static const struct open_request r = {"KeyId", "EncryptionContext", "EncryptionAlgorithm", "Decrypt"};
	struct opened o AUTO_OPENED = {.plaintext = {NULL, 0}};

	TRY(open_blob(call, &r, &o));
	TRY(call_answer(call, key_use_answer("KeyId", &o.key)));
	if (o.plaintext.p == NULL)
		return ERR_OK;
	TRY(key_use_set_blob(call->body, "Plaintext", o.plaintext.p, o.plaintext.len));
	put_algorithm(call, "EncryptionAlgorithm", "EncryptionAlgorithm");
	return is_symmetric(&o.key) ? key_use_put_material(call, call->body, "KeyMaterialId", &o.key, o.header.backing)
				    : ERR_OK;
}

static enum err put_materials(struct call *call, const struct opened *o, const struct store_key *to)
{
	if (is_symmetric(&o->key)) {
		TRY(key_use_put_material(call, call->body, "SourceKeyMaterialId", &o->key, o->header.backing));
		TRY(key_use_put_material(call, NULL, "sourceKeyMaterialId", &o->key, o->header.backing));
	}
	if (is_symmetric(to)) {
		TRY(key_use_put_material(call, call->body, "DestinationKeyMaterialId", to, to->current));
		TRY(key_use_put_material(call, NULL, "destinationKeyMaterialId", to, to->current));
	}
	json_object_del(call->additional, "keyMaterialId");
	return ERR_OK;
}

/* Another account's key that is not there is refused where one that is there would be: behind the source. */
static enum err find_destination(struct call *call)
{
	enum err e;

	call->action = "ReEncryptTo";
	e = resolve_key(call, call_string(call, "DestinationKeyId"), &call->key);
	call->has_key = e == ERR_OK;
	return e == ERR_KMS_ACCESS_DENIED ? ERR_OK : e;
}

enum err op_re_encrypt(struct call *call)
{
	static const struct open_request from = {
		"SourceKeyId", "SourceEncryptionContext", "SourceEncryptionAlgorithm", "ReEncryptFrom"};
	static const struct seal_request into = {"DestinationEncryptionContext", "DestinationEncryptionAlgorithm"};
	struct opened o AUTO_OPENED = {.plaintext = {NULL, 0}};
	struct pkey_bytes blob AUTO_PKEY_BYTES = {NULL, 0};
	struct store_key to;
	char source[ENGINE_ARN_SIZE];

	TRY(find_destination(call));
	TRY(open_blob(call, &from, &o));
	call->action = "ReEncryptTo";
	TRY(resolve_key(call, call_string(call, "DestinationKeyId"), &to));
	TRY(call_use_key(call, &to, "ReEncryptTo"));
	if (o.plaintext.p == NULL)
		return key_use_check(
			call, &to, "ENCRYPT_DECRYPT", call_string(call, "DestinationEncryptionAlgorithm"), NULL);
	TRY(seal(call, &into, &to, &o.plaintext, &blob));
	TRY(call_answer(call, key_use_answer("KeyId", &to)));
	TRY(key_use_set_blob(call->body, "CiphertextBlob", blob.p, blob.len));
	names_key_arn(&o.key, source);
	json_object_set_new(call->body, "SourceKeyId", json_string(source));
	put_algorithm(call, "SourceEncryptionAlgorithm", "SourceEncryptionAlgorithm");
	put_algorithm(call, "DestinationEncryptionAlgorithm", "DestinationEncryptionAlgorithm");
	return put_materials(call, &o, &to);
}
