/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/plain_vault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Whose process this is: one system call, not one for each file. */
static uid_t own_uid;
static gid_t own_gid;

enum err plain_failed(const char *what)
{
	return err_system("%s", what);
}

void plain_at(struct vault_object o, struct plain_at *ret)
{
	ret->fd = o.dir ? o.dir->fd : o.pin;
	memcpy(ret->buf, o.name ? o.name : "", o.len);
	ret->buf[o.len] = '\0';
	ret->name = ret->buf;
}

/* ---- Opening ---- */

static enum err dir_new(struct vault *v, int fd, struct vault_dir **ret)
{
	struct vault_dir *d = malloc(sizeof *d);

	if (!d) {
		close(fd);
		return ERR_NO_MEMORY;
	}
	atomic_init(&d->references, 1);
	d->fd = fd;
	d->vault = v;
	*ret = d;
	return ERR_OK;
}

enum err vault_create(
	const char *path, const struct vault_create_options *options, struct kms *kms, const struct clock *clock)
{
	(void)path, (void)options, (void)kms, (void)clock;
	return err_fail(ERR_UNSUPPORTED, "a plain directory is not made, it is there");
}

enum err vault_read_descriptor(const char *path, struct descriptor *ret)
{
	(void)path, (void)ret;
	return err_fail(ERR_NOT_FOUND, "a plain directory has no descriptor");
}

enum err vault_open(const struct vault_open_options *options, struct vault **ret)
{
	int fd = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system("%s", options->path);
	own_uid = geteuid();
	own_gid = getegid();
	struct vault *v = calloc(1, sizeof *v);
	if (!v || dir_new(v, fd, &v->root) != ERR_OK) {
		free(v);
		return ERR_NO_MEMORY;
	}
	*ret = v;
	return ERR_OK;
}

enum err vault_close(struct vault *v)
{
	vault_dir_release(v->root);
	free(v);
	return ERR_OK;
}

const struct descriptor *vault_descriptor(const struct vault *v)
{
	(void)v;
	return NULL;
}

struct bucket_cache *vault_bucket_cache(struct vault *v)
{
	(void)v;
	return NULL;
}

int vault_was_interrupted(const struct vault *v)
{
	(void)v;
	return 0;
}

void vault_expire_keys(struct vault *v)
{
	(void)v;
}

/* ---- Directories ---- */

struct vault_dir *vault_root(struct vault *v)
{
	return vault_dir_hold(v->root);
}

struct vault_dir *vault_dir_hold(struct vault_dir *d)
{
	atomic_fetch_add(&d->references, 1);
	return d;
}

void vault_dir_release(struct vault_dir *d)
{
	if (!d || atomic_fetch_sub(&d->references, 1) != 1)
		return;
	close(d->fd);
	free(d);
}

enum err vault_dir_open(struct vault_object o, struct vault_dir **ret)
{
	struct plain_at at;

	plain_at(o, &at);
	int fd = openat(at.fd, at.name[0] ? at.name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return plain_failed("open directory");
	return dir_new(o.dir->vault, fd, ret);
}

enum err vault_dir_sync(struct vault_dir *d, int data_only)
{
	int rc = data_only ? fdatasync(d->fd) : fsync(d->fd);

	return rc ? plain_failed("fsync") : ERR_OK;
}

enum err vault_statfs(struct vault *v, struct statvfs *ret)
{
	return fstatvfs(v->root->fd, ret) ? plain_failed("statvfs") : ERR_OK;
}

/* ---- Names ---- */

static enum err stat_at(const struct plain_at *at, struct stat *ret)
{
	struct stat st;

