/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/rekey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fs/vault/vault_internal.h"
#include "kms/base/io.h"
#include "fs/vault/vault_internal.h"
#include "kms/base/kdf.h"

enum err vault_retarget(struct vault *v, struct kms *kms, const char *key_id)
{
	TRY(writable_vault(v));
	TRY(bucket_cache_retarget(v->cache, kms, key_id));
	atomic_store(&v->bucket_keys, 1);
	return ERR_OK;
}

enum err vault_retarget_back(struct vault *v, struct kms *kms)
{
	atomic_store(&v->bucket_keys, v->desc.bucket_keys);
	/* With the next mount it would go on wrapping new files under the other CMK. */
	v->lower->unlinkat(v->lower, v->state_fd, "bucket", 0);
	return bucket_cache_retarget(v->cache, kms, v->desc.key_id);
}

struct vault *vault_of(const struct vault_dir *d)
{
	return d->v;
}

enum err vault_check_fits(const struct vault *v, const struct kms_wrapped_key *wrapped)
{
	size_t length;

	TRY(file_header_length_for(strlen(wrapped->key_arn), wrapped->blob_len, &length));
	if (length > v->desc.header_length)
		return err_fail(ERR_LIMIT,
			"the ARN and ciphertext of %s need file headers of %zu bytes, and those of this vault have %u: "
			"copy the files into a new vault under that key",
			wrapped->key_arn, length, v->desc.header_length);
	return ERR_OK;
}

/* ---- The volume key ---- */

/* It must open before anything rests on it. */
enum err vault_prove_volume_key(struct vault *v, struct kms *kms, const struct kms_wrapped_key *wrapped)
{
	struct volume_key again AUTO_WIPE;
	struct kms_context context;

	volume_context(v->desc.volume_id, &context);
	TRY(kms_decrypt_data_key(kms, wrapped, &context, again.b));
	if (!secret_equal(again.b, v->key->b, sizeof(again.b)))
		return err_fail(ERR_KMS_WRONG_ANSWER, "the KMS opened the volume key under %s to another key",
			wrapped->key_arn);
	return ERR_OK;
}

enum err vault_wrap_volume_key(
	struct vault *v, struct kms *kms, int same, const char *key_id, struct kms_wrapped_key *ret)
{
	struct kms_wrapped_key wrapped = {.blob_len = 0};
	struct kms_context context;
	enum err e;

	volume_context(v->desc.volume_id, &context);
	e = same ? kms_re_encrypt_data_key(kms, &v->desc.volume_key, &context, key_id, &wrapped)
		 : kms_encrypt_data_key(kms, key_id, &context, v->key->b, &wrapped);

	if (e != ERR_OK)
		return err_wrap(e, "the volume key under %s", key_id);
	*ret = wrapped;
	return ERR_OK;
}

static enum err set_text(char *out, size_t size, const char *text, const char *what)
{
	if (strlen(text) >= size)
		return err_fail(ERR_USAGE, "the %s is longer than %zu characters", what, size - 1);
	memcpy(out, text, strlen(text) + 1);
	return ERR_OK;
}

static enum err fill(struct descriptor *d, const struct kms_wrapped_key *wrapped, const struct vault_place *place)
{
	d->volume_key = *wrapped;
	d->bucket_keys = 1;
	TRY(set_text(d->key_id, sizeof(d->key_id), place->key_id, "KMS key id"));
	if (place->endpoint)
		TRY(set_text(d->endpoint, sizeof(d->endpoint), place->endpoint, "KMS endpoint"));
	return place->region ? set_text(d->region, sizeof(d->region), place->region, "region") : ERR_OK;
}

enum err vault_move(struct vault *v, const struct kms_wrapped_key *wrapped, const struct vault_place *place)
{
	struct descriptor moved = v->desc;
	char *text AUTO_FREE = NULL;
	size_t len;
	enum err e;

