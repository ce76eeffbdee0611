/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/engine/key_use.h"
#include "kms/engine/material.h"
#include "kms/engine/operations.h"
#include "kms/engine/pkey.h"

/* Sign, Verify, GenerateMac, VerifyMac, GetPublicKey, DeriveSharedSecret: what is done with a key pair or an HMAC key. */

struct message {
	uint8_t *p; /* secret_alloc */
	size_t len;
	enum pkey_message kind;
};

static void message_auto(struct message *m)
{
	secret_free(m->p);
}
#define AUTO_MESSAGE __attribute__((cleanup(message_auto)))

static enum err read_message(struct call *call, struct message *ret)
{
	const char *kind = call_string(call, "MessageType");

	ret->kind = kind == NULL || strcmp(kind, "RAW") == 0 ? PKEY_RAW
		    : strcmp(kind, "DIGEST") == 0            ? PKEY_DIGEST
							     : PKEY_EXTERNAL_MU;
	return json_get_blob(call->request, "Message", &ret->p, &ret->len);
}

enum err op_sign(struct call *call)
{
	struct pkey_bytes key AUTO_PKEY_BYTES = {NULL, 0}, signature AUTO_PKEY_BYTES = {NULL, 0};
	struct message message AUTO_MESSAGE = {NULL, 0, PKEY_RAW};
	const char *name = call_string(call, "SigningAlgorithm");
	const struct key_algorithm *algorithm;

	TRY(key_use_check(call, &call->key, "SIGN_VERIFY", name, &algorithm));
	TRY(read_message(call, &message));
	TRY(material_load_bytes(call->engine, &call->key, call->key.current, &key));
	TRY(pkey_sign(algorithm, &key, message.kind, message.p, message.len, &signature));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	json_object_set_new(call->body, "SigningAlgorithm", json_string(name));
	return key_use_set_blob(call->body, "Signature", signature.p, signature.len);
}

enum err op_verify(struct call *call)
{
	struct pkey_bytes key AUTO_PKEY_BYTES = {NULL, 0};
	struct message message AUTO_MESSAGE = {NULL, 0, PKEY_RAW};
	const char *name = call_string(call, "SigningAlgorithm");
	const struct key_algorithm *algorithm;
	uint8_t *signature AUTO_SECRET = NULL;
	size_t len;

	TRY(key_use_check(call, &call->key, "SIGN_VERIFY", name, &algorithm));
	TRY(read_message(call, &message));
	TRY(json_get_blob(call->request, "Signature", &signature, &len));
	TRY(material_load_bytes(call->engine, &call->key, call->key.current, &key));
	TRY(pkey_verify(algorithm, &key, message.kind, message.p, message.len, signature, len));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	json_object_set_new(call->body, "SignatureValid", json_true());
	json_object_set_new(call->body, "SigningAlgorithm", json_string(name));
	return ERR_OK;
}

static enum err compute_mac(
	struct call *call, const struct key_algorithm *algorithm, uint8_t ret[EVP_MAX_MD_SIZE], size_t *ret_len)
{
	struct pkey_bytes key AUTO_PKEY_BYTES = {NULL, 0};
	struct message message AUTO_MESSAGE = {NULL, 0, PKEY_RAW};

	TRY(read_message(call, &message));
	TRY(material_load_bytes(call->engine, &call->key, call->key.current, &key));
	if (EVP_Q_mac(NULL, "HMAC", NULL, algorithm->digest, NULL, key.p, key.len, message.p, message.len, ret,
		    EVP_MAX_MD_SIZE, ret_len) == NULL)
		return err_fail(ERR_CRYPTO, "OpenSSL failed to compute an HMAC");
	return ERR_OK;
}

enum err op_generate_mac(struct call *call)
{
	const char *name = call_string(call, "MacAlgorithm");
	const struct key_algorithm *algorithm;
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t len;

	TRY(key_use_check(call, &call->key, "GENERATE_VERIFY_MAC", name, &algorithm));
	TRY(compute_mac(call, algorithm, mac, &len));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	json_object_set_new(call->body, "MacAlgorithm", json_string(name));
	return key_use_set_blob(call->body, "Mac", mac, len);
}

enum err op_verify_mac(struct call *call)
{
	const char *name = call_string(call, "MacAlgorithm");
	const struct key_algorithm *algorithm;
	uint8_t mac[EVP_MAX_MD_SIZE], *given AUTO_SECRET = NULL;
	size_t len, given_len;

	TRY(key_use_check(call, &call->key, "GENERATE_VERIFY_MAC", name, &algorithm));
	TRY(json_get_blob(call->request, "Mac", &given, &given_len));
	TRY(compute_mac(call, algorithm, mac, &len));
	if (given_len != len || !secret_equal(given, mac, len))
		return err_fail(ERR_KMS_INVALID_MAC, "%s", "");
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	json_object_set_new(call->body, "MacValid", json_true());
	json_object_set_new(call->body, "MacAlgorithm", json_string(name));
	return ERR_OK;
}

enum err op_get_public_key(struct call *call)
{
	const struct key_spec *spec = key_spec_find(call->key.spec);
	struct pkey_bytes key AUTO_PKEY_BYTES = {NULL, 0}, public_key AUTO_PKEY_BYTES = {NULL, 0};
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(&call->key, arn);
	if (spec == NULL || spec->family == FAMILY_SYMMETRIC || spec->family == FAMILY_HMAC)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "%s key spec is %s which is not valid for GetPublicKey.",
			arn, call->key.spec);
	TRY(material_load_bytes(call->engine, &call->key, call->key.current, &key));
	TRY(pkey_public(&key, &public_key));
	TRY(call_answer(call, json_pack("{s:s, s:s, s:s, s:s}", "KeyId", arn, "CustomerMasterKeySpec", call->key.spec,
				      "KeySpec", call->key.spec, "KeyUsage", call->key.usage)));
	TRY(key_use_set_blob(call->body, "PublicKey", public_key.p, public_key.len));
	return key_specs_list_algorithms(call->body, call->key.spec, call->key.usage);
}

enum err op_derive_shared_secret(struct call *call)
{
	struct pkey_bytes key AUTO_PKEY_BYTES = {NULL, 0}, secret AUTO_PKEY_BYTES = {NULL, 0};
	const char *name = call_string(call, "KeyAgreementAlgorithm");
	const struct key_algorithm *algorithm;
	uint8_t *peer AUTO_SECRET = NULL;
	size_t len;

	TRY(key_use_no_recipient(call));
	TRY(key_use_check(call, &call->key, "KEY_AGREEMENT", name, &algorithm));
	TRY(json_get_blob(call->request, "PublicKey", &peer, &len));
	TRY(material_load_bytes(call->engine, &call->key, call->key.current, &key));
	TRY(pkey_derive(&key, peer, len, &secret));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	json_object_set_new(call->body, "KeyAgreementAlgorithm", json_string(name));
	json_object_set_new(call->body, "KeyOrigin", json_string(call->key.origin));
	return key_use_set_blob(call->body, "SharedSecret", secret.p, secret.len);
}
