/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_OSSL_H
#define SIGNETFS_BASE_OSSL_H

/*
 * OpenSSL's algorithms, fetched once: a fetch by name walks the provider tables under a lock and costs more than the
 * hash of a file header. Threads: safe. NULL when OpenSSL has no such algorithm: callers answer ERR_CRYPTO.
 */

#include <openssl/evp.h>
#include <stdint.h>

const EVP_CIPHER *ossl_aes256_ecb(void);
const EVP_CIPHER *ossl_aes256_gcm(void);

/** OpenSSL's heap blocks are wiped when they are freed or moved: private keys and what is computed from them pass through. Call it first of all. */
void ossl_install_allocator(void);

void ossl_cipher_auto(EVP_CIPHER_CTX **ctx);
#define AUTO_CIPHER __attribute__((cleanup(ossl_cipher_auto)))
void ossl_digest_auto(EVP_MD_CTX **ctx);
#define AUTO_DIGEST __attribute__((cleanup(ossl_digest_auto)))

/**
 * Multiplication by x in GF(2^128), big-endian, in place: CMAC's subkeys (NIST SP 800-38B section 6.1) and S2V's chain (RFC 5297
 * section 2.3). Without a branch on the secret bit.
 */
enum { OSSL_CMAC_BLOCK = 16 };
void ossl_cmac_double(uint8_t b[OSSL_CMAC_BLOCK]);

#endif
