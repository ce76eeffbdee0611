/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/xaes.h"
#include "kms/base/ossl.h"
#include "kms/base/random.h"
#include "kms/base/secret.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 };

/*
 * The KDF of SP 800-108r1 in counter mode with CMAC: each message is one whole block, 00 01 "X" 00 ‖ prefix and
 * 00 02 "X" 00 ‖ prefix, so CMAC is one block encryption of message xor K1.
 */
static int derive(
	EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *prefix, uint8_t l[BLOCK], uint8_t m[2 * BLOCK])
{
	int n;

	if (EVP_EncryptInit_ex2(ctx, NULL, key, NULL, NULL) != 1 || EVP_EncryptUpdate(ctx, l, &n, l, BLOCK) != 1)
		return 0;
	ossl_cmac_double(l);
	for (uint8_t i = 0; i < 2; i++) {
		const uint8_t head[4] = {0, (uint8_t)(i + 1), 'X', 0};

		memcpy(m + i * BLOCK, head, sizeof(head));
		memcpy(m + i * BLOCK + sizeof(head), prefix, XAES_PREFIX_SIZE);
	}
	for (size_t i = 0; i < 2 * BLOCK; i++)
		m[i] ^= l[i % BLOCK];
	return EVP_EncryptUpdate(ctx, m, &n, m, 2 * BLOCK) == 1;
}

/* OpenSSL's context, which is not in locked memory: between two derivations it holds a key of zeros. */
struct xaes_kdf {
	EVP_CIPHER_CTX *ctx;
};

static const uint8_t no_key[XAES_KEY_SIZE];

struct xaes_kdf *xaes_kdf_new(void)
{
	struct xaes_kdf *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->ctx = EVP_CIPHER_CTX_new();
	if (k->ctx && EVP_EncryptInit_ex2(k->ctx, ossl_aes256_ecb(), no_key, NULL, NULL) == 1 &&
		EVP_CIPHER_CTX_set_padding(k->ctx, 0) == 1)
		return k;
	xaes_kdf_free(k);
	return NULL;
}

void xaes_kdf_free(struct xaes_kdf *k)
{
	if (k)
		EVP_CIPHER_CTX_free(k->ctx);
	free(k);
}

enum err xaes_kdf_derive(struct xaes_kdf *k, const uint8_t key[XAES_KEY_SIZE], const uint8_t prefix[XAES_PREFIX_SIZE],
	uint8_t ret_key[AEAD_KEY_SIZE])
{
	uint8_t l[BLOCK] = {0};
	uint8_t m[2 * BLOCK];
	int ok = derive(k->ctx, key, prefix, l, m) && EVP_EncryptInit_ex2(k->ctx, NULL, no_key, NULL, NULL) == 1;

	if (ok)
		memcpy(ret_key, m, sizeof(m));
	secret_wipe(l, sizeof(l));
	secret_wipe(m, sizeof(m));
	return ok ? ERR_OK : err_fail(ERR_CRYPTO, "OpenSSL refuses AES-256");
}
_Static_assert(2 * BLOCK == AEAD_KEY_SIZE, "two blocks make a key");

enum err xaes_derive(
	const uint8_t key[XAES_KEY_SIZE], const uint8_t prefix[XAES_PREFIX_SIZE], uint8_t ret_key[AEAD_KEY_SIZE])
{
	struct xaes_kdf *k = xaes_kdf_new();
	enum err e = k ? xaes_kdf_derive(k, key, prefix, ret_key) : err_fail(ERR_CRYPTO, "OpenSSL refuses AES-256");

	xaes_kdf_free(k);
	return e;
}

enum err xaes_seal(
	const uint8_t key[XAES_KEY_SIZE], const void *aad, size_t aad_len, const void *in, size_t len, void *out)
{
	struct data_key derived AUTO_WIPE;
	uint8_t *nonce = out;
	uint8_t *body = nonce + XAES_NONCE_SIZE;

	random_drawn(nonce, XAES_NONCE_SIZE);
	TRY(xaes_derive(key, nonce, derived.b));
	return aead_seal_once(derived.b, nonce + XAES_PREFIX_SIZE, aad, aad_len, in, len, body, body + len);
}

enum err xaes_open(
	const uint8_t key[XAES_KEY_SIZE], const void *aad, size_t aad_len, const void *in, size_t len, void *out)
{
	struct data_key derived AUTO_WIPE;
	const uint8_t *nonce = in;
	const uint8_t *body = nonce + XAES_NONCE_SIZE;

	if (len < XAES_OVERHEAD)
		return err_fail(
			ERR_FORMAT, "sealed text of %zu bytes, at least %d are needed", len, (int)XAES_OVERHEAD);
	len -= XAES_OVERHEAD;
	TRY(xaes_derive(key, nonce, derived.b));
	return aead_open_once(derived.b, nonce + XAES_PREFIX_SIZE, aad, aad_len, body, len, body + len, out);
}
