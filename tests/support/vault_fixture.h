/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_VAULT_FIXTURE_H
#define SIGNETFS_TESTS_VAULT_FIXTURE_H

/*
 * A vault in a temporary folder over the fake KMS and a fake clock, and short forms of what tests do with it. The folder is below
 * $TMPDIR or /dev/shm or /tmp. Failures in the helpers themselves end the test with a message.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/vault/vault.h"
#include "tests/support/fake_kms.h"

struct vault_fixture {
	char top[256];  /* temporary folder, removed at the end */
	char path[280]; /* of the vault: top/vault */
	struct fake_kms *fake;
	struct clock_fake clock;
	struct reporter reporter;
	unsigned reports[4]; /* by level; not for use from many threads */
	char last_report[2048];
	int echo_reports;
	const struct lower *lower; /* NULL: the system's */
	const struct aead_impl *aead;
	int read_only, forgiving;
	struct vault *v; /* NULL while closed */
};

/** Make folder, KMS, clock and a vault (options NULL: encrypted names, bucket keys), and open it. */
void vault_fixture_init(struct vault_fixture *x, const struct vault_create_options *options);
/** As above without opening; and without creating. */
void vault_fixture_init_closed(struct vault_fixture *x, const struct vault_create_options *options);
void vault_fixture_init_bare(struct vault_fixture *x);
void vault_fixture_done(struct vault_fixture *x);

/**
 * What is made from here on lies on a tmpfs with these mount options ("size=1m"). 0: it cannot be mounted here, skip the test.
 * The caller is in a mount namespace of its own afterwards.
 */
int vault_fixture_small_disk(const char *options);
/** Every fixture is done. */
void vault_fixture_small_disk_done(void);

enum err vault_fixture_try_open(struct vault_fixture *x);
void vault_fixture_open(struct vault_fixture *x);
void vault_fixture_close(struct vault_fixture *x);
/** Close and open. */
void vault_fixture_reopen(struct vault_fixture *x);

/** A path in the plaintext view ("a/b"), as a held directory and an object in it: release @ret_dir. "" is the root itself. */
enum err vault_fixture_walk(struct vault *v, const char *path, struct vault_dir **ret_dir, struct vault_object *ret);

/* Operations by plaintext path. */
enum err vp_create(struct vault *v, const char *path, mode_t mode, struct vault_file **ret);
enum err vp_open(struct vault *v, const char *path, int writable, struct vault_file **ret);
enum err vp_put(struct vault *v, const char *path, const void *buf, size_t len); /* create, write, close */
/** Whole file, malloc'd. */
enum err vp_get(struct vault *v, const char *path, uint8_t **ret, size_t *ret_len);
enum err vp_stat(struct vault *v, const char *path, struct stat *ret);
enum err vp_mkdir(struct vault *v, const char *path, mode_t mode);
enum err vp_rmdir(struct vault *v, const char *path);
enum err vp_unlink(struct vault *v, const char *path);
enum err vp_rename(struct vault *v, const char *from, const char *to, unsigned flags);
enum err vp_link(struct vault *v, const char *from, const char *to);
enum err vp_symlink(struct vault *v, const char *target, const char *path);
enum err vp_readlink(struct vault *v, const char *path, char *out, size_t size); /* NUL-terminated */
enum err vp_setxattr(struct vault *v, const char *path, const char *name, const void *value, size_t len, int flags);
enum err vp_getxattr(struct vault *v, const char *path, const char *name, void *value, size_t size, size_t *ret_len);
enum err vp_removexattr(struct vault *v, const char *path, const char *name);
/** Names in a directory, sorted, NUL-separated into @out; returns how many. */
enum err vp_list(struct vault *v, const char *path, char *out, size_t size, size_t *ret_count);

/** The lower path of a plaintext path. */
void vault_fixture_lower_path(struct vault_fixture *x, const char *path, char out[4096]);

/** Copy and remove whole trees (rsync-like, times and owners aside). */
void vault_fixture_copy_tree(const char *from, const char *to);
void vault_fixture_remove_tree(const char *path);

/** SIGNETFS_SEED or a random one; printed. */
uint64_t vault_fixture_seed(const char *what);
/** xorshift, for repeatable randomness. */
uint64_t vault_fixture_random(uint64_t *state);
uint64_t vault_fixture_below(uint64_t *state, uint64_t bound);

#endif
