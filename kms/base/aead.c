/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/aead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct aead_impl *best;

static void choose(void)
{
	const char *wish = getenv("SIGNETFS_AEAD");

	best = wish && strcmp(wish, "openssl") == 0 ? NULL : aead_ipsec_mb();
	if (!best)
		best = aead_openssl();
}

const struct aead_impl *aead_best(void)
{
	pthread_once(&once, choose);
	return best;
}

static enum err prepare(const struct aead_impl *impl, const uint8_t key[AEAD_KEY_SIZE], struct aead_key **ret)
{
	struct aead_key *k = impl->key_new();
	enum err e;

	if (!k)
		return err_fail(ERR_NO_MEMORY, "no secret memory for an AES key");
	e = impl->key_set(k, key);
	if (e == ERR_OK)
		*ret = k;
	else
		impl->key_free(k);
	return e;
}

enum err aead_seal_once(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad,
	size_t aad_len, const void *in, size_t len, void *out, uint8_t ret_tag[AEAD_TAG_SIZE])
{
	const struct aead_impl *impl = aead_best();
	struct aead_key *k;
	enum err e;

	TRY(prepare(impl, key, &k));
	e = impl->seal(k, nonce, aad, aad_len, in, len, out, ret_tag);
	impl->key_free(k);
	return e;
}

enum err aead_open_once(const uint8_t key[AEAD_KEY_SIZE], const uint8_t nonce[AEAD_NONCE_SIZE], const void *aad,
	size_t aad_len, const void *in, size_t len, const uint8_t tag[AEAD_TAG_SIZE], void *out)
{
	const struct aead_impl *impl = aead_best();
	struct aead_key *k;
	enum err e;

	TRY(prepare(impl, key, &k));
	e = impl->open(k, nonce, aad, aad_len, in, len, tag, out);
	impl->key_free(k);
	return e;
}
