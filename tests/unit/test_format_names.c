/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/names.h"
#include "kms/base/encode.h"
#include "kms/base/labels.h"
#include "kms/base/xaes.h"
#include "tests/support/golden.h"
#include "tests/support/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct name_keys *k;
	struct name_dir dir, other;
};

static void setup(struct fixture *x, enum name_mode mode)
{
	uint8_t id[DIR_ID_SIZE];

	memcpy(id, golden_dir_id, sizeof(id));
	x->k = golden_name_keys(mode);
	assert_int_equal(name_dir_init(x->k, id, &x->dir), ERR_OK);
	id[0] ^= 1;
	assert_int_equal(name_dir_init(x->k, id, &x->other), ERR_OK);
}

static const char *full_of(const struct lower_name *n, size_t *ret_len)
{
	*ret_len = n->full_len ? n->full_len : strlen(n->name);
	return n->full_len ? n->full : n->name;
}

static void check_name(const struct fixture *x, const char *plain, size_t len)
{
	char back[NAME_PLAIN_MAX + 1];
	struct lower_name n, again;
	const char *full;
	size_t full_len, back_len;

	assert_int_equal(name_encode(x->k, &x->dir, plain, len, &n), ERR_OK);
	assert_true(strlen(n.name) <= NAME_LOWER_MAX);
	assert_int_equal(name_classify(x->k, n.name, strlen(n.name)), n.full_len ? NAME_LONG : NAME_ORDINARY);
	full = full_of(&n, &full_len);
	if (n.full_len)
		assert_int_equal(name_check_long(n.name, strlen(n.name), full, full_len), ERR_OK);
	assert_int_equal(name_decode(x->k, &x->dir, full, full_len, back, &back_len), ERR_OK);
	assert_int_equal(back_len, len);
	assert_memory_equal(back, plain, len);
	assert_int_equal(back[len], 0);
	assert_int_equal(name_decode(x->k, &x->other, full, full_len, back, &back_len), ERR_TAMPERED);
	assert_int_equal(name_encode(x->k, &x->dir, plain, len, &again), ERR_OK);
	assert_string_equal(again.name, n.name);
}

static void every_length(void **state)
{
	struct fixture x;
	struct prng r;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	prng_init(&r);
	for (size_t len = 1; len <= NAME_PLAIN_MAX; len++) {
		for (unsigned round = 0; round < 8; round++) {
			char name[NAME_PLAIN_MAX];

			for (size_t i = 0; i < len; i++)
				do
					name[i] = (char)prng_next(&r);
				while (name[i] == 0 || name[i] == '/');
			if (len <= 2)
				name[0] = 'x';
			check_name(&x, name, len);
		}
	}
	name_keys_free(x.k);
}

/* 160 bytes are the longest name without a companion file. */
/* A name that was asked for last is the same name again, in its own directory only. */
static void same_name_in_two_directories(void **state)
{
	struct fixture x;
	struct lower_name first, other, again, longer;
	char plain[NAME_PLAIN_MAX + 1];

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	memset(plain, 'n', sizeof(plain));
	for (size_t len = 1; len < 100; len++) {
		assert_int_equal(name_encode(x.k, &x.dir, plain, len, &first), ERR_OK);
		assert_int_equal(name_encode(x.k, &x.other, plain, len, &other), ERR_OK);
		assert_int_equal(name_encode(x.k, &x.other, plain, len, &again), ERR_OK);
		assert_string_not_equal(first.name, other.name);
		assert_string_equal(again.name, other.name);
		assert_int_equal(name_encode(x.k, &x.other, plain, len + 1, &longer), ERR_OK);
		assert_string_not_equal(longer.name, other.name);
		plain[len - 1]++;
		assert_int_equal(name_encode(x.k, &x.other, plain, len, &longer), ERR_OK);
		assert_string_not_equal(longer.name, other.name);
		plain[len - 1]--;
		assert_int_equal(name_encode(x.k, &x.dir, plain, len, &again), ERR_OK);
		assert_string_equal(again.name, first.name);
		check_name(&x, plain, len);
	}
	name_keys_free(x.k);
}

