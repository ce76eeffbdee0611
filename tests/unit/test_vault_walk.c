/* SPDX-License-Identifier: Apache-2.0 */
/* The parallel walk: everything once, faults told, bounded, stoppable; on deep, wide and damaged trees. */
#include "fs/vault/vault_internal.h"
#include "fs/vault/walk.h"
#include "tests/support/faulty_lower.h"
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* Callbacks run on other threads, where cmocka's assertions cannot jump home. */
#define must(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* ---- What a walk told, as sorted lines ---- */

struct told {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct vault *v;
	char **line;
	size_t count, room;
	unsigned entered, left, unwhole;
	unsigned told;
	int meet;        /* entry() waits until two jobs are in it */
	unsigned inside; /* bit for each job that was in entry() */
	int alive;       /* data of directories that are entered and not left */
};

__attribute__((format(printf, 2, 3))) static void add(struct told *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	pthread_mutex_lock(&t->lock);
	if (t->count == t->room)
		t->line = realloc(t->line, (t->room = t->room * 2 + 64) * sizeof(*t->line));
	must(t->line);
	must(vasprintf(&t->line[t->count++], fmt, args) >= 0);
	pthread_mutex_unlock(&t->lock);
	va_end(args);
}

/* A job waits in its first callback until another job is in one, too. */
static void meet(struct told *t, unsigned job)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&t->lock);
	t->inside |= 1u << job;
	pthread_cond_broadcast(&t->changed);
	while ((t->inside & (t->inside - 1)) == 0 && rc == 0)
		rc = pthread_cond_timedwait(&t->changed, &t->lock, &until);
	pthread_mutex_unlock(&t->lock);
	must(rc == 0);
}

static int on_entry(void *context, struct walk_entry *e)
{
	struct told *t = context;
	char *plain = walk_plain_path(e), *lower = walk_lower_path(e);
	char full[8192];
	struct stat st, by_path;

	if (t->meet && e->depth > 0)
		meet(t, e->job);
	/* The lower path leads to the same inode as the object, wherever a path may still be so long. */
	must(vault_stat(e->object, &st) == ERR_OK);
	snprintf(full, sizeof(full), "%s/%s", t->v->path, lower);
	if (strlen(full) < 4000) {
		must(lstat(full, &by_path) == 0);
		must(by_path.st_ino == st.st_ino);
	}
	must(e->type == (unsigned char)IFTODT(st.st_mode));
	if (e->st)
		must(e->st->st_ino == st.st_ino);
	must(e->depth == 0 || e->above != NULL);
	add(t, "%c %s", e->type == DT_DIR ? 'd' : e->type == DT_LNK ? 'l' : 'f', plain);
	free(plain);
	free(lower);
	pthread_mutex_lock(&t->lock);
	t->told++;
	if (e->type == DT_DIR) {
		t->entered++;
		t->alive++;
		e->data = malloc(1);
	}
	pthread_mutex_unlock(&t->lock);
	return 1;
}

static void on_leave(void *context, const struct walk_entry *e)
{
	struct told *t = context;

	must(e->data);
	free(e->data);
	pthread_mutex_lock(&t->lock);
	t->left++;
	t->alive--;
	t->unwhole += !e->whole;
	pthread_mutex_unlock(&t->lock);
}

static void on_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	static const char *const names[] = {"name", "look", "open", "list"};
	char *plain = walk_plain_path(e), *lower = walk_lower_path(e);
	const char *slash = strrchr(lower, '/');

	add(context, "%s %s %s %zu %s", names[what], err_name(why), plain, strlen(slash ? slash + 1 : lower),
		e->name ? "named" : "nameless");
	free(plain);
	free(lower);
}

static void on_ours(void *context, const struct walk_entry *e, enum name_kind kind)
{
	char *plain = walk_plain_path(e);

	add(context, "ours %s/%.14s %s", plain, e->lower, kind == NAME_LONG_SIDECAR ? "sidecar" : "-");
	free(plain);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void told_init(struct told *t, struct vault *v)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	t->v = v;
}

