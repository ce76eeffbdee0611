/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_KDF_H
#define SIGNETFS_BASE_KDF_H

/* SHA-256, HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869), scrypt (RFC 7914). Threads: safe. */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum { SHA256_SIZE = 32 };

struct bytes_view {
	const void *p;
	size_t len;
};

enum err kdf_sha256(const void *in, size_t len, uint8_t ret[SHA256_SIZE]);
enum err kdf_hmac(const void *key, size_t key_len, const void *in, size_t len, uint8_t ret[SHA256_SIZE]);
/** HMAC over the concatenation of @n parts. */
enum err kdf_hmacv(const void *key, size_t key_len, const struct bytes_view *parts, size_t n, uint8_t ret[SHA256_SIZE]);

/** HKDF extract-then-expand; @len at most 255 × 32. @ret is a secret. @label from kms/base/labels.h. */
enum err kdf_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const void *info, size_t info_len,
	void *ret, size_t len);

/** Several keys from one: a single extraction, an expansion for each. As kdf_hkdf() for each of them; on failure none. */
struct kdf_output {
	struct bytes_view info;
	void *out;
	size_t len;
};
enum err kdf_hkdf_many(
	const void *key, size_t key_len, const void *salt, size_t salt_len, const struct kdf_output *outputs, size_t n);

struct kdf_scrypt_params {
	uint64_t n; /* power of two, 2^14 … 2^22 */
	uint32_t r; /* 1 … 32 */
	uint32_t p; /* 1 … 16 */
};
/** ERR_LIMIT for parameters outside the bounds above or above 1 GiB (a hostile file must not make us eat all memory). */
enum err kdf_scrypt_check(const struct kdf_scrypt_params *params);
/** As kdf_scrypt_check(), and ERR_NO_MEMORY. */
enum err kdf_scrypt(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
	const struct kdf_scrypt_params *params, void *ret, size_t len);

#endif
