/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/names.h"
#include "kms/base/labels.h"
#include "kms/base/xaes.h"
#include "tests/support/golden.h"
#include "tests/support/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VALUE_MAX = 65536 };

/* Every name Linux allows, in both modes, with values of several lengths. */
static void every_name_length(void **state)
{
	static uint8_t value[VALUE_MAX], back[VALUE_MAX], sealed[VALUE_MAX + XATTR_VALUE_OVERHEAD_MAX];
	static const size_t sizes[] = {0, 1, 100, VALUE_MAX};
	struct name_keys *k = golden_name_keys(NAMES_PLAIN);
	struct prng r;
	size_t longs = 0;

	(void)state;
	prng_init(&r);
	prng_fill(&r, value, sizeof(value));
	for (size_t rest = 1; rest <= 250; rest++) {
		char name[256] = "user.", lower[256], plain[256];
		size_t n = sizes[rest % 4], len;

		for (size_t i = 0; i < rest; i++)
			name[5 + i] = (char)(1 + prng_below(&r, 255));
		assert_int_equal(name_encode_xattr(k, name, lower), ERR_OK);
		assert_true(strlen(lower) <= 255);
		assert_int_equal(name_xattr_is_long(lower), rest > 160);
		assert_int_equal(name_xattr_overhead(name), rest > 160 ? 41 + rest : 40);
		longs += rest > 160;
		assert_int_equal(name_seal_xattr(k, name, value, n, sealed), ERR_OK);
		assert_int_equal(name_decode_xattr(k, lower, sealed, n + name_xattr_overhead(name), plain), ERR_OK);
		assert_string_equal(plain, name);
		assert_int_equal(name_open_xattr(k, name, sealed, n + name_xattr_overhead(name), back, &len), ERR_OK);
		assert_int_equal(len, n);
		assert_memory_equal(back, value, n);
	}
	assert_int_equal(longs, 90);
	name_keys_free(k);
}

static void bad_names(void **state)
{
	struct name_keys *k = golden_name_keys(NAMES_ENCRYPTED);
	char name[300] = "user.", lower[256], plain[256];

	(void)state;
	assert_int_equal(name_encode_xattr(k, "user.", lower), ERR_USAGE);
	assert_int_equal(name_encode_xattr(k, "", lower), ERR_USAGE);
	assert_int_equal(name_encode_xattr(k, "security.capability", lower), ERR_USAGE);
	assert_int_equal(name_encode_xattr(k, "userx", lower), ERR_USAGE);
	memset(name + 5, 'x', 251);
	assert_int_equal(name_encode_xattr(k, name, lower), ERR_LIMIT);
	assert_int_equal(name_decode_xattr(k, "user.mime_type", NULL, 0, plain), ERR_NOT_FOUND);
	assert_int_equal(name_decode_xattr(k, "user.signetfs", NULL, 0, plain), ERR_NOT_FOUND);
	assert_int_equal(name_decode_xattr(k, "security.selinux", NULL, 0, plain), ERR_NOT_FOUND);
	assert_int_equal(name_decode_xattr(k, "user.signetfs.", NULL, 0, plain), ERR_FORMAT);
	assert_int_equal(name_decode_xattr(k, "user.signetfs.comment", NULL, 0, plain), ERR_FORMAT);
	assert_int_equal(name_decode_xattr(k, "user.signetfs.long.AAAA", NULL, 0, plain), ERR_FORMAT);
	name_keys_free(k);
}

