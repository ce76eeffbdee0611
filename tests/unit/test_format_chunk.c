/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/chunk.h"
#include "tests/support/golden.h"
#include "tests/support/hex.h"
#include "tests/support/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct chunk_key key;
	struct chunk_file file;
	struct chunk_cipher *cipher;
	struct chunk_nonce nonce;
	uint8_t plain[CHUNK_SIZE], stored[CHUNK_STORED], out[CHUNK_SIZE];
};

static void setup(struct fixture *x, const struct aead_impl *aead)
{
	memset(x, 0, sizeof(*x));
	x->key = golden_file_keys().chunk;
	x->file = (struct chunk_file){.key = &x->key, .file_id = golden_file_id};
	x->cipher = chunk_cipher_new(aead);
	assert_non_null(x->cipher);
	for (size_t i = 0; i < sizeof(x->plain); i++)
		x->plain[i] = golden_content_byte(i);
}

static const struct aead_impl *const *implementations(void)
{
	static const struct aead_impl *list[3];

	list[0] = aead_openssl();
	list[1] = aead_ipsec_mb();
	return list;
}

static int is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return 0;
	return 1;
}

/* The two vectors of c2sp.org/XAES-256-GCM, through the functions that chunks use; no AAD of ours stands in their way. */
static void xaes_known_answers(void **state)
{
	static const char nonce[] = "ABCDEFGHIJKLMNOPQRSTUVWX";
	static const struct {
		uint8_t key;
		const char *aad, *sealed;
	} vectors[] = {
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	};

	(void)state;
	for (const struct aead_impl *const *a = implementations(); *a; a++) {
		for (size_t i = 0; i < 2; i++) {
			struct aead_key *k = (*a)->key_new();
			uint8_t key[KEY_SIZE], derived[AEAD_KEY_SIZE], out[28];

			memset(key, vectors[i].key, sizeof(key));
			assert_int_equal(xaes_derive(key, (const uint8_t *)nonce, derived), ERR_OK);
			assert_int_equal((*a)->key_set(k, derived), ERR_OK);
			assert_int_equal((*a)->seal(k, (const uint8_t *)nonce + 12, vectors[i].aad,
						 strlen(vectors[i].aad), "XAES-256-GCM", 12, out, out + 12),
				ERR_OK);
			assert_hex(out, sizeof(out), vectors[i].sealed);
			(*a)->key_free(k);
		}
	}
}

/* A chunk is XAES-256-GCM under the chunk key with AAD = file id ‖ index: opened by the one-shot form, which is another code path. */
static void is_xaes(void **state)
{
	struct fixture x;
	uint8_t aad[24];

	(void)state;
	for (const struct aead_impl *const *a = implementations(); *a; a++) {
		setup(&x, *a);
		assert_int_equal(
			chunk_seal(x.cipher, &x.file, &x.nonce, 0x0102030405060708, x.plain, 1000, x.stored), ERR_OK);
		memcpy(aad, golden_file_id, 16);
		memcpy(aad + 16, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
		assert_int_equal(xaes_open(x.key.b, aad, sizeof(aad), x.stored, 1040, x.out), ERR_OK);
		assert_memory_equal(x.out, x.plain, 1000);
		assert_int_equal(xaes_seal(x.key.b, aad, sizeof(aad), x.plain, 77, x.stored), ERR_OK);
		assert_int_equal(chunk_open(x.cipher, &x.file, 0x0102030405060708, x.stored, 117, x.out), ERR_OK);
		assert_memory_equal(x.out, x.plain, 77);
		chunk_cipher_free(x.cipher);
	}
}

static void every_length(void **state)
{
	struct fixture x;

	(void)state;
	for (const struct aead_impl *const *a = implementations(); *a; a++) {
		setup(&x, *a);
		for (size_t len = 1; len <= CHUNK_SIZE; len++) {
			memset(x.out, 0, len);
			assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, len, x.plain, len, x.stored), ERR_OK);
			assert_int_equal(
				chunk_open(x.cipher, &x.file, len, x.stored, len + CHUNK_OVERHEAD, x.out), ERR_OK);
			assert_memory_equal(x.out, x.plain, len);
		}
		chunk_cipher_free(x.cipher);
	}
}

static void assert_refused(struct fixture *x, uint64_t index, const uint8_t *stored, size_t len)
{
	memset(x->out, 0xcc, sizeof(x->out));
	assert_int_equal(chunk_open(x->cipher, &x->file, index, stored, len, x->out), ERR_TAMPERED);
	assert_true(is_zero(x->out, len - CHUNK_OVERHEAD));
}

