/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FORMAT_NAMES_INTERNAL_H
#define SIGNETFS_FORMAT_NAMES_INTERNAL_H

/* What names.c (keys, directories, entries), names_target.c and names_xattr.c share. */

#include "fs/format/names.h"

struct name_keys {
	enum name_mode mode;
	struct siv *names;
	struct siv *xattr_names;
	struct siv_ad xattr_ad;
	uint8_t symlinks[KEY_SIZE];
	uint8_t xattr_values[KEY_SIZE];
	uint8_t dir_mac[KEY_SIZE];
};

/* A name padded with zeros to a multiple of 16, then SIV. */
enum {
	NAME_PAD = 16,
	NAME_PADDED_MAX = (NAME_PLAIN_MAX + NAME_PAD - 1) / NAME_PAD * NAME_PAD,
	NAME_SIV_MAX = NAME_PADDED_MAX + SIV_TAG_SIZE,
	NAME_HASH_TEXT = 43, /* base64url of a SHA-256 */
};

/** Plain (1…255 bytes) → base64url(SIV(padded)), NUL-terminated. */
enum err name_siv_encode(const struct siv *s, const struct siv_ad *ad, const char *plain, size_t len,
	char ret_text[NAME_LONG_MAX + 1], size_t *ret_len);

/** The reverse: ERR_FORMAT for a text that cannot be one, ERR_TAMPERED. Only names without NUL and padding that is minimal. */
enum err name_siv_decode(const struct siv *s, const struct siv_ad *ad, const char *text, size_t len,
	char ret_plain[NAME_PLAIN_MAX + 1], size_t *ret_len);

/** base64url(SHA-256(@text)), 43 characters and a NUL. */
enum err name_hash_text(const char *text, size_t len, char out[NAME_HASH_TEXT + 1]);

#endif
