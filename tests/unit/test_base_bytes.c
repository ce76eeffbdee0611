/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/bytes.h"
#include "kms/base/encode.h"
#include "tests/support/hex.h"
#include "tests/support/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void writer_is_little_endian(void **state)
{
	uint8_t buf[20];
	struct writer w;
	size_t len = 0;

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	writer_init(&w, buf, sizeof(buf));
	writer_u8(&w, 0x01);
	writer_u16(&w, 0x0203);
	writer_u32(&w, 0x04050607);
	writer_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	writer_put(&w, "\xaa", 1);
	writer_put(&w, NULL, 0);
	writer_zeros_to(&w, 18);
	assert_int_equal(writer_end(&w, &len), ERR_OK);
	assert_int_equal(len, 18);
	assert_hex(buf, 20, "01 0302 07060504 0f0e0d0c0b0a0908 aa 0000 ffff");
}

static void reader_gives_back_what_was_written(void **state)
{
	static const uint8_t buf[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8, 'x', 'y', 0, 0};
	const uint8_t *view;
	struct reader r;
	uint8_t a, copy;
	uint16_t b;
	uint32_t c;
	uint64_t d;

	(void)state;
	reader_init(&r, buf, sizeof(buf));
	assert_int_equal(reader_u8(&r, &a), ERR_OK);
	assert_int_equal(reader_u16(&r, &b), ERR_OK);
	assert_int_equal(reader_u32(&r, &c), ERR_OK);
	assert_int_equal(reader_u64(&r, &d), ERR_OK);
	assert_int_equal(reader_take(&r, 1, &view), ERR_OK);
	assert_int_equal(reader_copy(&r, &copy, 1), ERR_OK);
	assert_int_equal(reader_end(&r), ERR_FORMAT);
	assert_int_equal(reader_zeros(&r, 2), ERR_OK);
	assert_int_equal(reader_end(&r), ERR_OK);
	assert_true(a == 1 && b == 0x0203 && c == 0x04050607 && d == UINT64_C(0x08090a0b0c0d0e0f));
	assert_true(*view == 'x' && copy == 'y');
}

static void reader_never_passes_its_end(void **state)
{
	static const uint8_t buf[8] = {0};

	(void)state;
	for (size_t len = 0; len < 8; len++) {
		const uint8_t *view = NULL;
		uint64_t v = 77;
		struct reader r;

		reader_init(&r, buf, len);
		assert_int_equal(reader_u64(&r, &v), ERR_FORMAT);
		assert_int_equal(reader_take(&r, len + 1, &view), ERR_FORMAT);
		assert_int_equal(reader_take(&r, SIZE_MAX, &view), ERR_FORMAT);
		assert_int_equal(reader_zeros(&r, len + 1), ERR_FORMAT);
		assert_int_equal(v, 77);
		assert_null(view);
		assert_int_equal(r.left, len);
		assert_int_equal(reader_take(&r, len, &view), ERR_OK);
	}
}

static void short_integers_are_refused(void **state)
{
	struct reader r;
	uint8_t a;
	uint16_t b;
	uint32_t c;

	(void)state;
	reader_init(&r, "abc", 0);
	assert_int_equal(reader_u8(&r, &a), ERR_FORMAT);
	reader_init(&r, "abc", 1);
	assert_int_equal(reader_u16(&r, &b), ERR_FORMAT);
	reader_init(&r, "abc", 3);
	assert_int_equal(reader_u32(&r, &c), ERR_FORMAT);
}

static void padding_must_be_zero(void **state)
{
	struct reader r;

	(void)state;
	reader_init(&r, "\0\0\1", 3);
	assert_int_equal(reader_zeros(&r, 3), ERR_FORMAT);
	assert_int_equal(r.left, 3);
	assert_int_equal(reader_zeros(&r, 2), ERR_OK);
	assert_int_equal(reader_zeros(&r, 0), ERR_OK);
}

static void overflow_sticks_and_writes_nothing(void **state)
{
	uint8_t buf[8];
	struct writer w;
	size_t len = 99;

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	writer_init(&w, buf, 4);
	writer_u16(&w, 1);
	writer_u32(&w, 2);
	writer_u8(&w, 3);
	assert_int_equal(writer_end(&w, &len), ERR_LIMIT);
	assert_int_equal(len, 99);
	assert_hex(buf, 8, "0100eeeeeeeeeeee");
}

static void zeros_never_go_back_or_beyond(void **state)
{
	uint8_t buf[4];
	struct writer w;
	size_t len;

	(void)state;
	writer_init(&w, buf, sizeof(buf));
	writer_u32(&w, 1);
	writer_zeros_to(&w, 4);
	assert_int_equal(writer_end(&w, &len), ERR_OK);
	writer_zeros_to(&w, 3);
	assert_int_equal(writer_end(&w, &len), ERR_LIMIT);
	writer_init(&w, buf, sizeof(buf));
	writer_zeros_to(&w, 5);
	assert_int_equal(writer_end(&w, &len), ERR_LIMIT);
}