static void every_byte_flipped(void **state)
{
	struct fixture x;

	(void)state;
	for (const struct aead_impl *const *a = implementations(); *a; a++) {
		setup(&x, *a);
		x.file.holes = 1;
		assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 3, x.plain, 4096, x.stored), ERR_OK);
		for (size_t i = 0; i < CHUNK_STORED; i++) {
			x.stored[i] ^= (uint8_t)(1 << i % 8);
			assert_refused(&x, 3, x.stored, CHUNK_STORED);
			x.stored[i] ^= (uint8_t)(1 << i % 8);
		}
		assert_int_equal(chunk_open(x.cipher, &x.file, 3, x.stored, CHUNK_STORED, x.out), ERR_OK);
		chunk_cipher_free(x.cipher);
	}
}

static void every_truncation(void **state)
{
	struct fixture x;

	(void)state;
	setup(&x, aead_best());
	assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 3, x.plain, 4096, x.stored), ERR_OK);
	for (size_t len = 0; len < CHUNK_STORED; len++) {
		if (len > CHUNK_OVERHEAD)
			assert_refused(&x, 3, x.stored, len);
		else
			assert_int_equal(chunk_open(x.cipher, &x.file, 3, x.stored, len, x.out), ERR_FORMAT);
	}
	assert_int_equal(chunk_open(x.cipher, &x.file, 3, x.stored, CHUNK_STORED + 1, x.out), ERR_FORMAT);
	chunk_cipher_free(x.cipher);
}

/* Another place in the file, another file, another data key: a chunk moved there does not open. */
static void swapped(void **state)
{
	uint8_t other_id[FILE_ID_SIZE];
	struct chunk_key other_key;
	struct fixture x;

	(void)state;
	setup(&x, aead_best());
	assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 5, x.plain, 4096, x.stored), ERR_OK);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_refused(&x, UINT64_C(5) ^ UINT64_C(1) << bit, x.stored, CHUNK_STORED);
	memcpy(other_id, golden_file_id, sizeof(other_id));
	other_id[15] ^= 1;
	x.file.file_id = other_id;
	assert_refused(&x, 5, x.stored, CHUNK_STORED);
	x.file.file_id = golden_file_id;
	other_key = x.key;
	other_key.b[0] ^= 1;
	x.file.key = &other_key;
	assert_refused(&x, 5, x.stored, CHUNK_STORED);
	x.file.key = &x.key;
	assert_int_equal(chunk_open(x.cipher, &x.file, 5, x.stored, CHUNK_STORED, x.out), ERR_OK);
	chunk_cipher_free(x.cipher);
}

/* Zeros are a hole only where the authenticated header says that there may be some, and only all zeros. */
static void holes(void **state)
{
	struct fixture x;

	(void)state;
	setup(&x, aead_best());
	memset(x.stored, 0, sizeof(x.stored));
	assert_refused(&x, 0, x.stored, CHUNK_STORED);
	x.file.holes = 1;
	for (size_t len = CHUNK_OVERHEAD + 1; len <= CHUNK_STORED; len++) {
		memset(x.out, 0xcc, sizeof(x.out));
		assert_int_equal(chunk_open(x.cipher, &x.file, 9, x.stored, len, x.out), ERR_OK);
		assert_true(is_zero(x.out, len - CHUNK_OVERHEAD));
		assert_true(len == CHUNK_STORED || x.out[len - CHUNK_OVERHEAD] == 0xcc);
	}
	for (size_t i = 0; i < CHUNK_STORED; i++) {
		x.stored[i] = 1;
		assert_refused(&x, 0, x.stored, CHUNK_STORED);
		x.stored[i] = 0;
	}
	chunk_cipher_free(x.cipher);
}

/* One prefix lasts 2^28 seals, the rest of the nonce never repeats. */
static void nonces(void **state)
{
	struct fixture x;
	uint8_t first[24], prefix[12];

	(void)state;
	setup(&x, aead_best());
	assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 0, x.plain, 1, x.stored), ERR_OK);
	assert_int_equal(x.nonce.left, (1u << 28) - 1);
	memcpy(first, x.stored, sizeof(first));
	assert_memory_equal(first, x.nonce.prefix, sizeof(prefix));
	assert_false(is_zero(x.nonce.prefix, sizeof(prefix)));
	assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 0, x.plain, 1, x.stored), ERR_OK);
	assert_memory_equal(x.stored, first, 12);
	assert_memory_not_equal(x.stored + 12, first + 12, 12);
	x.nonce.left = 1;
	assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 0, x.plain, 1, x.stored), ERR_OK);
	assert_memory_equal(x.stored, first, 12);
	assert_int_equal(chunk_seal(x.cipher, &x.file, &x.nonce, 0, x.plain, 1, x.stored), ERR_OK);
	assert_memory_not_equal(x.stored, first, 12);
	assert_int_equal(x.nonce.left, (1u << 28) - 1);
	chunk_cipher_free(x.cipher);
}

