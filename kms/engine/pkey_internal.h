/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_PKEY_INTERNAL_H
#define SIGNETFS_ENGINE_PKEY_INTERNAL_H

/* What pkey.c and pkey_sign.c share. */

#include <openssl/evp.h>
#include "kms/engine/pkey.h"

void pkey_auto(EVP_PKEY **key);
#define AUTO_PKEY __attribute__((cleanup(pkey_auto)))
void pkey_ctx_auto(EVP_PKEY_CTX **ctx);
#define AUTO_PKEY_CTX __attribute__((cleanup(pkey_ctx_auto)))

enum err pkey_failed(const char *what);
enum err pkey_bytes_new(size_t len, struct pkey_bytes *ret);
/** ERR_FORMAT: not PKCS #8, or with something behind it. */
enum err pkey_load(const struct pkey_bytes *private_key, EVP_PKEY **ret);

#endif
