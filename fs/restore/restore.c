/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/restore/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/secret.h"

/* ---- Telling ---- */

static void emit(struct restore *r, const struct walk_entry *w, struct restore_event *e)
{
	char *path AUTO_FREE = walk_plain_path(w);

	e->path = path ? path : w->name ? w->name : "";
	pthread_mutex_lock(&r->telling);
	r->o.event(r->o.context, e);
	pthread_mutex_unlock(&r->telling);
}

void restore_tell(const struct item *i, enum restore_event_kind kind, const char *fmt, ...)
{
	char why[1200];
	struct restore_event e = {.kind = kind, .why = why};
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	emit(i->r, i->e, &e);
}

void restore_tell_range(const struct item *i, uint64_t off, uint64_t len)
{
	struct restore_event e = {
		.kind = RESTORE_ZEROED, .why = "damaged: zeros stand in its place", .off = off, .len = len};

	emit(i->r, i->e, &e);
}

/* What would meet every file that follows ends the whole. */
static int is_final(enum err e)
{
	return e == ERR_KMS_UNREACHABLE || e == ERR_NO_MEMORY ||
	       (e == ERR_SYSTEM && (err_errno() == ENOSPC || err_errno() == EDQUOT || err_errno() == EROFS));
}

static void end_by(struct restore *r, enum err e)
{
	pthread_mutex_lock(&r->lock);
	if (r->ended_by == ERR_OK) {
		r->ended_by = e;
		r->ended_errno = err_errno();
		snprintf(r->ended_text, sizeof(r->ended_text), "%s", err_text(e));
	}
	pthread_mutex_unlock(&r->lock);
	/* The walk's handle is there once its threads are; before that, nothing was written. */
	while (!__atomic_load_n(&r->walk, __ATOMIC_ACQUIRE))
		sched_yield();
	walk_stop(r->walk);
}

static void fail_item(const struct item *i, enum err e)
{
	int final = is_final(e), errnum = err_errno();

	restore_tell(i, RESTORE_FAILED, "%s", err_text(e));
	atomic_fetch_add(&i->r->failed, 1);
	if (final && i->e->depth > 0) {
		err_set_errno(errnum);
		end_by(i->r, e);
	}
}

/* ---- One entry ---- */

static void remember_made(struct item *i, const struct stat *st)
{
	i->dev = st->st_dev;
	i->ino = st->st_ino;
}

static enum err make_file(struct item *i)
{
	int fd AUTO_CLOSE = openat(i->dir, i->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_system("making it");
	remember_made(i, &st);
	TRY(content_copy(i, fd));
	attr_set(i, fd, i->e->st);
	return ERR_OK;
}

/*
 * Owner and mode go to what was made, by a descriptor. Whoever may write in DEST could have put a link to a file of ours in its place: such a
 * thing has another type, or one name more.
 */
static enum err finish_made(struct item *i)
{
	int fd AUTO_CLOSE = openat(i->dir, i->tmp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_system("looking at what was made");
	if ((st.st_mode & S_IFMT) != (i->e->st->st_mode & S_IFMT) || st.st_nlink != 1)
		return err_fail(ERR_STALE, "somebody else changes DEST: another thing stands in its place");
	remember_made(i, &st);
	attr_set(i, fd, i->e->st);
	return ERR_OK;
}

static enum err make_symlink(struct item *i)
{
	char target[PATH_MAX];
	size_t len;

