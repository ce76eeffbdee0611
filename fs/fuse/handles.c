/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/handles.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "fs/fuse/handles_internal.h"

/* Descriptors that are not the cache's: the device, sockets, logs, and what calls of the vault open for a moment. */
enum { DESCRIPTORS_RESERVED = 72, BUDGET_MIN = 16, BUDGET_MAX = 1024, CHAIN_MAX = 64, EVICT_ON_EMFILE = 16 };

unsigned handle_cache_budget(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return BUDGET_MIN;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
		if (!setrlimit(RLIMIT_NOFILE, &raised))
			limit = raised;
	}
	if (limit.rlim_cur <= DESCRIPTORS_RESERVED + BUDGET_MIN)
		return BUDGET_MIN;
	rlim_t spare = limit.rlim_cur - DESCRIPTORS_RESERVED;
	return spare > BUDGET_MAX ? BUDGET_MAX : (unsigned)spare;
}

/* ---- The least-recently-used list: c->oldest … c->newest. With c->lock held. ---- */

void handles_unlist(struct handle_cache *c, struct node *n)
{
	struct handles *h = &n->handles;

	if (!h->listed)
		return;
	*(h->older ? &h->older->handles.newer : &c->oldest) = h->newer;
	*(h->newer ? &h->newer->handles.older : &c->newest) = h->older;
	h->newer = h->older = NULL;
	h->listed = 0;
}

void handles_touch(struct handle_cache *c, struct node *n)
{
	struct handles *h = &n->handles;

	if (c->newest == n)
		return;
	handles_unlist(c, n);
	h->older = c->newest;
	*(c->newest ? &c->newest->handles.newer : &c->oldest) = n;
	c->newest = n;
	h->listed = 1;
}

/* ---- Eviction. With c->lock held; released around what may block. ---- */

static void evict_dir(struct handle_cache *c, struct node *n)
{
	struct vault_dir *dir = n->handles.dir;
	struct listing *l = n->handles.listing;

	handles_unlist(c, n);
	n->handles.dir = NULL;
	n->handles.listing = NULL;
	c->open -= (dir != NULL) + (l != NULL);
	pthread_mutex_unlock(&c->lock);
	if (l) {
		vault_list_close(l->list);
		free(l);
	}
	vault_dir_release(dir);
	pthread_mutex_lock(&c->lock);
}

void handles_evict(struct handle_cache *c, struct node *n)
{
	if (S_ISDIR(n->type))
		evict_dir(c, n);
	else
		handles_close_file(c, n);
}

void handles_make_room(struct handle_cache *c, unsigned budget)
{
	while (c->open >= budget && c->oldest)
		handles_evict(c, c->oldest);
}

/* The vault ran out of descriptors although the budget is kept (a lower limit, many pins): give some back. True to try again. */
int handles_relieve(struct handle_cache *c, enum err e, int *attempts)
{
	if (e != ERR_SYSTEM || (err_errno() != EMFILE && err_errno() != ENFILE) || (*attempts)++ == 4)
		return 0;
	pthread_mutex_lock(&c->lock);
	handles_make_room(c, c->open > EVICT_ON_EMFILE ? c->open - EVICT_ON_EMFILE : 1);
	pthread_mutex_unlock(&c->lock);
	return 1;
}

