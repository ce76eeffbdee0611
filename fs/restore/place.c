/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/restore/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/random.h"

/* Every step into DEST is one name, opened relative to its directory and without following links: there is no way out. */

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
#define TMP_PREFIX ".signetfs-restore."

struct place *place_new(struct place *parent, const char *name, const struct stat *st)
{
	size_t len = strlen(name);
	struct place *p = calloc(1, sizeof(*p) + len + 1);

	if (!p)
		return NULL;
	memcpy(p->name, name, len + 1);
	atomic_init(&p->refs, 1);
	p->fd = -1;
	p->st = *st;
	p->parent = parent ? place_hold(parent) : NULL;
	return p;
}

struct place *place_hold(struct place *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void place_release(struct restore *r, struct place *p)
{
	while (p && atomic_fetch_sub(&p->refs, 1) == 1) {
		struct place *parent = p->parent;

		if (p->fd >= 0) {
			close(p->fd);
			atomic_fetch_sub(&r->open, 1);
		}
		free(p);
		p = parent;
	}
}

/* Down from @fd, which is not ours, along @way: its last is the child of @fd. */
static enum err descend(int fd, struct place **way, size_t n, int *ret_fd)
{
	int ours = 0;

	while (n-- > 0) {
		int next = openat(fd, way[n]->name, OPEN_DIR);
		enum err e = next < 0 ? err_system("opening the folder %s to restore into it", way[n]->name) : ERR_OK;

		if (ours)
			close(fd);
		TRY(e);
		fd = next;
		ours = 1;
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err place_fd(struct place *p, int *ret_fd, int *ret_ours)
{
	struct place **way AUTO_FREE = NULL;
	size_t n = 0, depth = 0;

	*ret_ours = p->fd < 0;
	if (p->fd >= 0) {
		*ret_fd = p->fd;
		return ERR_OK;
	}
	for (struct place *q = p; q->fd < 0; q = q->parent)
		depth++;
	way = calloc(depth, sizeof(struct place *));
	if (!way)
		return err_fail(ERR_NO_MEMORY, "no memory for the way to a folder");
	for (; p->fd < 0; p = p->parent)
		way[n++] = p;
	return descend(p->fd, way, n, ret_fd);
}

/* DEST itself is there; elsewhere a directory of that name may be, and is used. */
static enum err make(const struct item *i, int *ret_made)
{
	*ret_made = mkdirat(i->dir, i->e->name, 0700) == 0;
	if (!*ret_made && errno != EEXIST)
		return err_system("making the folder");
	return ERR_OK;
}

static enum err keep(struct restore *r, int dir, struct place *p)
{
	int fd = openat(dir, p->name, OPEN_DIR);
	struct stat st;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_fail(ERR_EXISTS, "something else than a folder is there already");
	if (fd < 0 || fstat(fd, &st) != 0) {
		enum err e = err_system("opening the folder");

		if (fd >= 0)
			close(fd);
		return e;
	}
	/* DEST may be where the vault lies, and have a folder of its name. */
	if (st.st_dev == r->vault_dev && st.st_ino == r->vault_ino) {
		close(fd);
		return err_fail(ERR_EXISTS, "the vault itself is there already: plaintext has no place in it");
	}
	if (atomic_fetch_add(&r->open, 1) < PLACES_OPEN_MAX) {
		p->fd = fd;
		return ERR_OK;
	}
	atomic_fetch_sub(&r->open, 1);
	close(fd);
	return ERR_OK;
}

enum err place_make(struct item *i, struct place **ret)
{
	struct place *p;
	enum err e;
	int made;

	TRY(make(i, &made));
	p = place_new(i->in, i->e->name, i->e->st);
	if (!p)
		return err_fail(ERR_NO_MEMORY, "no memory for a folder");
	p->made = made || i->r->o.overwrite;
	e = keep(i->r, i->dir, p);
	if (e != ERR_OK) {
		place_release(i->r, p);
		return e;
	}
	*ret = p;
	return ERR_OK;
}

void place_tmp(struct item *i)
{
	uint8_t id[8];
	size_t len = strlen(TMP_PREFIX);

	random_bytes(id, sizeof(id));
	memcpy(i->tmp, TMP_PREFIX, len);
	encode_hex(id, sizeof(id), i->tmp + len);
}

static enum err fail_exists(void)
{
	return err_fail(ERR_EXISTS, "it is there already; --overwrite replaces it");
}

enum err place_check(const struct item *i)
{
	struct stat st;

	if (fstatat(i->dir, i->e->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? ERR_OK : err_system("looking whether it is there already");
	if (S_ISDIR(st.st_mode))
		return err_fail(ERR_EXISTS, "a folder is there already");
	return i->r->o.overwrite ? ERR_OK : fail_exists();
}

void place_drop(const struct item *i)
{
	unlinkat(i->dir, i->tmp, 0);
}

/* Not every file system can rename without replacing; links never replace. */
static int rename_new(const struct item *i)
{
	if (renameat2(i->dir, i->tmp, i->dir, i->e->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(i->dir, i->tmp, i->dir, i->e->name, 0) != 0)
		return -1;
	place_drop(i);
	return 0;
}

static int rename_over(const struct item *i)
{
	int rc = renameat(i->dir, i->tmp, i->dir, i->e->name);

	/* Where both are names of one inode, it does nothing. */
	if (rc == 0 && i->e->st->st_nlink > 1)
		place_drop(i);
	return rc;
}

enum err place_rename(struct item *i)
{
	enum err e;

	if ((i->r->o.overwrite ? rename_over(i) : rename_new(i)) == 0)
		return ERR_OK;
	e = errno == EEXIST ? fail_exists() : err_system("giving it its name");
	place_drop(i);
	return e;
}