	TRY(vault_readlink(i->e->object, target, sizeof(target) - 1, &len));
	target[len] = '\0';
	if (symlinkat(target, i->dir, i->tmp) != 0)
		return err_system("making the link");
	return finish_made(i);
}

static enum err make_special(struct item *i)
{
	if (mknodat(i->dir, i->tmp, (i->e->st->st_mode & S_IFMT) | 0600, i->e->st->st_rdev) != 0)
		return err_system("making it");
	return finish_made(i);
}

static enum err make_any(struct item *i)
{
	TRY(place_check(i));
	place_tmp(i);
	enum err e = S_ISREG(i->e->st->st_mode)   ? make_file(i)
		     : S_ISLNK(i->e->st->st_mode) ? make_symlink(i)
						  : make_special(i);
	if (e != ERR_OK) {
		place_drop(i);
		return e;
	}
	return place_rename(i);
}

static void count(const struct item *i)
{
	const struct stat *st = i->e->st;
	struct restore *r = i->r;

	atomic_fetch_add(S_ISDIR(st->st_mode) ? &r->directories : S_ISREG(st->st_mode) ? &r->files : &r->others, 1);
	if (r->o.dry_run && S_ISREG(st->st_mode))
		atomic_fetch_add(&r->bytes, (uint64_t)st->st_size);
	if (i->incomplete)
		atomic_fetch_add(&r->incomplete, 1);
}

static void restore_other(struct item *i)
{
	int linked = i->e->st->st_nlink > 1, first = 1;
	enum err e = linked ? links_enter(i, &first) : ERR_OK;

	if (e == ERR_OK && first) {
		e = make_any(i);
		if (linked)
			links_done(i, e == ERR_OK);
		if (e == ERR_OK)
			count(i);
	}
	if (e != ERR_OK)
		fail_item(i, e);
}

static int restore_directory(struct item *i)
{
	struct place *p;
	enum err e = place_make(i, &p);

	if (e == ERR_OK) {
		count(i);
		i->e->data = p;
		return 1;
	}
	fail_item(i, e);
	return 0;
}

/* DEST is the counterpart of the directory with which the walk began. */
static int restore_start_directory(struct item *i)
{
	count(i);
	i->in->st = *i->e->st;
	i->e->data = place_hold(i->in);
	return 1;
}

static int on_entry(void *context, struct walk_entry *e)
{
	struct restore *r = context;
	struct item i = {.r = r, .e = e, .in = e->depth > 0 ? e->above : r->dest};
	int into = 0;

	if (r->o.dry_run) {
		count(&i);
		return 1;
	}
	if (e->depth == 0 && e->type == DT_DIR)
		return restore_start_directory(&i);
	enum err err = place_fd(i.in, &i.dir, &i.dir_ours);

	if (err != ERR_OK) {
		fail_item(&i, err);
		return 0;
	}
	if (e->type == DT_DIR)
		into = restore_directory(&i);
	else
		restore_other(&i);
	if (i.dir_ours)
		close(i.dir);
	return into;
}

/* Children are in it by now: the times stay. Attributes of ours alone. */
static void on_leave(void *context, const struct walk_entry *e)
{
	struct restore *r = context;
	struct place *p = e->data;
	struct walk_entry with_object = *e;
	struct item i = {.r = r, .e = &with_object, .in = p};
	int fd, ours;
	enum err err;

	if (!p)
		return;
	err = place_fd(p, &fd, &ours);
	if (err == ERR_OK && p->made)
		attr_set(&i, fd, &p->st);
	if (err == ERR_OK && ours)
		close(fd);
	if (err != ERR_OK)
		restore_tell(&i, RESTORE_ATTRIBUTE, "%s", err_text(err));
	if (i.incomplete || err != ERR_OK)
		atomic_fetch_add(&r->incomplete, 1);
	place_release(r, p);
}

static void on_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	static const char *const texts[] = {
		[WALK_NAME] = "the name of something in it does not verify",
		[WALK_LOOK] = "it cannot be looked at",
		[WALK_OPEN] = "it cannot be opened, nothing in it was restored",
		[WALK_LIST] = "it cannot be listed to its end",
	};
	char *lower AUTO_FREE = walk_lower_path(e);
	struct restore *r = context;
	char text[1400];
	struct restore_event event = {.kind = RESTORE_FAILED, .why = text};

	snprintf(text, sizeof(text), "%s: %s (%s in the vault)", texts[what], err_text(why), lower ? lower : e->lower);
	emit(r, e, &event);
	atomic_fetch_add(&r->failed, 1);
}

/* ---- DEST ---- */

static int same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Plaintext among the ciphertext would be the end of the vault's purpose. */
static enum err check_outside(struct restore *r, int fd)
{
	const struct vault_object top = {.dir = NULL};
	struct vault_dir *root = vault_root(r->o.vault);
	struct vault_object o = top;
	struct stat vault, here, up;
	int at = dup(fd);
	enum err e;

