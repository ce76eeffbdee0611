/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <unistd.h>

/*
 * A mount without privileges has to reach into the lower tree with the permissions of the same user who sets modes through it. The
 * owner of a file of mode 0444 may still write through a descriptor opened before the chmod, and header and partial
 * chunks have to be read in a file of mode 0200. So where we own the thing, its mode is widened for the moment of the opening.
 * Nobody gains by it but its owner, who may chmod anyway; who may open what is decided above, on the plaintext view's modes.
 */

int access_widen(struct vault *v, int dirfd, const char *name, mode_t need, mode_t *ret_mode)
{
	const struct lower *l = v->lower;
	int flags = *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
	struct stat st;

	if (v->privileged || l->fstatat(l, dirfd, name, &st, flags) != 0 || st.st_uid != v->uid ||
		S_ISLNK(st.st_mode) || (st.st_mode & need) == need ||
		l->fchmodat(l, dirfd, name, (st.st_mode & 07777) | need) != 0) {
		errno = EACCES;
		return 0;
	}
	*ret_mode = st.st_mode & 07777;
	return 1;
}

void access_restore(struct vault *v, int dirfd, const char *name, mode_t mode)
{
	int errnum = errno;

	v->lower->fchmodat(v->lower, dirfd, name, mode);
	errno = errnum;
}

int access_openat(struct vault *v, int dirfd, const char *name, int flags, mode_t need)
{
	int fd = v->lower->openat(v->lower, dirfd, name, flags, 0);
	mode_t mode;

	if (fd >= 0 || errno != EACCES || !access_widen(v, dirfd, name, need, &mode))
		return fd;
	fd = v->lower->openat(v->lower, dirfd, name, flags, 0);
	access_restore(v, dirfd, name, mode);
	return fd;
}
