/* SPDX-License-Identifier: Apache-2.0 */
/* Files of format version 1, made by tests/golden/generate.py, which shares no code with the program: read and made again. */
#include "fs/format/chunk.h"
#include "fs/format/descriptor.h"
#include "fs/format/file_header.h"
#include "fs/format/names.h"
#include "fs/format/sessions.h"
#include "kms/base/aead.h"
#include "kms/base/encode.h"
#include "kms/base/labels.h"
#include "tests/support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_kms_key(const struct kms_wrapped_key *k, size_t blob_len)
{
	struct kms_wrapped_key want = golden_kms_key(blob_len);

	assert_string_equal(k->key_arn, GOLDEN_ARN);
	assert_int_equal(k->blob_len, blob_len);
	assert_memory_equal(k->blob, want.blob, blob_len);
}

/* Decode, verify, encode again: the same bytes. */
static struct file_header check_header(const uint8_t *file, size_t length)
{
	struct header_key key = golden_header_key();
	uint8_t again[FILE_HEADER_MAX];
	struct file_header h;

	assert_int_equal(file_header_decode(file, length, &h), ERR_OK);
	assert_int_equal(file_header_verify(file, length, &key), ERR_OK);
	assert_int_equal(h.suite, SUITE_XAES_256_GCM);
	assert_memory_equal(h.volume_id, golden_volume_id, sizeof(h.volume_id));
	assert_memory_equal(h.file_id, golden_file_id, sizeof(h.file_id));
	assert_int_equal(h.session, GOLDEN_SESSION);
	assert_int_equal(file_header_encode(&h, &key, again, length), ERR_OK);
	assert_memory_equal(again, file, length);
	return h;
}

/* The bucket key opens the data key with nothing but AES-GCM and what the document says. */
static void check_wrapped_data_key(const struct file_header *h)
{
	uint8_t aad[sizeof(LABEL_WRAP_DATA_KEY) - 1 + 32];
	size_t label = sizeof(LABEL_WRAP_DATA_KEY) - 1;
	struct data_key key;

	memcpy(aad, LABEL_WRAP_DATA_KEY, label);
	memcpy(aad + label, golden_volume_id, 16);
	memcpy(aad + label + 16, golden_file_id, 16);
	assert_int_equal(aead_open_once(golden_bucket_key.b, h->wrapped_data_key, aad, sizeof(aad),
				 h->wrapped_data_key + 12, KEY_SIZE, h->wrapped_data_key + 44, key.b),
		ERR_OK);
	assert_memory_equal(key.b, golden_data_key.b, KEY_SIZE);
}

static void check_content(const uint8_t *file, size_t len, size_t header_len, size_t size, int hole)
{
	struct chunk_cipher *c = chunk_cipher_new(aead_openssl());
	const struct chunk_key key = golden_file_keys().chunk;
	struct chunk_file f = {.key = &key, .file_id = golden_file_id, .holes = hole >= 0};
	uint8_t plain[CHUNK_SIZE];
	int whole;

	assert_int_equal(chunk_plain_size(len, header_len, &whole), size);
	assert_int_equal(whole, 1);
	assert_int_equal(chunk_lower_size(size, header_len), len);
	for (size_t i = 0; i * CHUNK_SIZE < size; i++) {
		size_t n = size - i * CHUNK_SIZE < CHUNK_SIZE ? size - i * CHUNK_SIZE : CHUNK_SIZE;
		uint64_t at = chunk_offset(i, header_len);

		assert_int_equal(chunk_open(c, &f, i, file + at, n + CHUNK_OVERHEAD, plain), ERR_OK);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(plain[j], (int)i == hole ? 0 : golden_content_byte(i * CHUNK_SIZE + j));
	}
	chunk_cipher_free(c);
}

