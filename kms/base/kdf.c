/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_…, see below */
#include "kms/base/kdf.h"
#include "kms/base/secret.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

/*
 * HMAC and HKDF are built from OpenSSL's SHA-256 itself, in a context on the stack: opening a small file is ten short hashes, and a
 * hash through EVP costs two to four times what the compression does (allocations, and calls through the provider's tables), the
 * more so with cold caches.
 */

enum { BLOCK = SHA256_CBLOCK, HKDF_MAX = 255 * SHA256_SIZE };
_Static_assert((int)SHA256_SIZE == (int)SHA256_DIGEST_LENGTH, "one size of a digest");
#define SCRYPT_MEMORY (UINT64_C(1) << 30)

static enum err broken(const char *what)
{
	return err_fail(ERR_CRYPTO, "OpenSSL refuses %s", what);
}

enum err kdf_sha256(const void *in, size_t len, uint8_t ret[SHA256_SIZE])
{
	SHA256_CTX c;
	int ok = SHA256_Init(&c) == 1 && SHA256_Update(&c, in, len) == 1 && SHA256_Final(ret, &c) == 1;

	secret_wipe(&c, sizeof(c));
	return ok ? ERR_OK : broken("SHA-256");
}

/* ---- HMAC ---- */

/* A key, hashed in: both hashes of RFC 2104 up to where the message and the inner digest begin. */
struct hmac_key {
	SHA256_CTX inner, outer;
};

static void hmac_key_auto(struct hmac_key *k)
{
	secret_wipe(k, sizeof(*k));
}
#define AUTO_HMAC_KEY __attribute__((cleanup(hmac_key_auto)))

static int absorb_pad(SHA256_CTX *c, uint8_t pad[BLOCK], uint8_t with)
{
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= with;
	return SHA256_Init(c) == 1 && SHA256_Update(c, pad, BLOCK) == 1;
}

static int hmac_set_key(struct hmac_key *k, const void *key, size_t len)
{
	uint8_t pad[BLOCK] = {0};
	int ok = 1;

	if (len > BLOCK)
		ok = kdf_sha256(key, len, pad) == ERR_OK;
	else if (len)
		memcpy(pad, key, len);
	ok = ok && absorb_pad(&k->inner, pad, 0x36) && absorb_pad(&k->outer, pad, 0x36 ^ 0x5c);
	secret_wipe(pad, sizeof(pad));
	return ok;
}

static int hmac(const struct hmac_key *k, const struct bytes_view *parts, size_t n, uint8_t ret[SHA256_SIZE])
{
	struct hmac_key c AUTO_HMAC_KEY = *k;
	int ok = 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = SHA256_Update(&c.inner, parts[i].p, parts[i].len) == 1;
	return ok && SHA256_Final(ret, &c.inner) == 1 && SHA256_Update(&c.outer, ret, SHA256_SIZE) == 1 &&
	       SHA256_Final(ret, &c.outer) == 1;
}

enum err kdf_hmacv(const void *key, size_t key_len, const struct bytes_view *parts, size_t n, uint8_t ret[SHA256_SIZE])
{
	struct hmac_key k AUTO_HMAC_KEY;

	return hmac_set_key(&k, key, key_len) && hmac(&k, parts, n, ret) ? ERR_OK : broken("HMAC-SHA256");
}

enum err kdf_hmac(const void *key, size_t key_len, const void *in, size_t len, uint8_t ret[SHA256_SIZE])
{
	struct bytes_view part = {in, len};

	return kdf_hmacv(key, key_len, &part, 1, ret);
}

/* ---- HKDF ---- */

/* RFC 5869 section 2.2: the pseudorandom key, ready for section 2.3. */
static int extract(const void *key, size_t key_len, const void *salt, size_t salt_len, struct hmac_key *ret)
{
	struct hmac_key k AUTO_HMAC_KEY;
	struct bytes_view ikm = {key, key_len};
	struct root_key prk AUTO_WIPE;

	return hmac_set_key(&k, salt, salt_len) && hmac(&k, &ikm, 1, prk.b) && hmac_set_key(ret, prk.b, sizeof(prk.b));
}

/* RFC 5869 section 2.3: T(i) = HMAC(prk, T(i-1) ‖ info ‖ i). */
static int expand(const struct hmac_key *prk, const struct kdf_output *to)
{
	uint8_t t[SHA256_SIZE];
	uint8_t *out = to->out;
	size_t len = to->len;
	uint8_t i = 0;
	struct bytes_view parts[] = {{t, 0}, to->info, {&i, 1}};
	int ok = 1;

	while (ok && len) {
		size_t n = len < sizeof(t) ? len : sizeof(t);

		i++;
		ok = hmac(prk, parts, 3, t);
		if (ok)
			memcpy(out, t, n);
		parts[0].len = sizeof(t);
		out += n;
		len -= n;
	}
	secret_wipe(t, sizeof(t));
	return ok;
}

enum err kdf_hkdf_many(
	const void *key, size_t key_len, const void *salt, size_t salt_len, const struct kdf_output *outputs, size_t n)
{
	struct hmac_key prk AUTO_HMAC_KEY;
	int ok;

	for (size_t i = 0; i < n; i++)
		if (outputs[i].len > HKDF_MAX)
			return err_fail(
				ERR_LIMIT, "HKDF gives at most %d bytes, not %zu", (int)HKDF_MAX, outputs[i].len);
	ok = extract(key, key_len, salt, salt_len, &prk);
	for (size_t i = 0; ok && i < n; i++)
		ok = expand(&prk, &outputs[i]);
	if (ok)
		return ERR_OK;
	for (size_t i = 0; i < n; i++)
		secret_wipe(outputs[i].out, outputs[i].len);
	return broken("HKDF-SHA256");
}

enum err kdf_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const void *info, size_t info_len,
	void *ret, size_t len)
{
	const struct kdf_output output = {.info = {info, info_len}, .out = ret, .len = len};

	return kdf_hkdf_many(key, key_len, salt, salt_len, &output, 1);
}

/* ---- scrypt ---- */

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
