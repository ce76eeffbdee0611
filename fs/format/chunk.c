/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/chunk.h"
#include "kms/base/bytes.h"
#include "kms/base/random.h"

#include <assert.h>
#include <string.h>

/* doc/format.md, "Chunks": nonce (prefix ‖ rest) ‖ ciphertext ‖ tag. */
enum { OFF_PREFIX = 0, OFF_REST = OFF_PREFIX + XAES_PREFIX_SIZE, OFF_BODY = OFF_REST + AEAD_NONCE_SIZE };
_Static_assert((int)OFF_BODY == (int)XAES_NONCE_SIZE && OFF_BODY == 24, "doc/format.md, chunks");
_Static_assert(CHUNK_OVERHEAD == 40 && CHUNK_STORED == 4136, "doc/format.md, chunks");

/* Seals under one prefix: 2^28 random 96-bit nonces collide with probability 2^-41. */
#define SEALS_PER_PREFIX (UINT32_C(1) << 28)

/* AAD: file id ‖ chunk index. */
enum { AAD_SIZE = FILE_ID_SIZE + 8 };

/* A chunk is mostly opened and sealed under one prefix; a file rewritten in part has a few. */
enum { SLOTS = 4 };

struct slot {
	int loaded;
	uint8_t key[KEY_SIZE]; /* compared by value: an address may be another file's by now */
	uint8_t prefix[XAES_PREFIX_SIZE];
	struct aead_key *prepared;
};

struct chunk_cipher {
	const struct aead_impl *aead;
	struct xaes_kdf *kdf;
	unsigned last; /* slot used last: looked at first */
	struct slot slots[SLOTS];
};

uint64_t chunk_lower_size(uint64_t plain, size_t header_len)
{
	uint64_t rest = plain % CHUNK_SIZE;

	return chunk_offset(plain / CHUNK_SIZE, header_len) + (rest ? rest + CHUNK_OVERHEAD : 0);
}

uint64_t chunk_plain_size(uint64_t lower, size_t header_len, int *ret_whole)
{
	uint64_t body = lower < header_len ? 0 : lower - header_len;
	uint64_t rest = body % CHUNK_STORED;

	if (ret_whole)
		*ret_whole = lower >= header_len && (rest == 0 || rest > CHUNK_OVERHEAD);
	return body / CHUNK_STORED * CHUNK_SIZE + (rest > CHUNK_OVERHEAD ? rest - CHUNK_OVERHEAD : 0);
}

uint64_t chunk_offset(uint64_t index, size_t header_len)
{
	return header_len + index * CHUNK_STORED;
}

struct chunk_cipher *chunk_cipher_new(const struct aead_impl *aead)
{
	struct chunk_cipher *c = secret_alloc(sizeof(*c));

	if (!c)
		return NULL;
	c->aead = aead;
	c->kdf = xaes_kdf_new();
	for (unsigned i = 0; i < SLOTS; i++)
		c->slots[i].prepared = aead->key_new();
	for (unsigned i = 0; i < SLOTS; i++) {
		if (c->kdf && c->slots[i].prepared)
			continue;
		chunk_cipher_free(c);
		return NULL;
	}
	return c;
}

void chunk_cipher_free(struct chunk_cipher *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < SLOTS; i++)
		c->aead->key_free(c->slots[i].prepared);
	xaes_kdf_free(c->kdf);
	secret_free(c);
}

void chunk_cipher_forget(struct chunk_cipher *c)
{
	static const uint8_t zero[KEY_SIZE];

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &c->slots[i];

		if (!s->loaded)
			continue;
		/* Loading a key of zeros overwrites what was prepared. */
		(void)c->aead->key_set(s->prepared, zero);
		secret_wipe(s->key, sizeof(s->key));
		s->loaded = 0;
	}
}

static int slot_matches(const struct slot *s, const uint8_t *key, const uint8_t *prefix)
{
	return memcmp(s->prefix, prefix, XAES_PREFIX_SIZE) == 0 && memcmp(s->key, key, KEY_SIZE) == 0 && s->loaded;
}

