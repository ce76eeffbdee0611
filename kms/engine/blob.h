/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_BLOB_H
#define SIGNETFS_ENGINE_BLOB_H

/*
 * The ciphertext blob of a symmetric key, version 1 (doc/kms.md). Offsets in bytes:
 *
 *    0   1  version, 1
 *    1   1  flags: bit 0 = the key is a multi-Region key
 *    2  16  key id
 *   18  16  backing key id
 *   34  32  random
 *   66  16  header tag: HMAC-SHA256, cut, over bytes 0…65 under the keystore's header key
 *   82   n  ciphertext, AES-256-GCM
 * 82+n  16  tag
 *
 * Every encryption has a key and nonce of its own: HKDF-SHA256(backing key, salt = random, LABEL_KMS_BLOB) gives 32 bytes of
 * key and 12 of nonce. So no number of encryptions wears a backing key out: two blobs would have to meet in 256 random bits.
 * AAD = bytes 0…81 ‖ the canonical encryption context (kms/engine/context.h).
 *
 * The header tag lets a blob that is damaged, forged or from another keystore be refused before any key is looked up,
 * let alone used.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/encode.h"
#include "kms/base/err.h"
#include "kms/base/secret.h"
#include "kms/base/wrapped_key.h"

enum {
	BLOB_OFF_VERSION = 0,
	BLOB_OFF_FLAGS = BLOB_OFF_VERSION + 1,
	BLOB_OFF_KEY = BLOB_OFF_FLAGS + 1,
	BLOB_OFF_BACKING = BLOB_OFF_KEY + UUID_SIZE,
	BLOB_OFF_RANDOM = BLOB_OFF_BACKING + UUID_SIZE,
	BLOB_RANDOM_SIZE = 32,
	BLOB_OFF_HEADER_TAG = BLOB_OFF_RANDOM + BLOB_RANDOM_SIZE,
	BLOB_HEADER_TAG_SIZE = 16,
	BLOB_HEADER_SIZE = BLOB_OFF_HEADER_TAG + BLOB_HEADER_TAG_SIZE,
	BLOB_TAG_SIZE = 16,
	BLOB_OVERHEAD = BLOB_HEADER_SIZE + BLOB_TAG_SIZE,
	BLOB_VERSION = 1,
	BLOB_FLAG_MULTI_REGION = 1,
	BLOB_PLAINTEXT_MAX = 4096
};
_Static_assert(BLOB_OFF_KEY == 2 && BLOB_OFF_BACKING == 18 && BLOB_OFF_RANDOM == 34, "doc/kms.md, ciphertext blob");
_Static_assert((int)BLOB_OFF_KEY == (int)OWN_BLOB_OFF_KEY && (int)BLOB_OFF_BACKING == (int)OWN_BLOB_OFF_BACKING &&
		       (int)BLOB_OVERHEAD == (int)OWN_BLOB_OVERHEAD,
	"clients look there");
_Static_assert(BLOB_OFF_HEADER_TAG == 66 && BLOB_HEADER_SIZE == 82, "doc/kms.md, ciphertext blob");
_Static_assert(BLOB_OVERHEAD + 32 <= 130, "a wrapped data key must stay small in file headers");
_Static_assert(BLOB_OVERHEAD + BLOB_PLAINTEXT_MAX <= 6144, "CiphertextBlob's limit in the service model");

/* What an authenticated header says. */
struct blob_header {
	int multi_region;
	uint8_t key[UUID_SIZE];
	uint8_t backing[UUID_SIZE];
};

/** ERR_KMS_INVALID_CIPHERTEXT for whatever is not, byte for byte, a header that this keystore wrote. */
enum err blob_parse(const uint8_t header_key[KEY_SIZE], const void *blob, size_t len, struct blob_header *ret);

/** @out receives @len + BLOB_OVERHEAD bytes. */
enum err blob_seal(const uint8_t header_key[KEY_SIZE], const struct cmk_key *backing, const struct blob_header *header,
	const void *context, size_t context_len, const void *in, size_t len, uint8_t *out);

/** @blob was accepted by blob_parse(). @out has room for @len - BLOB_OVERHEAD; wiped on ERR_KMS_INVALID_CIPHERTEXT. */
enum err blob_open(const struct cmk_key *backing, const void *context, size_t context_len, const uint8_t *blob,
	size_t len, void *out);

#endif
