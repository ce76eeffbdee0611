/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FORMAT_CHUNK_H
#define SIGNETFS_FORMAT_CHUNK_H

/*
 * Chunks: plaintext chunk i (4096 bytes, the last one shorter, never empty) is stored at header length + i × 4136 as
 * nonce 24 ‖ ciphertext ‖ tag 16, AAD = file id ‖ i (64 bits, little-endian). doc/format.md, "Chunks".
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/aead.h"
#include "kms/base/err.h"
#include "kms/base/ids.h"
#include "kms/base/secret.h"
#include "kms/base/xaes.h"

enum { CHUNK_SIZE = 4096, CHUNK_OVERHEAD = XAES_OVERHEAD, CHUNK_STORED = CHUNK_SIZE + CHUNK_OVERHEAD };

/** Largest plaintext size: the stored size stays below 2^63. */
#define CHUNK_MAX_FILE_SIZE (UINT64_C(1) << 62)

/** Plaintext size → lower size (a file of size 0 is its header alone). */
uint64_t chunk_lower_size(uint64_t plain, size_t header_len);
/**
 * Lower size → plaintext size. A rest that cannot be a chunk (1…40 bytes) or a header (less than its length, nothing
 * included) counts as nothing; *ret_whole is 0 then. ret_whole may be NULL.
 */
uint64_t chunk_plain_size(uint64_t lower, size_t header_len, int *ret_whole);
uint64_t chunk_offset(uint64_t index, size_t header_len);

/** Key of a file's chunks: file_header_keys(). */
struct chunk_key {
	uint8_t b[KEY_SIZE];
};

/**
 * Seal and open runs of chunks. A cipher holds the few prepared AES-GCM keys, each that of a (chunk key, nonce prefix), used
 * last, and belongs to one thread at a time; a worker keeps one and uses it for every file: going on with the same file and
 * prefix costs no key set-up, nor does reading under an old prefix what is then written under a new one. Secret memory.
 */
struct chunk_cipher;
struct chunk_cipher *chunk_cipher_new(const struct aead_impl *aead);
void chunk_cipher_free(struct chunk_cipher *c);
/** Forget the keys it holds (file closed, bucket key revoked). */
void chunk_cipher_forget(struct chunk_cipher *c);

/** The nonce prefix under which one writer seals; drawn anew every 2^28 seals. Belongs to an open file; callers serialise. */
struct chunk_nonce {
	uint8_t prefix[XAES_PREFIX_SIZE];
	uint32_t left; /* 0: draw first. Zero-initialise. */
};
/** Set @seals (1…2^28) aside, so that several writers can seal at once, each with its own part. Callers serialise. */
struct chunk_nonce chunk_nonce_take(struct chunk_nonce *from, uint32_t seals);

struct chunk_file {
	const struct chunk_key *key;
	const uint8_t *file_id;
	int holes; /* the authenticated header says that chunks of zeros are holes */
};

/** Seal @len bytes (1…4096) of chunk @index: @out receives @len + 40. @out must not overlap @in. */
enum err chunk_seal(struct chunk_cipher *c, const struct chunk_file *f, struct chunk_nonce *nonce, uint64_t index,
	const void *in, size_t len, void *out);

/**
 * Open one stored chunk of @len bytes (41…4136): @out receives @len - 40 bytes. All zeros is a hole where f->holes says
 * so. ERR_TAMPERED with @out wiped when it does not verify; ERR_FORMAT when @len cannot be. @out must not overlap @in.
 */
enum err chunk_open(
	struct chunk_cipher *c, const struct chunk_file *f, uint64_t index, const void *in, size_t len, void *out);

#endif
