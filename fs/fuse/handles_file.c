/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/handles_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- Opening ---- */

/*
 * The owner may open a file whose mode denies it to everybody: a 0444 file being unpacked, whose descriptor was evicted
 * before the kernel wrote its pages back, or one that was made 0000 while open. The mode is lifted for the one call.
 */
static enum err open_despite_mode(struct handle_cache *c, struct vault_object o, struct vault_file **ret)
{
	struct vault_attr attr = {.set = VAULT_SET_MODE};
	struct stat st, ignored;

	TRY(vault_stat(o, &st));
	if (st.st_uid != geteuid() || !S_ISREG(st.st_mode)) {
		errno = EACCES;
		return err_system("open: permission denied");
	}
	attr.mode = (st.st_mode & 07777) | 0600;
	TRY(vault_setattr(o, NULL, &attr, &ignored));
	enum err e = vault_file_open(c->vault, o, 1, ret);
	attr.mode = st.st_mode & 07777;
	enum err back = vault_setattr(o, NULL, &attr, &ignored);
	if (back != ERR_OK)
		report(c->reporter, REPORT_ERROR, "cannot restore the mode of a file: %s", err_text(back));
	return e;
}

static enum err open_object(struct handle_cache *c, struct vault_object o, int writable, struct vault_file **ret)
{
	if (c->read_only)
		return vault_file_open(c->vault, o, 0, ret);
	enum err e = vault_file_open(c->vault, o, 1, ret);
	if (e == ERR_SYSTEM && err_errno() == EACCES)
		e = open_despite_mode(c, o, ret);
	if (e == ERR_SYSTEM && !writable && (err_errno() == EACCES || err_errno() == EPERM || err_errno() == EROFS))
		e = vault_file_open(c->vault, o, 0, ret);
	return e;
}

static enum err open_node(struct handle_cache *c, struct node *n, int writable, struct vault_file **ret)
{
	struct handle_object o;
	int attempts = 0;

	nodes_share(c->nodes);
	enum err e = handle_object(c, n, &o);
	if (e == ERR_OK) {
		do
			e = open_object(c, o.o, writable, ret);
		while (handles_relieve(c, e, &attempts));
		handle_object_done(&o);
	}
	nodes_done(c->nodes);
	return e;
}

/* ---- States. With c->lock held. ---- */

static void set_fresh(struct handle_cache *c, struct handles *h, int fresh)
{
	c->fresh += fresh - (int)h->fresh;
	h->fresh = fresh != 0;
	h->second = 0;
	if (fresh && c->flusher_idle)
		pthread_cond_signal(&c->wake_flusher);
}

void handles_close_file(struct handle_cache *c, struct node *n)
{
	struct handles *h = &n->handles;

	handles_unlist(c, n);
	if (h->state != HANDLE_OPEN)
		return;
	assert(h->users == 0);
	h->state = HANDLE_CLOSING;
	pthread_mutex_unlock(&c->lock);
	enum err e = vault_file_close(h->file);
	if (e != ERR_OK)
		report(c->reporter, REPORT_ERROR, "closing a file failed: %s", err_text(e));
	pthread_mutex_lock(&c->lock);
	h->file = NULL;
	h->state = HANDLE_NONE;
	if (e != ERR_OK && c->close_failed)
		c->close_failed(c->context, n, e);
	set_fresh(c, h, 0);
	c->open--;
	pthread_cond_broadcast(&c->changed);
}

static void use(struct handle_cache *c, struct node *n, struct vault_file **ret)
{
	handles_unlist(c, n);
	n->handles.users++;
	*ret = n->handles.file;
}

/* Wait until the file is open well enough (true), or the caller is the one to open it (false, state is OPENING). */
static int wait_open(struct handle_cache *c, struct node *n, int writable)
{
	struct handles *h = &n->handles;

	for (;;) {
		if (h->state == HANDLE_OPEN && (!writable || c->read_only || vault_file_writable(h->file)))
			return 1;
		if (h->state == HANDLE_OPEN && h->users == 0)
			handles_close_file(c, n);
		if (h->state == HANDLE_NONE) {
			h->state = HANDLE_OPENING;
			return 0;
		}
		pthread_cond_wait(&c->changed, &c->lock);
	}
}

enum err handle_file(struct handle_cache *c, struct node *n, int writable, struct vault_file **ret)
{
	struct handles *h = &n->handles;
	struct vault_file *file = NULL;

	if (!S_ISREG(n->type)) {
		errno = S_ISDIR(n->type) ? EISDIR : EINVAL;
		return err_system("not a regular file");
	}
	pthread_mutex_lock(&c->lock);
	if (wait_open(c, n, writable)) {
		use(c, n, ret);
		pthread_mutex_unlock(&c->lock);
		return ERR_OK;
	}
	handles_make_room(c, c->budget);
	c->open++;
	pthread_mutex_unlock(&c->lock);

