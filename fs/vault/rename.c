/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdio.h>

/*
 * A file's or directory's contents do not depend on its name: names are bound to the id of the directory that they stand in, chunks to
 * the file's id. So a rename is one lower rename. Two things need more: names with a sidecar, and an empty directory that is
 * replaced, because its lower directory is not empty.
 */

static int move(const struct target *from, const struct target *to, unsigned flags)
{
	return from->l->renameat2(from->l, from->fd, from->name, to->fd, to->name, flags);
}

/* Not a failed check but its errno decides: another directory in the way, which lower rename(2) finds not empty. */
static int target_in_the_way(unsigned flags)
{
	return flags == 0 && (err_errno() == ENOTEMPTY || err_errno() == EEXIST);
}

static enum err move_plain(const struct target *from, const struct target *to, unsigned flags)
{
	return move(from, to, flags) == 0 ? ERR_OK : fail_errno("rename");
}

/*
 * An exchange first, so that the target's name names a directory at every moment, before or after a crash: then what is empty has
 * the old name and leaves the tree. If it cannot leave, the exchange is undone.
 */
static enum err replace_by_exchange(const struct target *from, const struct target *to)
{
	char aside[RANDOM_NAME_SIZE];
	enum err e;

	TRY(move_plain(from, to, RENAME_EXCHANGE));
	e = empty_dir_move_aside(from, aside);
	if (e != ERR_OK) {
		move(from, to, RENAME_EXCHANGE);
		return e;
	}
	empty_dir_delete(from->v, from->fd, aside);
	return ERR_OK;
}

/*
 * On a lower tree that cannot exchange, or may not: moving the empty directory to another parent takes rights on itself,
 * replacing it takes none. A crash in between loses the empty directory.
 */
static enum err replace_by_moving_aside(const struct target *from, const struct target *to)
{
	char aside[RANDOM_NAME_SIZE];
	enum err e;

	TRY(empty_dir_move_aside(to, aside));
	e = move_plain(from, to, 0);
	if (e == ERR_OK)
		empty_dir_delete(to->v, to->fd, aside);
	else
		to->l->renameat2(to->l, to->fd, aside, to->fd, to->name, 0);
	return e;
}

static enum err replace_empty_dir(const struct target *from, const struct target *to)
{
	enum err e;

	TRY(empty_dir_check(to));
	e = replace_by_exchange(from, to);
	if (e == ERR_SYSTEM && (err_errno() == EINVAL || err_errno() == EACCES))
		e = replace_by_moving_aside(from, to);
	return e;
}

/* The source's sidecar goes with its name. Two names of one inode both stay: rename(2) does nothing then. */
static void drop_source_sidecar(const struct target *from)
{
	struct stat st;

	if (target_is_long(from) && from->l->fstatat(from->l, from->fd, from->name, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
		errno == ENOENT)
		long_name_remove(from);
}

static enum err rename_locked(const struct target *from, const struct target *to, unsigned flags)
{
	int made = 0;
	enum err e;

	if (flags != RENAME_EXCHANGE)
		TRY(long_name_prepare(to, &made));
	e = move_plain(from, to, flags);
	if (e != ERR_OK && target_in_the_way(flags))
		e = replace_empty_dir(from, to);
	if (e != ERR_OK && made && err_errno() != EEXIST)
		long_name_remove(to);
	if (e == ERR_OK && flags != RENAME_EXCHANGE)
		drop_source_sidecar(from);
	return e;
}

static enum err rename_exclusive(const struct target *from, const struct target *to, unsigned flags)
{
	enum err e;

	tree_exclusive(from->v);
	e = rename_locked(from, to, flags);
	tree_unlock(from->v);
	return e;
}

static enum err rename_short(const struct target *from, const struct target *to, unsigned flags)
{
	enum err e;

	tree_shared(from->v);
	e = move_plain(from, to, flags);
	tree_unlock(from->v);
	return e;
}

enum err vault_rename(struct vault_object from, struct vault_object to, unsigned flags)
{
	struct target f, t;
	enum err e;

	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return fail_with(EINVAL, "rename with unknown flags");
	TRY(target_change(from, TARGET_FIND, &f));
	TRY(target_change(to, flags == RENAME_EXCHANGE ? TARGET_FIND : TARGET_MAKE, &t));
	if (f.v != t.v)
		return fail_with(EXDEV, "rename between two vaults");
	if (target_is_long(&f) || target_is_long(&t))
		return rename_exclusive(&f, &t, flags);
	e = rename_short(&f, &t, flags);
	if (e != ERR_OK && target_in_the_way(flags))
		e = rename_exclusive(&f, &t, flags);
	return e;
}
