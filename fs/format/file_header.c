/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/file_header.h"
#include "kms/base/bytes.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"

#include <assert.h>
#include <string.h>

static const uint8_t magic[8] = {'S', 'I', 'G', 'N', 'E', 'T', 'F', 'S'};
enum { VERSION = 1, KNOWN_FLAGS = FILE_FLAG_HOLES };

enum {
	OFF_MAGIC = 0,
	OFF_VERSION = OFF_MAGIC + sizeof(magic),
	OFF_SUITE = OFF_VERSION + 1,
	OFF_WRAP = OFF_SUITE + 1,
	OFF_LENGTH = OFF_WRAP + 1,
	OFF_FLAGS = OFF_LENGTH + 1,
	OFF_VOLUME = OFF_FLAGS + 4,
	OFF_FILE = OFF_VOLUME + VOLUME_ID_SIZE,
	OFF_SIZE = OFF_FILE + FILE_ID_SIZE,
	OFF_SESSION = OFF_SIZE + 8,
	OFF_DATA_KEY = OFF_SESSION + 8,
	OFF_ARN_LEN = OFF_DATA_KEY + WRAPPED_DATA_KEY_SIZE,
	OFF_BLOB_LEN = OFF_ARN_LEN + 2,
	OFF_BUCKET = OFF_BLOB_LEN + 2,
	OFF_AREA = OFF_BUCKET + BUCKET_ID_SIZE,
	MAC_SIZE = SHA256_SIZE,
	OFF_MAC = FILE_HEADER_UNIT - MAC_SIZE,
	FIRST_AREA = OFF_MAC - OFF_AREA,
	AREA_MAX = FILE_HEADER_MAX - OFF_AREA - MAC_SIZE,
};
_Static_assert(OFF_VERSION == 8 && OFF_SUITE == 9 && OFF_WRAP == 10 && OFF_LENGTH == 11, "doc/format.md, file header");
_Static_assert(OFF_FLAGS == 12 && OFF_VOLUME == 16 && OFF_FILE == 32 && OFF_SIZE == 48, "doc/format.md, file header");
_Static_assert(OFF_SESSION == 56 && OFF_DATA_KEY == 64 && OFF_ARN_LEN == 124, "doc/format.md, file header");
_Static_assert(OFF_BLOB_LEN == 126 && OFF_BUCKET == 128 && OFF_AREA == 144, "doc/format.md, file header");
_Static_assert(OFF_MAC == 480 && FIRST_AREA == 336, "doc/format.md, file header");

enum err file_header_keys(const struct data_key *key, const uint8_t file_id[FILE_ID_SIZE], struct file_keys *ret)
{
	const struct kdf_output outputs[] = {
		{{LABEL_CHUNKS, strlen(LABEL_CHUNKS)}, ret->chunk.b, sizeof(ret->chunk.b)},
		{{LABEL_HEADER, strlen(LABEL_HEADER)}, ret->header.b, sizeof(ret->header.b)},
	};

	return kdf_hkdf_many(key->b, sizeof(key->b), file_id, FILE_ID_SIZE, outputs, 2);
}

enum err file_header_key(const struct data_key *key, const uint8_t file_id[FILE_ID_SIZE], struct header_key *ret)
{
	return kdf_hkdf(key->b, sizeof(key->b), file_id, FILE_ID_SIZE, LABEL_HEADER, strlen(LABEL_HEADER), ret->b,
		sizeof(ret->b));
}

static int length_is_possible(size_t length)
{
	return length >= FILE_HEADER_UNIT && length <= FILE_HEADER_MAX && length % FILE_HEADER_UNIT == 0;
}

/* Room for ARN and blob: what lies before the MAC, and what lies behind the first unit. */
static size_t area_size(size_t length)
{
	return FIRST_AREA + (length - FILE_HEADER_UNIT);
}

enum err file_header_length_for(size_t arn_len, size_t blob_len, size_t *ret_len)
{
	if (arn_len > KMS_ARN_MAX || blob_len > KMS_BLOB_MAX)
		return err_fail(ERR_LIMIT,
			"a key ARN of %zu bytes and a KMS ciphertext of %zu do not fit into a file header", arn_len,
			blob_len);
	for (size_t length = FILE_HEADER_UNIT; length <= FILE_HEADER_MAX; length += FILE_HEADER_UNIT) {
		if (arn_len + blob_len > area_size(length))
			continue;
		*ret_len = length;
		return ERR_OK;
	}
	return err_fail(ERR_LIMIT, "no file header holds %zu bytes of key ARN and KMS ciphertext", arn_len + blob_len);
}
_Static_assert(KMS_ARN_MAX + KMS_BLOB_MAX <= AREA_MAX, "whatever the KMS client accepts fits into the longest header");

