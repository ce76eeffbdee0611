/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"
#include "fs/vault/pin.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void target_self(struct vault *v, int fd, struct target *t)
{
	t->v = v;
	t->l = v->lower;
	t->fd = fd;
	t->name = "";
	t->at = AT_EMPTY_PATH;
	t->lower.full_len = 0;
}

static enum err encode_name(struct vault_object o, enum target_use use, struct target *t)
{
	enum err e = name_encode(t->v->names, &o.dir->names, o.name, o.len, &t->lower);

	if (e == ERR_LIMIT)
		return fail_with(ENAMETOOLONG, "the name is longer than 255 bytes");
	if (e == ERR_USAGE)
		return use == TARGET_FIND ? fail_with(ENOENT, "a name that belongs to the vault itself")
					  : fail_with(EPERM, "a name that belongs to the vault itself");
	return e;
}

enum err target_of(struct vault_object o, enum target_use use, struct target *t)
{
	if (!o.dir) {
		struct vault *v = pin_vault(o.pin);

		if (!v)
			return fail_with(EBADF, "not a pinned inode");
		target_self(v, o.pin, t);
		return ERR_OK;
	}
	target_self(o.dir->v, o.dir->fd, t);
	if (!o.name)
		return ERR_OK;
	t->name = t->lower.name;
	t->at = AT_SYMLINK_NOFOLLOW;
	return encode_name(o, use, t);
}

enum err target_entry(struct vault_object o, enum target_use use, struct target *t)
{
	if (!o.dir || !o.name)
		return fail_with(EBUSY, "this has no name that could change");
	return target_of(o, use, t);
}

enum err target_change(struct vault_object o, enum target_use use, struct target *t)
{
	TRY(target_entry(o, use, t));
	return writable_vault(t->v);
}

/* The ".." of STATE_DIR_NAME is a link to the top. A count of 1 means that links of directories are not counted. */
static int counts_ours(const struct vault *v, const struct stat *st)
{
	return v->state_fd >= 0 && st->st_nlink > 2 && st->st_ino == v->top_ino && st->st_dev == v->top_dev;
}

void stat_to_plain(const struct vault *v, struct stat *st)
{
	if (S_ISREG(st->st_mode)) {
		st->st_size = (off_t)chunk_plain_size((uint64_t)st->st_size, v->desc.header_length, NULL);
		/* The header takes room even while it is still to be written; to archivers no blocks at all mean no data. */
		if (st->st_blocks == 0)
			st->st_blocks = (blkcnt_t)(v->desc.header_length + 511) / 512;
	} else if (S_ISLNK(st->st_mode)) {
		st->st_size = (off_t)name_target_size((uint64_t)st->st_size);
	} else if (counts_ours(v, st)) {
		st->st_nlink--;
	}
}

enum err target_stat(const struct target *t, struct stat *ret)
{
	struct stat st;

	if (t->l->fstatat(t->l, t->fd, t->name, &st, t->at) != 0)
		return fail_errno("stat");
	stat_to_plain(t->v, &st);
	*ret = st;
	return ERR_OK;
}

void fd_path(int fd, char out[FD_PATH_SIZE])
{
	snprintf(out, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

void target_path(const struct target *t, char out[TARGET_PATH_SIZE])
{
	snprintf(out, TARGET_PATH_SIZE, *t->name ? "/proc/self/fd/%d/%s" : "/proc/self/fd/%d", t->fd, t->name);
}

enum err vault_stat(struct vault_object o, struct stat *ret)
{
	struct target t;

	TRY(target_of(o, TARGET_FIND, &t));
	return target_stat(&t, ret);
}

/* Linux gives what is made in a set-group-ID directory that directory's group. */
static int inherits_group(const struct lower *l, int dir, int *ret)
{
	struct stat st;

	if (l->fstat(l, dir, &st) != 0)
		return -1;
	*ret = (st.st_mode & S_ISGID) != 0;
	return 0;
}

/* Changing the owner takes the set-ID bits away, of everything but directories. The other bits may be a default ACL's by now. */
static int put_back_set_id(const struct target *t, mode_t set_id)
{
	struct stat st;

	if (t->l->fstatat(t->l, t->fd, t->name, &st, t->at) != 0)
		return -1;
	return t->l->fchmodat(t->l, t->fd, t->name, (st.st_mode & 01777) | set_id);
}

enum err target_own(const struct target *t, int dir, struct vault_owner owner, mode_t mode)
{
	mode_t set_id = mode & (S_ISUID | S_ISGID);
	int inherits;

	if (!owner.set || (owner.uid == t->v->uid && owner.gid == t->v->gid))
		return ERR_OK;
	if (inherits_group(t->l, dir, &inherits) != 0 ||
		t->l->fchownat(t->l, t->fd, t->name, owner.uid, inherits ? (gid_t)-1 : owner.gid, t->at) != 0)
		return fail_errno("giving a new entry to its owner");
	if (set_id && !S_ISDIR(mode) && !S_ISLNK(mode) && put_back_set_id(t, set_id) != 0)
		return fail_errno("setting the mode of a new entry");
	return ERR_OK;
}
