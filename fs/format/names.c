/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/names.h"
#include "fs/format/names_internal.h"
#include "kms/base/encode.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"

#include <assert.h>
#include <string.h>

_Static_assert(BASE64URL_LEN(NAME_SIV_MAX) <= NAME_LONG_MAX, "every name of 255 bytes fits");
_Static_assert(DIR_FILE_SIZE == 32, "doc/format.md, names");

/* Everything that begins so is ours: base64url has no dot, so no encrypted name does. */
#define OUR_PREFIX "signetfs."

enum {
	LONG_PREFIX_LEN = sizeof(LONG_PREFIX) - 1,
	LONG_SUFFIX_LEN = sizeof(LONG_SUFFIX) - 1,
	LONG_LEN = LONG_PREFIX_LEN + NAME_HASH_TEXT,
	DIR_MAC_SIZE = DIR_FILE_SIZE - DIR_ID_SIZE,
};
_Static_assert(LONG_LEN + LONG_SUFFIX_LEN <= NAME_LOWER_MAX, "a sidecar's name fits");

struct siv_key {
	uint8_t b[SIV_KEY_SIZE];
};
struct volume {
	const struct volume_key *key;
	const uint8_t *id;
};

static enum err derive(struct volume v, const char *label, void *ret, size_t len)
{
	return kdf_hkdf(v.key->b, sizeof(v.key->b), v.id, VOLUME_ID_SIZE, label, strlen(label), ret, len);
}

static enum err derive_siv(struct volume v, const char *label, struct siv **ret)
{
	uint8_t *key AUTO_SECRET = secret_alloc(SIV_KEY_SIZE);

	if (!key)
		return err_fail(ERR_NO_MEMORY, "no locked memory for the name keys");
	TRY(derive(v, label, key, SIV_KEY_SIZE));
	return siv_new(key, ret);
}

static enum err derive_all(struct name_keys *k, struct volume v)
{
	TRY(derive_siv(v, LABEL_NAMES, &k->names));
	TRY(derive_siv(v, LABEL_XATTR_NAMES, &k->xattr_names));
	TRY(siv_ad_init(k->xattr_names, LABEL_XATTR_NAMES, strlen(LABEL_XATTR_NAMES), &k->xattr_ad));
	TRY(derive(v, LABEL_SYMLINKS, k->symlinks, sizeof(k->symlinks)));
	TRY(derive(v, LABEL_XATTR_VALUES, k->xattr_values, sizeof(k->xattr_values)));
	return derive(v, LABEL_DIR_MAC, k->dir_mac, sizeof(k->dir_mac));
}

enum err name_keys_new(const struct volume_key *key, const uint8_t volume_id[VOLUME_ID_SIZE], enum name_mode mode,
	struct name_keys **ret)
{
	struct volume v = {key, volume_id};
	struct name_keys *k = secret_alloc(sizeof(*k));
	enum err e;

	if (!k)
		return err_fail(ERR_NO_MEMORY, "no locked memory for the name keys");
	k->mode = mode;
	e = derive_all(k, v);
	if (e != ERR_OK) {
		name_keys_free(k);
		return e;
	}
	*ret = k;
	return ERR_OK;
}

void name_keys_free(struct name_keys *k)
{
	if (!k)
		return;
	siv_free(k->names);
	siv_free(k->xattr_names);
	secret_free(k);
}

/* ---- Directories ---- */

enum err name_dir_init(const struct name_keys *k, const uint8_t id[DIR_ID_SIZE], struct name_dir *ret)
{
	struct siv_ad ad;

	TRY(siv_ad_init(k->names, id, DIR_ID_SIZE, &ad));
	memcpy(ret->id, id, DIR_ID_SIZE);
	ret->ad = ad;
	return ERR_OK;
}

enum err name_dir_file_encode(const struct name_keys *k, const uint8_t id[DIR_ID_SIZE], uint8_t out[DIR_FILE_SIZE])
{
	uint8_t mac[SHA256_SIZE];

	TRY(kdf_hmac(k->dir_mac, sizeof(k->dir_mac), id, DIR_ID_SIZE, mac));
	memcpy(out, id, DIR_ID_SIZE);
	memcpy(out + DIR_ID_SIZE, mac, DIR_MAC_SIZE);
	return ERR_OK;
}

enum err name_dir_file_decode(const struct name_keys *k, const uint8_t *in, size_t len, uint8_t ret_id[DIR_ID_SIZE])
{
	uint8_t mac[SHA256_SIZE];

