/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FORMAT_NAMES_H
#define SIGNETFS_FORMAT_NAMES_H

/*
 * Names, directory ids, symlink targets and extended attributes as they stand in the lower tree. doc/format.md, "Names".
 * Pure functions over bytes: no I/O. Threads: one name_keys may be used by many threads.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/format/descriptor.h"
#include "kms/base/err.h"
#include "kms/base/ids.h"
#include "kms/base/secret.h"
#include "kms/base/siv.h"

enum { NAME_PLAIN_MAX = 255, NAME_LOWER_MAX = 255, NAME_LONG_MAX = 384, DIR_FILE_SIZE = DIR_ID_SIZE + 16 };

#define STATE_DIR_NAME ".signetfs"
#define DIR_FILE_NAME  "signetfs.dir"
#define LONG_PREFIX    "signetfs.long."
#define LONG_SUFFIX    ".name"

/** All keys derived from the volume key for names. Secret memory. */
struct name_keys;
enum err name_keys_new(const struct volume_key *key, const uint8_t volume_id[VOLUME_ID_SIZE], enum name_mode mode,
	struct name_keys **ret);
void name_keys_free(struct name_keys *k);

/** A directory's part: the SIV associated data of its id, computed once. */
struct name_dir {
	uint8_t id[DIR_ID_SIZE];
	struct siv_ad ad;
};
enum err name_dir_init(const struct name_keys *k, const uint8_t id[DIR_ID_SIZE], struct name_dir *ret);

/** signetfs.dir: id ‖ MAC. ERR_TAMPERED when it does not verify. */
enum err name_dir_file_encode(const struct name_keys *k, const uint8_t id[DIR_ID_SIZE], uint8_t out[DIR_FILE_SIZE]);
enum err name_dir_file_decode(const struct name_keys *k, const uint8_t *in, size_t len, uint8_t ret_id[DIR_ID_SIZE]);

/** A lower entry name, NUL-terminated. For a long one, @full is the encoded name that belongs into the sidecar. */
struct lower_name {
	char name[NAME_LOWER_MAX + 1];
	uint16_t full_len; /* 0: a short name; no sidecar */
	char full[NAME_LONG_MAX + 1];
};

/**
 * Plain → lower. ERR_LIMIT: longer than 255 bytes (ENAMETOOLONG). ERR_USAGE: a name that is ours, in a NAMES_PLAIN vault (EPERM), or
 * one with '/' or NUL, empty, "." or "..".
 */
enum err name_encode(
	const struct name_keys *k, const struct name_dir *dir, const char *plain, size_t len, struct lower_name *ret);

enum name_kind { NAME_ORDINARY, NAME_OURS, NAME_LONG, NAME_LONG_SIDECAR };
/** What kind of lower entry this is, by its spelling alone: everything that begins with "signetfs." and ".signetfs" is ours. */
enum name_kind name_classify(const struct name_keys *k, const char *lower, size_t len);

/** Lower (short) or sidecar content (long) → plain, at most 255 bytes plus NUL. ERR_FORMAT, ERR_TAMPERED. */
enum err name_decode(const struct name_keys *k, const struct name_dir *dir, const char *lower, size_t len,
	char ret_plain[NAME_PLAIN_MAX + 1], size_t *ret_len);
/** Does this sidecar content belong to that long lower name? ERR_TAMPERED if not. */
enum err name_check_long(const char *lower, size_t len, const char *full, size_t full_len);

/**
 * Symlink target: sealed, base64url, in both name modes. Not bound to a place: a rename or a hard link keeps the target.
 * @out has room for NAME_SYMLINK_LOWER_MAX + 1 bytes both ways; NUL-terminated. ERR_LIMIT: sealed form too long
 * (ENAMETOOLONG); ERR_USAGE: empty. Opening: ERR_FORMAT, ERR_TAMPERED.
 */
enum { NAME_SYMLINK_LOWER_MAX = 4095, NAME_TARGET_MAX = NAME_SYMLINK_LOWER_MAX * 3 / 4 - 40 };
enum err name_seal_target(const struct name_keys *k, const char *target, size_t len, char *out, size_t *ret_len);
enum err name_open_target(const struct name_keys *k, const char *lower, size_t len, char *out, size_t *ret_len);
/** Plain length of a sealed target of @lower_len characters: what st_size of a symlink says. 0 when it cannot be one. */
uint64_t name_target_size(uint64_t lower_len);

/*
 * Extended attributes in "user.", encrypted in both name modes. Plain names are whole ("user.x"). The lower name is
 * "user.signetfs." ‖ base64url(SIV), or "user.signetfs.long." ‖ base64url(SHA-256 of that) where the first would be too
 * long; then the sealed value carries the name in front, so that every name Linux allows (255 bytes) works.
 */
enum { XATTR_NAME_MAX_BYTES = 255, XATTR_VALUE_OVERHEAD = 40, XATTR_VALUE_OVERHEAD_MAX = 40 + 1 + 250 };
/** ERR_LIMIT: longer than 255 bytes (ERANGE). ERR_USAGE: not "user." and something (EINVAL). */
enum err name_encode_xattr(const struct name_keys *k, const char *plain, char ret_lower[XATTR_NAME_MAX_BYTES + 1]);
/** True when the lower value has to be read before name_decode_xattr(). By the spelling alone. */
int name_xattr_is_long(const char *lower);
/**
 * Lower → plain. @value is the lower (sealed) value where name_xattr_is_long(lower), otherwise NULL and 0 will do.
 * ERR_NOT_FOUND: not one of ours. ERR_FORMAT, ERR_TAMPERED.
 */
enum err name_decode_xattr(const struct name_keys *k, const char *lower, const void *value, size_t value_len,
	char ret_plain[XATTR_NAME_MAX_BYTES + 1]);
/** How many bytes longer than the plain value the lower value of this attribute is. */
size_t name_xattr_overhead(const char *plain_name);
/** @out has room for @len + name_xattr_overhead(). Bound to the attribute's name, not to the file. */
enum err name_seal_xattr(const struct name_keys *k, const char *plain_name, const void *value, size_t len, void *out);
/** @out has room for @len bytes. ERR_FORMAT, ERR_TAMPERED. */
enum err name_open_xattr(
	const struct name_keys *k, const char *plain_name, const void *in, size_t len, void *out, size_t *ret_len);

#endif
