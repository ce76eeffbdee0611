/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/names.h"
#include "fs/format/names_internal.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/xaes.h"

#include <stdlib.h>
#include <string.h>

#define USER_PREFIX  "user."
#define LOWER_PREFIX "user.signetfs."
#define LONG_XATTR   "user.signetfs.long."

enum {
	USER_LEN = sizeof(USER_PREFIX) - 1,
	LOWER_LEN = sizeof(LOWER_PREFIX) - 1,
	LONG_LEN = sizeof(LONG_XATTR) - 1,
	REST_MAX = XATTR_NAME_MAX_BYTES - USER_LEN,
	/* Longest text of base64url that fits behind the prefix; 160 bytes of name behind "user." are the most it holds. */
	TEXT_MAX = XATTR_NAME_MAX_BYTES - LOWER_LEN,
	SHORT_MAX = (TEXT_MAX * 3 / 4 - SIV_TAG_SIZE) / NAME_PAD * NAME_PAD,
};
_Static_assert(SHORT_MAX == 160 && REST_MAX == 250, "doc/format.md, extended attributes");
_Static_assert((int)XATTR_VALUE_OVERHEAD == (int)XAES_OVERHEAD, "doc/format.md, extended attributes");
_Static_assert(
	(int)XATTR_VALUE_OVERHEAD_MAX == (int)XAES_OVERHEAD + 1 + (int)REST_MAX, "doc/format.md, extended attributes");
_Static_assert(LONG_LEN + NAME_HASH_TEXT <= XATTR_NAME_MAX_BYTES, "a long name's lower name fits");

static enum err check_plain(const char *plain, size_t *ret_rest)
{
	size_t len = strlen(plain);

	if (len > XATTR_NAME_MAX_BYTES)
		return err_fail(ERR_LIMIT, "an attribute name of %zu bytes, at most 255 are possible", len);
	if (len <= USER_LEN || memcmp(plain, USER_PREFIX, USER_LEN) != 0)
		return err_fail(ERR_USAGE, "only attributes in user. are encrypted");
	*ret_rest = len - USER_LEN;
	return ERR_OK;
}

enum err name_encode_xattr(const struct name_keys *k, const char *plain, char ret_lower[XATTR_NAME_MAX_BYTES + 1])
{
	char text[NAME_LONG_MAX + 1];
	char hash[NAME_HASH_TEXT + 1];
	size_t rest, len;

	TRY(check_plain(plain, &rest));
	TRY(name_siv_encode(k->xattr_names, &k->xattr_ad, plain + USER_LEN, rest, text, &len));
	if (rest <= SHORT_MAX) {
		memcpy(ret_lower, LOWER_PREFIX, LOWER_LEN);
		memcpy(ret_lower + LOWER_LEN, text, len + 1);
		return ERR_OK;
	}
	TRY(name_hash_text(text, len, hash));
	memcpy(ret_lower, LONG_XATTR, LONG_LEN);
	memcpy(ret_lower + LONG_LEN, hash, NAME_HASH_TEXT + 1);
	return ERR_OK;
}

int name_xattr_is_long(const char *lower)
{
	return strlen(lower) == LONG_LEN + NAME_HASH_TEXT && memcmp(lower, LONG_XATTR, LONG_LEN) == 0;
}

/* Bytes of a long name that stand in front of the value: its length behind "user.", then that part. */
static size_t carried(const char *plain_name)
{
	size_t len = strlen(plain_name);

	return len > USER_LEN + SHORT_MAX ? 1 + len - USER_LEN : 0;
}

size_t name_xattr_overhead(const char *plain_name)
{
	return XATTR_VALUE_OVERHEAD + carried(plain_name);
}

/* The lower name is the associated data: known before the plain name is, and a function of it. */
static enum err open_value(
	const struct name_keys *k, const char *lower, const void *in, size_t len, uint8_t **ret, size_t *ret_len)
{
	uint8_t *plain;
	enum err e;

	if (len < XAES_OVERHEAD)
		return err_fail(ERR_FORMAT, "an encrypted attribute of %zu bytes", len);
	plain = malloc(len - XAES_OVERHEAD + 1);
	if (!plain)
		return err_fail(ERR_NO_MEMORY, "no memory for an attribute of %zu bytes", len);
	e = xaes_open(k->xattr_values, lower, strlen(lower), in, len, plain);
	if (e != ERR_OK) {
		free(plain);
		return e;
	}
	*ret = plain;
	*ret_len = len - XAES_OVERHEAD;
	return ERR_OK;
}