static void bucket_file(void **state)
{
	size_t len;
	uint8_t *file = golden_read("v1-bucket.bin", &len);
	struct file_header h = check_header(file, 512);

	(void)state;
	assert_int_equal(h.wrap, WRAP_BUCKET);
	assert_int_equal(h.flags, FILE_FLAG_HOLES);
	assert_int_equal(h.size, 2 * 4096 + 100);
	assert_memory_equal(h.bucket.b, golden_bucket_id, sizeof(h.bucket.b));
	check_kms_key(&h.kms_key, 184);
	check_wrapped_data_key(&h);
	check_content(file, len, 512, 2 * 4096 + 100, 1);
	free(file);
}

static void long_header_file(void **state)
{
	size_t len;
	uint8_t *file = golden_read("v1-long-header.bin", &len);
	struct file_header h = check_header(file, 1024);

	(void)state;
	assert_int_equal(h.wrap, WRAP_BUCKET);
	assert_int_equal(h.flags, 0);
	assert_int_equal(h.size, 5);
	check_kms_key(&h.kms_key, 700);
	check_wrapped_data_key(&h);
	check_content(file, len, 1024, 5, -1);
	free(file);
}

static void kms_file(void **state)
{
	size_t len;
	uint8_t *file = golden_read("v1-kms.bin", &len);
	struct file_header h = check_header(file, 512);

	(void)state;
	assert_int_equal(len, 512);
	assert_int_equal(h.wrap, WRAP_KMS);
	assert_int_equal(h.size, 0);
	check_kms_key(&h.kms_key, 184);
	check_content(file, len, 512, 0, -1);
	free(file);
}

static void volume_descriptor(void **state)
{
	size_t len, again_len;
	char *text = (char *)golden_read("v1-signetfs.ini", &len);
	char *again = NULL;
	struct descriptor d;

	(void)state;
	assert_int_equal(descriptor_decode("golden", text, len, &d), ERR_OK);
	assert_int_equal(descriptor_verify("golden", text, len, &d, &golden_volume_key), ERR_OK);
	assert_int_equal(d.format, 1);
	assert_memory_equal(d.volume_id, golden_volume_id, sizeof(d.volume_id));
	assert_int_equal(d.names, NAMES_ENCRYPTED);
	assert_int_equal(d.bucket_keys, 1);
	assert_int_equal(d.header_length, 512);
	assert_int_equal(d.lifetime_seconds, 604800);
	assert_int_equal(d.lifetime_files, 1048576);
	assert_int_equal(d.cache_seconds, 300);
	assert_string_equal(d.endpoint, "agent");
	assert_string_equal(d.region, "us-east-1");
	assert_string_equal(d.key_id, "alias/aws/signetfs");
	check_kms_key(&d.volume_key, 184);
	assert_int_equal(descriptor_encode(&d, &golden_volume_key, &again, &again_len), ERR_OK);
	assert_int_equal(again_len, len);
	assert_memory_equal(again, text, len);
	free(again);
	free(text);
}

static void session_list(void **state)
{
	static struct sessions s;
	uint8_t again[SESSIONS_MAX_SIZE];
	size_t len, again_len;
	uint8_t *file = golden_read("v1-sessions.bin", &len);

	(void)state;
	assert_int_equal(sessions_decode(file, len, &golden_volume_key, golden_volume_id, &s), ERR_OK);
	assert_int_equal(s.last, 9);
	assert_int_equal(s.unclean_below, 2);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.unclean[0], 3);
	assert_int_equal(s.unclean[1], 5);
	assert_int_equal(s.unclean[2], 9);
	assert_int_equal(sessions_encode(&s, &golden_volume_key, golden_volume_id, again, &again_len), ERR_OK);
	assert_int_equal(again_len, len);
	assert_memory_equal(again, file, len);
	free(file);
}

static void directory_id(void **state)
{
	struct name_keys *k = golden_name_keys(NAMES_ENCRYPTED);
	uint8_t id[DIR_ID_SIZE], again[DIR_FILE_SIZE];
	size_t len;
	uint8_t *file = golden_read("v1-signetfs.dir", &len);

	(void)state;
	assert_int_equal(name_dir_file_decode(k, file, len, id), ERR_OK);
	assert_memory_equal(id, golden_dir_id, sizeof(id));
	assert_int_equal(name_dir_file_encode(k, id, again), ERR_OK);
	assert_memory_equal(again, file, sizeof(again));
	free(file);
	name_keys_free(k);
}

