/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/aead.h"
#include "kms/base/xaes.h"
#include "tests/support/hex.h"
#include "tests/support/prng.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BIG = 9000 };

/* McGrew and Viega's AES-256 cases with 96-bit nonces: 13 to 16 of the GCM submission to NIST. */
static const struct {
	const char *key, *nonce, *aad, *plain, *cipher, *tag;
} known[] = {
	{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "",
		"530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
		"00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
		"d0d1c8a799996bf0265b98b5d48ab919"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
		"b094dac5d93471bdec1a502270e3cc6c"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
		"feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
		"76fc6ece0f4e1768cddf8853bb2d551b"},
};

static int is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return 0;
	return 1;
}

static void check_known_answers(const struct aead_impl *impl)
{
	struct aead_key *k = impl->key_new();

	assert_non_null(k);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		uint8_t key[32], nonce[12], aad[32], in[64], out[64], tag[16];
		size_t aad_len = hex_parse(known[i].aad, aad, sizeof(aad));
		size_t len = hex_parse(known[i].plain, in, sizeof(in));

		hex_parse(known[i].key, key, sizeof(key));
		hex_parse(known[i].nonce, nonce, sizeof(nonce));
		assert_int_equal(impl->key_set(k, key), ERR_OK);
		assert_int_equal(impl->seal(k, nonce, aad, aad_len, in, len, out, tag), ERR_OK);
		assert_hex(out, len, known[i].cipher);
		assert_hex(tag, 16, known[i].tag);
		assert_int_equal(impl->open(k, nonce, aad, aad_len, out, len, tag, out), ERR_OK);
		assert_memory_equal(out, in, len);
	}
	impl->key_free(k);
}

/* Flip one bit of every byte of nonce, AAD, ciphertext and tag in turn. */
static void check_every_byte_counts(const struct aead_impl *impl, size_t len)
{
	enum { AAD = 24 };
	uint8_t message[AEAD_NONCE_SIZE + AAD + 512 + AEAD_TAG_SIZE], out[512], key[32] = {9};
	uint8_t *nonce = message, *aad = nonce + AEAD_NONCE_SIZE, *body = aad + AAD, *tag = body + len;
	size_t total = AEAD_NONCE_SIZE + AAD + len + AEAD_TAG_SIZE, refused = 0;
	struct aead_key *k = impl->key_new();

	memset(message, 0x3c, sizeof(message));
	assert_int_equal(impl->key_set(k, key), ERR_OK);
	assert_int_equal(impl->seal(k, nonce, aad, AAD, body, len, body, tag), ERR_OK);
	for (size_t i = 0; i < total; i++) {
		message[i] ^= (uint8_t)(1 << i % 8);
		memset(out, 0xff, sizeof(out));
		assert_int_equal(impl->open(k, nonce, aad, AAD, body, len, tag, out), ERR_TAMPERED);
		assert_true(is_zero(out, len));
		message[i] ^= (uint8_t)(1 << i % 8);
		refused++;
	}
	assert_int_equal(refused, total);
	assert_int_equal(impl->open(k, nonce, aad, AAD, body, len, tag, out), ERR_OK);
	key[0] ^= 1;
	assert_int_equal(impl->key_set(k, key), ERR_OK);
	assert_int_equal(impl->open(k, nonce, aad, AAD, body, len, tag, out), ERR_TAMPERED);
	impl->key_free(k);
}

static void check_tampered_in_place(const struct aead_impl *impl)
{
	uint8_t key[32] = {1}, nonce[12] = {2}, tag[16], buf[100] = {3};
	struct aead_key *k = impl->key_new();

	assert_int_equal(impl->key_set(k, key), ERR_OK);
	assert_int_equal(impl->seal(k, nonce, NULL, 0, buf, sizeof(buf), buf, tag), ERR_OK);
	tag[15] ^= 0x80;
	assert_int_equal(impl->open(k, nonce, NULL, 0, buf, sizeof(buf), tag, buf), ERR_TAMPERED);
	assert_true(is_zero(buf, sizeof(buf)));
	impl->key_free(k);
}