/* Many files and prefixes through one cipher: what it holds prepared is never another's. */
static void cipher_is_shared(void **state)
{
	enum { FILES = 7, PREFIXES = 3, ROUNDS = 3000 };
	static uint8_t stored[FILES][PREFIXES][CHUNK_STORED];
	static struct chunk_key keys[FILES];
	static uint8_t ids[FILES][FILE_ID_SIZE];
	struct fixture x;
	struct prng r;

	(void)state;
	setup(&x, aead_best());
	prng_init(&r);
	for (size_t f = 0; f < FILES; f++) {
		prng_fill(&r, &keys[f], sizeof(keys[f]));
		prng_fill(&r, ids[f], sizeof(ids[f]));
	}
	for (size_t i = 0; i < ROUNDS; i++) {
		size_t f = prng_below(&r, FILES), p = prng_below(&r, PREFIXES);
		struct chunk_file file = {.key = &keys[f], .file_id = ids[f]};
		struct chunk_nonce nonce = {.left = 1};

		if (prng_below(&r, 50) == 0)
			chunk_cipher_forget(x.cipher);
		memset(nonce.prefix, (int)(p + 1), sizeof(nonce.prefix));
		if (prng_below(&r, 3) == 0 || is_zero(stored[f][p], 24))
			assert_int_equal(chunk_seal(x.cipher, &file, &nonce, p, x.plain, 500, stored[f][p]), ERR_OK);
		memset(x.out, 0, 500);
		assert_int_equal(chunk_open(x.cipher, &file, p, stored[f][p], 540, x.out), ERR_OK);
		assert_memory_equal(x.out, x.plain, 500);
	}
	chunk_cipher_free(x.cipher);
}

/* ---- Sizes ---- */

static void check_sizes(uint64_t plain, size_t header_len)
{
	uint64_t lower = chunk_lower_size(plain, header_len);
	int whole = -1;

	assert_true(chunk_plain_size(lower, header_len, &whole) == plain);
	assert_int_equal(whole, 1);
	assert_true(chunk_plain_size(lower, header_len, NULL) == plain);
}

static void size_round_trip(void **state)
{
	static const size_t lengths[] = {512, 1024, 1536, 2048};
	struct prng r;

	(void)state;
	prng_init(&r);
	for (size_t l = 0; l < 4; l++) {
		for (uint64_t n = 0; n < 20000; n++)
			check_sizes(n, lengths[l]);
		for (unsigned i = 0; i < 20000; i++)
			check_sizes(prng_below(&r, CHUNK_MAX_FILE_SIZE + 1) >> prng_below(&r, 62), lengths[l]);
		check_sizes(CHUNK_MAX_FILE_SIZE, lengths[l]);
		assert_true(chunk_lower_size(CHUNK_MAX_FILE_SIZE, lengths[l]) < UINT64_C(1) << 63);
	}
}

static void size_borders(void **state)
{
	static const struct {
		uint64_t lower, plain;
		int whole;
	} table[] = {
		{0, 0, 0},
		{1, 0, 0},
		{511, 0, 0},
		{512, 0, 1},
		{513, 0, 0},
		{552, 0, 0},
		{553, 1, 1},
		{4647, 4095, 1},
		{4648, 4096, 1},
		{4649, 4096, 0},
		{4688, 4096, 0},
		{4689, 4097, 1},
		{8784, 8192, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int whole = -1;

		assert_int_equal(chunk_plain_size(table[i].lower, 512, &whole), table[i].plain);
		assert_int_equal(whole, table[i].whole);
	}
	assert_int_equal(chunk_offset(0, 512), 512);
	assert_int_equal(chunk_offset(1, 512), 4648);
	assert_int_equal(chunk_offset(3, 1024), 1024 + 3 * 4136);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xaes_known_answers),
		cmocka_unit_test(is_xaes),
		cmocka_unit_test(every_length),
		cmocka_unit_test(every_byte_flipped),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(swapped),
		cmocka_unit_test(holes),
		cmocka_unit_test(nonces),
		cmocka_unit_test(cipher_is_shared),
		cmocka_unit_test(size_round_trip),
		cmocka_unit_test(size_borders),
	};

	return cmocka_run_group_tests_name("format/chunk", tests, NULL, NULL);
}
