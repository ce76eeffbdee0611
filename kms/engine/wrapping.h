/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_WRAPPING_H
#define SIGNETFS_ENGINE_WRAPPING_H

/* The key pairs under which material is brought in, and the tokens that stand for them (kms/engine/import.h). */

#include "kms/engine/internal.h"

enum { WRAPPING_TOKEN_SIZE = 1 + UUID_SIZE + UUID_SIZE + 8 + 32 };

/** Keep a new pair for a day. In a transaction. */
enum err wrapping_store(struct call *call, const struct store_key *key, const char *algorithm,
	const struct pkey_bytes *private_key, uint8_t ret_token[WRAPPING_TOKEN_SIZE], uint64_t *ret_expires);

/** ERR_KMS_INVALID_IMPORT_TOKEN: none of ours, or another key's; ERR_KMS_EXPIRED_IMPORT_TOKEN. @algorithm has room for STORE_WORD_SIZE. */
enum err wrapping_open(struct call *call, const struct store_key *key, const struct pkey_bytes *token, char *algorithm,
	struct pkey_bytes *ret_private);

#endif