static void check_empty_message(const struct aead_impl *impl)
{
	uint8_t key[32] = {1}, nonce[12] = {2}, tag[16];
	struct aead_key *k = impl->key_new();

	assert_int_equal(impl->key_set(k, key), ERR_OK);
	assert_int_equal(impl->seal(k, nonce, NULL, 0, NULL, 0, NULL, tag), ERR_OK);
	assert_int_equal(impl->open(k, nonce, NULL, 0, NULL, 0, tag, NULL), ERR_OK);
	tag[0] ^= 1;
	assert_int_equal(impl->open(k, nonce, NULL, 0, NULL, 0, tag, NULL), ERR_TAMPERED);
	impl->key_free(k);
	impl->key_free(NULL);
}

static void check_all(const struct aead_impl *impl)
{
	check_known_answers(impl);
	check_every_byte_counts(impl, 1);
	check_every_byte_counts(impl, 37);
	check_every_byte_counts(impl, 512);
	check_tampered_in_place(impl);
	check_empty_message(impl);
}

static void openssl_is_right(void **state)
{
	(void)state;
	check_all(aead_openssl());
}

static void ipsec_mb_is_right(void **state)
{
	(void)state;
	if (!aead_ipsec_mb()) {
		printf("skip: ipsec-mb is not compiled in or not for this processor\n");
		skip();
	}
	check_all(aead_ipsec_mb());
}

struct pair {
	const struct aead_impl *a, *b;
	struct aead_key *ka, *kb;
};

static void compare_once(const struct pair *p, struct prng *r, size_t len, uint8_t *in, uint8_t *x, uint8_t *y)
{
	uint8_t nonce[12], aad[100], ta[16], tb[16];
	size_t aad_len = prng_below(r, sizeof(aad));

	prng_fill(r, nonce, sizeof(nonce));
	prng_fill(r, aad, aad_len);
	prng_fill(r, in, len < 64 ? len : 64);
	assert_int_equal(p->a->seal(p->ka, nonce, aad, aad_len, in, len, x, ta), ERR_OK);
	assert_int_equal(p->b->seal(p->kb, nonce, aad, aad_len, in, len, y, tb), ERR_OK);
	assert_memory_equal(x, y, len);
	assert_memory_equal(ta, tb, sizeof(ta));
	assert_int_equal(p->a->open(p->ka, nonce, aad, aad_len, y, len, tb, y), ERR_OK);
	assert_int_equal(p->b->open(p->kb, nonce, aad, aad_len, x, len, ta, x), ERR_OK);
	assert_memory_equal(x, in, len);
	assert_memory_equal(y, in, len);
}

static void implementations_agree(void **state)
{
	struct pair p = {.a = aead_openssl(), .b = aead_best()};
	uint8_t *in = calloc(1, BIG), *x = malloc(BIG), *y = malloc(BIG), key[32];
	struct prng r;

	(void)state;
	prng_init(&r);
	prng_fill(&r, in, BIG);
	p.ka = p.a->key_new();
	p.kb = p.b->key_new();
	for (size_t len = 0; len <= BIG; len += len < 600 ? 1 : 1 + prng_below(&r, 40)) {
		if (len % 7 == 0) {
			prng_fill(&r, key, sizeof(key));
			assert_int_equal(p.a->key_set(p.ka, key), ERR_OK);
			assert_int_equal(p.b->key_set(p.kb, key), ERR_OK);
		}
		compare_once(&p, &r, len, in, x, y);
	}
	p.a->key_free(p.ka);
	p.b->key_free(p.kb);
	free(in);
	free(x);
	free(y);
}

static void one_shot_forms(void **state)
{
	uint8_t key[32] = {4}, nonce[12] = {5}, tag[16], buf[48] = "text", out[48];

	(void)state;
	assert_int_equal(aead_seal_once(key, nonce, "a", 1, buf, sizeof(buf), out, tag), ERR_OK);
	assert_int_equal(aead_open_once(key, nonce, "b", 1, out, sizeof(out), tag, out), ERR_TAMPERED);
	assert_int_equal(aead_seal_once(key, nonce, "a", 1, buf, sizeof(buf), out, tag), ERR_OK);
	assert_int_equal(aead_open_once(key, nonce, "a", 1, out, sizeof(out), tag, out), ERR_OK);
	assert_memory_equal(out, buf, sizeof(buf));
}

