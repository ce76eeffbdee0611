/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/kdf.h"
#include "kms/base/ossl.h"
#include "kms/base/secret.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * HMAC and HKDF are built from the digest: OpenSSL 3.0's EVP_MAC and EVP_KDF cost a parameter parse and several
 * allocations a call, more than the hashing itself, and opening a file needs four of them.
 */

enum { BLOCK = 64, HKDF_MAX = 255 * SHA256_SIZE };
#define SCRYPT_MEMORY (UINT64_C(1) << 30)

/* ---- One digest context for each thread: making and wiping one costs as much as hashing a short text ---- */

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key_of_context;
static _Thread_local EVP_MD_CTX *context;

static void free_context(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void make_key(void)
{
	if (pthread_key_create(&key_of_context, free_context) != 0)
		abort();
}

static EVP_MD_CTX *context_of_thread(void)
{
	if (context)
		return context;
	pthread_once(&key_once, make_key);
	context = EVP_MD_CTX_new();
	if (context && pthread_setspecific(key_of_context, context) != 0) {
		EVP_MD_CTX_free(context);
		context = NULL;
	}
	return context;
}

/* Beginning anew wipes what the last text left behind: its end, and its digest, which may be a key. */
static void forget(EVP_MD_CTX **ctx)
{
	if (*ctx)
		EVP_DigestInit_ex2(*ctx, ossl_sha256(), NULL);
}
#define AUTO_FORGET __attribute__((cleanup(forget)))

static enum err broken(const char *what)
{
	return err_fail(ERR_CRYPTO, "OpenSSL refuses %s", what);
}

static int digest(EVP_MD_CTX *ctx, const void *head, size_t head_len, const struct bytes_view *parts, size_t n,
	uint8_t ret[SHA256_SIZE])
{
	int ok = EVP_DigestInit_ex2(ctx, ossl_sha256(), NULL) == 1 && EVP_DigestUpdate(ctx, head, head_len) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].p, parts[i].len) == 1;
	return ok && EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
}

enum err kdf_sha256(const void *in, size_t len, uint8_t ret[SHA256_SIZE])
{
	EVP_MD_CTX *ctx AUTO_FORGET = context_of_thread();

	return ctx && digest(ctx, in, len, NULL, 0, ret) ? ERR_OK : broken("SHA-256");
}

static int hmac(EVP_MD_CTX *ctx, const void *key, size_t key_len, const struct bytes_view *parts, size_t n,
	uint8_t ret[SHA256_SIZE])
{
	uint8_t pad[BLOCK] = {0};
	uint8_t inner[SHA256_SIZE];
	struct bytes_view inner_view = {inner, sizeof(inner)};
	int ok = 1;

	if (key_len > BLOCK)
		ok = digest(ctx, key, key_len, NULL, 0, pad);
	else if (key_len)
		memcpy(pad, key, key_len);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	ok = ok && digest(ctx, pad, BLOCK, parts, n, inner);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	ok = ok && digest(ctx, pad, BLOCK, &inner_view, 1, ret);
	secret_wipe(pad, sizeof(pad));
	secret_wipe(inner, sizeof(inner));
	return ok;
}

enum err kdf_hmacv(const void *key, size_t key_len, const struct bytes_view *parts, size_t n, uint8_t ret[SHA256_SIZE])
{
	EVP_MD_CTX *ctx AUTO_FORGET = context_of_thread();

	return ctx && hmac(ctx, key, key_len, parts, n, ret) ? ERR_OK : broken("HMAC-SHA256");
}

enum err kdf_hmac(const void *key, size_t key_len, const void *in, size_t len, uint8_t ret[SHA256_SIZE])
{
	struct bytes_view part = {in, len};

	return kdf_hmacv(key, key_len, &part, 1, ret);
}

/* RFC 5869 section 2.3: T(i) = HMAC(prk, T(i-1) ‖ info ‖ i). */
static int expand(EVP_MD_CTX *ctx, const uint8_t prk[SHA256_SIZE], struct bytes_view info, uint8_t *out, size_t len)
{
	uint8_t t[SHA256_SIZE];
	uint8_t i = 0;
	struct bytes_view parts[] = {{t, 0}, info, {&i, 1}};
	int ok = 1;

	while (ok && len) {
		size_t n = len < sizeof(t) ? len : sizeof(t);

		i++;
		ok = hmac(ctx, prk, SHA256_SIZE, parts, 3, t);
		if (ok)
			memcpy(out, t, n);
		parts[0].len = sizeof(t);
		out += n;
		len -= n;
	}
	secret_wipe(t, sizeof(t));
	return ok;
}

enum err kdf_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const void *info, size_t info_len,
	void *ret, size_t len)
{
	EVP_MD_CTX *ctx AUTO_FORGET = context_of_thread();
	struct bytes_view ikm = {key, key_len};
	struct bytes_view label = {info, info_len};
	struct root_key prk AUTO_WIPE;

	if (len > HKDF_MAX)
		return err_fail(ERR_LIMIT, "HKDF gives at most %d bytes, not %zu", (int)HKDF_MAX, len);
	if (ctx && hmac(ctx, salt, salt_len, &ikm, 1, prk.b) && expand(ctx, prk.b, label, ret, len))
		return ERR_OK;
	secret_wipe(ret, len);
	return broken("HKDF-SHA256");
}

static int scrypt_within_bounds(const struct kdf_scrypt_params *p)
{
	int power_of_two = (p->n & (p->n - 1)) == 0;

	return power_of_two && p->n >= 1U << 14 && p->n <= 1U << 22 && p->r >= 1 && p->r <= 32 && p->p >= 1 &&
	       p->p <= 16 && 128 * p->n * p->r <= SCRYPT_MEMORY;
}

enum err kdf_scrypt_check(const struct kdf_scrypt_params *params)
{
	if (scrypt_within_bounds(params))
		return ERR_OK;
	return err_fail(ERR_LIMIT, "scrypt parameters N=%llu r=%u p=%u are out of bounds",
		(unsigned long long)params->n, params->r, params->p);
}

enum err kdf_scrypt(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
	const struct kdf_scrypt_params *params, void *ret, size_t len)
{
	TRY(kdf_scrypt_check(params));
	if (EVP_PBE_scrypt(pass, pass_len, salt, salt_len, params->n, params->r, params->p,
		    SCRYPT_MEMORY + (SCRYPT_MEMORY >> 3), ret, len) != 1)
		return err_fail(ERR_NO_MEMORY, "scrypt needs %llu MiB of memory and did not get them",
			(unsigned long long)(128 * params->n * params->r >> 20));
	return ERR_OK;
}
