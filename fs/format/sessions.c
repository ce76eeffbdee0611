/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/sessions.h"
#include "kms/base/bytes.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"

#include <assert.h>
#include <string.h>

static const uint8_t magic[8] = {'S', 'I', 'G', 'N', 'S', 'E', 'S', 'S'};
enum {
	VERSION = 1,
	OFF_VERSION = sizeof(magic),
	OFF_COUNT = OFF_VERSION + 4,
	OFF_LAST = OFF_COUNT + 4,
	OFF_BELOW = OFF_LAST + 8,
	OFF_LIST = OFF_BELOW + 8,
	MAC_SIZE = SHA256_SIZE,
};
_Static_assert(OFF_COUNT == 12 && OFF_LAST == 16 && OFF_BELOW == 24 && OFF_LIST == 32, "doc/format.md, sessions");
_Static_assert(SESSIONS_MAX_SIZE == OFF_LIST + SESSIONS_UNCLEAN_MAX * 8 + MAC_SIZE, "doc/format.md, sessions");

static enum err sessions_mac(
	const uint8_t *in, size_t len, const struct volume_key *key, const uint8_t *volume_id, uint8_t ret[MAC_SIZE])
{
	struct header_mac_key {
		uint8_t b[KEY_SIZE];
	} mac_key AUTO_WIPE;

	TRY(kdf_hkdf(key->b, sizeof(key->b), volume_id, VOLUME_ID_SIZE, LABEL_SESSIONS, strlen(LABEL_SESSIONS),
		mac_key.b, sizeof(mac_key.b)));
	return kdf_hmac(mac_key.b, sizeof(mac_key.b), in, len, ret);
}

/* The header's promises; a record that breaks them was made by no program of ours, authenticated or not. */
static int is_consistent(const struct sessions *s)
{
	uint64_t floor = s->unclean_below;

	if (s->last == UINT64_MAX || s->unclean_below > s->last + 1 || s->count > SESSIONS_UNCLEAN_MAX)
		return 0;
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->unclean[i] < floor || s->unclean[i] > s->last)
			return 0;
		floor = s->unclean[i] + 1;
	}
	return 1;
}

enum err sessions_encode(const struct sessions *s, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], uint8_t out[SESSIONS_MAX_SIZE], size_t *ret_len)
{
	uint8_t mac[MAC_SIZE];
	struct writer w;

	assert(is_consistent(s));
	writer_init(&w, out, SESSIONS_MAX_SIZE);
	writer_put(&w, magic, sizeof(magic));
	writer_u32(&w, VERSION);
	writer_u32(&w, s->count);
	writer_u64(&w, s->last);
	writer_u64(&w, s->unclean_below);
	for (uint32_t i = 0; i < s->count; i++)
		writer_u64(&w, s->unclean[i]);
	TRY(sessions_mac(out, w.used, key, volume_id, mac));
	writer_put(&w, mac, sizeof(mac));
	return writer_end(&w, ret_len);
}

static enum err read_sessions(struct reader *r, struct sessions *s)
{
	const uint8_t *found;
	uint32_t version;

	TRY(reader_take(r, sizeof(magic), &found));
	if (memcmp(found, magic, sizeof(magic)) != 0)
		return err_fail(ERR_FORMAT, "not a list of sessions: it does not begin with SIGNSESS");
	TRY(reader_u32(r, &version));
	if (version != VERSION)
		return err_fail(
			ERR_UNSUPPORTED, "list of sessions in version %u, this program knows version 1", version);
	TRY(reader_u32(r, &s->count));
	TRY(reader_u64(r, &s->last));
	TRY(reader_u64(r, &s->unclean_below));
	if (s->count > SESSIONS_UNCLEAN_MAX)
		return err_fail(ERR_FORMAT, "list of sessions with %u entries, at most %d are possible", s->count,
			(int)SESSIONS_UNCLEAN_MAX);
	for (uint32_t i = 0; i < s->count; i++)
		TRY(reader_u64(r, &s->unclean[i]));
	TRY(reader_take(r, MAC_SIZE, &found));
	return reader_end(r);
}

enum err sessions_decode(const uint8_t *in, size_t len, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], struct sessions *ret)
{
	struct sessions s = {0};
	uint8_t mac[MAC_SIZE];
	struct reader r;

	reader_init(&r, in, len);
	TRY(read_sessions(&r, &s));
	TRY(sessions_mac(in, len - MAC_SIZE, key, volume_id, mac));
	if (!secret_equal(mac, in + len - MAC_SIZE, sizeof(mac)))
		return err_fail(
			ERR_TAMPERED, "the list of sessions has a wrong MAC: it was changed, or is another vault's");
	if (!is_consistent(&s))
		return err_fail(ERR_FORMAT, "the list of sessions contradicts itself");
	*ret = s;
	return ERR_OK;
}

static void drop_entry(struct sessions *s, uint32_t i)
{
	s->count--;
	memmove(&s->unclean[i], &s->unclean[i + 1], (s->count - i) * sizeof(s->unclean[0]));
}

uint64_t sessions_begin(struct sessions *s)
{
	assert(s->last < UINT64_MAX - 1);
	if (s->count == SESSIONS_UNCLEAN_MAX) {
		/* Sessions that ended cleanly in between count as unclean then: milder, never stricter, on files cut short. */
		s->unclean_below = s->unclean[0] + 1;
		drop_entry(s, 0);
	}
	s->unclean[s->count++] = ++s->last;
	return s->last;
}

void sessions_end_clean(struct sessions *s, uint64_t number)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (s->unclean[i] != number)
			continue;
		drop_entry(s, i);
		return;
	}
}

int sessions_is_unclean(const struct sessions *s, uint64_t number)
{
	if (number < s->unclean_below)
		return 1;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->unclean[i] == number)
			return 1;
	return 0;
}