static void told_done(struct told *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->line[i]);
	free(t->line);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
}

static struct walk_options options_of(struct told *t, const char *path, unsigned jobs, unsigned flags)
{
	struct walk_options o = {.vault = t->v,
		.path = path,
		.jobs = jobs,
		.flags = flags,
		.calls = {.entry = on_entry, .leave = on_leave, .fault = on_fault},
		.context = t};

	return o;
}

static enum err walk_all(struct told *t, const char *path, unsigned jobs, unsigned flags)
{
	const struct walk_options o = options_of(t, path, jobs, flags);
	enum err e = walk_run(&o);

	if (t->count)
		qsort(t->line, t->count, sizeof(*t->line), by_text);
	assert_int_equal(t->alive, 0);
	assert_int_equal(t->entered, t->left);
	return e;
}

/* Exactly these lines, in this order. */
static void assert_told(const struct told *t, const char *const *lines)
{
	size_t n = 0;

	for (; lines[n]; n++)
		if (n >= t->count || strcmp(t->line[n], lines[n]) != 0)
			fail_msg("line %zu is \"%s\" instead of \"%s\"", n, n < t->count ? t->line[n] : "", lines[n]);
	if (n != t->count)
		fail_msg("\"%s\" besides", t->line[n]);
}

static void assert_walk(struct vault *v, const char *path, unsigned flags, const char *const *lines)
{
	static const unsigned jobs[] = {1, 2, 7};

	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		struct told t;

		told_init(&t, v);
		assert_int_equal(walk_all(&t, path, jobs[i], flags), ERR_OK);
		assert_told(&t, lines);
		told_done(&t);
	}
}

static char long_name[201];