/* RFC 4648, section 10 */
static void base64_known_answers(void **state)
{
	static const struct {
		const char *plain, *std, *url;
	} cases[] = {
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "+/+/", "-_-_"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[16], plain[16];
		size_t len = strlen(cases[i].plain), n = 99;

		assert_int_equal(encode_base64(cases[i].plain, len, text), BASE64_LEN(len));
		assert_string_equal(text, cases[i].std);
		assert_int_equal(decode_base64(text, strlen(text), plain, len, &n), ERR_OK);
		assert_int_equal(n, len);
		assert_memory_equal(plain, cases[i].plain, len);
		assert_int_equal(encode_base64url(cases[i].plain, len, text), BASE64URL_LEN(len));
		assert_string_equal(text, cases[i].url);
		assert_int_equal(decode_base64url(text, strlen(text), plain, len, &n), ERR_OK);
		assert_memory_equal(plain, cases[i].plain, len);
	}
}

static void base64_refusals(void **state)
{
	static const char *const bad_std[] = {"Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zm 9",
		"Zm9v\n", "Zm9v====", "Z=g=", "Zm-_", "Zm9v Zm9v", "\xc3\xa9==", "Zg==Zg=="};
	static const char *const bad_url[] = {"Z", "Zg=", "Zg==", "Zh", "Zm9", "Zm+/", "Zm9vZ", "Zm.v", "Zm9v\n"};
	char out[32];
	size_t n = 99;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_std) / sizeof(bad_std[0]); i++)
		assert_int_equal(decode_base64(bad_std[i], strlen(bad_std[i]), out, sizeof(out), &n), ERR_FORMAT);
	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		assert_int_equal(decode_base64url(bad_url[i], strlen(bad_url[i]), out, sizeof(out), &n), ERR_FORMAT);
	assert_int_equal(decode_base64("Zm9v", 4, out, 2, &n), ERR_LIMIT);
	assert_int_equal(decode_base64url("Zm9v", 4, out, 2, &n), ERR_LIMIT);
	assert_int_equal(decode_base64("Zm\0v", 4, out, sizeof(out), &n), ERR_FORMAT);
	assert_int_equal(n, 99);
}

static void base64_round_trips(void **state)
{
	uint8_t in[200], out[200];
	char text[300];
	struct prng r;

	(void)state;
	prng_init(&r);
	for (size_t len = 0; len <= sizeof(in); len++) {
		size_t n = 0;

		prng_fill(&r, in, len);
		assert_int_equal(decode_base64(text, encode_base64(in, len, text), out, sizeof(out), &n), ERR_OK);
		assert_int_equal(n, len);
		assert_memory_equal(in, out, len);
		assert_int_equal(decode_base64url(text, encode_base64url(in, len, text), out, len, &n), ERR_OK);
		assert_int_equal(n, len);
		assert_memory_equal(in, out, len);
	}
}

static void hex_both_ways(void **state)
{
	char text[9];
	uint8_t out[4];
	size_t n = 99;

	(void)state;
	assert_int_equal(encode_hex("\x00\x9a\xff", 3, text), 6);
	assert_string_equal(text, "009aff");
	assert_int_equal(decode_hex("009aff", 6, out, sizeof(out), &n), ERR_OK);
	assert_int_equal(n, 3);
	assert_memory_equal(out, "\x00\x9a\xff", 3);
	assert_int_equal(decode_hex("009aff", 6, out, 2, &n), ERR_LIMIT);
	assert_int_equal(decode_hex("009af", 5, out, 4, &n), ERR_FORMAT);
	assert_int_equal(decode_hex("009AFF", 6, out, 4, &n), ERR_FORMAT);
	assert_int_equal(decode_hex("0x", 2, out, 4, &n), ERR_FORMAT);
	assert_int_equal(decode_hex(" 0", 2, out, 4, &n), ERR_FORMAT);
}

static void uuid_both_ways(void **state)
{
	static const char text[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	static const char *const bad[] = {"", "6ba7b810-9dad-11d1-80b4-00c04fd430c",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c88", "6BA7B810-9dad-11d1-80b4-00c04fd430c8",
		"6ba7b810x9dad-11d1-80b4-00c04fd430c8", "6ba7b8109-dad-11d1-80b4-00c04fd430c8",
		"{ba7b810-9dad-11d1-80b4-00c04fd430c}"};
	uint8_t id[UUID_SIZE];
	char out[UUID_TEXT + 1];

	(void)state;
	assert_int_equal(decode_uuid(text, UUID_TEXT, id), ERR_OK);
	assert_hex(id, 16, "6ba7b8109dad11d180b400c04fd430c8");
	encode_uuid(id, out);
	assert_string_equal(out, text);
	memset(id, 7, sizeof(id));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(decode_uuid(bad[i], strlen(bad[i]), id), ERR_FORMAT);
	assert_int_equal(id[0], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_is_little_endian),
		cmocka_unit_test(reader_gives_back_what_was_written),
		cmocka_unit_test(reader_never_passes_its_end),
		cmocka_unit_test(short_integers_are_refused),
		cmocka_unit_test(padding_must_be_zero),
		cmocka_unit_test(overflow_sticks_and_writes_nothing),
		cmocka_unit_test(zeros_never_go_back_or_beyond),
		cmocka_unit_test(base64_known_answers),
		cmocka_unit_test(base64_refusals),
		cmocka_unit_test(base64_round_trips),
		cmocka_unit_test(hex_both_ways),
		cmocka_unit_test(uuid_both_ways),
	};

	return cmocka_run_group_tests_name("base_bytes", tests, NULL, NULL);
}
