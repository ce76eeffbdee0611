/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/golden.h"
#include "kms/base/encode.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIXTEEN(b)                                                                                                     \
	(b), (b) + 1, (b) + 2, (b) + 3, (b) + 4, (b) + 5, (b) + 6, (b) + 7, (b) + 8, (b) + 9, (b) + 10, (b) + 11,      \
		(b) + 12, (b) + 13, (b) + 14, (b) + 15

const struct volume_key golden_volume_key = {{SIXTEEN(0x00), SIXTEEN(0x10)}};
const struct bucket_key golden_bucket_key = {{SIXTEEN(0x20), SIXTEEN(0x30)}};
const struct data_key golden_data_key = {{SIXTEEN(0x40), SIXTEEN(0x50)}};
const uint8_t golden_volume_id[VOLUME_ID_SIZE] = {SIXTEEN(0xa0)};
const uint8_t golden_file_id[FILE_ID_SIZE] = {SIXTEEN(0xb0)};
const uint8_t golden_bucket_id[BUCKET_ID_SIZE] = {SIXTEEN(0xc0)};
const uint8_t golden_dir_id[DIR_ID_SIZE] = {SIXTEEN(0xd0)};

uint8_t *golden_read(const char *name, size_t *ret_len)
{
	enum { MAX = 65536 };
	uint8_t *buf = malloc(MAX + 1);
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "tests/golden/%s", name);
	f = fopen(path, "rb");
	if (!f || !buf)
		fail_msg("%s cannot be read: run the tests in the repository's top directory", path);
	*ret_len = fread(buf, 1, MAX, f);
	buf[*ret_len] = '\0';
	fclose(f);
	return buf;
}

uint8_t golden_blob_byte(size_t i)
{
	return (uint8_t)(i * 7 + 1);
}

uint8_t golden_content_byte(size_t i)
{
	return (uint8_t)(i * 131 + i / 4096);
}

struct kms_wrapped_key golden_kms_key(size_t blob_len)
{
	struct kms_wrapped_key k = {.key_arn = GOLDEN_ARN, .blob_len = (uint16_t)blob_len};

	for (size_t i = 0; i < blob_len; i++)
		k.blob[i] = golden_blob_byte(i);
	return k;
}

struct file_header golden_header(void)
{
	struct file_header h = {
		.suite = SUITE_XAES_256_GCM,
		.wrap = WRAP_BUCKET,
		.flags = FILE_FLAG_HOLES,
		.size = 2 * 4096 + 100,
		.session = GOLDEN_SESSION,
		.kms_key = golden_kms_key(184),
	};

	memcpy(h.volume_id, golden_volume_id, sizeof(h.volume_id));
	memcpy(h.file_id, golden_file_id, sizeof(h.file_id));
	memcpy(h.bucket.b, golden_bucket_id, sizeof(h.bucket.b));
	return h;
}

struct file_keys golden_file_keys(void)
{
	struct file_keys keys;

	assert_int_equal(file_header_keys(&golden_data_key, golden_file_id, &keys), ERR_OK);
	return keys;
}

struct header_key golden_header_key(void)
{
	return golden_file_keys().header;
}

struct name_keys *golden_name_keys(enum name_mode mode)
{
	struct name_keys *k = NULL;

	assert_int_equal(name_keys_new(&golden_volume_key, golden_volume_id, mode, &k), ERR_OK);
	return k;
}

void golden_volume_derive(const char *label, uint8_t *ret, size_t len)
{
	assert_int_equal(kdf_hkdf(golden_volume_key.b, KEY_SIZE, golden_volume_id, VOLUME_ID_SIZE, label, strlen(label),
				 ret, len),
		ERR_OK);
}

struct siv *golden_names_siv(void)
{
	uint8_t key[SIV_KEY_SIZE];
	struct siv *siv = NULL;

	golden_volume_derive(LABEL_NAMES, key, sizeof(key));
	assert_int_equal(siv_new(key, &siv), ERR_OK);
	return siv;
}

void golden_long_name_of(const char *full, size_t len, char out[NAME_LOWER_MAX + 1])
{
	uint8_t hash[SHA256_SIZE];

	assert_int_equal(kdf_sha256(full, len, hash), ERR_OK);
	strcpy(out, LONG_PREFIX);
	encode_base64url(hash, sizeof(hash), out + strlen(LONG_PREFIX));
}