/* Everything but the MAC itself, the part behind the first unit included. */
static enum err header_mac(const uint8_t *in, size_t length, const struct header_key *key, uint8_t ret[MAC_SIZE])
{
	const struct bytes_view parts[] = {
		{in, OFF_MAC},
		{in + FILE_HEADER_UNIT, length - FILE_HEADER_UNIT},
	};

	return kdf_hmacv(key->b, sizeof(key->b), parts, length > FILE_HEADER_UNIT ? 2 : 1, ret);
}

/* The ARN ends up in logs and in a KMS request: visible ASCII only. */
static int is_arn_text(const char *arn, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (arn[i] <= ' ' || arn[i] > '~')
			return 0;
	return 1;
}

static void write_fields(struct writer *w, const struct file_header *h, size_t arn_len, size_t length)
{
	writer_put(w, magic, sizeof(magic));
	writer_u8(w, VERSION);
	writer_u8(w, h->suite);
	writer_u8(w, (uint8_t)h->wrap);
	writer_u8(w, (uint8_t)(length / FILE_HEADER_UNIT));
	writer_u32(w, h->flags);
	writer_put(w, h->volume_id, sizeof(h->volume_id));
	writer_put(w, h->file_id, sizeof(h->file_id));
	writer_u64(w, h->size);
	writer_u64(w, h->session);
	writer_put(w, h->wrapped_data_key, sizeof(h->wrapped_data_key));
	writer_u16(w, (uint16_t)arn_len);
	writer_u16(w, h->kms_key.blob_len);
	writer_put(w, h->bucket.b, sizeof(h->bucket.b));
}

enum err file_header_encode(const struct file_header *h, const struct header_key *key, uint8_t *out, size_t length)
{
	uint8_t area[AREA_MAX] = {0};
	size_t arn_len = strlen(h->kms_key.key_arn);
	struct writer w;

	assert(length_is_possible(length) && h->suite == SUITE_XAES_256_GCM && h->wrap != WRAP_CUSTOMER);
	assert(arn_len > 0 && h->kms_key.blob_len > 0 && h->kms_key.blob_len <= KMS_BLOB_MAX);
	if (arn_len + h->kms_key.blob_len > area_size(length))
		return err_fail(ERR_LIMIT,
			"the KMS's key ARN and ciphertext need %zu bytes, and this vault's file headers have room for "
			"%zu",
			arn_len + h->kms_key.blob_len, area_size(length));
	if (!is_arn_text(h->kms_key.key_arn, arn_len))
		return err_fail(ERR_KMS_PROTOCOL, "the KMS named a key by an ARN with a byte that no ARN holds");
	memcpy(area, h->kms_key.key_arn, arn_len);
	memcpy(area + arn_len, h->kms_key.blob, h->kms_key.blob_len);
	writer_init(&w, out, length);
	write_fields(&w, h, arn_len, length);
	writer_put(&w, area, FIRST_AREA);
	assert(!w.overflow && w.used == OFF_MAC);
	memcpy(out + FILE_HEADER_UNIT, area + FIRST_AREA, length - FILE_HEADER_UNIT);
	return header_mac(out, length, key, out + OFF_MAC);
}

/* Version, suite, wrap and flags: what a newer program may have written is told apart from nonsense. */
static enum err read_kind(struct reader *r, size_t length, struct file_header *h)
{
	uint8_t version, wrap, units;

	TRY(reader_u8(r, &version));
	TRY(reader_u8(r, &h->suite));
	TRY(reader_u8(r, &wrap));
	TRY(reader_u8(r, &units));
	TRY(reader_u32(r, &h->flags));
	if (version != VERSION)
		return err_fail(ERR_UNSUPPORTED, "file format version %u, this program knows version 1", version);
	if (h->suite != SUITE_XAES_256_GCM)
		return err_fail(ERR_UNSUPPORTED, "cipher suite %u is unknown to this program", h->suite);
	if (wrap != WRAP_KMS && wrap != WRAP_BUCKET)
		return err_fail(ERR_UNSUPPORTED, "key wrapping %u is unknown to this program", wrap);
	if (h->flags & ~(uint32_t)KNOWN_FLAGS)
		return err_fail(ERR_UNSUPPORTED, "file flags %#x are unknown to this program", h->flags);
	if (units != length / FILE_HEADER_UNIT)
		return err_fail(ERR_FORMAT, "file header of %u units of 512 bytes in a vault of %zu", units,
			length / FILE_HEADER_UNIT);
	h->wrap = (enum file_wrap)wrap;
	return ERR_OK;
}