struct line {
	char kind[8], hex[8192], lower[8192], more[8192];
	uint8_t plain[4096];
	size_t len;
};

static void check_name(const struct name_keys *k, const struct line *l)
{
	struct name_dir dir;
	struct lower_name n;
	char plain[NAME_PLAIN_MAX + 1];
	const char *full = l->more[0] ? l->more : l->lower;
	size_t len;

	assert_int_equal(name_dir_init(k, golden_dir_id, &dir), ERR_OK);
	assert_int_equal(name_encode(k, &dir, (const char *)l->plain, l->len, &n), ERR_OK);
	assert_string_equal(n.name, l->lower);
	assert_int_equal(n.full_len, strlen(l->more));
	if (n.full_len)
		assert_string_equal(n.full, l->more);
	assert_int_equal(name_decode(k, &dir, full, strlen(full), plain, &len), ERR_OK);
	assert_int_equal(len, l->len);
	assert_memory_equal(plain, l->plain, len);
}

static void check_xattr(const struct name_keys *k, struct line *l)
{
	char lower[XATTR_NAME_MAX_BYTES + 1], plain[XATTR_NAME_MAX_BYTES + 1];
	uint8_t sealed[4096], value[4096];
	size_t len, n;

	l->plain[l->len] = '\0';
	assert_int_equal(decode_hex(l->more, strlen(l->more), sealed, sizeof(sealed), &len), ERR_OK);
	assert_int_equal(name_encode_xattr(k, (const char *)l->plain, lower), ERR_OK);
	assert_string_equal(lower, l->lower);
	assert_int_equal(name_decode_xattr(k, lower, sealed, len, plain), ERR_OK);
	assert_string_equal(plain, (const char *)l->plain);
	assert_int_equal(len, 5 + name_xattr_overhead(plain));
	assert_int_equal(name_open_xattr(k, plain, sealed, len, value, &n), ERR_OK);
	assert_int_equal(n, 5);
	assert_memory_equal(value, "value", 5);
}

static void check_target(const struct name_keys *k, const struct line *l)
{
	char plain[NAME_SYMLINK_LOWER_MAX + 1];
	size_t len;

	assert_int_equal(name_open_target(k, l->lower, strlen(l->lower), plain, &len), ERR_OK);
	assert_int_equal(len, l->len);
	assert_memory_equal(plain, l->plain, len);
	assert_int_equal(name_target_size(strlen(l->lower)), len);
}

static void names(void **state)
{
	static struct line l;
	struct name_keys *k = golden_name_keys(NAMES_ENCRYPTED);
	size_t len, count = 0;
	char *text = (char *)golden_read("v1-names.txt", &len);
	char *rest = text, *one;

	(void)state;
	while ((one = strsep(&rest, "\n")) != NULL && *one) {
		memset(&l, 0, sizeof(l));
		assert_true(sscanf(one, "%7s %8191s %8191s %8191s", l.kind, l.hex, l.lower, l.more) >= 3);
		assert_int_equal(decode_hex(l.hex, strlen(l.hex), l.plain, sizeof(l.plain), &l.len), ERR_OK);
		if (!strcmp(l.kind, "name"))
			check_name(k, &l);
		else if (!strcmp(l.kind, "xattr"))
			check_xattr(k, &l);
		else
			check_target(k, &l);
		count++;
	}
	assert_int_equal(count, 9 + 5 + 3);
	free(text);
	name_keys_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_file),
		cmocka_unit_test(long_header_file),
		cmocka_unit_test(kms_file),
		cmocka_unit_test(volume_descriptor),
		cmocka_unit_test(session_list),
		cmocka_unit_test(directory_id),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("format/golden", tests, NULL, NULL);
}