static void make_small(struct vault_fixture *x)
{
	char path[300];

	memset(long_name, 'n', 200);
	vault_fixture_init(x, NULL);
	assert_int_equal(vp_mkdir(x->v, "a", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(x->v, "a/b", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(x->v, "empty", 0755), ERR_OK);
	assert_int_equal(vp_put(x->v, "a/b/file", "x", 1), ERR_OK);
	assert_int_equal(vp_symlink(x->v, "b", "a/link"), ERR_OK);
	assert_int_equal(vp_put(x->v, "top", "", 0), ERR_OK);
	snprintf(path, sizeof(path), "a/%s", long_name);
	assert_int_equal(vp_put(x->v, path, "y", 1), ERR_OK);
}

/* ---- Tests ---- */

static void everything_once(void **state)
{
	struct vault_fixture x;
	char long_line[300];

	(void)state;
	make_small(&x);
	snprintf(long_line, sizeof(long_line), "f a/%s", long_name);
	const char *const all[] = {"d ", "d a", "d a/b", "d empty", "f a/b/file", long_line, "f top", "l a/link", NULL};
	assert_walk(x.v, NULL, 0, all);
	assert_walk(x.v, "/", WALK_STAT, all);
	const char *const part[] = {"d a", "d a/b", "f a/b/file", long_line, "l a/link", NULL};
	assert_walk(x.v, "a", WALK_STAT, part);
	assert_walk(x.v, "//a/", 0, part);
	const char *const deeper[] = {"d a/b", "f a/b/file", NULL};
	assert_walk(x.v, "a/b", 0, deeper);
	const char *const one[] = {"f a/b/file", NULL};
	assert_walk(x.v, "a/b/file", WALK_STAT, one);
	const char *const link[] = {"l a/link", NULL};
	assert_walk(x.v, "a/link", WALK_STAT, link);
	vault_fixture_done(&x);
}

static void a_wrong_beginning(void **state)
{
	static const struct {
		const char *path;
		enum err error;
		int errnum;
	} cases[] = {{"nothing", ERR_SYSTEM, ENOENT}, {"a/nothing", ERR_SYSTEM, ENOENT}, {"top/x", ERR_SYSTEM, ENOTDIR},
		{"a/link/file", ERR_SYSTEM, ENOTDIR}, {"a/../top", ERR_USAGE, 0}, {".", ERR_USAGE, 0},
		{"signetfs.dir", ERR_SYSTEM, ENOENT}};
	struct vault_fixture x;
	struct told t;

	(void)state;
	make_small(&x);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct walk *w = NULL;

		told_init(&t, x.v);
		const struct walk_options o = options_of(&t, cases[i].path, 2, 0);
		assert_int_equal(walk_start(&o, &w), cases[i].error);
		if (cases[i].errnum)
			assert_int_equal(err_errno(), cases[i].errnum);
		assert_null(w);
		assert_int_equal(t.count, 0);
		told_done(&t);
	}
	vault_fixture_done(&x);
}

enum { WIDE_FILES = 700, WIDE_DIRS = 700, BUSHES = 20, DEEP = 200 };

/* A directory of many files and directories, and a way down with a second directory at every step. */
static void make_large(struct vault_fixture *x, unsigned *ret_entries)
{
	struct vault_dir *d;
	struct stat st;
	char path[64];
	unsigned n = 1;

	vault_fixture_init(x, NULL);
	assert_int_equal(vp_mkdir(x->v, "wide", 0755), ERR_OK);
	for (unsigned i = 0; i < WIDE_FILES; i++, n++) {
		snprintf(path, sizeof(path), "wide/f%u", i);
		assert_int_equal(vp_put(x->v, path, "", 0), ERR_OK);
	}
	for (unsigned i = 0; i < WIDE_DIRS; i++, n++) {
		snprintf(path, sizeof(path), "wide/d%u", i);
		assert_int_equal(vp_mkdir(x->v, path, 0755), ERR_OK);
	}
	for (unsigned i = 0; i < BUSHES; i++, n++) {
		snprintf(path, sizeof(path), "wide/d%u/x", i * 7);
		assert_int_equal(vp_put(x->v, path, "", 0), ERR_OK);
	}
	d = vault_root(x->v);
	for (unsigned i = 0; i < DEEP; i++, n += 3) {
		struct vault_object down = {.dir = d, .name = "down", .len = 4},
				    side = {.dir = d, .name = "side", .len = 4};
		struct vault_object file = {.dir = d, .name = "file", .len = 4};
		struct vault_dir *next;

		assert_int_equal(vault_mkdir(down, 0755, (struct vault_owner){0}, &st), ERR_OK);
		assert_int_equal(vault_mkdir(side, 0755, (struct vault_owner){0}, &st), ERR_OK);
		assert_int_equal(vault_mknod(file, S_IFIFO | 0600, 0, (struct vault_owner){0}, &st), ERR_OK);
		assert_int_equal(vault_dir_open(down, &next), ERR_OK);
		vault_dir_release(d);
		d = next;
	}
	vault_dir_release(d);
	*ret_entries = n + 1;
}

static unsigned distinct(const struct told *t)
{
	unsigned n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += i == 0 || strcmp(t->line[i], t->line[i - 1]) != 0;
	return n;
}

/* With few descriptors, as often as there are jobs to try; and what waits does not grow with the width. */
static void deep_and_wide(void **state)
{
	static const unsigned jobs[] = {1, 3, 8};
	struct rlimit before, few;
	struct vault_fixture x;
	unsigned entries;

	(void)state;
	make_large(&x, &entries);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 2 * WALK_OPEN_MAX + 80;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		struct walk_progress p;
		struct walk *w;
		struct told t;

		told_init(&t, x.v);
		const struct walk_options o = options_of(&t, NULL, jobs[i], WALK_STAT);
		assert_int_equal(walk_start(&o, &w), ERR_OK);
		while (!walk_wait(w, 1000))
			continue;
		walk_progress(w, &p);
		assert_int_equal(walk_finish(w), ERR_OK);
		qsort(t.line, t.count, sizeof(*t.line), by_text);
		assert_int_equal(t.count, entries);
		assert_int_equal(distinct(&t), entries);
		assert_int_equal(t.entered, t.left);
		assert_int_equal(t.unwhole, 0);
		assert_int_equal(p.directories + p.others, entries);
		assert_int_equal(p.directories, t.entered);
		assert_int_equal(p.faults, 0);
		assert_int_equal(p.queued, 0);
		/* One batch for each job out of the wide one, and at most one aside for each step of the way down. */
		assert_in_range(p.most_queued, 2, (jobs[i] + 1) * WALK_BATCH + DEEP + 2);
		told_done(&t);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	vault_fixture_done(&x);
}

static void two_jobs_in_one_directory(void **state)
{
	struct vault_fixture x;
	struct told t;
	char path[64];

	(void)state;
	vault_fixture_init(&x, NULL);
	for (unsigned i = 0; i < 3 * WALK_BATCH; i++) {
		snprintf(path, sizeof(path), "f%u", i);
		assert_int_equal(vp_put(x.v, path, "", 0), ERR_OK);
	}
	told_init(&t, x.v);
	t.meet = 1;
	assert_int_equal(walk_all(&t, NULL, 2, 0), ERR_OK);
	assert_int_equal(t.inside, 3);
	assert_int_equal(t.count, 3 * WALK_BATCH + 1);
	told_done(&t);
	vault_fixture_done(&x);
}

static void hard_links(void **state)
{
	struct vault_fixture x;
	struct told t;

	(void)state;
	vault_fixture_init(&x, NULL);
	assert_int_equal(vp_mkdir(x.v, "d", 0755), ERR_OK);
	assert_int_equal(vp_put(x.v, "one", "1", 1), ERR_OK);
	assert_int_equal(vp_link(x.v, "one", "d/two"), ERR_OK);
	assert_int_equal(vp_link(x.v, "one", "d/three"), ERR_OK);
	assert_int_equal(vp_put(x.v, "single", "1", 1), ERR_OK);
	const char *const all[] = {"d ", "d d", "f d/three", "f d/two", "f one", "f single", NULL};
	assert_walk(x.v, NULL, WALK_STAT, all);
	for (unsigned jobs = 1; jobs < 4; jobs++) {
		told_init(&t, x.v);
		assert_int_equal(walk_all(&t, NULL, jobs, WALK_LINKS_ONCE), ERR_OK);
		assert_int_equal(t.count, 4);
		assert_string_equal(t.line[0], "d ");
		assert_string_equal(t.line[1], "d d");
		assert_string_equal(t.line[3], "f single");
		told_done(&t);
	}
	/* Of an inode whose other names lie outside the part, one name is told all the same. */
	told_init(&t, x.v);
	assert_int_equal(walk_all(&t, "one", 1, WALK_LINKS_ONCE), ERR_OK);
	assert_int_equal(t.count, 1);
	told_done(&t);
	vault_fixture_done(&x);
}

/* The first entry of the small tree's directory "a" that is a sidecar, or its long name. */
static void lower_of_long(struct vault_fixture *x, char out[8192], int sidecar)
{
	char path[300], lower[4096];

	snprintf(path, sizeof(path), "a/%s", long_name);
	vault_fixture_lower_path(x, path, lower);
	snprintf(out, 8192, "%s%s", lower, sidecar ? LONG_SUFFIX : "");
}

static void damage(void **state)
{
	char lower[4096], path[8192], renamed[8192], long_line[300];
	struct vault_fixture x;
	struct told t;
	int fd;

	(void)state;
	make_small(&x);
	snprintf(long_line, sizeof(long_line), "f a/%s", long_name);

	/* A sidecar that is gone. */
	lower_of_long(&x, path, 1);
	assert_int_equal(unlink(path), 0);
	const char *const nameless[] = {"d ", "d a", "d a/b", "d empty", "f a/b/file", "f top", "l a/link",
		"name ERR_TAMPERED a 57 nameless", NULL};
	assert_walk(x.v, NULL, WALK_STAT, nameless);

	/* A directory without its id: told, not entered; its neighbours are. */
	vault_fixture_lower_path(&x, "a/b", lower);
	snprintf(path, sizeof(path), "%s/signetfs.dir", lower);
	snprintf(renamed, sizeof(renamed), "%s/kept", x.top);
	assert_int_equal(rename(path, renamed), 0);
	/* base64url of 16 bytes of tag and 16 of name has 43 characters. */
	const char *const closed[] = {"d ", "d a", "d a/b", "d empty", "f top", "l a/link",
		"name ERR_TAMPERED a 57 nameless", "open ERR_TAMPERED a/b 43 named", NULL};
	assert_walk(x.v, NULL, 0, closed);
	told_init(&t, x.v);
	assert_int_equal(walk_all(&t, NULL, 2, 0), ERR_OK);
	/* b itself, a and the top. */
	assert_int_equal(t.unwhole, 3);
	told_done(&t);
	told_init(&t, x.v);
	assert_int_equal(walk_all(&t, "a/b/file", 2, 0), ERR_TAMPERED);
	told_done(&t);
	assert_int_equal(rename(renamed, path), 0);

	/* What is no name of ours. */
	snprintf(path, sizeof(path), "%s/rubbish", x.path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	const char *const odd[] = {"d ", "d a", "d a/b", "d empty", "f a/b/file", "f top", "l a/link",
		"name ERR_FORMAT  7 nameless", "name ERR_TAMPERED a 57 nameless", NULL};
	assert_walk(x.v, NULL, WALK_LINKS_ONCE, odd);
	vault_fixture_done(&x);
}

static void what_is_ours(void **state)
{
	struct vault_fixture x;
	struct told t;
	char path[600];

	(void)state;
	make_small(&x);
	snprintf(path, sizeof(path), "%s/signetfs.tmp.00", x.path);
	assert_int_equal(mkdir(path, 0700), 0);
	told_init(&t, x.v);
	struct walk_options o = options_of(&t, NULL, 2, 0);
	o.calls.ours = on_ours;
	assert_int_equal(walk_run(&o), ERR_OK);
	qsort(t.line, t.count, sizeof(*t.line), by_text);
	static const char *const lines[] = {"ours /.signetfs -", "ours /signetfs.dir -", "ours /signetfs.ini -",
		"ours /signetfs.tmp.0 -", "ours a/b/signetfs.dir -", "ours a/signetfs.dir -",
		"ours a/signetfs.long. sidecar", "ours empty/signetfs.dir -"};
	size_t n = sizeof(lines) / sizeof(lines[0]);
	assert_true(t.count > n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(t.line[t.count - n + i], lines[i]);
	told_done(&t);
	/* Looking changes nothing: a listing of the mount's would have swept it away. */
	assert_int_equal(access(path, F_OK), 0);
	vault_fixture_done(&x);
}

/* At any moment: whatever was told by then, everything that was entered is left. */
static void stopped(void **state)
{
	struct vault_fixture x;
	unsigned entries;

	(void)state;
	make_large(&x, &entries);
	for (unsigned jobs = 1; jobs < 5; jobs++) {
		struct walk *w;
		struct told t;

		told_init(&t, x.v);
		const struct walk_options o = options_of(&t, NULL, jobs, 0);
		assert_int_equal(walk_start(&o, &w), ERR_OK);
		walk_stop(w);
		walk_stop(w);
		(void)walk_finish(w);
		assert_int_equal(t.alive, 0);
		assert_int_equal(t.entered, t.left);
		told_done(&t);
	}
	vault_fixture_done(&x);
}

struct stopper {
	struct told t;
	unsigned stop_at; /* entries */
	_Atomic(struct walk *) walk;
};

static int stop_soon(void *context, struct walk_entry *e)
{
	struct stopper *s = context;
	int go = on_entry(&s->t, e);
	struct walk *w;

	/* The start is told before there is a handle. */
	if (e->depth == 0)
		return go;
	while (!(w = atomic_load(&s->walk)))
		sched_yield();
	if (s->t.told >= s->stop_at)
		walk_stop(w);
	return go;
}

static void stopped_by_a_callback(void **state)
{
	struct vault_fixture x;
	unsigned entries;

	(void)state;
	make_large(&x, &entries);
	for (unsigned at = 2; at < entries; at = at * 4) {
		struct stopper s;
		struct walk *w;

		told_init(&s.t, x.v);
		atomic_init(&s.walk, NULL);
		s.stop_at = at;
		struct walk_options o = options_of(&s.t, NULL, 1, 0);
		o.calls.entry = stop_soon;
		assert_int_equal(walk_start(&o, &w), ERR_OK);
		atomic_store(&s.walk, w);
		assert_int_equal(walk_finish(w), ERR_INTERRUPTED);
		assert_int_equal(s.t.told, at);
		assert_int_equal(s.t.entered, s.t.left);
		assert_int_equal(s.t.alive, 0);
		assert_true(s.t.unwhole > 0);
		told_done(&s.t);
	}
	vault_fixture_done(&x);
}

static int only_count(void *context, struct walk_entry *e)
{
	struct told *t = context;

	pthread_mutex_lock(&t->lock);
	t->told++;
	t->entered += e->type == DT_DIR;
	t->alive += e->type == DT_DIR;
	pthread_mutex_unlock(&t->lock);
	if (e->type == DT_DIR)
		e->data = malloc(1);
	return 1;
}

/* Every call of the lower tree fails once: a fault or an error is told, or the entry is taken for gone; nothing is lost twice. */
static void every_call_fails_once(void **state)
{
	struct faulty_lower faulty;
	struct vault_fixture x;
	unsigned at = 1, injected = 0;
	uint64_t faults = 0;

	(void)state;
	make_small(&x);
	vault_fixture_close(&x);
	faulty_lower_init(&faulty);
	x.lower = &faulty.lower;
	vault_fixture_open(&x);
	for (int more = 1; more; at++) {
		struct told t;
		enum err e;

		told_init(&t, x.v);
		struct walk_options o = options_of(&t, NULL, 1, WALK_STAT);
		struct walk_progress p = {0};
		struct walk *w;
		o.calls.entry = only_count;
		faulty_lower_arm(&faulty, FAULT_ANY, at, EMFILE);
		e = walk_start(&o, &w);
		if (e == ERR_OK) {
			while (!walk_wait(w, 1000))
				continue;
			walk_progress(w, &p);
			e = walk_finish(w);
		}
		more = faulty.injected > 0;
		injected += faulty.injected;
		faulty_lower_disarm(&faulty);
		assert_int_equal(t.entered, t.left);
		assert_int_equal(t.alive, 0);
		if (more)
			assert_true(e == ERR_SYSTEM || p.faults == 1);
		else
			assert_int_equal(t.told, 8);
		faults += p.faults;
		told_done(&t);
	}
	assert_true(injected > 10);
	assert_true(faults > 10);
	vault_fixture_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_once),
		cmocka_unit_test(a_wrong_beginning),
		cmocka_unit_test(deep_and_wide),
		cmocka_unit_test(two_jobs_in_one_directory),
		cmocka_unit_test(hard_links),
		cmocka_unit_test(damage),
		cmocka_unit_test(what_is_ours),
		cmocka_unit_test(stopped),
		cmocka_unit_test(stopped_by_a_callback),
		cmocka_unit_test(every_call_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
