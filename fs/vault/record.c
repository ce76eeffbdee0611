/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/rekey.h"
#include "fs/vault/vault_internal.h"

#include <stdio.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/encode.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"

/*
 * .signetfs/bucket: which bucket key wraps new data keys. doc/format.md, "Bucket record". The KMS authenticates the blob; the MAC
 * is for the count of files wrapped, which would otherwise be wound back by anyone who can write the vault.
 *
 *     magic 8 | version 4 | ARN length 2 | blob length 2 | bucket id 16 | created 8 | reserved 8 | ARN | blob | MAC 32
 */
static const uint8_t magic[8] = {'S', 'I', 'G', 'N', 'B', 'K', 'E', 'Y'};
enum { VERSION = 1, HEAD_SIZE = 8 + 4 + 2 + 2 + 16 + 8 + 8, MAC_SIZE = SHA256_SIZE };
_Static_assert(HEAD_SIZE == 48, "doc/format.md, bucket record");
_Static_assert(HEAD_SIZE + KMS_ARN_MAX + KMS_BLOB_MAX + MAC_SIZE <= RECORD_MAX, "every record fits");

struct record_key {
	uint8_t b[KEY_SIZE];
};

static enum err record_mac(const void *in, size_t len, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], uint8_t ret[MAC_SIZE])
{
	struct record_key k AUTO_WIPE;

	TRY(kdf_hkdf(key->b, sizeof(key->b), volume_id, VOLUME_ID_SIZE, LABEL_BUCKET_RECORD,
		strlen(LABEL_BUCKET_RECORD), k.b, sizeof(k.b)));
	return kdf_hmac(k.b, sizeof(k.b), in, len, ret);
}

enum err record_encode(const struct bucket_record *r, const struct bucket_id *id, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], uint8_t out[RECORD_MAX], size_t *ret_len)
{
	size_t arn_len = strlen(r->wrapped.key_arn);
	uint8_t mac[MAC_SIZE];
	struct writer w;

	writer_init(&w, out, RECORD_MAX);
	writer_put(&w, magic, sizeof(magic));
	writer_u32(&w, VERSION);
	writer_u16(&w, (uint16_t)arn_len);
	writer_u16(&w, r->wrapped.blob_len);
	writer_put(&w, id->b, sizeof(id->b));
	writer_u64(&w, r->created);
	writer_u64(&w, r->reserved);
	writer_put(&w, r->wrapped.key_arn, arn_len);
	writer_put(&w, r->wrapped.blob, r->wrapped.blob_len);
	TRY(record_mac(out, w.used, key, volume_id, mac));
	writer_put(&w, mac, sizeof(mac));
	return writer_end(&w, ret_len);
}

static enum err read_fields(struct reader *r, const struct bucket_id *id, struct bucket_record *ret)
{
	const uint8_t *p;
	uint32_t version;
	uint16_t arn_len;

	TRY(reader_take(r, sizeof(magic), &p));
	TRY(reader_u32(r, &version));
	if (memcmp(p, magic, sizeof(magic)) != 0 || version != VERSION)
		return err_fail(ERR_FORMAT, "not a bucket record of version 1");
	TRY(reader_u16(r, &arn_len));
	TRY(reader_u16(r, &ret->wrapped.blob_len));
	if (arn_len == 0 || arn_len > KMS_ARN_MAX || ret->wrapped.blob_len > KMS_BLOB_MAX)
		return err_fail(ERR_FORMAT, "a bucket record with impossible lengths");
	TRY(reader_take(r, sizeof(id->b), &p));
	if (memcmp(p, id->b, sizeof(id->b)) != 0)
		return err_fail(ERR_FORMAT, "the record of another bucket");
	TRY(reader_u64(r, &ret->created));
	TRY(reader_u64(r, &ret->reserved));
	TRY(reader_copy(r, ret->wrapped.key_arn, arn_len));
	TRY(reader_copy(r, ret->wrapped.blob, ret->wrapped.blob_len));
	TRY(reader_take(r, MAC_SIZE, &p));
	return reader_end(r);
}

