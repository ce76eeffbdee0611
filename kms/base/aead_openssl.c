/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/aead.h"
#include "kms/base/ossl.h"
#include "kms/base/secret.h"

#include <limits.h>
#include <openssl/evp.h>

/*
 * The expanded key lies in OpenSSL's own context, which is wiped when freed but not locked; see doc/threat-model.md. One context
 * serves both directions, since GCM runs the block cipher forward in both.
 */
struct aead_key {
	EVP_CIPHER_CTX *ctx;
};

static void key_free(struct aead_key *k)
{
	if (k)
		EVP_CIPHER_CTX_free(k->ctx);
	secret_free(k);
}

static struct aead_key *key_new(void)
{
	struct aead_key *k = secret_alloc(sizeof(*k));

	if (!k)
		return NULL;
	k->ctx = EVP_CIPHER_CTX_new();
	if (k->ctx && EVP_CipherInit_ex2(k->ctx, ossl_aes256_gcm(), NULL, NULL, 1, NULL) == 1)
		return k;
	key_free(k);
	return NULL;
}

static enum err broken(void)
{
	return err_fail(ERR_CRYPTO, "OpenSSL refuses AES-256-GCM");
}

static enum err key_set(struct aead_key *k, const uint8_t key[AEAD_KEY_SIZE])
{
	return EVP_CipherInit_ex2(k->ctx, NULL, key, NULL, 1, NULL) == 1 ? ERR_OK : broken();
}

static int start(struct aead_key *k, int seal, const uint8_t *nonce, const void *aad, size_t aad_len)
{
	int n;

	return EVP_CipherInit_ex2(k->ctx, NULL, NULL, nonce, seal, NULL) == 1 &&
	       (aad_len == 0 || EVP_CipherUpdate(k->ctx, NULL, &n, aad, (int)aad_len) == 1);
}

static enum err check_lengths(size_t aad_len, size_t len)
{
	return aad_len > INT_MAX || len > INT_MAX ? err_fail(ERR_LIMIT, "too long for one AES-GCM message") : ERR_OK;
}

static enum err seal(struct aead_key *k, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_len,
	const void *in, size_t len, void *out, uint8_t ret_tag[AEAD_TAG_SIZE])
{
	uint8_t none[AEAD_TAG_SIZE];
	int n;

	TRY(check_lengths(aad_len, len));
	if (start(k, 1, nonce, aad, aad_len) && (len == 0 || EVP_CipherUpdate(k->ctx, out, &n, in, (int)len) == 1) &&
		EVP_CipherFinal_ex(k->ctx, none, &n) == 1 &&
		EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, ret_tag) == 1)
		return ERR_OK;
	secret_wipe(out, len);
	return broken();
}

static enum err open_(struct aead_key *k, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_len,
	const void *in, size_t len, const uint8_t tag[AEAD_TAG_SIZE], void *out)
{
	/* OpenSSL's parameter is not const, and it only reads. */
	void *expected = (void *)(uintptr_t)tag;
	uint8_t none[AEAD_TAG_SIZE];
	int n;

	TRY(check_lengths(aad_len, len));
	if (!start(k, 0, nonce, aad, aad_len) || (len != 0 && EVP_CipherUpdate(k->ctx, out, &n, in, (int)len) != 1) ||
		EVP_CIPHER_CTX_ctrl(k->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, expected) != 1) {
		secret_wipe(out, len);
		return broken();
	}
	if (EVP_CipherFinal_ex(k->ctx, none, &n) == 1)
		return ERR_OK;
	secret_wipe(out, len);
	return err_fail(ERR_TAMPERED, "an AES-GCM tag does not verify");
}

const struct aead_impl *aead_openssl(void)
{
	static const struct aead_impl impl = {"openssl", 0, key_new, key_free, key_set, seal, open_};

	return &impl;
}