	enum err e = open_node(c, n, writable, &file);

	pthread_mutex_lock(&c->lock);
	h->state = e == ERR_OK ? HANDLE_OPEN : HANDLE_NONE;
	h->file = file;
	if (e == ERR_OK)
		use(c, n, ret);
	else
		c->open--;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return e;
}

void handle_file_done(struct handle_cache *c, struct node *n, int wrote)
{
	struct handles *h = &n->handles;

	pthread_mutex_lock(&c->lock);
	assert(h->users > 0);
	if (wrote && h->fresh)
		set_fresh(c, h, 0);
	if (--h->users == 0) {
		handles_touch(c, n);
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
}

struct vault_file *handle_file_if_open(struct handle_cache *c, struct node *n)
{
	struct vault_file *file = NULL;

	if (!S_ISREG(n->type))
		return NULL;
	pthread_mutex_lock(&c->lock);
	if (n->handles.state == HANDLE_OPEN)
		use(c, n, &file);
	pthread_mutex_unlock(&c->lock);
	return file;
}

void handle_file_adopt(struct handle_cache *c, struct node *n, struct vault_file *file, int pin)
{
	struct handles *h = &n->handles;

	pthread_mutex_lock(&c->lock);
	assert(h->state == HANDLE_NONE);
	handles_make_room(c, c->budget);
	h->file = file;
	h->pin = pin;
	h->state = HANDLE_OPEN;
	c->open += 1 + (pin >= 0);
	set_fresh(c, h, 1);
	handles_touch(c, n);
	pthread_mutex_unlock(&c->lock);
}

/* An idle one: nobody uses the file, so asking it does not block. */
static struct node *next_expired(struct handle_cache *c, uint64_t now)
{
	for (struct node *n = c->oldest; n; n = n->handles.newer)
		if (S_ISREG(n->type) && n->handles.state == HANDLE_OPEN && n->handles.users == 0 &&
			vault_file_live_until(n->handles.file) <= now)
			return n;
	return NULL;
}

void handle_close_expired(struct handle_cache *c)
{
	const struct clock *clock = clock_system();
	uint64_t now = clock->monotonic(clock);
	struct node *n;

	pthread_mutex_lock(&c->lock);
	while ((n = next_expired(c, now)))
		handles_close_file(c, n);
	pthread_mutex_unlock(&c->lock);
}

/* ---- The flusher ---- */

/* The oldest fresh file that was fresh at the tick before; the others are marked for the next. */
static struct node *next_stale(struct handle_cache *c)
{
	for (struct node *n = c->oldest; n; n = n->handles.newer) {
		if (n->handles.fresh && n->handles.second)
			return n;
	}
	return NULL;
}

static void tick(struct handle_cache *c)
{
	struct node *n;

	while ((n = next_stale(c)))
		handles_close_file(c, n);
	for (n = c->oldest; n; n = n->handles.newer)
		n->handles.second = n->handles.fresh;
}

static void *flusher(void *context)
{
	struct handle_cache *c = context;
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (c->fresh == 0) {
			c->flusher_idle = 1;
			pthread_cond_wait(&c->wake_flusher, &c->lock);
			c->flusher_idle = 0;
			continue;
		}
		tick(c);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		while (!c->stop && pthread_cond_timedwait(&c->wake_flusher, &c->lock, &until) != ETIMEDOUT)
			continue;
	}
	pthread_mutex_unlock(&c->lock);
	vault_thread_cleanup();
	return NULL;
}

/* ---- Making and freeing ---- */

static void init_locks(struct handle_cache *c)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake_flusher, &attr);
	pthread_condattr_destroy(&attr);
}

static void release(struct handle_cache *c)
{
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	pthread_cond_destroy(&c->wake_flusher);
	free(c);
}

enum err handle_cache_new(const struct handle_cache_config *config, struct handle_cache **ret)
{
	struct handle_cache *c = calloc(1, sizeof *c);

	if (!c)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	c->vault = config->vault;
	c->nodes = config->nodes;
	c->read_only = config->read_only;
	c->reporter = config->reporter;
	c->close_failed = config->close_failed;
	c->context = config->context;
	c->budget = config->budget ? config->budget : handle_cache_budget();
	init_locks(c);
	node_root(c->nodes)->handles.dir = vault_root(c->vault);
	int rc = pthread_create(&c->flusher, NULL, flusher, c);
	if (rc) {
		vault_dir_release(node_root(c->nodes)->handles.dir);
		node_root(c->nodes)->handles.dir = NULL;
		release(c);
		errno = rc;
		return err_system("cannot start a thread");
	}
	*ret = c;
	return ERR_OK;
}

void handle_cache_free(struct handle_cache *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = 1;
	pthread_cond_signal(&c->wake_flusher);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->flusher, NULL);
	release(c);
}