static enum err decode_short(const struct name_keys *k, const char *text, char ret_plain[XATTR_NAME_MAX_BYTES + 1])
{
	char rest[NAME_PLAIN_MAX + 1];
	size_t len;

	TRY(name_siv_decode(k->xattr_names, &k->xattr_ad, text, strlen(text), rest, &len));
	if (len > SHORT_MAX)
		return err_fail(ERR_FORMAT, "an encrypted attribute name that is too long");
	memcpy(ret_plain, USER_PREFIX, USER_LEN);
	memcpy(ret_plain + USER_LEN, rest, len + 1);
	return ERR_OK;
}

static enum err decode_long(const struct name_keys *k, const char *lower, const void *value, size_t value_len,
	char ret_plain[XATTR_NAME_MAX_BYTES + 1])
{
	char plain[XATTR_NAME_MAX_BYTES + 1] = USER_PREFIX;
	char again[XATTR_NAME_MAX_BYTES + 1];
	uint8_t *opened AUTO_FREE = NULL;
	size_t len;

	TRY(open_value(k, lower, value, value_len, &opened, &len));
	if (len < 1 || opened[0] <= SHORT_MAX || opened[0] > REST_MAX || opened[0] > len - 1)
		return err_fail(ERR_FORMAT, "a long attribute without its name");
	memcpy(plain + USER_LEN, opened + 1, opened[0]);
	if (strlen(plain) != (size_t)USER_LEN + opened[0])
		return err_fail(ERR_FORMAT, "an attribute name with a NUL inside");
	TRY(name_encode_xattr(k, plain, again));
	if (strcmp(again, lower) != 0)
		return err_fail(ERR_FORMAT, "a long attribute that carries another one's name");
	memcpy(ret_plain, plain, sizeof(plain));
	return ERR_OK;
}

enum err name_decode_xattr(const struct name_keys *k, const char *lower, const void *value, size_t value_len,
	char ret_plain[XATTR_NAME_MAX_BYTES + 1])
{
	if (strncmp(lower, LOWER_PREFIX, LOWER_LEN) != 0)
		return err_fail(ERR_NOT_FOUND, "an attribute that is not the vault's");
	if (name_xattr_is_long(lower))
		return decode_long(k, lower, value, value_len, ret_plain);
	return decode_short(k, lower + LOWER_LEN, ret_plain);
}

enum err name_seal_xattr(const struct name_keys *k, const char *plain_name, const void *value, size_t len, void *out)
{
	char lower[XATTR_NAME_MAX_BYTES + 1];
	uint8_t *plain AUTO_FREE = NULL;
	size_t head = carried(plain_name);

	TRY(name_encode_xattr(k, plain_name, lower));
	if (head == 0)
		return xaes_seal(k->xattr_values, lower, strlen(lower), value, len, out);
	plain = malloc(head + len);
	if (!plain)
		return err_fail(ERR_NO_MEMORY, "no memory for an attribute of %zu bytes", len);
	plain[0] = (uint8_t)(head - 1);
	memcpy(plain + 1, plain_name + USER_LEN, head - 1);
	if (len)
		memcpy(plain + head, value, len);
	return xaes_seal(k->xattr_values, lower, strlen(lower), plain, head + len, out);
}

enum err name_open_xattr(
	const struct name_keys *k, const char *plain_name, const void *in, size_t len, void *out, size_t *ret_len)
{
	char lower[XATTR_NAME_MAX_BYTES + 1];
	uint8_t *opened AUTO_FREE = NULL;
	size_t head = carried(plain_name);
	size_t n;

	TRY(name_encode_xattr(k, plain_name, lower));
	TRY(open_value(k, lower, in, len, &opened, &n));
	if (n < head || (head && (opened[0] != head - 1 || memcmp(opened + 1, plain_name + USER_LEN, head - 1) != 0)))
		return err_fail(ERR_FORMAT, "a long attribute that carries another one's name");
	if (n > head)
		memcpy(out, opened + head, n - head);
	*ret_len = n - head;
	return ERR_OK;
}
