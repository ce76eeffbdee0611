/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/ossl.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include "kms/base/secret.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *aes256_ecb, *aes256_gcm;

/* Kept for the life of the process: a thread may be using them until its end. */
static void fetch(void)
{
	aes256_ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
	aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

const EVP_CIPHER *ossl_aes256_ecb(void)
{
	pthread_once(&once, fetch);
	return aes256_ecb;
}

const EVP_CIPHER *ossl_aes256_gcm(void)
{
	pthread_once(&once, fetch);
	return aes256_gcm;
}

static void *wiping_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return secret_heap_malloc(len);
}

static void *wiping_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return secret_heap_realloc(p, len);
}

static void wiping_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	secret_heap_free(p);
}

void ossl_install_allocator(void)
{
	int installed = CRYPTO_set_mem_functions(wiping_malloc, wiping_realloc, wiping_free);

	assert(installed);
	(void)installed;
}

void ossl_cipher_auto(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
}

void ossl_digest_auto(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

void ossl_cmac_double(uint8_t b[OSSL_CMAC_BLOCK])
{
	uint8_t carry = (uint8_t)(b[0] >> 7);

	for (size_t i = 0; i + 1 < OSSL_CMAC_BLOCK; i++)
		b[i] = (uint8_t)(b[i] << 1 | b[i + 1] >> 7);
	b[OSSL_CMAC_BLOCK - 1] = (uint8_t)(b[OSSL_CMAC_BLOCK - 1] << 1 ^ (0x87 & -carry));
}
