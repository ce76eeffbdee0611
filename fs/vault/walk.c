/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/walk_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>
#include "kms/base/io.h"

/*
 * The queue is a stack: a job goes on with what was found last, so what waits is what lies beside the way down to where the jobs are, and
 * not a whole level of the tree. A directory that a job takes belongs to it while a batch is drawn; if something is left, it goes
 * back, and another job can draw the next batch while this one tells its own.
 */

/* A directory that was not drawn to its end holds a descriptor and a buffer: beyond so many, a job draws on until the end. */
enum { CURSORS_MAX = 64 };

/* ---- The queue ---- */

static void count_queued(struct walk *w)
{
	uint64_t n = atomic_fetch_add(&w->queued, 1) + 1;

	/* Under the lock, so nobody else raises it. */
	if (n > atomic_load(&w->most_queued))
		atomic_store(&w->most_queued, n);
}

/* Takes over the caller's reference. */
static void push(struct walk *w, struct walk_dir *d)
{
	pthread_mutex_lock(&w->lock);
	DL_PREPEND(w->queue, d);
	count_queued(w);
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
}

/* The next directory, with its reference; NULL: all is told, or the walk was stopped. */
static struct walk_dir *take(struct walk *w)
{
	struct walk_dir *d = NULL;

	pthread_mutex_lock(&w->lock);
	while (!w->queue && w->active > 0 && !atomic_load(&w->stopped))
		pthread_cond_wait(&w->work, &w->lock);
	if (w->queue && !atomic_load(&w->stopped)) {
		d = w->queue;
		DL_DELETE(w->queue, d);
		atomic_fetch_sub(&w->queued, 1);
		w->active++;
	}
	pthread_mutex_unlock(&w->lock);
	return d;
}

static void done_with_one(struct walk *w)
{
	pthread_mutex_lock(&w->lock);
	if (--w->active == 0)
		pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
}

/* ---- A job ---- */

static void fault_of_dir(struct walk_job *j, struct walk_dir *d, enum walk_fault what, enum err why)
{
	struct walk_entry e = walk_dir_entry(d, j->number);
	struct vault_dir *above = NULL;

	atomic_store(&d->whole, 0);
	/* Removed since its entry was told. */
	if (what == WALK_OPEN && why == ERR_SYSTEM && err_errno() == ENOENT && d->parent)
		return;
	above = walk_dir_name(j->w, d, &e);
	walk_fault(j->w, &e, what, why);
	vault_dir_release(above);
}

/* Fill the batch. False: that was the rest. */
static int draw(struct walk_job *j, struct walk_dir *d)
{
	const struct dirent64 *entry;
	enum err e = ERR_OK;

	for (j->count = 0; j->count < WALK_BATCH; j->count++) {
		e = dirents_next(&d->cursor->entries, &entry);
		if (e != ERR_OK)
			break;
		j->raw[j->count].type = entry->d_type;
		memcpy(j->raw[j->count].name, entry->d_name, strnlen(entry->d_name, NAME_LOWER_MAX) + 1);
		j->raw[j->count].name[NAME_LOWER_MAX] = '\0';
	}
	if (e != ERR_OK && e != ERR_CLOSED)
		fault_of_dir(j, d, WALK_LIST, e);
	return e == ERR_OK;
}

/* The walk was stopped before everything in @d was told. */
static void cut_off(struct walk *w, struct walk_dir *d)
{
	atomic_store(&d->whole, 0);
	pthread_mutex_lock(&w->lock);
	w->cut = 1;
	pthread_mutex_unlock(&w->lock);
}

static void tell_batch(struct walk_job *j, struct walk_dir *d, struct vault_dir *dir)
{
	struct walk_dir *child;
	unsigned i;

	for (i = 0; i < j->count && !atomic_load(&j->w->stopped); i++) {
		walk_tell(j, d, dir, &j->raw[i], &child);
		if (child)
			push(j->w, child);
	}
	if (i < j->count)
		cut_off(j->w, d);
}

static int too_many_cursors(struct walk *w)
{
	int many;

	pthread_mutex_lock(&w->lock);
	many = w->cursors > CURSORS_MAX;
	pthread_mutex_unlock(&w->lock);
	return many;
}

