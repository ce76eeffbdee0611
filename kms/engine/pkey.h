/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_PKEY_H
#define SIGNETFS_ENGINE_PKEY_H

/*
 * Key pairs, by OpenSSL. A private key is PKCS #8 DER in secret memory; OpenSSL's own form of it lives for one call, in heap blocks that
 * are wiped when they are freed (ossl_install_allocator()). A public key is a DER SubjectPublicKeyInfo. Threads: safe.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/engine/key_specs.h"

/** Bytes in secret memory; free with secret_free(). */
struct pkey_bytes {
	uint8_t *p;
	size_t len;
};
void pkey_bytes_auto(struct pkey_bytes *b);
#define AUTO_PKEY_BYTES __attribute__((cleanup(pkey_bytes_auto)))

enum { PKEY_PRIVATE_MAX = 4096, PKEY_OUTPUT_MAX = 8192 };

/** A new private key. RSA takes seconds at 4096 bits: never inside a transaction. */
enum err pkey_generate(const struct key_spec *spec, struct pkey_bytes *ret_private);
/** The public half. */
enum err pkey_public(const struct pkey_bytes *private_key, struct pkey_bytes *ret_public);
/** Bring @in into the form that pkey_generate() gives. ERR_FORMAT unless it is a sound private key of exactly this spec, PKCS #8 and nothing behind it. */
enum err pkey_import(const struct key_spec *spec, const struct pkey_bytes *in, struct pkey_bytes *ret_private);
/** Bytes of an RSA key's modulus. */
enum err pkey_size(const struct pkey_bytes *private_key, size_t *ret);

enum pkey_message { PKEY_RAW, PKEY_DIGEST, PKEY_EXTERNAL_MU };

/** ERR_KMS_VALIDATION for a digest of the wrong length, or a kind of message that the algorithm does not take. */
enum err pkey_sign(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key, enum pkey_message kind,
	const void *message, size_t len, struct pkey_bytes *ret_signature);
/** ERR_KMS_INVALID_SIGNATURE for one that is not, whatever is wrong with it. */
enum err pkey_verify(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key,
	enum pkey_message kind, const void *message, size_t len, const void *signature, size_t signature_len);

/** RSA-OAEP; the longest plaintext is pkey_encrypt_max(). */
size_t pkey_encrypt_max(const struct key_algorithm *algorithm, const struct key_spec *spec);
enum err pkey_encrypt(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key, const void *in,
	size_t len, struct pkey_bytes *ret);
/** ERR_KMS_INVALID_CIPHERTEXT, whatever is wrong. */
enum err pkey_decrypt(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key, const void *in,
	size_t len, struct pkey_bytes *ret);

/** ECDH: the shared point's x coordinate. ERR_KMS_VALIDATION for a public key that is none, or of another curve. */
enum err pkey_derive(const struct pkey_bytes *private_key, const void *public_key, size_t len, struct pkey_bytes *ret);

#endif
