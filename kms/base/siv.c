/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/siv.h"
#include "kms/base/ossl.h"
#include "kms/base/secret.h"

#include <pthread.h>
#include <string.h>

enum { BLOCK = 16, HALF = SIV_KEY_SIZE / 2, BATCH = 32 * BLOCK, LANES = 8 };

/*
 * An OpenSSL context serves one call at a time, so a key has several pairs of them and a caller takes any that is free.
 * ECB, one call per block of the chain, beats CBC: setting CBC's IV costs more than four blocks.
 */
struct lane {
	pthread_mutex_t lock;
	EVP_CIPHER_CTX *mac, *ctr;
};

struct siv {
	uint8_t k1[BLOCK], k2[BLOCK]; /* CMAC subkeys: of a whole and of a padded last block */
	uint8_t zero[BLOCK];          /* CMAC(<zero>), where S2V starts */
	struct lane *lanes;           /* apart, so that a const siv has lanes to lock */
};

static enum err broken(void)
{
	return err_fail(ERR_CRYPTO, "OpenSSL refuses AES-256");
}

static void xor_into(uint8_t *to, const uint8_t *with, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] ^= with[i];
}

static int encrypt(EVP_CIPHER_CTX *ctx, uint8_t *blocks, size_t len)
{
	int n;

	return EVP_EncryptUpdate(ctx, blocks, &n, blocks, (int)len) == 1;
}

/* ---- lanes ---- */

static EVP_CIPHER_CTX *context_new(const uint8_t key[HALF])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_EncryptInit_ex2(ctx, ossl_aes256_ecb(), key, NULL, NULL) == 1 &&
		EVP_CIPHER_CTX_set_padding(ctx, 0) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static struct lane *lane_take(const struct siv *s)
{
	static _Atomic unsigned threads;
	static _Thread_local unsigned mine; /* a thread's favourite lane, so that threads seldom meet */

	if (mine == 0)
		mine = ++threads;
	for (unsigned i = 0; i < LANES; i++) {
		struct lane *lane = &s->lanes[(mine + i) % LANES];

		if (pthread_mutex_trylock(&lane->lock) == 0)
			return lane;
	}
	pthread_mutex_lock(&s->lanes[mine % LANES].lock);
	return &s->lanes[mine % LANES];
}

static void lane_release(struct lane *lane)
{
	pthread_mutex_unlock(&lane->lock);
}

/* ---- CMAC and S2V ---- */

struct cmac {
	const struct siv *siv;
	EVP_CIPHER_CTX *ctx;
	uint8_t x[BLOCK];
};

/* All of @p but the last block, which is whole or not, never empty unless @len is zero. */
static int cmac_body(struct cmac *c, const uint8_t **p, size_t *len)
{
	for (; *len > BLOCK; *p += BLOCK, *len -= BLOCK) {
		xor_into(c->x, *p, BLOCK);
		if (!encrypt(c->ctx, c->x, BLOCK))
			return 0;
	}
	return 1;
}

static int cmac_last(struct cmac *c, const uint8_t *p, size_t len)
{
	xor_into(c->x, p, len);
	if (len < BLOCK)
		c->x[len] ^= 0x80;
	xor_into(c->x, len == BLOCK ? c->siv->k1 : c->siv->k2, BLOCK);
	return encrypt(c->ctx, c->x, BLOCK);
}

static int cmac(const struct siv *s, EVP_CIPHER_CTX *ctx, const uint8_t *p, size_t len, uint8_t out[BLOCK])
{
	struct cmac c = {s, ctx, {0}};
	int ok = cmac_body(&c, &p, &len) && cmac_last(&c, p, len);

	memcpy(out, c.x, BLOCK);
	return ok;
}

/* The last step of S2V for a string of at least a block: CMAC of the string with D xored into its end. */
static int s2v_long(struct cmac *c, const uint8_t d[BLOCK], const uint8_t *p, size_t len)
{
	uint8_t end[2 * BLOCK];
	const uint8_t *q = end;
	size_t tail = len % BLOCK ? BLOCK + len % BLOCK : BLOCK;
	size_t head = len - tail;
	int ok;

	for (; head; p += BLOCK, head -= BLOCK) {
		xor_into(c->x, p, BLOCK);
		if (!encrypt(c->ctx, c->x, BLOCK))
			return 0;
	}
	memcpy(end, p, tail);
	xor_into(end + tail - BLOCK, d, BLOCK);
	ok = cmac_body(c, &q, &tail) && cmac_last(c, q, tail);
	secret_wipe(end, sizeof(end));
	return ok;
}

/* RFC 5297 section 2.4, of one AD whose part is already in @ad, and the plaintext. */
static int s2v(const struct siv *s, EVP_CIPHER_CTX *ctx, const struct siv_ad *ad, const uint8_t *p, size_t len,
	uint8_t out[BLOCK])
{
	struct cmac c = {s, ctx, {0}};
	uint8_t t[BLOCK];
	int ok;

	if (len >= BLOCK) {
		ok = s2v_long(&c, ad->d, p, len);
	} else {
		memcpy(t, ad->d, BLOCK);
		ossl_cmac_double(t);
		xor_into(t, p, len);
		t[len] ^= 0x80;
		ok = cmac_last(&c, t, BLOCK);
		secret_wipe(t, sizeof(t));
	}
	memcpy(out, c.x, BLOCK);
	return ok;
}