static enum err record_decode(
	struct vault *v, const uint8_t *in, size_t len, const struct bucket_id *id, struct bucket_record *ret)
{
	struct bucket_record r = {0};
	uint8_t mac[MAC_SIZE];
	struct reader reader;

	reader_init(&reader, in, len);
	TRY(read_fields(&reader, id, &r));
	TRY(record_mac(in, len - MAC_SIZE, v->key, v->desc.volume_id, mac));
	if (!secret_equal(mac, in + len - MAC_SIZE, MAC_SIZE))
		return err_fail(ERR_TAMPERED, "a bucket record with a wrong MAC");
	*ret = r;
	return ERR_OK;
}

void record_name(const struct bucket_id *id, char out[64])
{
	static const struct bucket_id whole;
	char hex[2 * BUCKET_ID_SIZE + 1];

	encode_hex(id->b, sizeof(id->b), hex);
	snprintf(out, 64, memcmp(id, &whole, sizeof(whole)) == 0 ? "bucket" : "bucket.%s", hex);
}

enum err record_check(struct vault *v, const char *name)
{
	const size_t prefix = strlen("bucket.");
	uint8_t buf[RECORD_MAX + 1];
	struct bucket_record r;
	struct bucket_id id = {0};
	size_t len;

	if (strcmp(name, "bucket") != 0 &&
		decode_hex(name + prefix, strlen(name) - prefix, id.b, sizeof(id.b), &len) != ERR_OK)
		return err_fail(ERR_FORMAT, "not the name of a bucket record");
	TRY(state_read(v->lower, v->state_fd, name, buf, sizeof(buf), &len));
	return record_decode(v, buf, len, &id, &r);
}

/*
 * A damaged record costs one KMS call and nothing else: it says which key to go on with, and a new one is as good. So it is reported
 * and counts as missing rather than keeping people from making files.
 */
static enum err record_load(void *context, const struct bucket_id *id, struct bucket_record *ret)
{
	struct vault *v = context;
	uint8_t buf[RECORD_MAX + 1];
	char name[64];
	size_t len;
	enum err e;

	if (v->state_fd < 0)
		return err_fail(ERR_NOT_FOUND, "the vault has no " STATE_DIR_NAME);
	record_name(id, name);
	TRY(state_read(v->lower, v->state_fd, name, buf, sizeof(buf), &len));
	e = record_decode(v, buf, len, id, ret);
	if (e == ERR_FORMAT || e == ERR_TAMPERED) {
		report(v->reporter, REPORT_WARNING,
			"the record of the current bucket key, %s/" STATE_DIR_NAME
			"/%s, is damaged (%s); a new bucket key will be made",
			v->path, name, err_text(e));
		return err_fail(ERR_NOT_FOUND, "the record of the current bucket key is damaged");
	}
	return e;
}

enum err vault_peek_record(const char *vault, struct kms_wrapped_key *ret)
{
	static const struct bucket_id whole;
	struct bucket_record r = {0};
	uint8_t buf[RECORD_MAX + 1];
	struct reader reader;
	char path[4096];
	size_t len;

	if (snprintf(path, sizeof(path), "%s/" STATE_DIR_NAME "/bucket", vault) >= (int)sizeof(path))
		return err_fail(ERR_NOT_FOUND, "the path of the vault is too long");
	TRY(state_read(lower_system(), AT_FDCWD, path, buf, sizeof(buf), &len));
	reader_init(&reader, buf, len);
	TRY(read_fields(&reader, &whole, &r));
	*ret = r.wrapped;
	return ERR_OK;
}

static enum err record_save(void *context, const struct bucket_id *id, const struct bucket_record *record)
{
	struct vault *v = context;
	uint8_t buf[RECORD_MAX];
	char name[64];
	size_t len;
	enum err e;

	TRY(writable_vault(v));
	record_name(id, name);
	TRY(record_encode(record, id, v->key, v->desc.volume_id, buf, &len));
	pthread_mutex_lock(&v->state);
	e = state_replace(v, v->state_fd, name, buf, len);
	pthread_mutex_unlock(&v->state);
	return e;
}

void record_store(struct vault *v, struct bucket_store *ret)
{
	ret->load = record_load;
	ret->save = record_save;
	ret->context = v;
}