static void where_long_begins(void **state)
{
	char name[NAME_PLAIN_MAX + 1];
	struct lower_name n;
	struct fixture x;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	memset(name, 'a', sizeof(name));
	assert_int_equal(name_encode(x.k, &x.dir, name, 160, &n), ERR_OK);
	assert_int_equal(n.full_len, 0);
	assert_int_equal(strlen(n.name), 235);
	assert_int_equal(name_encode(x.k, &x.dir, name, 161, &n), ERR_OK);
	assert_int_equal(n.full_len, 256);
	assert_int_equal(strlen(n.name), 57);
	assert_int_equal(name_encode(x.k, &x.dir, name, 255, &n), ERR_OK);
	assert_int_equal(n.full_len, 363);
	assert_int_equal(name_encode(x.k, &x.dir, name, 256, &n), ERR_LIMIT);
	name_keys_free(x.k);
}

static void bad_plain_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} table[] = {{"", 0}, {".", 1}, {"..", 2}, {"/", 1}, {"a/b", 3}, {"a\0b", 3}, {"a\0", 2}};
	static const enum name_mode modes[] = {NAMES_ENCRYPTED, NAMES_PLAIN};
	struct lower_name n;
	struct fixture x;

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		setup(&x, modes[m]);
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			assert_int_equal(name_encode(x.k, &x.dir, table[i].name, table[i].len, &n), ERR_USAGE);
		name_keys_free(x.k);
	}
}

/* Every character of the lower name, every other value of it: refused. */
static void every_character_changed(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\x80";
	char back[NAME_PLAIN_MAX + 1];
	struct lower_name n;
	struct fixture x;
	size_t full_len, len, tampered = 0, malformed = 0;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	assert_int_equal(name_encode(x.k, &x.dir, "a file's name, rather short", 27, &n), ERR_OK);
	full_of(&n, &full_len);
	for (size_t i = 0; i < full_len; i++) {
		char was = n.name[i];

		for (size_t c = 0; c < sizeof(alphabet); c++) {
			enum err e;

			if (alphabet[c] == was)
				continue;
			n.name[i] = alphabet[c];
			e = name_decode(x.k, &x.dir, n.name, full_len, back, &len);
			assert_true(e == ERR_TAMPERED || e == ERR_FORMAT);
			tampered += e == ERR_TAMPERED;
			malformed += e == ERR_FORMAT;
		}
		n.name[i] = was;
	}
	assert_int_equal(name_decode(x.k, &x.dir, n.name, full_len, back, &len), ERR_OK);
	assert_true(tampered > 3000 && malformed > 500);
	name_keys_free(x.k);
}