/* One batch of @d, whose reference is ours; what is left goes back into the queue first, for others. */
static void work_on(struct walk_job *j, struct walk_dir *d)
{
	struct walk *w = j->w;
	struct vault_dir *dir;
	enum err e = d->cursor ? ERR_OK : walk_dir_begin(w, d);
	int more;

	if (e != ERR_OK) {
		fault_of_dir(j, d, WALK_OPEN, e);
		walk_dir_release(w, d, j->number);
		return;
	}
	do {
		int keep = too_many_cursors(w);

		more = draw(j, d);
		dir = vault_dir_hold(d->cursor->dir);
		if (!more)
			walk_dir_end(w, d);
		else if (!keep) {
			walk_dir_hold(w, d);
			push(w, d);
			more = 0;
		}
		tell_batch(j, d, dir);
		vault_dir_release(dir);
	} while (more && !atomic_load(&w->stopped));
	if (more)
		cut_off(w, d);
	walk_dir_release(w, d, j->number);
}

static void run(struct walk_job *j)
{
	struct walk_dir *d;

	while ((d = take(j->w)) != NULL) {
		work_on(j, d);
		done_with_one(j->w);
	}
}

/* What a stop left in the queue. */
static void drop_queue(struct walk *w, unsigned job)
{
	struct walk_dir *d;

	do {
		pthread_mutex_lock(&w->lock);
		d = w->queue;
		if (d) {
			DL_DELETE(w->queue, d);
			atomic_fetch_sub(&w->queued, 1);
		}
		pthread_mutex_unlock(&w->lock);
		if (d) {
			cut_off(w, d);
			walk_dir_release(w, d, job);
		}
	} while (d);
}

