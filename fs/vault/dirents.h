/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_DIRENTS_H
#define SIGNETFS_VAULT_DIRENTS_H

/* Lower directory entries in getdents64's buffer, one after the other. One thread at a time. */

#include <dirent.h>
#include "fs/vault/lower.h"
#include "kms/base/err.h"

enum { DIRENTS_BUFFER = 32768 };

struct dirents {
	const struct lower *l;
	int fd;
	size_t pos, len;
	_Alignas(struct dirent64) char buf[DIRENTS_BUFFER];
};

void dirents_init(struct dirents *d, const struct lower *l, int fd);
/** Next entry, "." and ".." left out; valid until the next call. ERR_CLOSED at the end. */
enum err dirents_next(struct dirents *d, const struct dirent64 **ret);
/** 0 is the start, other values are d_off of an entry. */
enum err dirents_seek(struct dirents *d, off_t off);

#endif
