/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>
#include "fs/fuse/channel.h"

static enum err stat_object(struct adapter *a, struct node *n, struct stat *ret)
{
	struct handle_object o;

	nodes_share(a->nodes);
	enum err e = handle_object(a->handles, n, &o);
	if (e == ERR_OK) {
		e = vault_stat(o.o, ret);
		handle_object_done(&o);
	}
	nodes_done(a->nodes);
	return e;
}

/* An open file knows best and needs no path. */
static enum err stat_node(struct adapter *a, struct node *n, struct stat *ret)
{
	struct vault_file *file = handle_file_if_open(a->handles, n);

	if (!file)
		return stat_object(a, n, ret);
	enum err e = vault_file_stat(file, ret);
	handle_file_done(a->handles, n, 0);
	return e;
}

void adapter_reply_attr(fuse_req_t req, const struct node *n, const struct stat *st)
{
	struct adapter *a = adapter_of(req);
	struct stat shown = *st;

	if (a->owner_only && n == node_root(a->nodes))
		shown.st_mode &= ~(mode_t)(S_IRWXG | S_IRWXO);
	fuse_reply_attr(req, &shown, a->memory);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);
	struct stat st;

	(void)fi;
	enum err e = stat_node(a, adapter_node(a, ino), &st);
	if (e == ERR_OK)
		adapter_reply_attr(req, adapter_node(a, ino), &st);
	else
		adapter_fail(req, e);
}

/*
 * access(2) and chdir(2) of root, in a mount that only root may enter and where the kernel leaves out owners and modes; in every other
 * it answers for itself. Root may do anything but execute what has no x bit.
 */
void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct node *n = adapter_node(adapter_of(req), ino);
	struct stat st;

	if (!(mask & X_OK) || S_ISDIR(n->type)) {
		fuse_reply_err(req, 0);
		return;
	}
	enum err e = stat_node(adapter_of(req), n, &st);
	if (e != ERR_OK)
		adapter_fail(req, e);
	else
		fuse_reply_err(req, st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH) ? 0 : EACCES);
}

/* ---- Changing ---- */

static struct vault_attr attr_of(const struct stat *st, int valid)
{
	static const struct timespec now = {.tv_nsec = UTIME_NOW};
	struct vault_attr attr = {.mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid};

	attr.set = (valid & FUSE_SET_ATTR_MODE ? VAULT_SET_MODE : 0) | (valid & FUSE_SET_ATTR_UID ? VAULT_SET_UID : 0) |
		   (valid & FUSE_SET_ATTR_GID ? VAULT_SET_GID : 0) |
		   (valid & FUSE_SET_ATTR_ATIME ? VAULT_SET_ATIME : 0) |
		   (valid & FUSE_SET_ATTR_MTIME ? VAULT_SET_MTIME : 0);
	attr.atime = valid & FUSE_SET_ATTR_ATIME_NOW ? now : st->st_atim;
	attr.mtime = valid & FUSE_SET_ATTR_MTIME_NOW ? now : st->st_mtim;
	return attr;
}

static enum err set_object(
	struct adapter *a, struct node *n, struct vault_file *file, const struct vault_attr *attr, struct stat *ret)
{
	struct handle_object o;

	nodes_share(a->nodes);
	enum err e = handle_object(a->handles, n, &o);
	if (e == ERR_OK) {
		e = vault_setattr(o.o, file, attr, ret);
		handle_object_done(&o);
	}
	nodes_done(a->nodes);
	return e;
}

/* Who is in more groups than these, or is gone, counts as not in it: that takes a bit away, and gives none. */
static int in_group(fuse_req_t req, gid_t gid)
{
	enum { GROUPS = 1024 };
	gid_t groups[GROUPS];
	int count = fuse_req_ctx(req)->gid == gid ? 0 : fuse_req_getgroups(req, GROUPS, groups);

	for (int i = 0; i < count && i < GROUPS; i++)
		if (groups[i] == gid)
			return 1;
	return fuse_req_ctx(req)->gid == gid;
}

/* What a write takes away. Without the right to execute, set-group-ID is no privilege, and the group's members may leave it. */
static mode_t privilege_bits(fuse_req_t req, const struct stat *st)
{
	mode_t kill = st->st_mode & (S_ISUID | S_ISGID);

	if ((kill & S_ISGID) && !(st->st_mode & S_IXGRP) && in_group(req, st->st_gid))
		kill &= ~(mode_t)S_ISGID;
	return kill;
}

static enum err clear_bits(struct adapter *a, struct node *n, struct vault_file *file, mode_t bits, struct stat *st)
{
	const struct vault_attr attr = {.set = VAULT_SET_MODE, .mode = st->st_mode & 07777 & ~bits};

	return bits ? set_object(a, n, file, &attr, st) : ERR_OK;
}

