/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/blob.h"
#include "kms/engine/key_use.h"
#include "kms/engine/operations.h"
#include "kms/engine/pkey.h"
#include "kms/engine/prepare.h"

/* Data keys, data key pairs, random bytes. */

enum { RANDOM_MAX = 1024 };

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

	TRY(key_use_no_recipient(call));
	TRY(data_key_length(call, &len));
	TRY(key_use_check(call, &call->key, "ENCRYPT_DECRYPT", NULL, NULL));
	plaintext = secret_alloc(len);
	if (plaintext == NULL)
		return ERR_NO_MEMORY;
	random_bytes(plaintext, len);
	TRY(key_use_encrypt(call, &call->key, "EncryptionContext", plaintext, len, blob));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	TRY(key_use_set_blob(call->body, "CiphertextBlob", blob, len + BLOB_OVERHEAD));
	if (with_plaintext)
		TRY(key_use_set_blob(call->body, "Plaintext", plaintext, len));
	return key_use_put_material(call, call->body, "KeyMaterialId", &call->key, call->key.current);
}

enum err op_generate_data_key(struct call *call)
{
	return generate_data_key(call, 1);
}

enum err op_generate_data_key_without_plaintext(struct call *call)
{
	return generate_data_key(call, 0);
}

/* ---- Pairs: the private key was made by prepare.c, before any lock was taken ---- */

static enum err generate_pair(struct call *call, int with_plaintext)
{
	const struct pkey_bytes *private_key = &call->prepared;
	struct pkey_bytes public_key AUTO_PKEY_BYTES = {NULL, 0};
	uint8_t *blob AUTO_SECRET = secret_alloc(private_key->len + BLOB_OVERHEAD);

	TRY(key_use_no_recipient(call));
	TRY(key_use_check(call, &call->key, "ENCRYPT_DECRYPT", NULL, NULL));
	if (private_key->p == NULL) /* a dry run */
		return ERR_OK;
	if (blob == NULL)
		return ERR_NO_MEMORY;
	TRY(pkey_public(private_key, &public_key));
	TRY(key_use_encrypt(call, &call->key, "EncryptionContext", private_key->p, private_key->len, blob));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	json_object_set_new(call->body, "KeyPairSpec", json_string(call_string(call, "KeyPairSpec")));
	TRY(key_use_set_blob(call->body, "PrivateKeyCiphertextBlob", blob, private_key->len + BLOB_OVERHEAD));
	TRY(key_use_set_blob(call->body, "PublicKey", public_key.p, public_key.len));
	if (with_plaintext)
		TRY(key_use_set_blob(call->body, "PrivateKeyPlaintext", private_key->p, private_key->len));
	return key_use_put_material(call, call->body, "KeyMaterialId", &call->key, call->key.current);
}

enum err op_generate_data_key_pair(struct call *call)
{
	return generate_pair(call, 1);
}

enum err op_generate_data_key_pair_without_plaintext(struct call *call)
{
	return generate_pair(call, 0);
}

enum err op_generate_random(struct call *call)
{
	int64_t len = call_integer(call, "NumberOfBytes", 0);
	uint8_t *bytes AUTO_SECRET = NULL;

	TRY(key_use_no_recipient(call));
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
	return key_use_set_blob(call->body, "Plaintext", bytes, (size_t)len);
}
