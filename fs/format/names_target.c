/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/format/names.h"
#include "fs/format/names_internal.h"
#include "kms/base/encode.h"
#include "kms/base/xaes.h"

#include <string.h>

enum { SEALED_MAX = NAME_TARGET_MAX + XAES_OVERHEAD };
_Static_assert(BASE64URL_LEN(SEALED_MAX) == NAME_SYMLINK_LOWER_MAX, "doc/format.md, symlink targets");

enum err name_seal_target(const struct name_keys *k, const char *target, size_t len, char *out, size_t *ret_len)
{
	uint8_t sealed[SEALED_MAX];

	if (len == 0 || memchr(target, '\0', len))
		return err_fail(ERR_USAGE, "not a target of a symbolic link");
	if (len > NAME_TARGET_MAX)
		return err_fail(ERR_LIMIT, "a symbolic link's target of %zu bytes, at most %d are possible", len,
			(int)NAME_TARGET_MAX);
	TRY(xaes_seal(k->symlinks, NULL, 0, target, len, sealed));
	*ret_len = encode_base64url(sealed, len + XAES_OVERHEAD, out);
	return ERR_OK;
}

enum err name_open_target(const struct name_keys *k, const char *lower, size_t len, char *out, size_t *ret_len)
{
	uint8_t sealed[SEALED_MAX];
	char target[NAME_TARGET_MAX];
	size_t n;

	if (decode_base64url(lower, len, sealed, sizeof(sealed), &n) != ERR_OK || n <= XAES_OVERHEAD)
		return err_fail(ERR_FORMAT, "not an encrypted target of a symbolic link");
	TRY(xaes_open(k->symlinks, NULL, 0, sealed, n, target));
	n -= XAES_OVERHEAD;
	if (memchr(target, '\0', n))
		return err_fail(ERR_FORMAT, "a symbolic link's target with a NUL inside");
	memcpy(out, target, n);
	out[n] = '\0';
	*ret_len = n;
	return ERR_OK;
}

uint64_t name_target_size(uint64_t lower_len)
{
	uint64_t sealed = lower_len / 4 * 3 + lower_len % 4 * 3 / 4;

	return lower_len % 4 == 1 || sealed <= XAES_OVERHEAD ? 0 : sealed - XAES_OVERHEAD;
}
