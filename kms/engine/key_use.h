/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_KEY_USE_H
#define SIGNETFS_ENGINE_KEY_USE_H

/* What the cryptographic operations share: may this key be used so, and the answer's beginning. */

#include "kms/engine/internal.h"
#include "kms/engine/key_specs.h"

/**
 * @key has @usage, and @algorithm (NULL: the symmetric one) is one of its spec. ERR_KMS_INVALID_KEY_USAGE in AWS's words,
 * ERR_KMS_UNSUPPORTED_OPERATION for what OpenSSL lacks.
 */
enum err key_use_check(const struct call *call, const struct store_key *key, const char *usage, const char *algorithm,
	const struct key_algorithm **ret);

/** ERR_KMS_UNSUPPORTED_OPERATION for a request that wants its answer sealed to an enclave. */
enum err key_use_no_recipient(const struct call *call);

/** {@member: the key's ARN} */
json_t *key_use_answer(const char *member, const struct store_key *key);
enum err key_use_set_blob(json_t *body, const char *name, const void *p, size_t len);

/**
 * KeyMaterialId of a backing key into the answer (@object NULL: not there) under @member, and into the audit record as
 * "keyMaterialId", or under @member when there is no @object.
 */
enum err key_use_put_material(struct call *call, json_t *object, const char *member, const struct store_key *key,
	const uint8_t backing[UUID_SIZE]);

/** Encrypt under a symmetric key, whose use was checked. @blob has room for @len + BLOB_OVERHEAD. */
enum err key_use_encrypt(struct call *call, const struct store_key *key, const char *context_member, const void *in,
	size_t len, uint8_t *blob);

#endif
