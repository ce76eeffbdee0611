/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <string.h>
#include "kms/base/ossl.h"
#include "kms/base/secret.h"
#include "kms/engine/unwrap.h"

static const struct wrapping {
	const char *name, *oaep; /* the RSA-OAEP in it */
	int aes;                 /* around an AES key */
} wrappings[] = {
	{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_1", 0},
	{"RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_256", 0},
	{"RSA_AES_KEY_WRAP_SHA_1", "RSAES_OAEP_SHA_1", 1},
	{"RSA_AES_KEY_WRAP_SHA_256", "RSAES_OAEP_SHA_256", 1},
};

static const struct wrapping *find(const char *name)
{
	for (size_t i = 0; i < sizeof(wrappings) / sizeof(wrappings[0]); i++)
		if (strcmp(wrappings[i].name, name) == 0)
			return &wrappings[i];
	return NULL;
}

static enum err refuse(void)
{
	return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "%s", "");
}

static const EVP_CIPHER *wrap_cipher(size_t key_len)
{
	return key_len == 32   ? EVP_aes_256_wrap_pad()
	       : key_len == 24 ? EVP_aes_192_wrap_pad()
	       : key_len == 16 ? EVP_aes_128_wrap_pad()
			       : NULL;
}

static enum err unwrap_aes(const struct pkey_bytes *key, const uint8_t *in, size_t len, struct pkey_bytes *ret)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {secret_alloc(len + 16), 0};
	EVP_CIPHER_CTX *ctx AUTO_CIPHER = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *cipher = wrap_cipher(key->len);
	int n = 0;

	if (ctx == NULL || out.p == NULL)
		return ERR_NO_MEMORY;
	if (cipher == NULL || len < 16 || len % 8 != 0)
		return refuse();
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_DecryptInit_ex(ctx, cipher, NULL, key->p, NULL) != 1 ||
		EVP_DecryptUpdate(ctx, out.p, &n, in, (int)len) != 1 || n <= 0)
		return refuse();
	ret->len = (size_t)n;
	ret->p = STEAL(out.p);
	return ERR_OK;
}

enum err unwrap(const char *algorithm, const struct pkey_bytes *private_key, const struct pkey_bytes *wrapped,
	struct pkey_bytes *ret)
{
	const struct wrapping *w = find(algorithm);
	struct pkey_bytes aes AUTO_PKEY_BYTES = {NULL, 0};
	size_t rsa_len;

	if (w == NULL)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a wrapping key has an unknown algorithm");
	if (!w->aes)
		return pkey_decrypt(key_algorithm_find(w->oaep), private_key, wrapped->p, wrapped->len, ret);
	TRY(pkey_size(private_key, &rsa_len));
	if (wrapped->len <= rsa_len)
		return refuse();
	TRY(pkey_decrypt(key_algorithm_find(w->oaep), private_key, wrapped->p, rsa_len, &aes));
	return unwrap_aes(&aes, wrapped->p + rsa_len, wrapped->len - rsa_len, ret);
}

enum err unwrap_check(const struct key_spec *spec, const char *algorithm, const char *wrapping_spec)
{
	const struct wrapping *w = find(algorithm);

	if (w == NULL)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "The wrapping algorithm %s is not supported%s.",
			algorithm, strcmp(algorithm, "SM2PKE") == 0 ? " in this Region" : " any more");
	if (strcmp(wrapping_spec, "SM2") == 0)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "The wrapping key spec SM2 is not supported in this "
							       "Region: it is there in China Regions alone.");
	if (w->aes || spec->family == FAMILY_SYMMETRIC || spec->family == FAMILY_HMAC)
		return ERR_OK;
	if (spec->family == FAMILY_RSA)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"The wrapping algorithm %s cannot carry key material of the key spec %s: use an RSA_AES "
			"algorithm.",
			algorithm, spec->name);
	if (strcmp(spec->name, "ECC_NIST_P521") == 0 && strcmp(wrapping_spec, "RSA_2048") == 0)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"An RSA_2048 wrapping key with %s cannot carry key material of the key spec ECC_NIST_P521: use "
			"an "
			"RSA_AES algorithm or a longer key.",
			algorithm);
	return ERR_OK;
}