	TRY(writable_vault(v));
	TRY(fill(&moved, wrapped, place));
	TRY(descriptor_encode(&moved, v->key, &text, &len));
	pthread_mutex_lock(&v->state);
	e = state_replace(v, v->top_fd, DESCRIPTOR_NAME, text, len);
	if (e == ERR_OK)
		v->desc = moved;
	pthread_mutex_unlock(&v->state);
	return e;
}

enum err vault_sync_all(struct vault *v)
{
	return v->lower->syncfs(v->lower, v->top_fd) == 0 ? ERR_OK : err_system("syncing the vault %s", v->path);
}

/* ---- Records ---- */

static enum err record_mac(struct vault *v, const char *label, const void *in, size_t len, uint8_t ret[SHA256_SIZE])
{
	struct mac_key {
		uint8_t b[KEY_SIZE];
	} key AUTO_WIPE;

	TRY(kdf_hkdf(v->key->b, sizeof(v->key->b), v->desc.volume_id, VOLUME_ID_SIZE, label, strlen(label), key.b,
		sizeof(key.b)));
	return kdf_hmac(key.b, sizeof(key.b), in, len, ret);
}

enum err vault_record_write(struct vault *v, const struct vault_record *record, const void *buf, size_t len)
{
	uint8_t *whole AUTO_FREE = malloc(len + SHA256_SIZE);
	enum err e;

	TRY(writable_vault(v));
	if (!whole)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	memcpy(whole, buf, len);
	TRY(record_mac(v, record->label, buf, len, whole + len));
	pthread_mutex_lock(&v->state);
	e = state_replace(v, v->state_fd, record->name, whole, len + SHA256_SIZE);
	pthread_mutex_unlock(&v->state);
	return e;
}

static enum err check_record(
	struct vault *v, const struct vault_record *record, const uint8_t *whole, size_t len, size_t size)
{
	uint8_t mac[SHA256_SIZE];

	if (len < SHA256_SIZE || len - SHA256_SIZE > size)
		return err_fail(ERR_FORMAT, STATE_DIR_NAME "/%s is cut or too long", record->name);
	TRY(record_mac(v, record->label, whole, len - SHA256_SIZE, mac));
	if (!secret_equal(mac, whole + len - SHA256_SIZE, SHA256_SIZE))
		return err_fail(ERR_TAMPERED, STATE_DIR_NAME "/%s is damaged, or another vault's", record->name);
	return ERR_OK;
}

static enum err read_record(
	struct vault *v, const struct vault_record *record, uint8_t *whole, void *buf, size_t size, size_t *ret_len)
{
	size_t len;

	TRY(state_read(v->lower, v->state_fd, record->name, whole, size + SHA256_SIZE + 1, &len));
	TRY(check_record(v, record, whole, len, size));
	memcpy(buf, whole, len - SHA256_SIZE);
	*ret_len = len - SHA256_SIZE;
	return ERR_OK;
}

enum err vault_record_read(struct vault *v, const struct vault_record *record, void *buf, size_t size, size_t *ret_len)
{
	uint8_t *whole;
	enum err e;

	if (v->state_fd < 0)
		return err_fail(ERR_NOT_FOUND, "the vault has no " STATE_DIR_NAME);
	whole = malloc(size + SHA256_SIZE + 1);
	e = whole ? read_record(v, record, whole, buf, size, ret_len) : err_fail(ERR_NO_MEMORY, "out of memory");
	free(whole);
	return e;
}

enum err vault_record_remove(struct vault *v, const struct vault_record *record)
{
	if (v->lower->unlinkat(v->lower, v->state_fd, record->name, 0) != 0 && errno != ENOENT)
		return err_system("removing " STATE_DIR_NAME "/%s", record->name);
	if (v->lower->fsync(v->lower, v->state_fd) != 0)
		return err_system("syncing " STATE_DIR_NAME);
	return ERR_OK;
}
