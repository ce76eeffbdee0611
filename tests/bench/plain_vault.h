/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BENCH_PLAIN_VAULT_H
#define SIGNETFS_BENCH_PLAIN_VAULT_H

/*
 * The API of fs/vault/vault.h over a plain directory: no cryptography, no names, no header. Linked with fs/fuse it is the
 * pass-through that benchmarks compare with, so a difference between the two is the price of encryption and nothing else.
 */

#include <stdatomic.h>
#include "fs/vault/vault.h"

struct vault_dir {
	atomic_uint references;
	int fd;
	struct vault *vault;
};

struct vault {
	struct vault_dir *root;
};

/** A descriptor and a name for *at() calls with AT_EMPTY_PATH. */
struct plain_at {
	int fd;
	const char *name;
	char buf[256];
};
void plain_at(struct vault_object o, struct plain_at *ret);

enum err plain_failed(const char *what);
enum err plain_own(int fd, const char *name, struct vault_owner owner, int flags);

#endif
