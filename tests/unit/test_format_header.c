/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/chunk.h"
#include "fs/format/file_header.h"
#include "kms/base/kdf.h"
#include "tests/support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void make(uint8_t *out, size_t length, size_t blob_len)
{
	struct file_header h = golden_header();
	struct header_key key = golden_header_key();

	h.kms_key = golden_kms_key(blob_len);
	memset(h.wrapped_data_key, 0x5a, sizeof(h.wrapped_data_key));
	assert_int_equal(file_header_encode(&h, &key, out, length), ERR_OK);
}

/* As an attacker with the key could not: a right MAC over what is wrong, so that decode alone has to notice. */
static void reseal(uint8_t *h, size_t length)
{
	struct header_key key = golden_header_key();
	const struct bytes_view parts[] = {{h, 480}, {h + 512, length - 512}};

	assert_int_equal(kdf_hmacv(key.b, sizeof(key.b), parts, 2, h + 480), ERR_OK);
}

static void round_trip(void **state)
{
	struct header_key key = golden_header_key();
	uint8_t out[FILE_HEADER_MAX];
	struct file_header h = golden_header(), back;
	size_t lengths = 0;

	(void)state;
	for (size_t length = 512; length <= FILE_HEADER_MAX; length += 512) {
		size_t room = 336 + length - 512 - strlen(GOLDEN_ARN);

		for (size_t cut = 0; cut < 2; cut++) {
			h.kms_key = golden_kms_key((room < KMS_BLOB_MAX ? room : KMS_BLOB_MAX) - cut);
			assert_int_equal(file_header_encode(&h, &key, out, length), ERR_OK);
			assert_int_equal(file_header_decode(out, length, &back), ERR_OK);
			assert_memory_equal(&back, &h, sizeof(h));
			assert_int_equal(file_header_verify(out, length, &key), ERR_OK);
		}
		lengths++;
	}
	assert_int_equal(lengths, 4);
}

