/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/walk_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "kms/base/io.h"

struct walk_dir *walk_dir_new(struct walk *w, struct walk_dir *parent, const char *name, const char *lower)
{
	size_t len = strlen(name), lower_len = strlen(lower);
	struct walk_dir *d = calloc(1, sizeof(*d) + len + lower_len + 2);

	if (!d)
		return NULL;
	memcpy(d->name, name, len + 1);
	memcpy(d->name + len + 1, lower, lower_len + 1);
	d->len = len;
	d->lower = d->name + len + 1;
	d->refs = 1;
	atomic_init(&d->whole, 1);
	d->parent = parent;
	if (parent)
		walk_dir_hold(w, parent);
	return d;
}

void walk_dir_hold(struct walk *w, struct walk_dir *d)
{
	pthread_mutex_lock(&w->lock);
	d->refs++;
	pthread_mutex_unlock(&w->lock);
}

struct walk_entry walk_dir_entry(const struct walk_dir *d, unsigned job)
{
	struct walk_entry e = {.name = d->name,
		.lower = d->lower,
		.type = DT_DIR,
		.depth = d->depth,
		.job = job,
		.above = d->parent ? d->parent->data : NULL,
		.data = d->data,
		.whole = atomic_load(&d->whole),
		.in = d->parent};

	return e;
}

/* ---- Open directories: the least recently used is closed. With the lock held; what is taken out is the caller's to release. ---- */

static struct vault_dir *take_out(struct walk *w, struct walk_dir *d)
{
	struct vault_dir *dir = d->dir;

	if (!dir)
		return NULL;
	DL_DELETE2(w->open, d, newer, older);
	w->open_count--;
	d->dir = NULL;
	return dir;
}

static void put_first(struct walk *w, struct walk_dir *d, struct vault_dir *dir)
{
	DL_PREPEND2(w->open, d, newer, older);
	w->open_count++;
	d->dir = dir;
}

/* The directory if it is open, a new reference. */
static struct vault_dir *get_open(struct walk *w, struct walk_dir *d)
{
	struct vault_dir *dir;

	pthread_mutex_lock(&w->lock);
	dir = take_out(w, d);
	if (dir) {
		put_first(w, d, dir);
		vault_dir_hold(dir);
	}
	pthread_mutex_unlock(&w->lock);
	return dir;
}

/* Keep @dir open for those below it. */
static void keep_open(struct walk *w, struct walk_dir *d, struct vault_dir *dir)
{
	struct vault_dir *before, *oldest = NULL;

	pthread_mutex_lock(&w->lock);
	before = take_out(w, d);
	put_first(w, d, vault_dir_hold(dir));
	if (w->open_count > WALK_OPEN_MAX)
		oldest = take_out(w, w->open->newer);
	pthread_mutex_unlock(&w->lock);
	vault_dir_release(before);
	vault_dir_release(oldest);
}

static enum err open_in(struct vault_dir *parent, const struct walk_dir *d, struct vault_dir **ret)
{
	const struct vault_object o = {.dir = parent, .name = d->name, .len = d->len};

	return vault_dir_open(o, ret);
}

/* Down from @dir, which is open, along @closed: its child, that one's child, … Takes @dir over. */
static enum err descend(
	struct walk *w, struct vault_dir *dir, struct walk_dir **closed, size_t n, struct vault_dir **ret)
{
	while (n-- > 0) {
		struct vault_dir *next;
		enum err e = open_in(dir, closed[n], &next);

		vault_dir_release(dir);
		TRY(e);
		dir = next;
		keep_open(w, closed[n], dir);
	}
	*ret = dir;
	return ERR_OK;
}

/* No recursion: whoever made the tree chose its depth. */
enum err walk_dir_get(struct walk *w, struct walk_dir *d, struct vault_dir **ret)
{
	struct vault_dir *dir = get_open(w, d);
	struct walk_dir **closed AUTO_FREE = NULL;
	size_t n = 0, room = 0;

	for (; !dir; dir = get_open(w, d)) {
		if (!d->parent) {
			dir = vault_root(w->v);
			break;
		}
		if (n == room) {
			struct walk_dir **more = reallocarray(closed, room = room * 2 + 16, sizeof(*closed));

			if (!more)
				return err_fail(ERR_NO_MEMORY, "no memory for the way to a directory");
			closed = more;
		}
		closed[n++] = d;
		d = d->parent;
	}
	return descend(w, dir, closed, n, ret);
}