	if (len != DIR_FILE_SIZE)
		return err_fail(ERR_FORMAT, "directory id file of %zu bytes, it has %d", len, (int)DIR_FILE_SIZE);
	TRY(kdf_hmac(k->dir_mac, sizeof(k->dir_mac), in, DIR_ID_SIZE, mac));
	if (!secret_equal(mac, in + DIR_ID_SIZE, DIR_MAC_SIZE))
		return err_fail(
			ERR_TAMPERED, "the directory id has a wrong MAC: it was changed, or is another vault's");
	memcpy(ret_id, in, DIR_ID_SIZE);
	return ERR_OK;
}

/* ---- One name ---- */

enum err name_siv_encode(const struct siv *s, const struct siv_ad *ad, const char *plain, size_t len,
	char ret_text[NAME_LONG_MAX + 1], size_t *ret_len)
{
	char padded[NAME_PADDED_MAX];
	uint8_t sealed[NAME_SIV_MAX];
	size_t padded_len = (len + NAME_PAD - 1) / NAME_PAD * NAME_PAD;

	assert(len >= 1 && len <= NAME_PLAIN_MAX);
	memcpy(padded, plain, len);
	memset(padded + len, 0, padded_len - len);
	TRY(siv_seal(s, ad, padded, padded_len, sealed));
	*ret_len = encode_base64url(sealed, padded_len + SIV_TAG_SIZE, ret_text);
	return ERR_OK;
}

enum err name_siv_decode(const struct siv *s, const struct siv_ad *ad, const char *text, size_t len,
	char ret_plain[NAME_PLAIN_MAX + 1], size_t *ret_len)
{
	uint8_t sealed[NAME_SIV_MAX];
	char padded[NAME_PADDED_MAX];
	size_t n;

	if (decode_base64url(text, len, sealed, sizeof(sealed), &n) != ERR_OK)
		return err_fail(ERR_FORMAT, "not an encrypted name: no base64url, or too long");
	if (n < NAME_PAD + SIV_TAG_SIZE || n % NAME_PAD != 0)
		return err_fail(ERR_FORMAT, "not an encrypted name: %zu bytes", n);
	TRY(siv_open(s, ad, sealed, n, padded));
	n -= SIV_TAG_SIZE;
	/* Authentic, so only a program of ours gone wrong could have made it; still nothing odd goes up. */
	*ret_len = strnlen(padded, n);
	if (n - *ret_len >= NAME_PAD || *ret_len > NAME_PLAIN_MAX)
		return err_fail(ERR_FORMAT, "an encrypted name with impossible padding");
	for (size_t i = *ret_len; i < n; i++)
		if (padded[i])
			return err_fail(ERR_FORMAT, "an encrypted name with a NUL inside");
	memcpy(ret_plain, padded, *ret_len);
	ret_plain[*ret_len] = '\0';
	return ERR_OK;
}

enum err name_hash_text(const char *text, size_t len, char out[NAME_HASH_TEXT + 1])
{
	uint8_t hash[SHA256_SIZE];

	TRY(kdf_sha256(text, len, hash));
	encode_base64url(hash, sizeof(hash), out);
	return ERR_OK;
}

/* ---- Entries ---- */

static int begins_with(const char *name, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && memcmp(name, prefix, n) == 0;
}

static int is_ours(const char *name, size_t len)
{
	return begins_with(name, len, OUR_PREFIX) ||
	       (len == strlen(STATE_DIR_NAME) && memcmp(name, STATE_DIR_NAME, len) == 0);
}

