/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/walk_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* ---- Inodes with several names ---- */

struct walk_link {
	struct {
		uint64_t dev, ino;
	} key;
	uint64_t left; /* names still to come */
	UT_hash_handle hh;
};

/* @l is known: one of its names less to come; the inode is forgotten with the last. */
static void count_down(struct walk *w, struct walk_link *l)
{
	if (--l->left > 0)
		return;
	HASH_DELETE(hh, w->links, l);
	free(l);
}

/* Without memory, or beyond the bound, the inode is told again under its next name: nothing is left out. */
static void remember(struct walk *w, const struct stat *st)
{
	struct walk_link *l = HASH_COUNT(w->links) < WALK_LINKS_MAX ? calloc(1, sizeof(*l)) : NULL;
	unsigned before = HASH_COUNT(w->links);

	if (!l)
		return;
	l->key.dev = st->st_dev;
	l->key.ino = st->st_ino;
	l->left = st->st_nlink - 1;
	HASH_ADD(hh, w->links, key, sizeof(l->key), l);
	if (HASH_COUNT(w->links) == before)
		free(l);
}

static int was_told(struct walk *w, const struct stat *st)
{
	const struct {
		uint64_t dev, ino;
	} key = {st->st_dev, st->st_ino};
	struct walk_link *l;

	if (!(w->flags & WALK_LINKS_ONCE) || S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	pthread_mutex_lock(&w->lock);
	HASH_FIND(hh, w->links, &key, sizeof(key), l);
	if (l)
		count_down(w, l);
	else
		remember(w, st);
	pthread_mutex_unlock(&w->lock);
	return l != NULL;
}

void walk_links_free(struct walk *w)
{
	struct walk_link *l, *next;

	HASH_ITER (hh, w->links, l, next) {
		HASH_DELETE(hh, w->links, l);
		free(l);
	}
}

/* ---- Telling ---- */

void walk_fault(struct walk *w, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	atomic_fetch_add(&w->faults, 1);
	w->calls.fault(w->context, e, what, why);
}

/* With an entry of @d: who leaves @d hears that not all was seen. */
static void fault_in(struct walk *w, struct walk_dir *d, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	atomic_store(&d->whole, 0);
	walk_fault(w, e, what, why);
}

static int is_gone(enum err e)
{
	return e == ERR_NOT_FOUND || (e == ERR_SYSTEM && err_errno() == ENOENT);
}

static enum err decode(struct walk *w, struct vault_dir *dir, const char *lower, enum name_kind kind,
	char name[NAME_PLAIN_MAX + 1], size_t *ret_len)
{
	size_t len = strlen(lower);

	if (kind == NAME_LONG)
		return long_name_decode(dir, lower, len, name, ret_len);
	return name_decode(w->v->names, &dir->names, lower, len, name, ret_len);
}

static enum err look(struct walk *w, struct vault_dir *dir, const char *lower, struct stat *ret)
{
	const struct target t = {.v = w->v, .l = w->v->lower, .fd = dir->fd, .name = lower, .at = AT_SYMLINK_NOFOLLOW};

	return target_stat(&t, ret);
}

static void count(struct walk *w, unsigned char type)
{
	atomic_fetch_add(type == DT_DIR ? &w->directories : &w->others, 1);
}

/* Tell @e; a directory to go into is what comes back. */
static struct walk_dir *tell(struct walk *w, struct walk_entry *e, struct walk_dir *above)
{
	struct walk_dir *child;

	count(w, e->type);
	if (!w->calls.entry(w->context, e) || e->type != DT_DIR)
		return NULL;
	child = walk_dir_new(w, above, e->name, e->lower);
	if (!child) {
		walk_fault(w, e, WALK_OPEN, err_fail(ERR_NO_MEMORY, "no memory for a directory on the way"));
		e->whole = 0;
		if (w->calls.leave)
			w->calls.leave(w->context, e);
		return NULL;
	}
	child->depth = e->depth;
	child->data = e->data;
	child->entered = 1;
	return child;
}

static void tell_ours(struct walk *w, struct walk_entry *e, enum name_kind kind)
{
	if (w->calls.ours)
		w->calls.ours(w->context, e, kind);
}

/* False: nothing to tell, or told as a fault. */
static int look_at(struct walk *w, struct walk_entry *e, struct walk_dir *d, struct vault_dir *dir, struct stat *st)
{
	enum err err;

	if (!(w->flags & (WALK_STAT | WALK_LINKS_ONCE)) && e->type != DT_UNKNOWN)
		return 1;
	err = look(w, dir, e->lower, st);
	if (err != ERR_OK && !is_gone(err))
		fault_in(w, d, e, WALK_LOOK, err);
	if (err != ERR_OK)
		return 0;
	e->type = (unsigned char)IFTODT(st->st_mode);
	if (w->flags & WALK_STAT)
		e->st = st;
	return !was_told(w, st);
}

void walk_tell(struct walk_job *j, struct walk_dir *d, struct vault_dir *dir, const struct walk_raw *raw,
	struct walk_dir **ret_child)
{
	struct walk *w = j->w;
	enum name_kind kind = name_classify(w->v->names, raw->name, strlen(raw->name));
	struct walk_entry e = {.object = {.dir = dir},
		.lower = raw->name,
		.type = raw->type,
		.depth = d->depth + 1,
		.job = j->number,
		.above = d->data,
		.in = d};
	char name[NAME_PLAIN_MAX + 1];
	struct stat st;
	size_t len;
	enum err err;

	*ret_child = NULL;
	if (kind == NAME_OURS || kind == NAME_LONG_SIDECAR) {
		tell_ours(w, &e, kind);
		return;
	}
	err = decode(w, dir, raw->name, kind, name, &len);
	if (err != ERR_OK && !is_gone(err))
		fault_in(w, d, &e, WALK_NAME, err);
	if (err != ERR_OK)
		return;
	e.name = e.object.name = name;
	e.object.len = len;
	if (look_at(w, &e, d, dir, &st))
		*ret_child = tell(w, &e, d);
}

void walk_tell_start(struct walk *w, struct walk_entry *e, struct walk_dir *d)
{
	count(w, e->type);
	if (!w->calls.entry(w->context, e) || !d)
		return;
	d->data = e->data;
	d->entered = 1;
}
