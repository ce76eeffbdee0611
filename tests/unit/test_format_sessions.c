/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/sessions.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "tests/support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t encode(const struct sessions *s, uint8_t out[SESSIONS_MAX_SIZE])
{
	size_t len = 0;

	assert_int_equal(sessions_encode(s, &golden_volume_key, golden_volume_id, out, &len), ERR_OK);
	return len;
}

static enum err decode(const uint8_t *in, size_t len, struct sessions *ret)
{
	return sessions_decode(in, len, &golden_volume_key, golden_volume_id, ret);
}

static void assert_same(const struct sessions *a, const struct sessions *b)
{
	assert_true(a->last == b->last && a->unclean_below == b->unclean_below);
	assert_int_equal(a->count, b->count);
	assert_memory_equal(a->unclean, b->unclean, a->count * sizeof(a->unclean[0]));
}

static void lifecycle(void **state)
{
	static struct sessions s, back;
	static uint8_t out[SESSIONS_MAX_SIZE];
	uint64_t a, b, c;

	(void)state;
	memset(&s, 0, sizeof(s));
	a = sessions_begin(&s);
	assert_int_equal(a, 1);
	assert_true(sessions_is_unclean(&s, a));
	assert_false(sessions_is_unclean(&s, 0));
	assert_false(sessions_is_unclean(&s, 2));
	sessions_end_clean(&s, a);
	assert_false(sessions_is_unclean(&s, a));
	b = sessions_begin(&s); /* crashes */
	c = sessions_begin(&s);
	sessions_end_clean(&s, c);
	sessions_end_clean(&s, c);
	assert_int_equal(c, 3);
	assert_true(sessions_is_unclean(&s, b));
	assert_false(sessions_is_unclean(&s, c));
	assert_int_equal(decode(out, encode(&s, out), &back), ERR_OK);
	assert_same(&back, &s);
}

/* A full list forgets single sessions, never that they were unclean. */
static void overfull_list(void **state)
{
	static struct sessions s, back;
	static uint8_t out[SESSIONS_MAX_SIZE];

	(void)state;
	memset(&s, 0, sizeof(s));
	for (uint64_t i = 1; i <= 3 * SESSIONS_UNCLEAN_MAX; i++) {
		uint64_t clean = sessions_begin(&s), crashed;

		sessions_end_clean(&s, clean);
		crashed = sessions_begin(&s);
		assert_int_equal(crashed, 2 * i);
		for (uint64_t j = 2; j <= crashed; j += 2 * 97)
			assert_true(sessions_is_unclean(&s, j));
	}
	assert_int_equal(s.count, SESSIONS_UNCLEAN_MAX);
	assert_int_equal(s.unclean_below, 2 * 2 * SESSIONS_UNCLEAN_MAX + 1);
	assert_false(sessions_is_unclean(&s, s.last - 1));
	assert_int_equal(encode(&s, out), SESSIONS_MAX_SIZE);
	assert_int_equal(decode(out, SESSIONS_MAX_SIZE, &back), ERR_OK);
	assert_same(&back, &s);
}

static struct sessions example(void)
{
	struct sessions s = {.last = 9, .unclean_below = 2, .count = 3, .unclean = {3, 5, 9}};

	return s;
}

static void reseal(uint8_t *bytes, size_t len)
{
	uint8_t key[KEY_SIZE];

	assert_int_equal(kdf_hkdf(golden_volume_key.b, KEY_SIZE, golden_volume_id, VOLUME_ID_SIZE, LABEL_SESSIONS,
				 strlen(LABEL_SESSIONS), key, sizeof(key)),
		ERR_OK);
	assert_int_equal(kdf_hmac(key, sizeof(key), bytes, len - 32, bytes + len - 32), ERR_OK);
}

static void malformed(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
		uint8_t byte;
		enum err want;
	} table[] = {
		{"magic", 0, 's', ERR_FORMAT},
		{"version 0", 8, 0, ERR_UNSUPPORTED},
		{"version 2", 8, 2, ERR_UNSUPPORTED},
		{"count of 2", 12, 2, ERR_FORMAT},
		{"count of 4", 12, 4, ERR_FORMAT},
		{"count of 1027", 13, 4, ERR_FORMAT},
		{"last before the list's end", 16, 8, ERR_FORMAT},
		{"floor above the list", 24, 4, ERR_FORMAT},
		{"floor above the last", 24, 11, ERR_FORMAT},
		{"list not ascending", 32, 6, ERR_FORMAT},
		{"entry twice", 32, 5, ERR_FORMAT},
		{"entry below the floor", 32, 1, ERR_FORMAT},
		{"entry above the last", 48, 10, ERR_FORMAT},
	};
	static struct sessions s, back;
	static uint8_t out[SESSIONS_MAX_SIZE];

	(void)state;
	s = example();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = encode(&s, out);
		enum err e;

		out[table[i].offset] = table[i].byte;
		reseal(out, len);
		e = decode(out, len, &back);
		if (e != table[i].want)
			fail_msg("%s: %s", table[i].name, err_name(e));
	}
	memset(out + 16, 255, 8);
	reseal(out, 88);
	assert_int_equal(decode(out, 88, &back), ERR_FORMAT);
}

static void every_bit_flipped_and_cut(void **state)
{
	static struct sessions s, back;
	static uint8_t out[SESSIONS_MAX_SIZE + 1];
	struct volume_key other = golden_volume_key;
	size_t len;

	(void)state;
	s = example();
	len = encode(&s, out);
	assert_int_equal(len, 88);
	for (size_t bit = 0; bit < len * 8; bit++) {
		enum err e;

		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		e = decode(out, len, &back);
		assert_true(e == ERR_FORMAT || e == ERR_UNSUPPORTED || e == ERR_TAMPERED);
		assert_true(bit / 8 < 16 || e == ERR_TAMPERED);
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n <= len + 1; n++)
		assert_int_equal(decode(out, n, &back), n == len ? ERR_OK : ERR_FORMAT);
	other.b[0] ^= 1;
	assert_int_equal(sessions_decode(out, len, &other, golden_volume_id, &back), ERR_TAMPERED);
	assert_int_equal(sessions_decode(out, len, &golden_volume_key, golden_file_id, &back), ERR_TAMPERED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lifecycle),
		cmocka_unit_test(overfull_list),
		cmocka_unit_test(malformed),
		cmocka_unit_test(every_bit_flipped_and_cut),
	};

	return cmocka_run_group_tests_name("format/sessions", tests, NULL, NULL);
}
