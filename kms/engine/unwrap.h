/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_UNWRAP_H
#define SIGNETFS_ENGINE_UNWRAP_H

#include "kms/engine/pkey.h"

/**
 * Take the wrapping off imported material: RSA-OAEP alone (RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256), or around an AES key that wraps the
 * material by RFC 5649 (RSA_AES_KEY_WRAP_SHA_1, RSA_AES_KEY_WRAP_SHA_256). ERR_KMS_INVALID_CIPHERTEXT, whatever is wrong.
 */
enum err unwrap(const char *algorithm, const struct pkey_bytes *private_key, const struct pkey_bytes *wrapped,
	struct pkey_bytes *ret);

/** ERR_KMS_UNSUPPORTED_OPERATION, saying why, when @algorithm with a key of @wrapping_spec cannot carry the material of @spec. */
enum err unwrap_check(const struct key_spec *spec, const char *algorithm, const char *wrapping_spec);

#endif
