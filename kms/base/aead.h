/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_AEAD_H
#define SIGNETFS_BASE_AEAD_H

/*
 * AES-256-GCM (NIST SP 800-38D), 96-bit nonces, 128-bit tags, behind one interface with two implementations: OpenSSL
 * (always) and intel-ipsec-mb (when compiled in and the processor has AVX-512 with VAES: without, it is no faster). Tests
 * hold them against each other.
 *
 * A prepared key (`struct aead_key`) is the expensive part: expanded round keys and powers of H. It belongs to one thread at a
 * time unless the implementation is `shared`, and can be re-keyed in place. ipsec-mb's lives in memory from secret_alloc(); OpenSSL's own context is on its heap,
 * wiped when freed but not locked.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum { AEAD_KEY_SIZE = 32, AEAD_NONCE_SIZE = 12, AEAD_TAG_SIZE = 16 };

struct aead_key; /* prepared; opaque, its layout is the implementation's */

struct aead_impl {
	const char *name; /* "openssl", "ipsec-mb" */
	int shared; /* a prepared key is all in locked memory, and many threads may seal and open under it at once */

	/* Prepared key in secret memory, without a key yet. NULL when memory is out. */
	struct aead_key *(*key_new)(void);
	/* Wipe and free; NULL is fine. */
	void (*key_free)(struct aead_key *k);
	/* Load a 256-bit key, replacing the one before. */
	enum err (*key_set)(struct aead_key *k, const uint8_t key[AEAD_KEY_SIZE]);

	/* @out may be @in. The caller never repeats a nonce under one key. */
	enum err (*seal)(struct aead_key *k, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_len,
		const void *in, size_t len, void *out, uint8_t ret_tag[AEAD_TAG_SIZE]);
	/* ERR_TAMPERED with @out wiped when the tag does not verify. @out may be @in. */
	enum err (*open)(struct aead_key *k, const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad, size_t aad_len,
		const void *in, size_t len, const uint8_t tag[AEAD_TAG_SIZE], void *out);
};

const struct aead_impl *aead_openssl(void);
const struct aead_impl *aead_ipsec_mb(void); /* NULL: not compiled in, or this processor lacks what it needs */
const struct aead_impl *aead_best(
	void); /* ipsec-mb where there is one, otherwise OpenSSL; SIGNETFS_AEAD=openssl forces */

/** One-shot forms for small things (keys, records): prepare, use, wipe. */
enum err aead_seal_once(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad,
	size_t aad_len, const void *in, size_t len, void *out, uint8_t ret_tag[AEAD_TAG_SIZE]);
enum err aead_open_once(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad,
	size_t aad_len, const void *in, size_t len, const uint8_t tag[AEAD_TAG_SIZE], void *out);

#endif
