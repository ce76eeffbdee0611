/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REENCRYPT_KEYS_H
#define SIGNETFS_REENCRYPT_KEYS_H

/*
 * Which keys the files of a vault say that they are under, without any key and without a lock, mounted or not. Nothing of it is
 * authenticated: whoever can write to the vault can make a header say something else, and the file then does not open.
 */

#include "fs/format/file_header.h"
#include "kms/base/err.h"

struct keys_calls {
	/* @path: below the vault, as it is stored. @bytes: plain size. */
	void (*file)(void *context, const char *path, const struct file_header *h, uint64_t bytes);
	/* No header, or none that makes sense. */
	void (*unread)(void *context, const char *path, enum err why);
	/* Not a file: "volume key", "new files" (the bucket key that wraps them). */
	void (*thing)(void *context, const char *what, const struct kms_wrapped_key *wrapped);
	void *context;
};

/** One thread. An inode with several names is told once. ERR_VAULT, ERR_NOT_FOUND: no vault; ERR_SYSTEM. */
enum err keys_scan(const char *vault, const struct keys_calls *calls);

#endif
