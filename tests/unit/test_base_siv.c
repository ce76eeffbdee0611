/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/siv.h"
#include "tests/support/hex.h"
#include "tests/support/prng.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* OpenSSL's own AES-256-SIV, as the reference. */
static void reference_seal(
	const uint8_t *key, const void *ad, size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	assert_non_null(cipher);
	assert_int_equal(EVP_CIPHER_get_key_length(cipher), SIV_KEY_SIZE);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, NULL, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, ad, (int)ad_len), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out + SIV_TAG_SIZE, &n, in, (int)len), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SIV_TAG_SIZE, out), 1);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
}

static struct siv *siv_of(const uint8_t key[SIV_KEY_SIZE])
{
	struct siv *s = NULL;

	assert_int_equal(siv_new(key, &s), ERR_OK);
	return s;
}

static void check_against_reference(const uint8_t *key, const uint8_t *ad, size_t ad_len, const uint8_t *in, size_t len)
{
	static uint8_t mine[SIV_MAX_INPUT + 16], theirs[SIV_MAX_INPUT + 16], back[SIV_MAX_INPUT];
	struct siv *s = siv_of(key);
	struct siv_ad d;

	assert_int_equal(siv_ad_init(s, ad, ad_len, &d), ERR_OK);
	assert_int_equal(siv_seal(s, &d, in, len, mine), ERR_OK);
	reference_seal(key, ad, ad_len, in, len, theirs);
	assert_memory_equal(mine, theirs, len + SIV_TAG_SIZE);
	assert_int_equal(siv_open(s, &d, mine, len + SIV_TAG_SIZE, back), ERR_OK);
	assert_memory_equal(back, in, len);
	siv_free(s);
}

static void agrees_with_openssl(void **state)
{
	static uint8_t in[SIV_MAX_INPUT];
	uint8_t key[SIV_KEY_SIZE], ad[100];
	struct prng r;

	(void)state;
	prng_init(&r);
	for (size_t len = 1; len <= SIV_MAX_INPUT; len += len < 300 ? 1 : 1 + prng_below(&r, 200)) {
		/* OpenSSL 3.0 takes an empty AD for none at all, which is another function. */
		size_t ad_len = 1 + prng_below(&r, sizeof(ad) - 1);

		prng_fill(&r, key, sizeof(key));
		prng_fill(&r, ad, sizeof(ad));
		prng_fill(&r, in, len);
		check_against_reference(key, ad, ad_len, in, len);
	}
	check_against_reference(key, ad, sizeof(ad), in, SIV_MAX_INPUT);
}

/* The key, AD and plaintext of RFC 5297 A.1 under a 512-bit key made of its 256-bit key twice; pinned, and checked above. */
static void golden_answer(void **state)
{
	uint8_t key[64], ad[24], in[14], out[30];
	struct siv *s;
	struct siv_ad d;

	(void)state;
	hex_parse("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
		  "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		key, sizeof(key));
	hex_parse("101112131415161718191a1b1c1d1e1f2021222324252627", ad, sizeof(ad));
	hex_parse("112233445566778899aabbccddee", in, sizeof(in));
	s = siv_of(key);
	assert_int_equal(siv_ad_init(s, ad, sizeof(ad), &d), ERR_OK);
	assert_int_equal(siv_seal(s, &d, in, sizeof(in), out), ERR_OK);
	assert_hex(out, sizeof(out), "724dfb2eaf94dbb19b0ba3a299a0801e54288e722528de03d3cbdceea5ba");
	siv_free(s);
}

static void every_byte_counts(void **state)
{
	uint8_t key[64] = {1}, in[48] = "name", sealed[64], out[48];
	struct siv *s = siv_of(key);
	struct siv_ad d, other;

	(void)state;
	assert_int_equal(siv_ad_init(s, "directory", 9, &d), ERR_OK);
	assert_int_equal(siv_ad_init(s, "directorx", 9, &other), ERR_OK);
	assert_int_equal(siv_seal(s, &d, in, sizeof(in), sealed), ERR_OK);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 4;
		memset(out, 0xff, sizeof(out));
		assert_int_equal(siv_open(s, &d, sealed, sizeof(sealed), out), ERR_TAMPERED);
		for (size_t j = 0; j < sizeof(out); j++)
			assert_int_equal(out[j], 0);
		sealed[i] ^= 4;
	}
	assert_int_equal(siv_open(s, &other, sealed, sizeof(sealed), out), ERR_TAMPERED);
	assert_int_equal(siv_open(s, &d, sealed, sizeof(sealed) - 1, out), ERR_TAMPERED);
	assert_int_equal(siv_open(s, &d, sealed, sizeof(sealed), out), ERR_OK);
	assert_memory_equal(out, in, sizeof(in));
	siv_free(s);
}

static void lengths_are_bounded(void **state)
{
	static uint8_t in[SIV_MAX_INPUT + 17], out[SIV_MAX_INPUT + 33];
	uint8_t key[64] = {1};
	struct siv *s = siv_of(key);
	struct siv_ad d;

	(void)state;
	assert_int_equal(siv_ad_init(s, "", 0, &d), ERR_OK);
	assert_int_equal(siv_seal(s, &d, in, 0, out), ERR_FORMAT);
	assert_int_equal(siv_seal(s, &d, in, SIV_MAX_INPUT + 1, out), ERR_LIMIT);
	assert_int_equal(siv_open(s, &d, in, 0, out), ERR_FORMAT);
	assert_int_equal(siv_open(s, &d, in, SIV_TAG_SIZE, out), ERR_FORMAT);
	assert_int_equal(siv_open(s, &d, in, SIV_MAX_INPUT + 17, out), ERR_LIMIT);
	siv_free(s);
	siv_free(NULL);
}

struct shared {
	struct siv *siv;
	struct siv_ad ad;
	uint8_t sealed[48];
};

static void *seal_many(void *arg)
{
	const struct shared *shared = arg;
	uint8_t in[32] = "the same name", out[48];

	for (unsigned i = 0; i < 20000; i++)
		if (siv_seal(shared->siv, &shared->ad, in, sizeof(in), out) != ERR_OK ||
			memcmp(out, shared->sealed, 48) != 0)
			return NULL;
	return arg;
}

static void many_threads_use_one_key(void **state)
{
	uint8_t key[64] = {3}, in[32] = "the same name";
	struct shared shared = {.siv = siv_of(key)};
	pthread_t t[12];
	void *result;

	(void)state;
	assert_int_equal(siv_ad_init(shared.siv, "d", 1, &shared.ad), ERR_OK);
	assert_int_equal(siv_seal(shared.siv, &shared.ad, in, sizeof(in), shared.sealed), ERR_OK);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(pthread_create(&t[i], NULL, seal_many, &shared), 0);
	for (size_t i = 0; i < 12; i++) {
		pthread_join(t[i], &result);
		assert_ptr_equal(result, &shared);
	}
	siv_free(shared.siv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_openssl),
		cmocka_unit_test(golden_answer),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(many_threads_use_one_key),
	};

	return cmocka_run_group_tests_name("base_siv", tests, NULL, NULL);
}
