/* SPDX-License-Identifier: Apache-2.0 */
#include "keycache/keycache_internal.h"
#include "kms/base/aead.h"
#include "kms/base/bytes.h"
#include "kms/base/labels.h"
#include "kms/base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* doc/format.md, "File header": nonce ‖ ciphertext ‖ tag of the wrapped data key. */
enum { OFF_NONCE = 0, OFF_KEY = OFF_NONCE + AEAD_NONCE_SIZE, OFF_TAG = OFF_KEY + KEY_SIZE };
_Static_assert(OFF_TAG + (int)AEAD_TAG_SIZE == (int)WRAPPED_DATA_KEY_SIZE, "doc/format.md, file header");

enum { LABEL_LEN = sizeof(LABEL_WRAP_DATA_KEY) - 1, AAD_SIZE = LABEL_LEN + VOLUME_ID_SIZE + FILE_ID_SIZE };

struct bucket_ref *ref_new(struct bucket_cache *cache, const struct bucket_id *id)
{
	struct bucket_ref *ref = calloc(1, sizeof(*ref));

	if (!ref)
		return NULL;
	ref->key = secret_alloc(sizeof(*ref->key));
	if (!ref->key) {
		free(ref);
		return NULL;
	}
	ref->cache = cache;
	ref->id = *id;
	atomic_init(&ref->refs, 1);
	atomic_fetch_add(&cache->alive, 1);
	return ref;
}

enum err ref_prepare(struct bucket_ref *ref)
{
	const struct aead_impl *aead = aead_best();

	if (!aead->shared)
		return ERR_OK;
	ref->prepared = aead->key_new();
	if (!ref->prepared)
		return err_fail(ERR_NO_MEMORY, "no locked memory for a bucket key");
	return aead->key_set(ref->prepared, ref->key->b);
}

struct bucket_ref *bucket_ref_hold(struct bucket_ref *ref)
{
	atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed);
	return ref;
}

void bucket_ref_release(struct bucket_ref *ref)
{
	unsigned before;

	if (!ref)
		return;
	before = atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before > 1)
		return;
	aead_best()->key_free(ref->prepared);
	secret_free(ref->key);
	atomic_fetch_sub(&ref->cache->alive, 1);
	free(ref);
}

void ref_release_auto(struct bucket_ref **ref)
{
	bucket_ref_release(*ref);
}

int bucket_ref_live(const struct bucket_ref *ref)
{
	return !atomic_load_explicit(&ref->revoked, memory_order_acquire) && cache_now(ref->cache) < ref->live_until;
}

uint64_t bucket_ref_live_until(const struct bucket_ref *ref)
{
	return atomic_load_explicit(&ref->revoked, memory_order_acquire) ? 0 : ref->live_until;
}

const struct kms_wrapped_key *bucket_ref_wrapped(const struct bucket_ref *ref)
{
	return &ref->wrapped;
}

/* Volume and file are bound in: a header moved to another vault, or a key to another file's header, does not open. */
static void make_aad(const struct bucket_ref *ref, const uint8_t file_id[FILE_ID_SIZE], uint8_t aad[AAD_SIZE])
{
	struct writer w;

	writer_init(&w, aad, AAD_SIZE);
	writer_put(&w, LABEL_WRAP_DATA_KEY, LABEL_LEN);
	writer_put(&w, ref->cache->volume_id, VOLUME_ID_SIZE);
	writer_put(&w, file_id, FILE_ID_SIZE);
}

static enum err seal(const struct bucket_ref *ref, const uint8_t aad[AAD_SIZE], const struct data_key *key,
	uint8_t out[WRAPPED_DATA_KEY_SIZE])
{
	if (!ref->prepared)
		return aead_seal_once(
			ref->key->b, out + OFF_NONCE, aad, AAD_SIZE, key->b, KEY_SIZE, out + OFF_KEY, out + OFF_TAG);
	return aead_best()->seal(
		ref->prepared, out + OFF_NONCE, aad, AAD_SIZE, key->b, KEY_SIZE, out + OFF_KEY, out + OFF_TAG);
}

static enum err open_(const struct bucket_ref *ref, const uint8_t aad[AAD_SIZE],
	const uint8_t in[WRAPPED_DATA_KEY_SIZE], struct data_key *key)
{
	if (!ref->prepared)
		return aead_open_once(
			ref->key->b, in + OFF_NONCE, aad, AAD_SIZE, in + OFF_KEY, KEY_SIZE, in + OFF_TAG, key->b);
	return aead_best()->open(
		ref->prepared, in + OFF_NONCE, aad, AAD_SIZE, in + OFF_KEY, KEY_SIZE, in + OFF_TAG, key->b);
}

enum err bucket_ref_wrap(const struct bucket_ref *ref, const uint8_t file_id[FILE_ID_SIZE], const struct data_key *key,
	uint8_t ret_wrapped[WRAPPED_DATA_KEY_SIZE])
{
	uint8_t wrapped[WRAPPED_DATA_KEY_SIZE];
	uint8_t aad[AAD_SIZE];

	make_aad(ref, file_id, aad);
	random_drawn(wrapped + OFF_NONCE, AEAD_NONCE_SIZE);
	TRY(seal(ref, aad, key, wrapped));
	memcpy(ret_wrapped, wrapped, sizeof(wrapped));
	atomic_fetch_add_explicit(&ref->cache->wraps, 1, memory_order_relaxed);
	return ERR_OK;
}

enum err bucket_ref_unwrap(const struct bucket_ref *ref, const uint8_t file_id[FILE_ID_SIZE],
	const uint8_t wrapped[WRAPPED_DATA_KEY_SIZE], struct data_key *ret_key)
{
	struct data_key key AUTO_WIPE;
	uint8_t aad[AAD_SIZE];
	enum err e;

	make_aad(ref, file_id, aad);
	e = open_(ref, aad, wrapped, &key);
	if (e == ERR_TAMPERED)
		return err_fail(e, "the data key in the header was not wrapped by this bucket key for this file");
	TRY(e);
	*ret_key = key;
	atomic_fetch_add_explicit(&ref->cache->unwraps, 1, memory_order_relaxed);
	return ERR_OK;
}
