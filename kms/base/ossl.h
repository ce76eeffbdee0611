/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_OSSL_H
#define SIGNETFS_BASE_OSSL_H

/*
 * OpenSSL's algorithms, fetched once: a fetch by name walks the provider tables under a lock and costs more than the
 * hash of a file header. Threads: safe. NULL when OpenSSL has no such algorithm: callers answer ERR_CRYPTO.
 */

#include <openssl/evp.h>

const EVP_MD *ossl_sha256(void);
const EVP_CIPHER *ossl_aes256_ecb(void);
const EVP_CIPHER *ossl_aes256_gcm(void);

void ossl_cipher_auto(EVP_CIPHER_CTX **ctx);
#define AUTO_CIPHER __attribute__((cleanup(ossl_cipher_auto)))
void ossl_digest_auto(EVP_MD_CTX **ctx);
#define AUTO_DIGEST __attribute__((cleanup(ossl_digest_auto)))

#endif
