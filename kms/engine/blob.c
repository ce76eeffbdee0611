/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/aead.h"
#include "kms/base/bytes.h"
#include "kms/base/io.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "kms/base/random.h"
#include "kms/engine/blob.h"

/* AWS says nothing about why: an oracle would. */
static enum err refuse(void)
{
	return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "%s", "");
}

static enum err header_tag(const uint8_t header_key[KEY_SIZE], const uint8_t *header, uint8_t ret[BLOB_HEADER_TAG_SIZE])
{
	uint8_t mac[SHA256_SIZE];

	TRY(kdf_hmac(header_key, KEY_SIZE, header, BLOB_OFF_HEADER_TAG, mac));
	memcpy(ret, mac, BLOB_HEADER_TAG_SIZE);
	return ERR_OK;
}

static enum err parse_fields(const uint8_t *blob, size_t len, struct blob_header *ret)
{
	struct reader r;
	uint8_t version, flags;

	reader_init(&r, blob, len);
	TRY(reader_u8(&r, &version));
	TRY(reader_u8(&r, &flags));
	TRY(reader_copy(&r, ret->key, sizeof(ret->key)));
	TRY(reader_copy(&r, ret->backing, sizeof(ret->backing)));
	if (version != BLOB_VERSION || (flags & ~BLOB_FLAG_MULTI_REGION) != 0)
		return ERR_FORMAT;
	ret->multi_region = flags & BLOB_FLAG_MULTI_REGION;
	return ERR_OK;
}

enum err blob_parse(const uint8_t header_key[KEY_SIZE], const void *blob, size_t len, struct blob_header *ret)
{
	struct blob_header header;
	uint8_t expected[BLOB_HEADER_TAG_SIZE];
	const uint8_t *bytes = blob;

	if (len <= BLOB_OVERHEAD || len > BLOB_OVERHEAD + BLOB_PLAINTEXT_MAX)
		return refuse();
	TRY(header_tag(header_key, bytes, expected));
	if (!secret_equal(expected, bytes + BLOB_OFF_HEADER_TAG, sizeof(expected)))
		return refuse();
	if (parse_fields(bytes, len, &header) != ERR_OK)
		return refuse();
	*ret = header;
	return ERR_OK;
}

struct derived {
	uint8_t key[AEAD_KEY_SIZE];
	uint8_t nonce[AEAD_NONCE_SIZE];
};

static void derived_wipe(struct derived *d)
{
	secret_wipe(d, sizeof(*d));
}

static enum err derive(const struct cmk_key *backing, const uint8_t *random, struct derived *ret)
{
	return kdf_hkdf(backing->b, sizeof(backing->b), random, BLOB_RANDOM_SIZE, LABEL_KMS_BLOB,
		strlen(LABEL_KMS_BLOB), ret, sizeof(*ret));
}

/* Header ‖ context, in one buffer. */
static enum err aad_of(const uint8_t *header, const void *context, size_t context_len, uint8_t **ret, size_t *ret_len)
{
	size_t len = BLOB_HEADER_SIZE + context_len;
	uint8_t *aad = malloc(len);

	if (aad == NULL)
		return ERR_NO_MEMORY;
	memcpy(aad, header, BLOB_HEADER_SIZE);
	if (context_len > 0)
		memcpy(aad + BLOB_HEADER_SIZE, context, context_len);
	*ret = aad;
	*ret_len = len;
	return ERR_OK;
}

enum err blob_seal(const uint8_t header_key[KEY_SIZE], const struct cmk_key *backing, const struct blob_header *header,
	const void *context, size_t context_len, const void *in, size_t len, uint8_t *out)
{
	struct derived d __attribute__((cleanup(derived_wipe)));
	uint8_t *aad AUTO_FREE = NULL;
	size_t aad_len;

	out[BLOB_OFF_VERSION] = BLOB_VERSION;
	out[BLOB_OFF_FLAGS] = header->multi_region ? BLOB_FLAG_MULTI_REGION : 0;
	memcpy(out + BLOB_OFF_KEY, header->key, UUID_SIZE);
	memcpy(out + BLOB_OFF_BACKING, header->backing, UUID_SIZE);
	random_bytes(out + BLOB_OFF_RANDOM, BLOB_RANDOM_SIZE);
	TRY(header_tag(header_key, out, out + BLOB_OFF_HEADER_TAG));
	TRY(derive(backing, out + BLOB_OFF_RANDOM, &d));
	TRY(aad_of(out, context, context_len, &aad, &aad_len));
	return aead_seal_once(
		d.key, d.nonce, aad, aad_len, in, len, out + BLOB_HEADER_SIZE, out + BLOB_HEADER_SIZE + len);
}

enum err blob_open(const struct cmk_key *backing, const void *context, size_t context_len, const uint8_t *blob,
	size_t len, void *out)
{
	struct derived d __attribute__((cleanup(derived_wipe)));
	size_t n = len - BLOB_OVERHEAD;
	uint8_t *aad AUTO_FREE = NULL;
	size_t aad_len;
	enum err e;

	TRY(derive(backing, blob + BLOB_OFF_RANDOM, &d));
	TRY(aad_of(blob, context, context_len, &aad, &aad_len));
	e = aead_open_once(d.key, d.nonce, aad, aad_len, blob + BLOB_HEADER_SIZE, n, blob + BLOB_HEADER_SIZE + n, out);
	return e == ERR_TAMPERED ? refuse() : e;
}