static void length_for(void **state)
{
	static const struct {
		size_t arn, blob;
		enum err e;
		size_t length;
	} table[] = {
		{75, 184, ERR_OK, 512},
		{75, 261, ERR_OK, 512},
		{75, 262, ERR_OK, 1024},
		{75, 773, ERR_OK, 1024},
		{75, 774, ERR_OK, 1536},
		{255, 1024, ERR_OK, 1536},
		{256, 10, ERR_LIMIT, 0},
		{75, 1025, ERR_LIMIT, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t length = 0;

		assert_int_equal(file_header_length_for(table[i].arn, table[i].blob, &length), table[i].e);
		assert_int_equal(length, table[i].length);
	}
}

/* One byte too many for a length is refused, and nothing is written. */
static void too_long(void **state)
{
	struct header_key key = golden_header_key();
	struct file_header h = golden_header();
	uint8_t out[512], before[512];

	(void)state;
	memset(out, 0xee, sizeof(out));
	memcpy(before, out, sizeof(out));
	h.kms_key = golden_kms_key(336 - strlen(GOLDEN_ARN) + 1);
	assert_int_equal(file_header_encode(&h, &key, out, sizeof(out)), ERR_LIMIT);
	assert_memory_equal(out, before, sizeof(out));
	h.kms_key = golden_kms_key(184);
	h.kms_key.key_arn[4] = '\n';
	assert_int_equal(file_header_encode(&h, &key, out, sizeof(out)), ERR_KMS_PROTOCOL);
	assert_memory_equal(out, before, sizeof(out));
}

/* Everything that changes in a file's life lies with the MAC in the first 512 bytes. */
static void update_is_one_unit(void **state)
{
	struct header_key key = golden_header_key();
	struct file_header h = golden_header();
	uint8_t a[2048], b[2048];

	(void)state;
	h.kms_key = golden_kms_key(900);
	assert_int_equal(file_header_encode(&h, &key, a, sizeof(a)), ERR_OK);
	h.size++;
	h.session++;
	h.flags ^= FILE_FLAG_HOLES;
	assert_int_equal(file_header_encode(&h, &key, b, sizeof(b)), ERR_OK);
	assert_memory_not_equal(a, b, 512);
	assert_memory_equal(a + 512, b + 512, sizeof(a) - 512);
}

/* ---- Malformations: each is a header with a right MAC and one thing wrong ---- */

static const struct malformation {
	const char *name;
	size_t offset, len;
	uint8_t bytes[16];
	enum err want;
} malformations[] = {
	{"magic", 0, 1, {'s'}, ERR_FORMAT},
	{"magic's end", 7, 1, {'X'}, ERR_FORMAT},
	{"version 0", 8, 1, {0}, ERR_UNSUPPORTED},
	{"version 2", 8, 1, {2}, ERR_UNSUPPORTED},
	{"suite 0", 9, 1, {0}, ERR_UNSUPPORTED},
	{"suite 2", 9, 1, {2}, ERR_UNSUPPORTED},
	{"wrap by a customer's key", 10, 1, {2}, ERR_UNSUPPORTED},
	{"wrap 3", 10, 1, {3}, ERR_UNSUPPORTED},
	{"wrap 0 with a wrapped data key", 10, 1, {0}, ERR_FORMAT},
	{"length 0", 11, 1, {0}, ERR_FORMAT},
	{"length of another vault", 11, 1, {1}, ERR_FORMAT},
	{"length 255", 11, 1, {255}, ERR_FORMAT},
	{"flag 1", 12, 1, {3}, ERR_UNSUPPORTED},
	{"flag 31", 12, 4, {1, 0, 0, 0x80}, ERR_UNSUPPORTED},
	{"size beyond 2^62", 48, 8, {1, 0, 0, 0, 0, 0, 0, 0x40}, ERR_FORMAT},
	{"size 2^64 - 1", 48, 8, {255, 255, 255, 255, 255, 255, 255, 255}, ERR_FORMAT},
	{"no ARN", 124, 2, {0, 0}, ERR_FORMAT},
	{"ARN of 256 bytes", 124, 2, {0, 1}, ERR_FORMAT},
	{"ARN of 65535 bytes", 124, 2, {255, 255}, ERR_FORMAT},
	{"ARN shorter than it is", 124, 2, {74, 0}, ERR_FORMAT},
	{"no blob", 126, 2, {0, 0}, ERR_FORMAT},
	{"blob of 1025 bytes", 126, 2, {1, 4}, ERR_FORMAT},
	{"blob longer than the area", 126, 2, {0, 4}, ERR_FORMAT},
	{"blob shorter than it is", 126, 2, {183, 0}, ERR_FORMAT},
	{"blank in the ARN", 144, 1, {' '}, ERR_FORMAT},
	{"line feed in the ARN", 150, 1, {'\n'}, ERR_FORMAT},
	{"NUL in the ARN", 150, 1, {0}, ERR_FORMAT},
	{"high byte in the ARN", 218, 1, {0xe4}, ERR_FORMAT},
	{"padding before the MAC", 479, 1, {1}, ERR_FORMAT},
	{"padding behind the MAC", 512, 1, {1}, ERR_FORMAT},
	{"padding at the end", 1023, 1, {1}, ERR_FORMAT},
};

static void malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(malformations) / sizeof(malformations[0]); i++) {
		const struct malformation *m = &malformations[i];
		struct file_header h, before;
		uint8_t bytes[1024];
		enum err e;

		make(bytes, sizeof(bytes), 184);
		memcpy(bytes + m->offset, m->bytes, m->len);
		reseal(bytes, sizeof(bytes));
		memset(&h, 0x77, sizeof(h));
		before = h;
		e = file_header_decode(bytes, sizeof(bytes), &h);
		if (e != m->want)
			fail_msg("%s: %s instead of %s", m->name, err_name(e), err_name(m->want));
		assert_memory_equal(&h, &before, sizeof(h));
	}
}