enum err adapter_kill_privileges(fuse_req_t req, struct node *n, struct vault_file *file)
{
	struct stat st;

	TRY(vault_file_stat(file, &st));
	return clear_bits(adapter_of(req), n, file, privilege_bits(req, &st), &st);
}

static enum err set_size(fuse_req_t req, struct node *n, uint64_t size, struct stat *ret)
{
	struct adapter *a = adapter_of(req);
	struct vault_file *file;

	TRY(handle_file(a->handles, n, 1, &file));
	enum err e = channel_kills_privileges() ? adapter_kill_privileges(req, n, file) : ERR_OK;
	vault_file_hold_mtime(file);
	if (e == ERR_OK)
		e = vault_file_truncate(file, size);
	if (e == ERR_OK)
		n->shown = 0; /* from now on the kernel's size is the file's */
	if (e == ERR_OK)
		e = vault_file_stat(file, ret);
	page_expiry_note(a->expiry, n, file);
	handle_file_done(a->handles, n, 0);
	return e;
}

static enum err set_rest(struct adapter *a, struct node *n, const struct vault_attr *attr, struct stat *ret)
{
	struct vault_file *file = handle_file_if_open(a->handles, n);
	enum err e = set_object(a, n, file, attr, ret);

	if (file)
		handle_file_done(a->handles, n, 0);
	return e;
}

/*
 * A change of nothing. Of a file, without a time of change: the kernel is about to write for somebody without privileges, and
 * leaves it to us to clear set-ID bits. Otherwise chown(-1, -1): anybody may, and it marks the time of change; but it
 * clears set-ID bits as well, and with any of these only the owner may.
 */
static enum err set_nothing(fuse_req_t req, struct node *n, int valid, struct stat *ret)
{
	static const struct vault_attr nothing = {.set = 0};
	struct adapter *a = adapter_of(req);
	uid_t caller = fuse_req_ctx(req)->uid;

	TRY(stat_node(a, n, ret));
	mode_t kill = caller == 0 || S_ISDIR(ret->st_mode) ? 0 : privilege_bits(req, ret);
	if (S_ISREG(ret->st_mode) && !(valid & FUSE_SET_ATTR_CTIME))
		return clear_bits(a, n, NULL, kill, ret);
	if (kill && caller != ret->st_uid) {
		errno = EPERM;
		return err_system("chown of a set-ID file");
	}
	return set_rest(a, n, &nothing, ret);
}

/*
 * What chown takes away. The kernel says so itself, but for set-group-ID without the right to execute: whoever is not in the file's
 * group loses that, too.
 */
static enum err drop_privileges(fuse_req_t req, struct node *n, struct vault_attr *attr)
{
	struct stat st;

	if (!(attr->set & (VAULT_SET_UID | VAULT_SET_GID)) || fuse_req_ctx(req)->uid == 0 || S_ISDIR(n->type))
		return ERR_OK;
	TRY(stat_node(adapter_of(req), n, &st));
	mode_t kill = privilege_bits(req, &st);
	if (!kill)
		return ERR_OK;
	attr->mode = (attr->set & VAULT_SET_MODE ? attr->mode : st.st_mode & 07777) & ~kill;
	attr->set |= VAULT_SET_MODE;
	return ERR_OK;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int valid, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	struct vault_attr attr = attr_of(st, valid);
	struct stat after;
	enum err e = ERR_OK;

	(void)fi;
	if (valid & FUSE_SET_ATTR_SIZE)
		e = set_size(req, n, (uint64_t)st->st_size, &after);
	if (e == ERR_OK)
		e = drop_privileges(req, n, &attr);
	if (e == ERR_OK && attr.set)
		e = set_rest(a, n, &attr, &after);
	else if (e == ERR_OK && !(valid & FUSE_SET_ATTR_SIZE))
		e = set_nothing(req, n, valid, &after);
	if (e == ERR_OK)
		adapter_reply_attr(req, n, &after);
	else
		adapter_fail(req, e);
}

/* ---- Links and the whole ---- */

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct adapter *a = adapter_of(req);
	char target[PATH_MAX + 1];
	struct handle_object o;
	size_t len;

	nodes_share(a->nodes);
	enum err e = handle_object(a->handles, adapter_node(a, ino), &o);
	if (e == ERR_OK) {
		e = vault_readlink(o.o, target, sizeof target - 1, &len);
		handle_object_done(&o);
	}
	nodes_done(a->nodes);
	if (e != ERR_OK) {
		adapter_fail(req, e);
		return;
	}
	target[len] = '\0';
	fuse_reply_readlink(req, target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	enum err e = vault_statfs(adapter_of(req)->vault, &st);

	(void)ino;
	if (e == ERR_OK)
		fuse_reply_statfs(req, &st);
	else
		adapter_fail(req, e);
}