static enum err slot_load(const struct chunk_cipher *c, struct slot *s, const uint8_t key[KEY_SIZE],
	const uint8_t prefix[XAES_PREFIX_SIZE])
{
	struct chunk_key derived AUTO_WIPE;

	s->loaded = 0;
	TRY(xaes_kdf_derive(c->kdf, key, prefix, derived.b));
	TRY(c->aead->key_set(s->prepared, derived.b));
	memcpy(s->key, key, KEY_SIZE);
	memcpy(s->prefix, prefix, XAES_PREFIX_SIZE);
	s->loaded = 1;
	return ERR_OK;
}

/* The slot behind the one used last goes: with two in turn, as a read and a write have them, nothing is ever loaded twice. */
static enum err load_key(struct chunk_cipher *c, const uint8_t *key, const uint8_t *prefix, struct aead_key **ret)
{
	unsigned i;

	for (i = 0; i < SLOTS && !slot_matches(&c->slots[i], key, prefix); i++)
		;
	if (i == SLOTS) {
		i = (c->last + 1) % SLOTS;
		TRY(slot_load(c, &c->slots[i], key, prefix));
	}
	c->last = i;
	*ret = c->slots[i].prepared;
	return ERR_OK;
}

static inline enum err prepared_key(
	struct chunk_cipher *c, const struct chunk_file *f, const uint8_t *prefix, struct aead_key **ret)
{
	const struct slot *s = &c->slots[c->last];

	if (__builtin_expect(!slot_matches(s, f->key->b, prefix), 0))
		return load_key(c, f->key->b, prefix, ret);
	*ret = s->prepared;
	return ERR_OK;
}

static inline void make_aad(const struct chunk_file *f, uint64_t index, uint8_t aad[AAD_SIZE])
{
	struct writer w;

	writer_init(&w, aad, AAD_SIZE);
	writer_put(&w, f->file_id, FILE_ID_SIZE);
	writer_u64(&w, index);
}

static void draw_prefix(struct chunk_nonce *n)
{
	random_drawn(n->prefix, sizeof(n->prefix));
	n->left = SEALS_PER_PREFIX;
}

struct chunk_nonce chunk_nonce_take(struct chunk_nonce *from, uint32_t seals)
{
	struct chunk_nonce part;

	assert(seals >= 1 && seals <= SEALS_PER_PREFIX);
	if (from->left < seals)
		draw_prefix(from);
	from->left -= seals;
	part = *from;
	part.left = seals;
	return part;
}

enum err chunk_seal(struct chunk_cipher *c, const struct chunk_file *f, struct chunk_nonce *nonce, uint64_t index,
	const void *in, size_t len, void *out)
{
	uint8_t *stored = out;
	uint8_t *body = stored + OFF_BODY;
	uint8_t aad[AAD_SIZE];
	struct aead_key *key;

	assert(len >= 1 && len <= CHUNK_SIZE);
	if (nonce->left == 0)
		draw_prefix(nonce);
	nonce->left--;
	TRY(prepared_key(c, f, nonce->prefix, &key));
	memcpy(stored + OFF_PREFIX, nonce->prefix, XAES_PREFIX_SIZE);
	random_drawn(stored + OFF_REST, AEAD_NONCE_SIZE);
	make_aad(f, index, aad);
	return c->aead->seal(key, stored + OFF_REST, aad, sizeof(aad), in, len, body, body + len);
}

static int all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

enum err chunk_open(
	struct chunk_cipher *c, const struct chunk_file *f, uint64_t index, const void *in, size_t len, void *out)
{
	const uint8_t *stored = in;
	const uint8_t *body = stored + OFF_BODY;
	uint8_t aad[AAD_SIZE];
	struct aead_key *key;

	if (len <= CHUNK_OVERHEAD || len > CHUNK_STORED)
		return err_fail(ERR_FORMAT, "chunk %llu has %zu bytes, 41 to 4136 are possible",
			(unsigned long long)index, len);
	/* The nonce first: a chunk that is none does not pay for the scan. */
	if (f->holes && all_zero(stored, XAES_NONCE_SIZE) && all_zero(stored, len)) {
		memset(out, 0, len - CHUNK_OVERHEAD);
		return ERR_OK;
	}
	TRY(prepared_key(c, f, stored + OFF_PREFIX, &key));
	make_aad(f, index, aad);
	len -= CHUNK_OVERHEAD;
	return c->aead->open(key, stored + OFF_REST, aad, sizeof(aad), body, len, body + len, out);
}