	o.dir = root;
	e = vault_stat(o, &vault);
	vault_dir_release(root);
	if (e == ERR_OK) {
		r->vault_dev = vault.st_dev;
		r->vault_ino = vault.st_ino;
	}
	if (e == ERR_OK && (at < 0 || fstat(at, &here) != 0))
		e = err_system("looking at %s", r->o.dest);
	while (e == ERR_OK) {
		int next;

		if (same_inode(&here, &vault))
			e = err_fail(ERR_USAGE, "%s lies in the vault: plaintext has no place there", r->o.dest);
		next = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
		if (at < 0 || fstat(at, &up) != 0 || same_inode(&up, &here))
			break;
		here = up;
	}
	if (at >= 0)
		close(at);
	return e;
}

static enum err open_dest(struct restore *r)
{
	static const struct stat none;
	int made, fd;
	enum err e;

	r->dest = place_new(NULL, "", &none);
	if (!r->dest)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	if (r->o.dry_run)
		return ERR_OK;
	made = mkdir(r->o.dest, 0700) == 0;
	if (!made && errno != EEXIST)
		return err_system("making the folder %s", r->o.dest);
	fd = open(r->o.dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system("opening the folder %s", r->o.dest);
	r->dest->fd = fd;
	r->dest->made = made || r->o.overwrite;
	atomic_fetch_add(&r->open, 1);
	e = check_outside(r, fd);
	if (e != ERR_OK && made)
		rmdir(r->o.dest);
	return e;
}

/* ---- Beginning and end ---- */

static void restore_free(struct restore *r)
{
	links_free(r);
	place_release(r, r->dest);
	for (size_t n = 0; n < WALK_JOBS_MAX; n++)
		free(r->buffer[n]);
	pthread_cond_destroy(&r->link_done);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->telling);
	free(r);
}

enum err restore_start(const struct restore_options *options, struct restore **ret)
{
	struct restore *r = calloc(1, sizeof(*r));
	struct walk *w;
	enum err e;

	if (!r)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	r->o = *options;
	pthread_mutex_init(&r->telling, NULL);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->link_done, NULL);
	e = open_dest(r);
	const struct walk_options walk = {.vault = options->vault,
		.path = options->path,
		.flags = WALK_STAT,
		.jobs = options->jobs,
		.calls = {.entry = on_entry, .leave = on_leave, .fault = on_fault},
		.context = r};
	if (e == ERR_OK)
		e = walk_start(&walk, &w);
	if (e != ERR_OK) {
		restore_free(r);
		return e;
	}
	__atomic_store_n(&r->walk, w, __ATOMIC_RELEASE);
	*ret = r;
	return ERR_OK;
}

int restore_wait(struct restore *r, unsigned ms)
{
	return walk_wait(r->walk, ms);
}

void restore_stop(struct restore *r)
{
	walk_stop(r->walk);
}

void restore_progress(const struct restore *r, struct restore_counts *ret)
{
	ret->directories = atomic_load(&r->directories);
	ret->files = atomic_load(&r->files);
	ret->others = atomic_load(&r->others);
	ret->links = atomic_load(&r->linked);
	ret->bytes = atomic_load(&r->bytes);
	ret->failed = atomic_load(&r->failed);
	ret->incomplete = atomic_load(&r->incomplete);
	ret->in_flight = atomic_load(&r->in_flight);
}

enum err restore_finish(struct restore *r, struct restore_counts *ret_counts)
{
	enum err e = walk_finish(r->walk);

	if (r->ended_by != ERR_OK) {
		err_set_errno(r->ended_errno);
		e = err_fail(r->ended_by, "%s", r->ended_text);
	}
	if (!r->o.dry_run && syncfs(r->dest->fd) != 0 && e == ERR_OK)
		e = err_system("syncing %s: what was restored may not be durable", r->o.dest);
	restore_progress(r, ret_counts);
	restore_free(r);
	return e;
}
