/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/dirents.h"
#include "fs/vault/rescue.h"
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * The lower directory of an empty directory is not empty: its id is in it. Deleting the id first would leave, after a crash, a
 * directory in the tree that no one can open; so the directory leaves the tree by a rename, and is deleted where nobody sees it.
 */

enum {
	OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	PATH_SIZE = NAME_LOWER_MAX + sizeof(DIR_FILE_NAME) + 2
};

int empty_dir_is_tmp(const char *name)
{
	return strncmp(name, TMP_DIR_PREFIX, strlen(TMP_DIR_PREFIX)) == 0;
}

/* What may lie in an empty directory: its id; what an interrupted operation left. */
static int is_leftover(struct vault *v, const char *name)
{
	return empty_dir_is_tmp(name) || name_classify(v->names, name, strlen(name)) == NAME_LONG_SIDECAR;
}

static int may_be_in_empty(struct vault *v, const char *name, int strict)
{
	return strcmp(name, DIR_FILE_NAME) == 0 || (!strict && is_leftover(v, name));
}

/* @strict: nothing but the id. *ret_leftovers: something is to be swept. */
static enum err check_entries(struct vault *v, int fd, int strict, int *ret_leftovers)
{
	const struct dirent64 *entry;
	struct dirents d;
	enum err e;

	*ret_leftovers = 0;
	dirents_init(&d, v->lower, fd);
	while ((e = dirents_next(&d, &entry)) == ERR_OK) {
		if (!may_be_in_empty(v, entry->d_name, strict))
			return fail_with(ENOTEMPTY, "the directory is not empty");
		*ret_leftovers |= is_leftover(v, entry->d_name);
	}
	return e == ERR_CLOSED ? ERR_OK : e;
}

/* A temporary directory that holds more than its id is none of ours: then the parent is not empty. */
static enum err sweep_one(struct vault *v, int fd, const char *name)
{
	int sub, leftovers;
	enum err e;

	if (!empty_dir_is_tmp(name)) {
		v->lower->unlinkat(v->lower, fd, name, 0);
		return ERR_OK;
	}
	sub = access_openat(v, fd, name, OPEN_DIR, S_IRWXU);
	if (sub < 0)
		return fail_errno("looking into what an interrupted operation left");
	e = check_entries(v, sub, 1, &leftovers);
	v->lower->close(v->lower, sub);
	if (e == ERR_OK)
		empty_dir_delete(v, fd, name);
	return e;
}

static enum err sweep(struct vault *v, int fd)
{
	const struct dirent64 *entry;
	struct dirents d;
	enum err e;

	dirents_init(&d, v->lower, fd);
	TRY(dirents_seek(&d, 0));
	while ((e = dirents_next(&d, &entry)) == ERR_OK)
		if (is_leftover(v, entry->d_name))
			TRY(sweep_one(v, fd, entry->d_name));
	return e == ERR_CLOSED ? ERR_OK : e;
}

enum err empty_dir_check(const struct target *t)
{
	int fd = access_openat(t->v, t->fd, t->name, OPEN_DIR, S_IRWXU);
	int leftovers;
	enum err e;

	if (fd < 0 && errno == ELOOP)
		errno = ENOTDIR;
	if (fd < 0)
		return fail_errno("opening a directory");
	e = check_entries(t->v, fd, 0, &leftovers);
	if (e == ERR_OK && leftovers)
		e = sweep(t->v, fd);
	t->l->close(t->l, fd);
	return e;
}

enum err empty_dir_move_aside(const struct target *t, char ret_name[RANDOM_NAME_SIZE])
{
	random_name(ret_name);
	if (t->l->renameat2(t->l, t->fd, t->name, t->fd, ret_name, 0) != 0)
		return fail_errno("removing a directory");
	return ERR_OK;
}

void empty_dir_delete(struct vault *v, int dirfd, const char *name)
{
	const struct lower *l = v->lower;
	char id[PATH_SIZE];
	mode_t mode;

	snprintf(id, sizeof(id), "%s/" DIR_FILE_NAME, name);
	if (l->unlinkat(l, dirfd, id, 0) != 0 && errno == EACCES && access_widen(v, dirfd, name, S_IRWXU, &mode))
		l->unlinkat(l, dirfd, id, 0);
	if (l->unlinkat(l, dirfd, name, AT_REMOVEDIR) != 0)
		report_damage(v, name, "the rest of a removed directory could not be deleted; it does no harm");
}

/* Deletes directories in the making or half removed. Where a whole one stands it was never seen, or was seen to be empty. */
static void sweep_tmp(struct vault_dir *d)
{
	const struct lower *l = d->v->lower;
	int fd = l->openat(l, d->fd, ".", OPEN_DIR, 0);
	const struct dirent64 *entry;
	struct dirents entries;

	if (fd < 0)
		return;
	dirents_init(&entries, l, fd);
	while (dirents_next(&entries, &entry) == ERR_OK)
		if (empty_dir_is_tmp(entry->d_name))
			(void)sweep_one(d->v, fd, entry->d_name);
	l->close(l, fd);
}

void empty_dir_sweep(struct vault_dir *d)
{
	if (d->v->read_only)
		return;
	/* A mkdir under way holds the lock shared: what is found now belongs to nobody. */
	tree_exclusive(d->v);
	sweep_tmp(d);
	tree_unlock(d->v);
}

enum err rescue_remove_tmp(struct vault_dir *d, const char *lower)
{
	struct stat st;
	enum err e;

	TRY(writable_vault(d->v));
	tree_exclusive(d->v);
	e = sweep_one(d->v, d->fd, lower);
	tree_unlock(d->v);
	TRY(e);
	return d->v->lower->fstatat(d->v->lower, d->fd, lower, &st, AT_SYMLINK_NOFOLLOW) == 0
		       ? fail_with(ENOTEMPTY, "the rest of a directory could not be removed")
		       : ERR_OK;
}

static enum err rmdir_locked(const struct target *t)
{
	char aside[RANDOM_NAME_SIZE];

	TRY(empty_dir_check(t));
	TRY(empty_dir_move_aside(t, aside));
	empty_dir_delete(t->v, t->fd, aside);
	long_name_remove(t);
	return ERR_OK;
}

enum err vault_rmdir(struct vault_object o)
{
	struct target t;
	enum err e;

	TRY(target_change(o, TARGET_FIND, &t));
	tree_exclusive(t.v);
	e = rmdir_locked(&t);
	tree_unlock(t.v);
	return e;
}