	if (fstatat(at->fd, at->name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return plain_failed("stat");
	*ret = st;
	return ERR_OK;
}

enum err vault_stat(struct vault_object o, struct stat *ret)
{
	struct plain_at at;

	plain_at(o, &at);
	return stat_at(&at, ret);
}

enum err plain_own(int fd, const char *name, struct vault_owner owner, int flags)
{
	if (!owner.set || (owner.uid == own_uid && owner.gid == own_gid))
		return ERR_OK;
	if (fchownat(fd, name, owner.uid, owner.gid, flags | AT_SYMLINK_NOFOLLOW))
		return plain_failed("chown");
	return ERR_OK;
}

static enum err made(struct plain_at *at, struct vault_owner owner, struct stat *ret)
{
	TRY(plain_own(at->fd, at->name, owner, 0));
	return stat_at(at, ret);
}

enum err vault_mkdir(struct vault_object o, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	struct plain_at at;

	plain_at(o, &at);
	if (mkdirat(at.fd, at.name, mode))
		return plain_failed("mkdir");
	return made(&at, owner, ret);
}

enum err vault_mknod(struct vault_object o, mode_t mode, dev_t dev, struct vault_owner owner, struct stat *ret)
{
	struct plain_at at;

	plain_at(o, &at);
	if (mknodat(at.fd, at.name, mode, dev))
		return plain_failed("mknod");
	return made(&at, owner, ret);
}

enum err vault_symlink(struct vault_object o, const char *target, struct vault_owner owner, struct stat *ret)
{
	struct plain_at at;

	plain_at(o, &at);
	if (symlinkat(target, at.fd, at.name))
		return plain_failed("symlink");
	return made(&at, owner, ret);
}

enum err vault_readlink(struct vault_object o, char *out, size_t size, size_t *ret_len)
{
	struct plain_at at;

	plain_at(o, &at);
	ssize_t n = readlinkat(at.fd, at.name, out, size);
	if (n < 0)
		return plain_failed("readlink");
	*ret_len = (size_t)n;
	return ERR_OK;
}

enum err vault_link(struct vault_object from, struct vault_object to, struct stat *ret)
{
	struct plain_at a, b;

	plain_at(from, &a);
	plain_at(to, &b);
	if (linkat(a.fd, a.name, b.fd, b.name, AT_EMPTY_PATH))
		return plain_failed("link");
	return stat_at(&b, ret);
}

enum err vault_unlink(struct vault_object o)
{
	struct plain_at at;

	plain_at(o, &at);
	return unlinkat(at.fd, at.name, 0) ? plain_failed("unlink") : ERR_OK;
}

enum err vault_rmdir(struct vault_object o)
{
	struct plain_at at;

	plain_at(o, &at);
	return unlinkat(at.fd, at.name, AT_REMOVEDIR) ? plain_failed("rmdir") : ERR_OK;
}

enum err vault_rename(struct vault_object from, struct vault_object to, unsigned flags)
{
	struct plain_at a, b;

	plain_at(from, &a);
	plain_at(to, &b);
	return renameat2(a.fd, a.name, b.fd, b.name, flags) ? plain_failed("rename") : ERR_OK;
}

enum err vault_pin(struct vault_object o, int *ret_pin)
{
	struct plain_at at;

	plain_at(o, &at);
	int fd = openat(at.fd, at.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return plain_failed("open");
	*ret_pin = fd;
	return ERR_OK;
}

void vault_unpin(struct vault *v, int pin)
{
	(void)v;
	close(pin);
}

/* ---- Attributes ---- */

/* A path that reaches the object itself, never what a symbolic link points to. */
static void proc_path(const struct plain_at *at, char *out, size_t size)
{
	if (at->name[0])
		snprintf(out, size, "/proc/self/fd/%d/%s", at->fd, at->name);
	else
		snprintf(out, size, "/proc/self/fd/%d", at->fd);
}

static enum err change_mode(const struct plain_at *at, mode_t mode)
{
	char path[512];

	if (at->name[0] && !fchmodat(at->fd, at->name, mode, 0))
		return ERR_OK;
	proc_path(at, path, sizeof path);
	return chmod(path, mode) ? plain_failed("chmod") : ERR_OK;
}

static enum err change_times(const struct plain_at *at, const struct vault_attr *attr)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
	char path[64];

	if (attr->set & VAULT_SET_ATIME)
		times[0] = attr->atime;
	if (attr->set & VAULT_SET_MTIME)
		times[1] = attr->mtime;
	if (at->name[0])
		return utimensat(at->fd, at->name, times, AT_SYMLINK_NOFOLLOW) ? plain_failed("utimens") : ERR_OK;
	proc_path(at, path, sizeof path);
	return utimensat(AT_FDCWD, path, times, 0) ? plain_failed("utimens") : ERR_OK;
}

enum err vault_setattr(struct vault_object o, struct vault_file *file, const struct vault_attr *attr, struct stat *ret)
{
	struct plain_at at;

	(void)file;
	plain_at(o, &at);
	if (attr->set & (VAULT_SET_UID | VAULT_SET_GID)) {
		uid_t uid = attr->set & VAULT_SET_UID ? attr->uid : (uid_t)-1;
		gid_t gid = attr->set & VAULT_SET_GID ? attr->gid : (gid_t)-1;
		if (fchownat(at.fd, at.name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
			return plain_failed("chown");
	}
	if (attr->set & VAULT_SET_MODE)
		TRY(change_mode(&at, attr->mode));
	if (attr->set & (VAULT_SET_ATIME | VAULT_SET_MTIME))
		TRY(change_times(&at, attr));
	return stat_at(&at, ret);
}

enum err vault_getxattr(struct vault_object o, const char *name, void *value, size_t size, size_t *ret_len)
{
	struct plain_at at;
	char path[512];

	plain_at(o, &at);
	proc_path(&at, path, sizeof path);
	ssize_t n = at.name[0] ? lgetxattr(path, name, value, size) : getxattr(path, name, value, size);
	if (n < 0)
		return plain_failed("getxattr");
	*ret_len = (size_t)n;
	return ERR_OK;
}

enum err vault_setxattr(struct vault_object o, const char *name, const void *value, size_t len, int flags)
{
	struct plain_at at;
	char path[512];

	plain_at(o, &at);
	proc_path(&at, path, sizeof path);
	int rc = at.name[0] ? lsetxattr(path, name, value, len, flags) : setxattr(path, name, value, len, flags);
	return rc ? plain_failed("setxattr") : ERR_OK;
}

enum err vault_listxattr(struct vault_object o, char *list, size_t size, size_t *ret_len)
{
	struct plain_at at;
	char path[512];

	plain_at(o, &at);
	proc_path(&at, path, sizeof path);
	ssize_t n = at.name[0] ? llistxattr(path, list, size) : listxattr(path, list, size);
	if (n < 0)
		return plain_failed("listxattr");
	*ret_len = (size_t)n;
	return ERR_OK;
}

enum err vault_removexattr(struct vault_object o, const char *name)
{
	struct plain_at at;
	char path[512];

	plain_at(o, &at);
	proc_path(&at, path, sizeof path);
	return (at.name[0] ? lremovexattr(path, name) : removexattr(path, name)) ? plain_failed("removexattr") : ERR_OK;
}

void vault_thread_cleanup(void)
{
}
