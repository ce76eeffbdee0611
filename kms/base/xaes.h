/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_XAES_H
#define SIGNETFS_BASE_XAES_H

/*
 * XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM with a 192-bit nonce. The first 12 nonce bytes ("prefix") and the key
 * derive an AES-256-GCM key; the last 12 are that key's nonce. Whoever seals many messages under one prefix derives once
 * and keeps the prepared key.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/aead.h"
#include "kms/base/err.h"

enum { XAES_KEY_SIZE = 32, XAES_NONCE_SIZE = 24, XAES_PREFIX_SIZE = 12, XAES_OVERHEAD = 24 + 16 };

/** The AES-256-GCM key of (@key, @prefix). @ret_key is a secret. Threads: safe. */
enum err xaes_derive(
	const uint8_t key[XAES_KEY_SIZE], const uint8_t prefix[XAES_PREFIX_SIZE], uint8_t ret_key[AEAD_KEY_SIZE]);

/** The same for who derives many: the set-up, without a key. Belongs to one thread at a time. NULL: memory, or no AES-256. */
struct xaes_kdf;
struct xaes_kdf *xaes_kdf_new(void);
void xaes_kdf_free(struct xaes_kdf *k);
enum err xaes_kdf_derive(struct xaes_kdf *k, const uint8_t key[XAES_KEY_SIZE], const uint8_t prefix[XAES_PREFIX_SIZE],
	uint8_t ret_key[AEAD_KEY_SIZE]);

/** One-shot with a random nonce: @out receives nonce ‖ ciphertext ‖ tag, @len + XAES_OVERHEAD bytes. @out must not overlap @in. */
enum err xaes_seal(
	const uint8_t key[XAES_KEY_SIZE], const void *aad, size_t aad_len, const void *in, size_t len, void *out);

/** The reverse; @out has room for @len - XAES_OVERHEAD. ERR_FORMAT when @len is too short, ERR_TAMPERED with @out wiped. */
enum err xaes_open(
	const uint8_t key[XAES_KEY_SIZE], const void *aad, size_t aad_len, const void *in, size_t len, void *out);

#endif