static int is_dots(const char *name, size_t len)
{
	return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

static enum err check_plain(const struct name_keys *k, const char *plain, size_t len)
{
	if (len > NAME_PLAIN_MAX)
		return err_fail(ERR_LIMIT, "a name of %zu bytes, at most 255 are possible", len);
	if (len == 0 || is_dots(plain, len) || memchr(plain, '/', len) || memchr(plain, '\0', len))
		return err_fail(ERR_USAGE, "not a name of a directory entry");
	if (k->mode == NAMES_PLAIN && is_ours(plain, len))
		return err_fail(
			ERR_USAGE, "names that begin with signetfs. and the name .signetfs belong to the vault");
	return ERR_OK;
}

static void copy_name(const char *plain, size_t len, char *out)
{
	memcpy(out, plain, len);
	out[len] = '\0';
}

/* A thread's last short name: whoever makes, opens or removes an entry has looked it up just before. */
enum { MEMO_PLAIN = 64, MEMO_TEXT = BASE64URL_LEN(MEMO_PLAIN + SIV_TAG_SIZE) };
_Static_assert(MEMO_PLAIN % NAME_PAD == 0, "padding does not make such a name longer");
static _Thread_local struct {
	struct siv_ad ad; /* made of key and directory: it stands for both */
	size_t len;       /* 0: there is none */
	char plain[MEMO_PLAIN];
	size_t text_len;
	char text[MEMO_TEXT];
} memo;

static enum err encode_text(const struct name_keys *k, const struct name_dir *dir, const char *plain, size_t len,
	char ret_text[NAME_LONG_MAX + 1], size_t *ret_len)
{
	if (len == memo.len && memcmp(memo.plain, plain, len) == 0 &&
		memcmp(&memo.ad, &dir->ad, sizeof(memo.ad)) == 0) {
		copy_name(memo.text, memo.text_len, ret_text);
		*ret_len = memo.text_len;
		return ERR_OK;
	}
	TRY(name_siv_encode(k->names, &dir->ad, plain, len, ret_text, ret_len));
	if (len > MEMO_PLAIN)
		return ERR_OK;
	memo.ad = dir->ad;
	memo.len = len;
	memcpy(memo.plain, plain, len);
	memo.text_len = *ret_len;
	memcpy(memo.text, ret_text, *ret_len);
	return ERR_OK;
}

enum err name_encode(
	const struct name_keys *k, const struct name_dir *dir, const char *plain, size_t len, struct lower_name *ret)
{
	char text[NAME_LONG_MAX + 1];
	char hash[NAME_HASH_TEXT + 1];
	size_t text_len;

	TRY(check_plain(k, plain, len));
	if (k->mode == NAMES_PLAIN) {
		copy_name(plain, len, ret->name);
		ret->full_len = 0;
		return ERR_OK;
	}
	TRY(encode_text(k, dir, plain, len, text, &text_len));
	if (text_len <= NAME_LOWER_MAX) {
		copy_name(text, text_len, ret->name);
		ret->full_len = 0;
		return ERR_OK;
	}
	TRY(name_hash_text(text, text_len, hash));
	copy_name(LONG_PREFIX, LONG_PREFIX_LEN, ret->name);
	copy_name(hash, NAME_HASH_TEXT, ret->name + LONG_PREFIX_LEN);
	copy_name(text, text_len, ret->full);
	ret->full_len = (uint16_t)text_len;
	return ERR_OK;
}

enum name_kind name_classify(const struct name_keys *k, const char *lower, size_t len)
{
	if (!is_ours(lower, len))
		return NAME_ORDINARY;
	if (k->mode == NAMES_PLAIN || !begins_with(lower, len, LONG_PREFIX))
		return NAME_OURS;
	if (len == LONG_LEN)
		return NAME_LONG;
	if (len == LONG_LEN + LONG_SUFFIX_LEN && memcmp(lower + LONG_LEN, LONG_SUFFIX, LONG_SUFFIX_LEN) == 0)
		return NAME_LONG_SIDECAR;
	return NAME_OURS;
}

enum err name_decode(const struct name_keys *k, const struct name_dir *dir, const char *lower, size_t len,
	char ret_plain[NAME_PLAIN_MAX + 1], size_t *ret_len)
{
	char plain[NAME_PLAIN_MAX + 1];
	size_t n;

	if (k->mode == NAMES_PLAIN) {
		if (len == 0 || len > NAME_PLAIN_MAX || is_ours(lower, len))
			return err_fail(ERR_FORMAT, "not a name of this vault's tree");
		copy_name(lower, len, ret_plain);
		*ret_len = len;
		return ERR_OK;
	}
	TRY(name_siv_decode(k->names, &dir->ad, lower, len, plain, &n));
	if (n == 0 || is_dots(plain, n) || memchr(plain, '/', n))
		return err_fail(ERR_FORMAT, "an encrypted name that no directory entry can have");
	copy_name(plain, n, ret_plain);
	*ret_len = n;
	return ERR_OK;
}

enum err name_check_long(const char *lower, size_t len, const char *full, size_t full_len)
{
	char hash[NAME_HASH_TEXT + 1];

	/* A name that has a short form must not have a second, long one. */
	if (len != LONG_LEN || full_len <= NAME_LOWER_MAX || full_len > NAME_LONG_MAX)
		return err_fail(ERR_TAMPERED, "a long name's companion file of %zu bytes", full_len);
	TRY(name_hash_text(full, full_len, hash));
	if (memcmp(lower, LONG_PREFIX, LONG_PREFIX_LEN) != 0 ||
		memcmp(lower + LONG_PREFIX_LEN, hash, NAME_HASH_TEXT) != 0)
		return err_fail(ERR_TAMPERED, "a long name's companion file belongs to another name");
	return ERR_OK;
}
