/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/dirents.h"
#include "fs/vault/vault_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vault_list {
	struct vault_dir *dir;
	int again;     /* the entry returned last comes again */
	int leftovers; /* something of an interrupted operation was met */
	struct vault_entry last;
	char lower[NAME_LOWER_MAX + 1]; /* of the entry returned last */
	struct dirents entries;
};

/*
 * A descriptor with a position of its own. Not as "." in the directory: that takes the right to search it. Who opened the directory above
 * may read it even when its mode has changed since.
 */
static int open_again(const struct vault_dir *d)
{
	const struct lower *l = d->v->lower;
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	char path[FD_PATH_SIZE];
	mode_t mode;

	fd_path(d->fd, path);
	int fd = l->openat(l, AT_FDCWD, path, flags, 0);
	if (fd >= 0 || errno != EACCES || !access_widen(d->v, d->fd, "", S_IRUSR, &mode))
		return fd;
	fd = l->openat(l, AT_FDCWD, path, flags, 0);
	access_restore(d->v, d->fd, "", mode);
	return fd;
}

enum err vault_list_open(struct vault_dir *d, struct vault_list **ret)
{
	struct vault_list *list = malloc(sizeof(*list));
	int fd;

	if (!list)
		return err_fail(ERR_NO_MEMORY, "no memory for a directory listing");
	fd = open_again(d);
	if (fd < 0) {
		free(list);
		return fail_errno("opening a directory to list it");
	}
	list->dir = vault_dir_hold(d);
	list->again = list->leftovers = 0;
	list->lower[0] = '\0';
	dirents_init(&list->entries, d->v->lower, fd);
	*ret = list;
	return ERR_OK;
}

void vault_list_close(struct vault_list *l)
{
	if (!l)
		return;
	if (l->leftovers)
		empty_dir_sweep(l->dir);
	l->entries.l->close(l->entries.l, l->entries.fd);
	vault_dir_release(l->dir);
	free(l);
}

static enum err decode(struct vault_list *l, const char *lower, struct vault_entry *ret)
{
	struct vault *v = l->dir->v;
	size_t len = strlen(lower);

	switch (name_classify(v->names, lower, len)) {
	case NAME_ORDINARY:
		return name_decode(v->names, &l->dir->names, lower, len, ret->name, &ret->len);
	case NAME_LONG:
		return long_name_decode(l->dir, lower, len, ret->name, &ret->len);
	case NAME_OURS:
		l->leftovers |= empty_dir_is_tmp(lower);
		break;
	case NAME_LONG_SIDECAR:
		break;
	}
	return ERR_NOT_FOUND;
}

/* Some lower file systems do not tell types in a listing. */
static unsigned char type_of(struct vault_list *l, const struct dirent64 *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (l->entries.l->fstatat(l->entries.l, l->dir->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return DT_UNKNOWN;
	return (unsigned char)IFTODT(st.st_mode);
}

/* An entry that does not verify must not hide the others; the listing goes on behind it. */
static int is_shown(struct vault_list *l, const struct dirent64 *entry)
{
	enum err e = decode(l, entry->d_name, &l->last);

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		report_damage(l->dir->v, entry->d_name, err_text(e));
	return e == ERR_OK;
}

static enum err next_shown(struct vault_list *l)
{
	const struct dirent64 *entry;

	do
		TRY(dirents_next(&l->entries, &entry));
	while (!is_shown(l, entry));
	l->last.ino = entry->d_ino;
	l->last.type = type_of(l, entry);
	l->last.next = (uint64_t)entry->d_off;
	assert(l->last.next != 0);
	memcpy(l->lower, entry->d_name, strlen(entry->d_name) + 1);
	return ERR_OK;
}

enum err vault_list_next(struct vault_list *l, struct vault_entry *ret)
{
	if (!l->again)
		TRY(next_shown(l));
	l->again = 0;
	*ret = l->last;
	return ERR_OK;
}

void vault_list_unread(struct vault_list *l)
{
	assert(l->lower[0]);
	l->again = 1;
}

enum err vault_list_seek(struct vault_list *l, uint64_t cookie)
{
	l->again = 0;
	l->lower[0] = '\0';
	return dirents_seek(&l->entries, (off_t)cookie);
}

enum err vault_list_stat(struct vault_list *l, struct stat *ret)
{
	struct target t = {
		.v = l->dir->v, .l = l->entries.l, .fd = l->dir->fd, .name = l->lower, .at = AT_SYMLINK_NOFOLLOW};

	assert(l->lower[0]);
	return target_stat(&t, ret);
}