static void *thread_main(void *p)
{
	struct walk_job *j = p;
	struct walk *w = j->w;

	run(j);
	drop_queue(w, j->number);
	free(j);
	pthread_mutex_lock(&w->lock);
	if (--w->running == 0)
		pthread_cond_broadcast(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- The beginning ---- */

static void init_sync(struct walk *w)
{
	pthread_condattr_t a;

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&w->ended, &a);
	pthread_condattr_destroy(&a);
}

static void walk_free(struct walk *w)
{
	walk_links_free(w);
	pthread_cond_destroy(&w->ended);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static unsigned jobs_of(const struct walk_options *o)
{
	long n = o->jobs > 0 ? (long)o->jobs : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > WALK_JOBS_MAX ? WALK_JOBS_MAX : (unsigned)n;
}

static enum err check_component(const char *name, size_t len)
{
	if ((len == 1 && name[0] == '.') || (len == 2 && memcmp(name, "..", 2) == 0))
		return err_fail(ERR_USAGE, "a path in a vault has no \".\" or \"..\"");
	if (len > NAME_PLAIN_MAX)
		return fail_with(ENAMETOOLONG, "a name in the path is longer than 255 bytes");
	return ERR_OK;
}

/* One step down the path: the entry @name in @d. *ret_child is the directory it is, or NULL. */
static enum err step(struct walk *w, struct walk_dir *d, const char *name, struct stat *st,
	char lower[NAME_LOWER_MAX + 1], struct walk_dir **ret_child)
{
	struct vault_dir *dir;
	struct target t;
	enum err e;

	TRY(walk_dir_get(w, d, &dir));
	e = target_of((struct vault_object){.dir = dir, .name = name, .len = strlen(name)}, TARGET_FIND, &t);
	if (e == ERR_OK)
		e = target_stat(&t, st);
	if (e == ERR_OK)
		memcpy(lower, t.lower.name, sizeof(t.lower.name));
	vault_dir_release(dir);
	if (e == ERR_SYSTEM)
		return err_system("%s", name);
	TRY(e);
	*ret_child = S_ISDIR(st->st_mode) ? walk_dir_new(w, d, name, lower) : NULL;
	if (S_ISDIR(st->st_mode) && !*ret_child)
		return err_fail(ERR_NO_MEMORY, "no memory for the way to a directory");
	return ERR_OK;
}

/* Where the walk begins. */
struct start {
	struct walk_dir *above, *dir; /* references; dir NULL: not a directory; above NULL: the top */
	char name[NAME_PLAIN_MAX + 1], lower[NAME_LOWER_MAX + 1];
	struct stat st;
};

static enum err find_next(struct walk *w, struct start *s, const char *part, size_t len)
{
	struct walk_dir *child = NULL;

	TRY(check_component(part, len));
	if (!s->dir)
		return fail_with(ENOTDIR, "a part of the path is no directory");
	memcpy(s->name, part, len);
	s->name[len] = '\0';
	TRY(step(w, s->dir, s->name, &s->st, s->lower, &child));
	if (s->above)
		walk_dir_release(w, s->above, 0);
	s->above = s->dir;
	s->dir = child;
	return ERR_OK;
}

static enum err find_start(struct walk *w, const char *path, struct start *s)
{
	const struct vault_object top = {.dir = w->v->root};

	s->dir = walk_dir_new(w, NULL, "", "");
	if (!s->dir)
		return err_fail(ERR_NO_MEMORY, "no memory for a walk");
	TRY(vault_stat(top, &s->st));
	for (path = path ? path : ""; *path; path += strcspn(path, "/")) {
		path += strspn(path, "/");
		if (*path)
			TRY(find_next(w, s, path, strcspn(path, "/")));
	}
	return ERR_OK;
}

static void start_free(struct walk *w, struct start *s)
{
	if (s->above)
		walk_dir_release(w, s->above, 0);
	if (s->dir)
		walk_dir_release(w, s->dir, 0);
}

/* Tell it, and queue it if it is a directory to go into. */
static enum err tell_first(struct walk *w, struct start *s)
{
	struct vault_dir *dir;
	struct walk_entry e = {.name = s->name,
		.lower = s->lower,
		.type = (unsigned char)IFTODT(s->st.st_mode),
		.st = w->flags & WALK_STAT ? &s->st : NULL,
		.in = s->above};

	TRY(walk_dir_get(w, s->above ? s->above : s->dir, &dir));
	e.object.dir = dir;
	if (s->above) {
		e.object.name = e.name;
		e.object.len = strlen(e.name);
	}
	walk_tell_start(w, &e, s->dir);
	vault_dir_release(dir);
	if (s->dir && s->dir->entered)
		push(w, STEAL(s->dir));
	return ERR_OK;
}

static enum err start_thread(struct walk *w, unsigned number)
{
	struct walk_job *j = malloc(sizeof(*j));
	int rc;

	if (!j)
		return err_fail(ERR_NO_MEMORY, "no memory for a job");
	j->w = w;
	j->number = number;
	rc = pthread_create(&w->thread[number], NULL, thread_main, j);
	if (rc == 0)
		return ERR_OK;
	free(j);
	return fail_with(rc, "starting a thread");
}

/* One is enough; the others are for speed. */
static enum err start_threads(struct walk *w, unsigned jobs)
{
	for (unsigned n = 0; n < jobs; n++) {
		enum err e;

		pthread_mutex_lock(&w->lock);
		w->running++;
		pthread_mutex_unlock(&w->lock);
		e = start_thread(w, n);
		if (e == ERR_OK) {
			w->jobs++;
			continue;
		}
		pthread_mutex_lock(&w->lock);
		w->running--;
		pthread_mutex_unlock(&w->lock);
		return n > 0 ? ERR_OK : e;
	}
	return ERR_OK;
}

enum err walk_start(const struct walk_options *o, struct walk **ret)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct start s = {.name = ""};
	enum err e;

	if (!w)
		return err_fail(ERR_NO_MEMORY, "no memory for a walk");
	w->v = o->vault;
	w->calls = o->calls;
	w->context = o->context;
	w->flags = o->flags;
	init_sync(w);
	e = find_start(w, o->path, &s);
	if (e == ERR_OK)
		e = tell_first(w, &s);
	start_free(w, &s);
	if (e == ERR_OK && w->queue)
		e = start_threads(w, jobs_of(o));
	if (e != ERR_OK) {
		drop_queue(w, 0);
		walk_free(w);
		return e;
	}
	*ret = w;
	return ERR_OK;
}

/* ---- While it goes on, and the end ---- */

int walk_wait(struct walk *w, unsigned ms)
{
	struct timespec until;
	int over, rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000 + (until.tv_nsec + ms % 1000 * 1000000L) / 1000000000L;
	until.tv_nsec = (until.tv_nsec + ms % 1000 * 1000000L) % 1000000000L;
	pthread_mutex_lock(&w->lock);
	while (w->running > 0 && rc == 0)
		rc = pthread_cond_timedwait(&w->ended, &w->lock, &until);
	over = w->running == 0;
	pthread_mutex_unlock(&w->lock);
	return over;
}

void walk_stop(struct walk *w)
{
	pthread_mutex_lock(&w->lock);
	atomic_store(&w->stopped, 1);
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
}

enum err walk_finish(struct walk *w)
{
	int cut;

	for (unsigned n = 0; n < w->jobs; n++)
		pthread_join(w->thread[n], NULL);
	cut = w->cut;
	walk_free(w);
	return cut ? err_fail(ERR_INTERRUPTED, "stopped before the end") : ERR_OK;
}

enum err walk_run(const struct walk_options *options)
{
	struct walk *w;

	TRY(walk_start(options, &w));
	return walk_finish(w);
}

void walk_progress(const struct walk *w, struct walk_progress *ret)
{
	ret->directories = atomic_load(&w->directories);
	ret->others = atomic_load(&w->others);
	ret->faults = atomic_load(&w->faults);
	ret->queued = atomic_load(&w->queued);
	ret->most_queued = atomic_load(&w->most_queued);
}
