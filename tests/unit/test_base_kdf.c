/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/kdf.h"
#include "tests/support/hex.h"
#include "tests/support/prng.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void sha256_known_answers(void **state)
{
	uint8_t out[SHA256_SIZE];

	(void)state;
	assert_int_equal(kdf_sha256("abc", 3, out), ERR_OK);
	assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(kdf_sha256("", 0, out), ERR_OK);
	assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231; case 5 truncates and is left out. */
static const struct {
	const char *key, *data, *mac;
} hmac_cases[] = {
	{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddddddddddddddddddddddddddddddddd",
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	{"0102030405060708090a0b0c0d0e0f10111213141516171819",
		"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
		"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
};

static void hmac_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hmac_cases) / sizeof(hmac_cases[0]); i++) {
		uint8_t key[64], data[64], out[SHA256_SIZE];
		size_t key_len = hex_parse(hmac_cases[i].key, key, sizeof(key));
		size_t len = hex_parse(hmac_cases[i].data, data, sizeof(data));

		assert_int_equal(kdf_hmac(key, key_len, data, len, out), ERR_OK);
		assert_hex(out, 32, hmac_cases[i].mac);
	}
}

static void hmac_with_a_key_longer_than_a_block(void **state)
{
	static const char short_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	static const char long_text[] =
		"This is a test using a larger than block-size key and a larger than block-size "
		"data. The key needs to be hashed before being used by the HMAC algorithm.";
	uint8_t key[131], out[SHA256_SIZE];

	(void)state;
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(kdf_hmac(key, sizeof(key), short_text, strlen(short_text), out), ERR_OK);
	assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_int_equal(kdf_hmac(key, sizeof(key), long_text, strlen(long_text), out), ERR_OK);
	assert_hex(out, 32, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void hmac_agrees_with_openssl_and_parts_with_the_whole(void **state)
{
	uint8_t key[200], data[1000], mine[SHA256_SIZE], whole[SHA256_SIZE], theirs[SHA256_SIZE];
	struct prng r;

	(void)state;
	prng_init(&r);
	for (unsigned i = 0; i < 500; i++) {
		size_t key_len = prng_below(&r, sizeof(key)), len = prng_below(&r, sizeof(data));
		size_t cut = prng_below(&r, len + 1);
		struct bytes_view parts[] = {{data, cut}, {data + cut, 0}, {data + cut, len - cut}};
		unsigned n = sizeof(theirs);

		prng_fill(&r, key, key_len);
		prng_fill(&r, data, len);
		assert_int_equal(kdf_hmacv(key, key_len, parts, 3, mine), ERR_OK);
		assert_int_equal(kdf_hmac(key, key_len, data, len, whole), ERR_OK);
		assert_non_null(HMAC(EVP_sha256(), key, (int)key_len, data, len, theirs, &n));
		assert_memory_equal(mine, theirs, sizeof(theirs));
		assert_memory_equal(mine, whole, sizeof(whole));
	}
}

/* RFC 5869, appendix A */
static const struct {
	const char *ikm, *salt, *info, *okm;
} hkdf_cases[] = {
	{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
	{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
	 "303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f"
		"909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
		"e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
		"da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
	{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};

static void hkdf_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hkdf_cases) / sizeof(hkdf_cases[0]); i++) {
		uint8_t ikm[80], salt[80], info[80], okm[82], want[82];
		size_t ikm_len = hex_parse(hkdf_cases[i].ikm, ikm, sizeof(ikm));
		size_t salt_len = hex_parse(hkdf_cases[i].salt, salt, sizeof(salt));
		size_t info_len = hex_parse(hkdf_cases[i].info, info, sizeof(info));
		size_t len = hex_parse(hkdf_cases[i].okm, want, sizeof(want));

		assert_int_equal(kdf_hkdf(ikm, ikm_len, salt, salt_len, info, info_len, okm, len), ERR_OK);
		assert_hex(okm, len, hkdf_cases[i].okm);
	}
}

static void hkdf_refuses_more_than_it_can_give(void **state)
{
	uint8_t *out = malloc(255 * 32 + 1);

	(void)state;
	assert_non_null(out);
	assert_int_equal(kdf_hkdf("k", 1, "s", 1, "i", 1, out, 255 * 32), ERR_OK);
	assert_int_equal(kdf_hkdf("k", 1, "s", 1, "i", 1, out, 255 * 32 + 1), ERR_LIMIT);
	free(out);
}

/* The known answers above hold each of them, one by one. */
static void hkdf_of_many_is_each_of_them(void **state)
{
	static const char label[] = "label";
	static const size_t lens[] = {32, 0, 1, 33, 200};
	enum { N = sizeof(lens) / sizeof(lens[0]) };
	uint8_t key[48], salt[80], out[N][200], alone[200];
	struct kdf_output outputs[N];
	struct prng r;

	(void)state;
	prng_init(&r);
	prng_fill(&r, key, sizeof(key));
	prng_fill(&r, salt, sizeof(salt));
	for (size_t salt_len = 0; salt_len <= sizeof(salt); salt_len += 16) {
		memset(out, 0xee, sizeof(out));
		for (size_t i = 0; i < N; i++)
			outputs[i] = (struct kdf_output){{&label[i], 5 - i}, out[i], lens[i]};
		assert_int_equal(kdf_hkdf_many(key, sizeof(key), salt, salt_len, outputs, N), ERR_OK);
		for (size_t i = 0; i < N; i++) {
			memset(alone, 0xee, sizeof(alone));
			assert_int_equal(
				kdf_hkdf(key, sizeof(key), salt, salt_len, &label[i], 5 - i, alone, lens[i]), ERR_OK);
			assert_memory_equal(out[i], alone, sizeof(alone));
		}
	}
}

static void hkdf_of_many_gives_nothing_when_one_is_too_long(void **state)
{
	uint8_t small[32], before[32];
	const struct kdf_output outputs[] = {{{"a", 1}, small, sizeof(small)}, {{"b", 1}, NULL, 255 * 32 + 1}};

	(void)state;
	memset(small, 0xee, sizeof(small));
	memcpy(before, small, sizeof(before));
	assert_int_equal(kdf_hkdf_many("k", 1, "s", 1, outputs, 2), ERR_LIMIT);
	assert_memory_equal(small, before, sizeof(before));
}

static void scrypt_known_answer(void **state)
{
	const struct kdf_scrypt_params params = {16384, 8, 1};
	uint8_t out[64];

	(void)state;
	assert_int_equal(kdf_scrypt("pleaseletmein", 13, "SodiumChloride", 14, &params, out, sizeof(out)), ERR_OK);
	assert_hex(out, 64,
		"7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
		"d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

static void scrypt_refuses_parameters_out_of_bounds(void **state)
{
	static const struct kdf_scrypt_params bad[] = {
		{8192, 8, 1},
		{16385, 8, 1},
		{0, 8, 1},
		{UINT64_C(1) << 23, 1, 1},
		{UINT64_C(1) << 63, 8, 1},
		{16384, 0, 1},
		{16384, 33, 1},
		{16384, 8, 0},
		{16384, 8, 17},
		{UINT64_C(1) << 22, 32, 1},
	};
	uint8_t out[32] = {1};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(kdf_scrypt("p", 1, "s", 1, &bad[i], out, sizeof(out)), ERR_LIMIT);
	assert_int_equal(out[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known_answers),
		cmocka_unit_test(hmac_known_answers),
		cmocka_unit_test(hmac_with_a_key_longer_than_a_block),
		cmocka_unit_test(hmac_agrees_with_openssl_and_parts_with_the_whole),
		cmocka_unit_test(hkdf_known_answers),
		cmocka_unit_test(hkdf_refuses_more_than_it_can_give),
		cmocka_unit_test(hkdf_of_many_is_each_of_them),
		cmocka_unit_test(hkdf_of_many_gives_nothing_when_one_is_too_long),
		cmocka_unit_test(scrypt_known_answer),
		cmocka_unit_test(scrypt_refuses_parameters_out_of_bounds),
	};

	return cmocka_run_group_tests_name("base_kdf", tests, NULL, NULL);
}