unsigned handle_cache_open(struct handle_cache *c)
{
	pthread_mutex_lock(&c->lock);
	unsigned n = c->open;
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* ---- Directories ---- */

static struct vault_dir *cached_dir(struct handle_cache *c, struct node *n)
{
	struct vault_dir *dir = NULL;

	pthread_mutex_lock(&c->lock);
	if (n->handles.dir) {
		dir = vault_dir_hold(n->handles.dir);
		if (n->handles.listed)
			handles_touch(c, n);
	}
	pthread_mutex_unlock(&c->lock);
	return dir;
}

/* Keep @dir on the node unless another thread was faster. The caller's reference stays the caller's. */
static void remember_dir(struct handle_cache *c, struct node *n, struct vault_dir *dir)
{
	pthread_mutex_lock(&c->lock);
	handles_make_room(c, c->budget);
	if (!n->handles.dir) {
		n->handles.dir = vault_dir_hold(dir);
		c->open++;
		handles_touch(c, n);
	}
	pthread_mutex_unlock(&c->lock);
}

static enum err open_child(struct handle_cache *c, struct vault_dir *parent, struct node *n, struct vault_dir **ret)
{
	const struct name *m = node_name(c->nodes, n);
	struct vault_dir *dir;
	int attempts = 0;
	enum err e;

	do
		e = vault_dir_open((struct vault_object){.dir = parent, .name = m->text, .len = m->len}, &dir);
	while (handles_relieve(c, e, &attempts));
	if (e != ERR_OK)
		return e;
	remember_dir(c, n, dir);
	*ret = dir;
	return ERR_OK;
}

/*
 * Open as much of the way down to @n as fits: climb to the nearest open ancestor, remembering the CHAIN_MAX nodes below it,
 * then open those from the top. True when that reached @n.
 */
static enum err open_chain(struct handle_cache *c, struct node *n, struct vault_dir **ret)
{
	struct node *chain[CHAIN_MAX];
	size_t depth = 0;
	struct vault_dir *dir;

	while (!(dir = cached_dir(c, n))) {
		const struct name *m = node_name(c->nodes, n);
		if (!m) {
			errno = ENOENT;
			return err_system("the directory was removed");
		}
		chain[depth++ % CHAIN_MAX] = n;
		n = m->parent;
	}
	for (size_t opened = 0; opened < CHAIN_MAX && depth > 0; opened++) {
		struct vault_dir *child;
		enum err e = open_child(c, dir, chain[--depth % CHAIN_MAX], &child);
		vault_dir_release(dir);
		TRY(e);
		dir = child;
	}
	if (depth > 0) {
		vault_dir_release(dir);
		dir = NULL;
	}
	*ret = dir;
	return ERR_OK;
}

enum err handle_dir(struct handle_cache *c, struct node *n, struct vault_dir **ret)
{
	struct vault_dir *dir = NULL;

	if (!S_ISDIR(n->type)) {
		errno = ENOTDIR;
		return err_system("not a directory");
	}
	while (!dir)
		TRY(open_chain(c, n, &dir));
	*ret = dir;
	return ERR_OK;
}

/* ---- Objects ---- */

enum err handle_object(struct handle_cache *c, struct node *n, struct handle_object *ret)
{
	struct handle_object o = {.o = {.pin = -1}};

	if (S_ISDIR(n->type) && (o.held = cached_dir(c, n))) {
		o.o.dir = o.held;
		*ret = o;
		return ERR_OK;
	}
	const struct name *m = node_name(c->nodes, n);
	if (m) {
		TRY(handle_dir(c, m->parent, &o.held));
		o.o.dir = o.held;
		o.o.name = m->text;
		o.o.len = m->len;
	} else if (n->handles.pin >= 0) {
		o.o.pin = n->handles.pin;
	} else {
		errno = ESTALE;
		return err_system("the file was removed behind the mount");
	}
	*ret = o;
	return ERR_OK;
}

void handle_object_done(struct handle_object *o)
{
	vault_dir_release(o->held);
	o->held = NULL;
}

/* ---- Listings ---- */

static enum err new_listing(struct handle_cache *c, struct vault_dir *dir, struct listing **ret)
{
	struct listing *l = calloc(1, sizeof *l);
	int attempts = 0;
	enum err e;

	if (!l)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	do
		e = vault_list_open(dir, &l->list);
	while (handles_relieve(c, e, &attempts));
	if (e != ERR_OK) {
		free(l);
		return e;
	}
	*ret = l;
	return ERR_OK;
}

enum err handle_listing_take(
	struct handle_cache *c, struct node *n, struct vault_dir *dir, uint64_t at, struct listing **ret)
{
	pthread_mutex_lock(&c->lock);
	struct listing *l = n->handles.listing;
	n->handles.listing = NULL;
	if (!l)
		handles_make_room(c, c->budget);
	c->open += l == NULL;
	pthread_mutex_unlock(&c->lock);

	enum err e = l ? ERR_OK : new_listing(c, dir, &l);
	if (e == ERR_OK && l->at != at) {
		e = vault_list_seek(l->list, at);
		l->at = at;
	}
	if (e != ERR_OK) {
		handle_listing_close(c, l);
		return e;
	}
	*ret = l;
	return ERR_OK;
}

void handle_listing_give(struct handle_cache *c, struct node *n, struct listing *l)
{
	pthread_mutex_lock(&c->lock);
	if (n->handles.dir && !n->handles.listing) {
		n->handles.listing = l;
		l = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (l)
		handle_listing_close(c, l);
}

void handle_listing_close(struct handle_cache *c, struct listing *l)
{
	if (l && l->list)
		vault_list_close(l->list);
	free(l);
	pthread_mutex_lock(&c->lock);
	c->open--;
	pthread_mutex_unlock(&c->lock);
}

/* ---- Unnamed nodes ---- */

enum err handle_keep(struct handle_cache *c, struct node *n)
{
	struct handle_object o;
	int attempts = 0, pin;
	enum err e;

	pthread_mutex_lock(&c->lock);
	int kept = n->handles.pin >= 0 || (S_ISDIR(n->type) && n->handles.dir);
	if (kept)
		handles_unlist_dir(c, n);
	else
		handles_make_room(c, c->budget);
	pthread_mutex_unlock(&c->lock);
	if (kept)
		return ERR_OK;
	TRY(handle_object(c, n, &o));
	do
		e = vault_pin(o.o, &pin);
	while (handles_relieve(c, e, &attempts));
	handle_object_done(&o);
	TRY(e);
	pthread_mutex_lock(&c->lock);
	n->handles.pin = pin;
	c->open++;
	pthread_mutex_unlock(&c->lock);
	return ERR_OK;
}

void handles_unlist_dir(struct handle_cache *c, struct node *n)
{
	if (S_ISDIR(n->type))
		handles_unlist(c, n);
}

void handle_unkeep(struct handle_cache *c, struct node *n)
{
	pthread_mutex_lock(&c->lock);
	if (S_ISDIR(n->type) && n->handles.dir && n != node_root(c->nodes))
		handles_touch(c, n);
	pthread_mutex_unlock(&c->lock);
	handle_named(c, n);
}

void handle_named(struct handle_cache *c, struct node *n)
{
	pthread_mutex_lock(&c->lock);
	int pin = n->handles.pin;
	n->handles.pin = -1;
	c->open -= pin >= 0;
	pthread_mutex_unlock(&c->lock);
	if (pin >= 0)
		vault_unpin(c->vault, pin);
}

/* ---- Disposal ---- */

void handle_dispose(struct handle_cache *c, struct node *n)
{
	struct handles *h = &n->handles;

	pthread_mutex_lock(&c->lock);
	while (h->state == HANDLE_OPENING || h->state == HANDLE_CLOSING)
		pthread_cond_wait(&c->changed, &c->lock);
	assert(h->users == 0);
	if (S_ISDIR(n->type) && n == node_root(c->nodes))
		c->open += h->dir != NULL; /* the root's directory is not counted: the vault holds it anyway */
	handles_evict(c, n);
	pthread_mutex_unlock(&c->lock);
	handle_named(c, n);
}

void handle_dispose_list(struct handle_cache *c, struct node *gone)
{
	while (gone) {
		struct node *next = gone->chain;
		handle_dispose(c, gone);
		node_free(c->nodes, gone);
		gone = next;
	}
}
