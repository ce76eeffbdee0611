/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_SIV_H
#define SIGNETFS_BASE_SIV_H

/*
 * AES-256-SIV (RFC 5297) with exactly one associated-data string: deterministic authenticated encryption for names.
 * The CMAC of the associated data is computed once (struct siv_ad) and reused for every name in a directory.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum { SIV_KEY_SIZE = 64, SIV_TAG_SIZE = 16, SIV_MAX_INPUT = 4096 };

struct siv;
struct siv_ad {
	uint8_t d[16]; /* dbl(CMAC(zero)) xor CMAC(ad); as secret as a MAC of public data: not */
};

/** Prepare a key (secret memory). Threads: one siv may be used by many threads at once. */
enum err siv_new(const uint8_t key[SIV_KEY_SIZE], struct siv **ret);
void siv_free(struct siv *s);

enum err siv_ad_init(const struct siv *s, const void *ad, size_t len, struct siv_ad *ret);

/** @out receives tag ‖ ciphertext, @len + 16 bytes; @len is 1…SIV_MAX_INPUT. No overlap. */
enum err siv_seal(const struct siv *s, const struct siv_ad *ad, const void *in, size_t len, void *out);
/** The reverse; ERR_TAMPERED with @out wiped when it does not verify. @len counts the tag. */
enum err siv_open(const struct siv *s, const struct siv_ad *ad, const void *in, size_t len, void *out);

#endif