/* Wrap 0 has nothing of a bucket. */
static void kms_wrap_without_bucket(void **state)
{
	struct header_key key = golden_header_key();
	struct file_header h = golden_header(), back;
	uint8_t bytes[512];

	(void)state;
	h.wrap = WRAP_KMS;
	memset(h.bucket.b, 0, sizeof(h.bucket.b));
	assert_int_equal(file_header_encode(&h, &key, bytes, sizeof(bytes)), ERR_OK);
	assert_int_equal(file_header_decode(bytes, sizeof(bytes), &back), ERR_OK);
	h.bucket.b[15] = 1;
	assert_int_equal(file_header_encode(&h, &key, bytes, sizeof(bytes)), ERR_OK);
	assert_int_equal(file_header_decode(bytes, sizeof(bytes), &back), ERR_FORMAT);
}

/* Any bit of any byte: refused before or by the MAC, never accepted. */
static void every_bit_flipped(void **state)
{
	static const size_t lengths[] = {512, 1536};
	struct header_key key = golden_header_key();
	size_t by_decode = 0, by_mac = 0;

	(void)state;
	for (size_t l = 0; l < 2; l++) {
		uint8_t bytes[2048];
		struct file_header h;

		make(bytes, lengths[l], 184);
		for (size_t bit = 0; bit < lengths[l] * 8; bit++) {
			enum err e;

			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			e = file_header_decode(bytes, lengths[l], &h);
			if (e == ERR_OK) {
				assert_int_equal(file_header_verify(bytes, lengths[l], &key), ERR_TAMPERED);
				by_mac++;
			} else {
				assert_true(e == ERR_FORMAT || e == ERR_UNSUPPORTED);
				by_decode++;
			}
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(file_header_verify(bytes, lengths[l], &key), ERR_OK);
	}
	assert_true(by_decode > 1000 && by_mac > 1000);
}

/* A header is read whole or not at all; what a file cut short leaves, filled with zeros, is refused. */
static void every_truncation(void **state)
{
	struct header_key key = golden_header_key();
	uint8_t whole[1024], cut[1024];
	struct file_header h;

	(void)state;
	make(whole, sizeof(whole), 600);
	for (size_t n = 0; n < sizeof(whole); n++) {
		enum err e;

		memset(cut, 0, sizeof(cut));
		memcpy(cut, whole, n);
		if (memcmp(cut, whole, sizeof(cut)) == 0)
			continue;
		e = file_header_decode(cut, sizeof(cut), &h);
		if (e == ERR_OK)
			e = file_header_verify(cut, sizeof(cut), &key);
		assert_true(e == ERR_FORMAT || e == ERR_UNSUPPORTED || e == ERR_TAMPERED);
	}
}

static void other_keys(void **state)
{
	struct file_keys keys;
	struct data_key other = golden_data_key;
	uint8_t bytes[512], id[FILE_ID_SIZE];

	(void)state;
	make(bytes, sizeof(bytes), 184);
	other.b[31] ^= 1;
	assert_int_equal(file_header_keys(&other, golden_file_id, &keys), ERR_OK);
	assert_int_equal(file_header_verify(bytes, sizeof(bytes), &keys.header), ERR_TAMPERED);
	memcpy(id, golden_file_id, sizeof(id));
	id[0] ^= 1;
	assert_int_equal(file_header_keys(&golden_data_key, id, &keys), ERR_OK);
	assert_int_equal(file_header_verify(bytes, sizeof(bytes), &keys.header), ERR_TAMPERED);
}

/* Header and chunk keys of one data key and file id have nothing in common. */
static void keys_differ_by_label(void **state)
{
	const struct file_keys keys = golden_file_keys();
	struct header_key alone;

	(void)state;
	assert_memory_not_equal(keys.header.b, keys.chunk.b, KEY_SIZE);
	assert_int_equal(file_header_key(&golden_data_key, golden_file_id, &alone), ERR_OK);
	assert_memory_equal(keys.header.b, alone.b, KEY_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(length_for),
		cmocka_unit_test(too_long),
		cmocka_unit_test(update_is_one_unit),
		cmocka_unit_test(malformed),
		cmocka_unit_test(kms_wrap_without_bucket),
		cmocka_unit_test(every_bit_flipped),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(other_keys),
		cmocka_unit_test(keys_differ_by_label),
	};

	return cmocka_run_group_tests_name("format/header", tests, NULL, NULL);
}