/* ---- CTR ---- */

static void fill_counters(uint8_t counter[BLOCK], uint8_t *blocks, size_t len)
{
	for (size_t off = 0; off < len; off += BLOCK) {
		memcpy(blocks + off, counter, BLOCK);
		for (size_t i = BLOCK; i-- > 0 && ++counter[i] == 0;)
			;
	}
}

static int ctr(EVP_CIPHER_CTX *ctx, const uint8_t v[BLOCK], const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t counter[BLOCK];
	uint8_t stream[BATCH];
	int ok = 1;

	memcpy(counter, v, BLOCK);
	/* RFC 5297 section 2.5: the top bits of the last two 32-bit words are cleared. */
	counter[8] &= 0x7f;
	counter[12] &= 0x7f;
	while (ok && len) {
		size_t n = len < BATCH ? len : BATCH;
		size_t blocks = (n + BLOCK - 1) / BLOCK * BLOCK;

		fill_counters(counter, stream, blocks);
		ok = encrypt(ctx, stream, blocks);
		for (size_t i = 0; i < n; i++)
			out[i] = in[i] ^ stream[i];
		secret_wipe(stream, blocks);
		in += n;
		out += n;
		len -= n;
	}
	return ok;
}

/* ---- the interface ---- */

static enum err set_up(struct siv *s, const uint8_t key[SIV_KEY_SIZE])
{
	for (size_t i = 0; i < LANES; i++) {
		s->lanes[i].mac = context_new(key);
		s->lanes[i].ctr = context_new(key + HALF);
		if (!s->lanes[i].mac || !s->lanes[i].ctr)
			return broken();
	}
	if (!encrypt(s->lanes[0].mac, s->k1, BLOCK))
		return broken();
	ossl_cmac_double(s->k1);
	memcpy(s->k2, s->k1, BLOCK);
	ossl_cmac_double(s->k2);
	return cmac(s, s->lanes[0].mac, s->zero, BLOCK, s->zero) ? ERR_OK : broken();
}

enum err siv_new(const uint8_t key[SIV_KEY_SIZE], struct siv **ret)
{
	struct siv *s = secret_alloc(sizeof(*s));
	enum err e;

	if (s)
		s->lanes = secret_alloc(LANES * sizeof(*s->lanes));
	if (!s || !s->lanes) {
		secret_free(s);
		return err_fail(ERR_NO_MEMORY, "no secret memory for a name key");
	}
	for (size_t i = 0; i < LANES; i++)
		pthread_mutex_init(&s->lanes[i].lock, NULL);
	e = set_up(s, key);
	if (e == ERR_OK)
		*ret = s;
	else
		siv_free(s);
	return e;
}

void siv_free(struct siv *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < LANES; i++) {
		EVP_CIPHER_CTX_free(s->lanes[i].mac);
		EVP_CIPHER_CTX_free(s->lanes[i].ctr);
		pthread_mutex_destroy(&s->lanes[i].lock);
	}
	secret_free(s->lanes);
	secret_free(s);
}

enum err siv_ad_init(const struct siv *s, const void *ad, size_t len, struct siv_ad *ret)
{
	struct lane *lane = lane_take(s);
	uint8_t mac[BLOCK];
	int ok = cmac(s, lane->mac, ad, len, mac);

	lane_release(lane);
	if (!ok)
		return broken();
	memcpy(ret->d, s->zero, BLOCK);
	ossl_cmac_double(ret->d);
	xor_into(ret->d, mac, BLOCK);
	return ERR_OK;
}

static enum err check_length(size_t len, size_t least)
{
	if (len < least)
		return err_fail(ERR_FORMAT, "too short for an AES-SIV text: %zu bytes", len);
	if (len > least - 1 + SIV_MAX_INPUT)
		return err_fail(ERR_LIMIT, "too long for an AES-SIV text: %zu bytes", len);
	return ERR_OK;
}

enum err siv_seal(const struct siv *s, const struct siv_ad *ad, const void *in, size_t len, void *out)
{
	struct lane *lane;
	uint8_t *v = out;
	int ok;

	TRY(check_length(len, 1));
	lane = lane_take(s);
	ok = s2v(s, lane->mac, ad, in, len, v) && ctr(lane->ctr, v, in, len, v + BLOCK);
	lane_release(lane);
	if (ok)
		return ERR_OK;
	secret_wipe(out, len + BLOCK);
	return broken();
}

enum err siv_open(const struct siv *s, const struct siv_ad *ad, const void *in, size_t len, void *out)
{
	const uint8_t *v = in;
	struct lane *lane;
	uint8_t computed[BLOCK] = {0};
	size_t plain = len - BLOCK;
	int ok, same;

	TRY(check_length(len, 1 + SIV_TAG_SIZE));
	lane = lane_take(s);
	ok = ctr(lane->ctr, v, v + BLOCK, plain, out) && s2v(s, lane->mac, ad, out, plain, computed);
	lane_release(lane);
	same = secret_equal(computed, v, BLOCK);
	secret_wipe(computed, sizeof(computed));
	if (ok && same)
		return ERR_OK;
	secret_wipe(out, plain);
	return ok ? err_fail(ERR_TAMPERED, "an AES-SIV text does not verify") : broken();
}