static enum err read_identity(struct reader *r, struct file_header *h)
{
	TRY(reader_copy(r, h->volume_id, sizeof(h->volume_id)));
	TRY(reader_copy(r, h->file_id, sizeof(h->file_id)));
	TRY(reader_u64(r, &h->size));
	TRY(reader_u64(r, &h->session));
	if (h->size > CHUNK_MAX_FILE_SIZE)
		return err_fail(ERR_FORMAT, "file header with a size of %llu bytes", (unsigned long long)h->size);
	return ERR_OK;
}

/* Where the KMS wraps the data key itself, nothing of a bucket may be there: one meaning, one encoding. */
static enum err read_bucket(struct reader *r, struct file_header *h, uint16_t *ret_arn_len)
{
	struct reader ahead = *r;

	if (h->wrap == WRAP_KMS)
		TRY(reader_zeros(&ahead, sizeof(h->wrapped_data_key)));
	TRY(reader_copy(r, h->wrapped_data_key, sizeof(h->wrapped_data_key)));
	TRY(reader_u16(r, ret_arn_len));
	TRY(reader_u16(r, &h->kms_key.blob_len));
	ahead = *r;
	if (h->wrap == WRAP_KMS)
		TRY(reader_zeros(&ahead, sizeof(h->bucket.b)));
	TRY(reader_copy(r, h->bucket.b, sizeof(h->bucket.b)));
	if (*ret_arn_len == 0 || *ret_arn_len > KMS_ARN_MAX)
		return err_fail(ERR_FORMAT, "key ARN of %u bytes", *ret_arn_len);
	if (h->kms_key.blob_len == 0 || h->kms_key.blob_len > KMS_BLOB_MAX)
		return err_fail(ERR_FORMAT, "KMS ciphertext of %u bytes", h->kms_key.blob_len);
	return ERR_OK;
}

static enum err read_area(const uint8_t *area, size_t size, size_t arn_len, struct kms_wrapped_key *k)
{
	struct reader r;

	reader_init(&r, area, size);
	TRY(reader_copy(&r, k->key_arn, arn_len));
	TRY(reader_copy(&r, k->blob, k->blob_len));
	TRY(reader_zeros(&r, r.left));
	if (!is_arn_text(k->key_arn, arn_len))
		return err_fail(ERR_FORMAT, "key ARN with a byte that no ARN holds");
	return reader_end(&r);
}

enum err file_header_decode(const uint8_t *in, size_t length, struct file_header *ret)
{
	struct file_header h = {0};
	uint8_t area[AREA_MAX];
	const uint8_t *found;
	uint16_t arn_len;
	struct reader r;

	assert(length_is_possible(length));
	reader_init(&r, in, length);
	TRY(reader_take(&r, sizeof(magic), &found));
	if (memcmp(found, magic, sizeof(magic)) != 0)
		return err_fail(ERR_FORMAT, "not a signetfs file: it does not begin with SIGNETFS");
	TRY(read_kind(&r, length, &h));
	TRY(read_identity(&r, &h));
	TRY(read_bucket(&r, &h, &arn_len));
	TRY(reader_copy(&r, area, FIRST_AREA));
	TRY(reader_take(&r, MAC_SIZE, &found));
	TRY(reader_copy(&r, area + FIRST_AREA, length - FILE_HEADER_UNIT));
	TRY(reader_end(&r));
	TRY(read_area(area, area_size(length), arn_len, &h.kms_key));
	*ret = h;
	return ERR_OK;
}

const uint8_t *file_header_id(const uint8_t *in)
{
	return in + OFF_FILE;
}

enum err file_header_verify(const uint8_t *in, size_t length, const struct header_key *key)
{
	uint8_t mac[MAC_SIZE];

	assert(length_is_possible(length));
	TRY(header_mac(in, length, key, mac));
	if (!secret_equal(mac, in + OFF_MAC, sizeof(mac)))
		return err_fail(
			ERR_TAMPERED, "the file header's MAC is wrong: it was changed, or its key is another file's");
	return ERR_OK;
}