static void *work_alone(void *arg)
{
	const struct aead_impl *impl = aead_best();
	struct aead_key *k = impl->key_new();
	uint8_t key[32] = {(uint8_t)(uintptr_t)arg}, nonce[12] = {0}, in[4096] = {7}, out[4096], tag[16];
	void *result = arg;

	impl->key_set(k, key);
	for (unsigned i = 0; i < 2000; i++) {
		memcpy(nonce, &i, sizeof(i));
		impl->seal(k, nonce, "x", 1, in, sizeof(in), out, tag);
		if (impl->open(k, nonce, "x", 1, out, sizeof(out), tag, out) != ERR_OK || out[0] != 7)
			result = NULL;
	}
	impl->key_free(k);
	return result;
}

static void threads_do_not_disturb_each_other(void **state)
{
	pthread_t t[4];
	void *result;

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work_alone, (void *)(i + 1)), 0);
	for (uintptr_t i = 0; i < 4; i++) {
		pthread_join(t[i], &result);
		assert_ptr_equal(result, (void *)(i + 1));
	}
}

/* c2sp.org/XAES-256-GCM, test vectors */
static void xaes_known_answers(void **state)
{
	static const char nonce[] = "ABCDEFGHIJKLMNOPQRSTUVWX";
	static const struct {
		uint8_t fill;
		const char *aad, *out;
	} cases[] = {
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t key[32], derived[32], text[28], sealed[24 + 28], out[12];
		size_t aad_len = strlen(cases[i].aad);

		memset(key, cases[i].fill, sizeof(key));
		assert_int_equal(xaes_derive(key, (const uint8_t *)nonce, derived), ERR_OK);
		assert_int_equal(aead_seal_once(derived, (const uint8_t *)nonce + 12, cases[i].aad, aad_len,
					 "XAES-256-GCM", 12, text, text + 12),
			ERR_OK);
		assert_hex(text, 28, cases[i].out);
		memcpy(sealed, nonce, 24);
		memcpy(sealed + 24, text, 28);
		assert_int_equal(xaes_open(key, cases[i].aad, aad_len, sealed, sizeof(sealed), out), ERR_OK);
		assert_memory_equal(out, "XAES-256-GCM", 12);
	}
}

static void xaes_round_trip_and_tampering(void **state)
{
	uint8_t key[32] = {8}, in[50], sealed[50 + XAES_OVERHEAD], again[50 + XAES_OVERHEAD], out[50];

	(void)state;
	memset(in, 0x42, sizeof(in));
	assert_int_equal(xaes_seal(key, "aad", 3, in, sizeof(in), sealed), ERR_OK);
	assert_int_equal(xaes_seal(key, "aad", 3, in, sizeof(in), again), ERR_OK);
	assert_memory_not_equal(sealed, again, sizeof(sealed));
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 0x10;
		memset(out, 0xff, sizeof(out));
		assert_int_equal(xaes_open(key, "aad", 3, sealed, sizeof(sealed), out), ERR_TAMPERED);
		assert_true(is_zero(out, sizeof(out)));
		sealed[i] ^= 0x10;
	}
	assert_int_equal(xaes_open(key, "aad", 3, sealed, sizeof(sealed) - 1, out), ERR_TAMPERED);
	assert_int_equal(xaes_open(key, "aax", 3, sealed, sizeof(sealed), out), ERR_TAMPERED);
	assert_int_equal(xaes_open(key, "aad", 3, sealed, XAES_OVERHEAD - 1, out), ERR_FORMAT);
	assert_int_equal(xaes_open(key, "aad", 3, sealed, sizeof(sealed), out), ERR_OK);
	assert_memory_equal(out, in, sizeof(in));
	assert_int_equal(xaes_seal(key, NULL, 0, NULL, 0, sealed), ERR_OK);
	assert_int_equal(xaes_open(key, NULL, 0, sealed, XAES_OVERHEAD, out), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_is_right),
		cmocka_unit_test(ipsec_mb_is_right),
		cmocka_unit_test(implementations_agree),
		cmocka_unit_test(one_shot_forms),
		cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(xaes_known_answers),
		cmocka_unit_test(xaes_round_trip_and_tampering),
	};

	return cmocka_run_group_tests_name("base_aead", tests, NULL, NULL);
}
