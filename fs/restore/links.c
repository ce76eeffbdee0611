/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/restore/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/*
 * Names of one inode. The first that comes is restored; the others wait for it and become links. An inode is remembered until its last
 * name came, so memory grows with the number of inodes that have names still to come.
 */
struct link_entry {
	struct {
		uint64_t dev, ino;
	} key;
	uint64_t left; /* names still to come, and threads that wait */
	enum { LINK_BUSY, LINK_DONE, LINK_FAILED } state;
	struct place *in; /* of the name that is restored */
	char *name;
	dev_t dev; /* and what it is in DEST */
	ino_t ino;
	UT_hash_handle hh;
};

static struct link_entry *find(struct item *i)
{
	const struct {
		uint64_t dev, ino;
	} key = {i->e->st->st_dev, i->e->st->st_ino};
	struct link_entry *l;

	HASH_FIND(hh, i->r->links, &key, sizeof(key), l);
	return l;
}

static void forget(struct restore *r, struct link_entry *l)
{
	HASH_DELETE(hh, r->links, l);
	place_release(r, l->in);
	free(l->name);
	free(l);
}

/* @l becomes the business of @i. Without memory the name is restored as a file of its own. */
static void take_over(struct item *i, struct link_entry *l)
{
	l->state = LINK_BUSY;
	place_release(i->r, l->in);
	free(l->name);
	l->in = place_hold(i->in);
	l->name = strdup(i->e->name);
}

static void add(struct item *i)
{
	struct link_entry *l = calloc(1, sizeof(*l));
	unsigned before = HASH_COUNT(i->r->links);

	if (!l)
		return;
	l->key.dev = i->e->st->st_dev;
	l->key.ino = i->e->st->st_ino;
	l->left = i->e->st->st_nlink - 1;
	take_over(i, l);
	HASH_ADD(hh, i->r->links, key, sizeof(l->key), l);
	if (HASH_COUNT(i->r->links) == before) {
		place_release(i->r, l->in);
		free(l->name);
		free(l);
	}
}

/* The first name, as it was when it was restored. */
struct first {
	struct place *in;
	char *name;
	dev_t dev;
	ino_t ino;
};

static enum err make_link(struct item *i, const struct first *f)
{
	struct stat st;
	int fd, ours, rc;

	TRY(place_fd(f->in, &fd, &ours));
	place_tmp(i);
	rc = linkat(fd, f->name, i->dir, i->tmp, 0);
	if (ours)
		close(fd);
	if (rc != 0)
		return err_system("it cannot be a link to its other name, %s", f->name);
	if (fstatat(i->dir, i->tmp, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == f->dev && st.st_ino == f->ino)
		return ERR_OK;
	place_drop(i);
	return err_fail(ERR_STALE, "its other name, %s, was replaced by somebody else", f->name);
}

static int is_full(enum err e)
{
	return e == ERR_SYSTEM && (err_errno() == ENOSPC || err_errno() == EDQUOT || err_errno() == EROFS);
}

/* DEST may know no hard links, or no more of them, and a folder may be closed by its own mode meanwhile: the data counts more. */
static enum err link_to(struct item *i, const struct first *f, int *ret_alone)
{
	enum err e;

	TRY(place_check(i));
	e = make_link(i, f);
	if (e != ERR_OK && e != ERR_NO_MEMORY && !is_full(e)) {
		restore_tell(i, RESTORE_ATTRIBUTE, "%s; it was restored as a file of its own", err_text(e));
		i->incomplete = *ret_alone = 1;
		return ERR_OK;
	}
	TRY(e);
	TRY(place_rename(i));
	atomic_fetch_add(&i->r->linked, 1);
	return ERR_OK;
}

/* With the lock. True: @i is the one to restore it. */
static int wait_turn(struct item *i, struct link_entry *l)
{
	l->left++;
	while (l->state == LINK_BUSY)
		pthread_cond_wait(&i->r->link_done, &i->r->lock);
	l->left--;
	if (l->state == LINK_DONE)
		return 0;
	take_over(i, l);
	return 1;
}

enum err links_enter(struct item *i, int *ret_first)
{
	struct first first = {0};
	struct link_entry *l;
	enum err e;

	pthread_mutex_lock(&i->r->lock);
	l = find(i);
	if (!l)
		add(i);
	else if (l->left > 0)
		l->left--;
	*ret_first = !l || wait_turn(i, l);
	if (l && !*ret_first) {
		first = (struct first){place_hold(l->in), l->name ? strdup(l->name) : NULL, l->dev, l->ino};
		if (l->left == 0)
			forget(i->r, l);
	}
	pthread_mutex_unlock(&i->r->lock);
	if (*ret_first)
		return ERR_OK;
	e = first.name ? link_to(i, &first, ret_first) : err_fail(ERR_NO_MEMORY, "no memory for a link");
	place_release(i->r, first.in);
	free(first.name);
	return e;
}

void links_done(struct item *i, int restored)
{
	struct link_entry *l;

	pthread_mutex_lock(&i->r->lock);
	l = find(i);
	/* Not of one that was restored beside the first. */
	if (l && l->state == LINK_BUSY) {
		l->state = restored ? LINK_DONE : LINK_FAILED;
		l->dev = i->dev;
		l->ino = i->ino;
		pthread_cond_broadcast(&i->r->link_done);
		if (l->left == 0)
			forget(i->r, l);
	}
	pthread_mutex_unlock(&i->r->lock);
}

void links_free(struct restore *r)
{
	struct link_entry *l = NULL, *next = NULL;

	HASH_ITER (hh, r->links, l, next) {
		forget(r, l);
	}
}