/* ---- Listing ---- */

/* The vault's own descriptor of its top serves everybody: the walk lists through another. */
static enum err open_to_list(struct walk *w, struct walk_dir *d, struct vault_dir **ret)
{
	struct vault_dir *parent;
	enum err e;
	int fd;

	if (!d->parent) {
		fd = w->v->lower->openat(w->v->lower, w->v->top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		return fd < 0 ? fail_errno("opening the vault's top to list it") : dir_new(w->v, fd, ret);
	}
	TRY(walk_dir_get(w, d->parent, &parent));
	e = open_in(parent, d, ret);
	vault_dir_release(parent);
	return e;
}

enum err walk_dir_begin(struct walk *w, struct walk_dir *d)
{
	struct walk_cursor *c = malloc(sizeof(*c));
	enum err e = c ? open_to_list(w, d, &c->dir) : err_fail(ERR_NO_MEMORY, "no memory for a directory listing");

	if (e != ERR_OK) {
		free(c);
		return e;
	}
	dirents_init(&c->entries, w->v->lower, c->dir->fd);
	d->cursor = c;
	keep_open(w, d, c->dir);
	pthread_mutex_lock(&w->lock);
	w->cursors++;
	pthread_mutex_unlock(&w->lock);
	return ERR_OK;
}

void walk_dir_end(struct walk *w, struct walk_dir *d)
{
	if (!d->cursor)
		return;
	vault_dir_release(d->cursor->dir);
	free(STEAL(d->cursor));
	pthread_mutex_lock(&w->lock);
	w->cursors--;
	pthread_mutex_unlock(&w->lock);
}

/* ---- The end of one ---- */

struct vault_dir *walk_dir_name(struct walk *w, struct walk_dir *d, struct walk_entry *e)
{
	struct vault_dir *above = NULL;

	if (!d->parent) {
		e->object.dir = w->v->root;
		return NULL;
	}
	if (walk_dir_get(w, d->parent, &above) == ERR_OK)
		e->object = (struct vault_object){.dir = above, .name = d->name, .len = d->len};
	return above;
}

static int drop(struct walk *w, struct walk_dir *d, struct vault_dir **ret_dir)
{
	int last;

	pthread_mutex_lock(&w->lock);
	last = --d->refs == 0;
	*ret_dir = last ? take_out(w, d) : NULL;
	pthread_mutex_unlock(&w->lock);
	return last;
}

static void leave(struct walk *w, struct walk_dir *d, unsigned job)
{
	struct walk_entry e = walk_dir_entry(d, job);
	struct vault_dir *above;

	if (!e.whole && d->parent)
		atomic_store(&d->parent->whole, 0);
	if (!d->entered || !w->calls.leave)
		return;
	above = walk_dir_name(w, d, &e);
	w->calls.leave(w->context, &e);
	vault_dir_release(above);
}

void walk_dir_release(struct walk *w, struct walk_dir *d, unsigned job)
{
	struct vault_dir *dir;

	while (d && drop(w, d, &dir)) {
		struct walk_dir *parent = d->parent;

		vault_dir_release(dir);
		walk_dir_end(w, d);
		leave(w, d, job);
		free(d);
		d = parent;
	}
}

/* ---- Paths ---- */

/* From the end: the entry's own part, then those of the directories above it. NULL: it has none. */
static char *join(const struct walk_entry *e, const char *own, int lower)
{
	size_t len = own ? strlen(own) : 0, own_len = len;
	char *path, *p;

	for (const struct walk_dir *d = e->in; d && *d->name; d = d->parent)
		len += strlen(lower ? d->lower : d->name) + 1;
	path = malloc(len + 1);
	if (!path)
		return NULL;
	p = path + len;
	*p = '\0';
	p -= own_len;
	memcpy(p, own ? own : "", own_len);
	for (const struct walk_dir *d = e->in; d && *d->name; d = d->parent) {
		const char *part = lower ? d->lower : d->name;
		size_t n = strlen(part);

		*--p = '/';
		p -= n;
		memcpy(p, part, n);
	}
	return path;
}

char *walk_plain_path(const struct walk_entry *e)
{
	char *path = join(e, e->name, 0);
	size_t len = path ? strlen(path) : 0;

	if (len > 0 && path[len - 1] == '/')
		path[len - 1] = '\0';
	return path;
}

char *walk_lower_path(const struct walk_entry *e)
{
	return join(e, e->lower, 1);
}
