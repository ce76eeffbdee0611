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

static enum err link_to(struct item *i, struct place *in, const char *name)
{
	int fd, ours, rc;

	TRY(place_check(i));
	TRY(place_fd(in, &fd, &ours));
	place_tmp(i);
	rc = linkat(fd, name, i->dir, i->tmp, 0);
	if (ours)
		close(fd);
	if (rc != 0)
		return err_system("linking it to its other name, %s", name);
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
	struct place *in = NULL;
	struct link_entry *l;
	char *name = NULL;
	enum err e;

	pthread_mutex_lock(&i->r->lock);
	l = find(i);
	if (!l)
		add(i);
	else if (l->left > 0)
		l->left--;
	*ret_first = !l || wait_turn(i, l);
	if (l && !*ret_first) {
		in = place_hold(l->in);
		name = l->name ? strdup(l->name) : NULL;
		if (l->left == 0)
			forget(i->r, l);
	}
	pthread_mutex_unlock(&i->r->lock);
	if (*ret_first)
		return ERR_OK;
	e = name ? link_to(i, in, name) : err_fail(ERR_NO_MEMORY, "no memory for a link");
	place_release(i->r, in);
	free(name);
	return e;
}

void links_done(struct item *i, int restored)
{
	struct link_entry *l;

	pthread_mutex_lock(&i->r->lock);
	l = find(i);
	if (l) {
		l->state = restored ? LINK_DONE : LINK_FAILED;
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