static void malformed_lower_names(void **state)
{
	static const struct {
		const char *what, *lower;
		enum err want;
	} table[] = {
		{"empty", "", ERR_FORMAT},
		{"a tag alone", "AAAAAAAAAAAAAAAAAAAAAA", ERR_FORMAT},
		{"31 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ERR_FORMAT},
		{"32 bytes of zeros", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ERR_TAMPERED},
		{"stray bits", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", ERR_FORMAT},
		{"padded base64", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_FORMAT},
		{"a person's file", "notes.txt", ERR_FORMAT},
	};
	char back[NAME_PLAIN_MAX + 1], text[512];
	uint8_t zeros[300] = {0};
	struct fixture x;
	size_t len;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum err e = name_decode(x.k, &x.dir, table[i].lower, strlen(table[i].lower), back, &len);

		if (e != table[i].want)
			fail_msg("%s: %s", table[i].what, err_name(e));
	}
	encode_base64url(zeros, 288, text);
	assert_int_equal(name_decode(x.k, &x.dir, text, strlen(text), back, &len), ERR_FORMAT);
	name_keys_free(x.k);
}

/* Authentic, but not what this program writes: sealed here with the same key, refused all the same. */
static void authentic_nonsense(void **state)
{
	static const struct {
		const char *what, *plain;
		size_t len;
	} table[] = {
		{"nothing but padding", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
		{"a whole block of padding", "0123456789abcdef\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32},
		{"NUL inside", "ab\0d\0\0\0\0\0\0\0\0\0\0\0\0", 16},
		{"slash inside", "ab/d\0\0\0\0\0\0\0\0\0\0\0\0", 16},
		{".", ".\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
		{"..", "..\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
	};
	uint8_t sealed[64];
	char text[128], back[NAME_PLAIN_MAX + 1];
	struct siv_ad ad;
	struct fixture x;
	size_t len;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct siv *siv = golden_names_siv();

		assert_int_equal(siv_ad_init(siv, golden_dir_id, DIR_ID_SIZE, &ad), ERR_OK);
		assert_int_equal(siv_seal(siv, &ad, table[i].plain, table[i].len, sealed), ERR_OK);
		len = encode_base64url(sealed, table[i].len + 16, text);
		if (name_decode(x.k, &x.dir, text, len, back, &len) != ERR_FORMAT)
			fail_msg("%s", table[i].what);
		siv_free(siv);
	}
	name_keys_free(x.k);
}

static void long_names_and_companions(void **state)
{
	char name[NAME_PLAIN_MAX], sidecar[NAME_LOWER_MAX + 1];
	struct lower_name a, b, small;
	struct fixture x;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	memset(name, 'a', sizeof(name));
	assert_int_equal(name_encode(x.k, &x.dir, name, 200, &a), ERR_OK);
	assert_int_equal(name_encode(x.k, &x.dir, name, 201, &b), ERR_OK);
	assert_int_equal(name_encode(x.k, &x.dir, name, 20, &small), ERR_OK);
	assert_int_equal(name_check_long(a.name, strlen(a.name), a.full, a.full_len), ERR_OK);
	assert_int_equal(name_check_long(a.name, strlen(a.name), b.full, b.full_len), ERR_TAMPERED);
	assert_int_equal(name_check_long(a.name, strlen(a.name), a.full, a.full_len - 1u), ERR_TAMPERED);
	assert_int_equal(name_check_long(a.name, strlen(a.name), a.full, 0), ERR_TAMPERED);
	assert_int_equal(name_check_long(a.name, strlen(a.name) - 1, a.full, a.full_len), ERR_TAMPERED);
	a.full[7] ^= 1;
	assert_int_equal(name_check_long(a.name, strlen(a.name), a.full, a.full_len), ERR_TAMPERED);
	/* A short name in long clothes would be a second lower name for one plain name. */
	golden_long_name_of(small.name, strlen(small.name), a.name);
	assert_int_equal(name_check_long(a.name, strlen(a.name), small.name, strlen(small.name)), ERR_TAMPERED);
	snprintf(sidecar, sizeof(sidecar), "%.100s%s", b.name, LONG_SUFFIX);
	assert_int_equal(name_classify(x.k, sidecar, strlen(sidecar)), NAME_LONG_SIDECAR);
	name_keys_free(x.k);
}

static void classification(void **state)
{
	static const struct {
		const char *lower;
		enum name_kind encrypted, plain;
	} table[] = {
		{"signetfs.ini", NAME_OURS, NAME_OURS},
		{".signetfs", NAME_OURS, NAME_OURS},
		{"signetfs.dir", NAME_OURS, NAME_OURS},
		{"signetfs.", NAME_OURS, NAME_OURS},
		{"signetfs.long.", NAME_OURS, NAME_OURS},
		{"signetfs.long.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NAME_LONG, NAME_OURS},
		{"signetfs.long.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NAME_OURS, NAME_OURS},
		{"signetfs.long.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.name", NAME_LONG_SIDECAR, NAME_OURS},
		{"signetfs.long.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.nama", NAME_OURS, NAME_OURS},
		{"signetfs", NAME_ORDINARY, NAME_ORDINARY},
		{".signetfs2", NAME_ORDINARY, NAME_ORDINARY},
		{"x.signetfs", NAME_ORDINARY, NAME_ORDINARY},
		{"AAAA", NAME_ORDINARY, NAME_ORDINARY},
	};
	struct fixture e, p;

	(void)state;
	setup(&e, NAMES_ENCRYPTED);
	setup(&p, NAMES_PLAIN);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(name_classify(e.k, table[i].lower, strlen(table[i].lower)), table[i].encrypted);
		assert_int_equal(name_classify(p.k, table[i].lower, strlen(table[i].lower)), table[i].plain);
	}
	name_keys_free(e.k);
	name_keys_free(p.k);
}

static void plain_mode(void **state)
{
	static const char *const ours[] = {"signetfs.ini", ".signetfs", "signetfs.dir", "signetfs.long.x", "signetfs."};
	char name[NAME_PLAIN_MAX + 1], back[NAME_PLAIN_MAX + 1];
	struct lower_name n;
	struct fixture x;
	size_t len;

	(void)state;
	setup(&x, NAMES_PLAIN);
	memset(name, 'p', sizeof(name));
	for (size_t i = 1; i <= NAME_PLAIN_MAX; i++) {
		assert_int_equal(name_encode(x.k, &x.dir, name, i, &n), ERR_OK);
		assert_int_equal(strlen(n.name), i);
		assert_int_equal(n.full_len, 0);
		assert_memory_equal(n.name, name, i);
		assert_int_equal(name_decode(x.k, &x.dir, n.name, i, back, &len), ERR_OK);
		assert_int_equal(len, i);
		assert_memory_equal(back, name, i);
	}
	assert_int_equal(name_encode(x.k, &x.dir, name, 256, &n), ERR_LIMIT);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		assert_int_equal(name_encode(x.k, &x.dir, ours[i], strlen(ours[i]), &n), ERR_USAGE);
		assert_int_equal(name_decode(x.k, &x.dir, ours[i], strlen(ours[i]), back, &len), ERR_FORMAT);
	}
	name_keys_free(x.k);
}

static void directory_ids(void **state)
{
	uint8_t file[DIR_FILE_SIZE + 1] = {0}, id[DIR_ID_SIZE];
	struct fixture x;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	assert_int_equal(name_dir_file_encode(x.k, golden_dir_id, file), ERR_OK);
	for (size_t bit = 0; bit < DIR_FILE_SIZE * 8; bit++) {
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(name_dir_file_decode(x.k, file, DIR_FILE_SIZE, id), ERR_TAMPERED);
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < DIR_FILE_SIZE; len++)
		assert_int_equal(name_dir_file_decode(x.k, file, len, id), ERR_FORMAT);
	assert_int_equal(name_dir_file_decode(x.k, file, DIR_FILE_SIZE + 1, id), ERR_FORMAT);
	assert_int_equal(name_dir_file_decode(x.k, file, DIR_FILE_SIZE, id), ERR_OK);
	assert_memory_equal(id, golden_dir_id, sizeof(id));
	name_keys_free(x.k);
}

/* ---- Symbolic links ---- */

static void targets(void **state)
{
	static char target[NAME_TARGET_MAX + 1], lower[NAME_SYMLINK_LOWER_MAX + 1], back[NAME_SYMLINK_LOWER_MAX + 1];
	static char again[NAME_SYMLINK_LOWER_MAX + 1];
	struct fixture x;
	size_t lower_len, len;

	(void)state;
	assert_int_equal(NAME_TARGET_MAX, 3031);
	setup(&x, NAMES_PLAIN);
	memset(target, 't', sizeof(target));
	for (size_t n = 1; n <= NAME_TARGET_MAX; n++) {
		assert_int_equal(name_seal_target(x.k, target, n, lower, &lower_len), ERR_OK);
		assert_true(lower_len <= NAME_SYMLINK_LOWER_MAX && strlen(lower) == lower_len);
		assert_int_equal(name_target_size(lower_len), n);
		assert_int_equal(name_open_target(x.k, lower, lower_len, back, &len), ERR_OK);
		assert_int_equal(len, n);
		assert_memory_equal(back, target, n);
		assert_int_equal(back[n], 0);
	}
	assert_int_equal(name_seal_target(x.k, target, NAME_TARGET_MAX + 1, lower, &lower_len), ERR_LIMIT);
	assert_int_equal(name_seal_target(x.k, target, 0, lower, &lower_len), ERR_USAGE);
	assert_int_equal(name_seal_target(x.k, "a\0b", 3, lower, &lower_len), ERR_USAGE);
	assert_int_equal(name_seal_target(x.k, "same", 4, lower, &lower_len), ERR_OK);
	assert_int_equal(name_seal_target(x.k, "same", 4, again, &lower_len), ERR_OK);
	assert_string_not_equal(lower, again);
	name_keys_free(x.k);
}

static void bad_targets(void **state)
{
	char lower[NAME_SYMLINK_LOWER_MAX + 1], back[NAME_SYMLINK_LOWER_MAX + 1];
	struct fixture x;
	size_t n, len;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	assert_int_equal(name_seal_target(x.k, "../over/there", 13, lower, &n), ERR_OK);
	for (size_t i = 0; i < n; i++) {
		char was = lower[i];
		enum err e;

		lower[i] = was == 'A' ? 'B' : 'A';
		e = name_open_target(x.k, lower, n, back, &len);
		assert_true(e == ERR_TAMPERED || (i == n - 1 && e == ERR_FORMAT));
		lower[i] = was;
		e = name_open_target(x.k, lower, i, back, &len);
		assert_true(e == ERR_FORMAT || e == ERR_TAMPERED);
	}
	assert_int_equal(name_open_target(x.k, "/etc/passwd", 11, back, &len), ERR_FORMAT);
	assert_int_equal(name_target_size(0), 0);
	assert_int_equal(name_target_size(11), 0);
	assert_int_equal(name_target_size(54), 0);
	assert_int_equal(name_target_size(55), 1);
	assert_int_equal(name_target_size(57), 0);
	name_keys_free(x.k);
}

/* Sealed with the right key, but with a NUL that would cut the target short for whoever follows the link. */
static void authentic_target_with_nul(void **state)
{
	char lower[256], back[NAME_SYMLINK_LOWER_MAX + 1];
	uint8_t key[KEY_SIZE], sealed[64];
	struct fixture x;
	size_t len, n;

	(void)state;
	setup(&x, NAMES_ENCRYPTED);
	golden_volume_derive(LABEL_SYMLINKS, key, sizeof(key));
	for (unsigned good = 0; good < 2; good++) {
		assert_int_equal(xaes_seal(key, NULL, 0, good ? "ab.cd" : "ab\0cd", 5, sealed), ERR_OK);
		n = encode_base64url(sealed, 45, lower);
		assert_int_equal(name_open_target(x.k, lower, n, back, &len), good ? ERR_OK : ERR_FORMAT);
	}
	assert_int_equal(xaes_seal(key, NULL, 0, "", 0, sealed), ERR_OK);
	n = encode_base64url(sealed, 40, lower);
	assert_int_equal(name_open_target(x.k, lower, n, back, &len), ERR_FORMAT);
	name_keys_free(x.k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length),
		cmocka_unit_test(same_name_in_two_directories),
		cmocka_unit_test(where_long_begins),
		cmocka_unit_test(bad_plain_names),
		cmocka_unit_test(every_character_changed),
		cmocka_unit_test(malformed_lower_names),
		cmocka_unit_test(authentic_nonsense),
		cmocka_unit_test(long_names_and_companions),
		cmocka_unit_test(classification),
		cmocka_unit_test(plain_mode),
		cmocka_unit_test(directory_ids),
		cmocka_unit_test(targets),
		cmocka_unit_test(bad_targets),
		cmocka_unit_test(authentic_target_with_nul),
	};

	return cmocka_run_group_tests_name("format/names", tests, NULL, NULL);
}