static void every_byte_flipped(void **state)
{
	struct name_keys *k = golden_name_keys(NAMES_ENCRYPTED);
	char names[2][256] = {"user.comment", "user."};
	char lower[256], plain[256];
	uint8_t sealed[512], out[256];
	size_t len;

	(void)state;
	memset(names[1] + 5, 'x', 200);
	for (size_t n = 0; n < 2; n++) {
		size_t size = 5 + name_xattr_overhead(names[n]);

		assert_int_equal(name_encode_xattr(k, names[n], lower), ERR_OK);
		assert_int_equal(name_seal_xattr(k, names[n], "value", 5, sealed), ERR_OK);
		for (size_t i = 0; i < size; i++) {
			sealed[i] ^= 4;
			assert_int_equal(name_open_xattr(k, names[n], sealed, size, out, &len), ERR_TAMPERED);
			if (n == 1)
				assert_int_equal(name_decode_xattr(k, lower, sealed, size, plain), ERR_TAMPERED);
			sealed[i] ^= 4;
			assert_int_equal(
				name_open_xattr(k, names[n], sealed, i, out, &len), i < 40 ? ERR_FORMAT : ERR_TAMPERED);
		}
		for (size_t i = strlen("user.signetfs."); i < strlen(lower); i++) {
			char was = lower[i];
			enum err e;

			lower[i] = was == 'A' ? 'B' : 'A';
			e = name_decode_xattr(k, lower, sealed, size, plain);
			assert_true(e == ERR_TAMPERED || e == ERR_FORMAT);
			lower[i] = was;
		}
		assert_int_equal(name_decode_xattr(k, lower, sealed, size, plain), ERR_OK);
		assert_string_equal(plain, names[n]);
	}
	name_keys_free(k);
}

/* A value moved under another attribute's name does not open, and a long name's value does not name a short one. */
static void swapped(void **state)
{
	struct name_keys *k = golden_name_keys(NAMES_ENCRYPTED);
	char a[256] = "user.", b[256] = "user.", lower[256], plain[256];
	uint8_t sealed[512], out[512];
	size_t len, size;

	(void)state;
	assert_int_equal(name_seal_xattr(k, "user.a", "value", 5, sealed), ERR_OK);
	assert_int_equal(name_open_xattr(k, "user.b", sealed, 45, out, &len), ERR_TAMPERED);
	memset(a + 5, 'a', 200);
	memset(b + 5, 'b', 200);
	size = 5 + name_xattr_overhead(a);
	assert_int_equal(name_seal_xattr(k, a, "value", 5, sealed), ERR_OK);
	assert_int_equal(name_open_xattr(k, b, sealed, size, out, &len), ERR_TAMPERED);
	assert_int_equal(name_encode_xattr(k, b, lower), ERR_OK);
	assert_int_equal(name_decode_xattr(k, lower, sealed, size, plain), ERR_TAMPERED);
	name_keys_free(k);
}

/* Sealed with the right key under the right lower name, carrying what the program never writes. */
static void authentic_nonsense(void **state)
{
	struct name_keys *k = golden_name_keys(NAMES_ENCRYPTED);
	char name[256] = "user.", lower[256], plain[256];
	uint8_t key[KEY_SIZE], inside[300], sealed[400], out[300];
	size_t len;
	static const struct {
		const char *what;
		size_t len, at;
		uint8_t byte;
		enum err want;
	} table[] = {
		{"good", 206, 0, 200, ERR_OK},
		{"nothing inside", 0, 0, 0, ERR_FORMAT},
		{"a length alone", 1, 0, 200, ERR_FORMAT},
		{"length 0", 206, 0, 0, ERR_FORMAT},
		{"length 199", 206, 0, 199, ERR_FORMAT},
		{"length 251", 300, 0, 251, ERR_FORMAT},
		{"length beyond the value", 200, 0, 200, ERR_FORMAT},
		{"another long name", 206, 100, 'y', ERR_FORMAT},
		{"NUL in the name", 206, 100, 0, ERR_FORMAT},
	};

	(void)state;
	memset(name + 5, 'x', 200);
	assert_int_equal(name_encode_xattr(k, name, lower), ERR_OK);
	golden_volume_derive(LABEL_XATTR_VALUES, key, sizeof(key));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum err e;

		memset(inside, 'x', sizeof(inside));
		inside[0] = 200;
		inside[table[i].at] = table[i].byte;
		assert_int_equal(xaes_seal(key, lower, strlen(lower), inside, table[i].len, sealed), ERR_OK);
		e = name_decode_xattr(k, lower, sealed, table[i].len + 40, plain);
		if (e != table[i].want)
			fail_msg("%s: %s", table[i].what, err_name(e));
		assert_int_equal(name_open_xattr(k, name, sealed, table[i].len + 40, out, &len), table[i].want);
	}
	name_keys_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_length),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(every_byte_flipped),
		cmocka_unit_test(swapped),
		cmocka_unit_test(authentic_nonsense),
	};

	return cmocka_run_group_tests_name("format/xattr", tests, NULL, NULL);
}
