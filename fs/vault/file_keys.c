/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <string.h>
#include "kms/base/random.h"

int file_keys_live(const struct vault_file *f)
{
	if (f->ref)
		return bucket_ref_live(f->ref);
	return f->v->clock->monotonic(f->v->clock) < f->live_until;
}

uint64_t vault_file_live_until(struct vault_file *f)
{
	struct file_claim claim = CLAIM_ALL_SHARED;
	uint64_t until = UINT64_MAX;

	file_lock_take(&f->lock, &claim);
	if (f->keys)
		until = f->ref ? bucket_ref_live_until(f->ref) : f->live_until;
	file_lock_drop(&f->lock, &claim);
	return until;
}

struct chunk_file file_chunks(const struct vault_file *f)
{
	struct chunk_file c = {
		.key = &f->keys->chunk,
		.file_id = f->header.file_id,
		.holes = (f->header.flags & FILE_FLAG_HOLES) != 0,
	};

	return c;
}

void file_keys_drop(struct vault_file *f)
{
	secret_free(f->keys);
	f->keys = NULL;
	bucket_ref_release(f->ref);
	f->ref = NULL;
	f->live_until = 0;
	/* Another key follows, or none: a prefix drawn under this one has no further use. */
	memset(&f->nonce, 0, sizeof(f->nonce));
}

/* Takes over @ref, on failure too. */
static enum err take_keys(struct vault_file *f, const struct data_key *key, const uint8_t file_id[FILE_ID_SIZE],
	struct bucket_ref *ref, uint64_t live_until)
{
	struct file_keys *keys AUTO_SECRET = secret_alloc(sizeof(*keys));
	enum err e = keys ? file_header_keys(key, file_id, keys)
			  : err_fail(ERR_NO_MEMORY, "no locked memory for a file's keys");

	if (e != ERR_OK) {
		bucket_ref_release(ref);
		return e;
	}
	file_keys_drop(f);
	f->keys = STEAL(keys);
	f->ref = ref;
	f->live_until = live_until;
	return ERR_OK;
}

enum err header_data_key(struct vault *v, const struct file_header *h, struct data_key *ret_key,
	struct bucket_ref **ret_ref, uint64_t *ret_live_until)
{
	struct bucket_ref *ref = NULL;
	enum err e;

	if (h->wrap == WRAP_KMS) {
		e = bucket_cache_direct_decrypt(v->cache, h->file_id, &h->kms_key, ret_key, ret_live_until);
	} else {
		TRY(bucket_cache_acquire_for_unwrap(v->cache, &h->bucket, &h->kms_key, &ref));
		e = bucket_ref_unwrap(ref, h->file_id, h->wrapped_data_key, ret_key);
	}
	if (e != ERR_OK) {
		bucket_ref_release(ref);
		return e;
	}
	*ret_ref = ref;
	return ERR_OK;
}

enum err file_keys_get(struct vault_file *f, const struct file_header *h)
{
	struct data_key key AUTO_WIPE;
	struct bucket_ref *ref;
	uint64_t live_until = 0;

	TRY(header_data_key(f->v, h, &key, &ref, &live_until));
	return take_keys(f, &key, h->file_id, ref, live_until);
}

/* ---- A new file's ---- */

/* A CMK whose ARN or blobs outgrew this vault's headers shows before anything is made. */
static enum err check_fits(const struct vault *v, const struct kms_wrapped_key *k)
{
	size_t length;

	TRY(file_header_length_for(strlen(k->key_arn), k->blob_len, &length));
	if (length > v->desc.header_length)
		return err_fail(ERR_LIMIT, "the ARN and ciphertext of %s are too long for this vault's file headers",
			k->key_arn);
	return ERR_OK;
}

static enum err wrap_with(
	const struct vault *v, struct bucket_ref *ref, const struct data_key *key, struct file_header *h)
{
	TRY(check_fits(v, bucket_ref_wrapped(ref)));
	TRY(bucket_ref_wrap(ref, h->file_id, key, h->wrapped_data_key));
	h->wrap = WRAP_BUCKET;
	h->kms_key = *bucket_ref_wrapped(ref);
	return ERR_OK;
}

enum err header_wrap_in_bucket(
	struct vault *v, struct file_header *h, const struct data_key *key, struct bucket_ref **ret_ref)
{
	struct bucket_ref *ref;
	enum err e;

	TRY(bucket_cache_acquire_for_wrap(v->cache, &h->bucket, &ref));
	e = wrap_with(v, ref, key, h);
	if (e != ERR_OK) {
		bucket_ref_release(ref);
		return e;
	}
	*ret_ref = ref;
	return ERR_OK;
}

/* One call to the KMS for each file, whose ciphertext the header holds itself. */
static enum err generate(struct vault *v, struct file_header *h, struct data_key *ret_key, uint64_t *ret_live_until)
{
	h->wrap = WRAP_KMS;
	TRY(bucket_cache_direct_generate(v->cache, h->file_id, ret_key, &h->kms_key, ret_live_until));
	return check_fits(v, &h->kms_key);
}

enum err file_keys_make(struct vault_file *f)
{
	struct file_header *h = &f->header;
	struct data_key key AUTO_WIPE;
	struct bucket_ref *ref = NULL;
	uint64_t live_until = 0;

	memset(h, 0, sizeof(*h));
	h->suite = SUITE_XAES_256_GCM;
	memcpy(h->volume_id, f->v->desc.volume_id, VOLUME_ID_SIZE);
	random_drawn(h->file_id, sizeof(h->file_id));
	if (atomic_load(&f->v->bucket_keys)) {
		random_drawn(key.b, sizeof(key.b));
		TRY(header_wrap_in_bucket(f->v, h, &key, &ref));
	} else {
		TRY(generate(f->v, h, &key, &live_until));
	}
	TRY(take_keys(f, &key, h->file_id, ref, live_until));
	f->state = FILE_FRESH;
	f->size = 0;
	return ERR_OK;
}
