/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vault_fixture.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/random.h"

#define WALL UINT64_C(1795000000000000000)

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static void emit(void *context, enum report_level level, const char *text)
{
	struct vault_fixture *x = context;

	x->reports[level]++;
	snprintf(x->last_report, sizeof(x->last_report), "%s", text);
	if (x->echo_reports)
		fprintf(stderr, "report %d: %s\n", (int)level, text);
}

static void make_top(struct vault_fixture *x)
{
	const char *base = getenv("TMPDIR");

	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(x->top, sizeof(x->top), "%s/signetfs-test-XXXXXX", base);
	if (!mkdtemp(x->top))
		die("mkdtemp %s: %s", x->top, strerror(errno));
	snprintf(x->path, sizeof(x->path), "%s/vault", x->top);
}

void vault_fixture_init_bare(struct vault_fixture *x)
{
	memset(x, 0, sizeof(*x));
	umask(0);
	secret_allow_unlocked();
	make_top(x);
	clock_fake_init(&x->clock, WALL);
	x->fake = fake_kms_new();
	x->reporter.emit = emit;
	x->reporter.context = x;
	x->echo_reports = getenv("SIGNETFS_TEST_REPORTS") != NULL;
}

void vault_fixture_init_closed(struct vault_fixture *x, const struct vault_create_options *options)
{
	const struct vault_create_options usual = {.bucket_keys = 1};
	enum err e;

	vault_fixture_init_bare(x);
	e = vault_create(x->path, options ? options : &usual, fake_kms_client(x->fake), &x->clock.clock);
	if (e != ERR_OK)
		die("vault_create: %s", err_text(e));
}

void vault_fixture_init(struct vault_fixture *x, const struct vault_create_options *options)
{
	vault_fixture_init_closed(x, options);
	vault_fixture_open(x);
}

enum err vault_fixture_try_open(struct vault_fixture *x)
{
	const struct vault_open_options o = {
		.path = x->path,
		.read_only = x->read_only,
		.forgiving = x->forgiving,
		.holder = "a test",
		.kms = fake_kms_client(x->fake),
		.lower = x->lower,
		.aead = x->aead,
		.clock = &x->clock.clock,
		.reporter = &x->reporter,
	};

	assert(!x->v);
	return vault_open(&o, &x->v);
}

void vault_fixture_open(struct vault_fixture *x)
{
	enum err e = vault_fixture_try_open(x);

	if (e != ERR_OK)
		die("vault_open: %s", err_text(e));
}

void vault_fixture_close(struct vault_fixture *x)
{
	enum err e = vault_close(x->v);

	x->v = NULL;
	if (e != ERR_OK)
		die("vault_close: %s", err_text(e));
}

void vault_fixture_reopen(struct vault_fixture *x)
{
	vault_fixture_close(x);
	vault_fixture_open(x);
}

void vault_fixture_done(struct vault_fixture *x)
{
	if (x->v)
		vault_fixture_close(x);
	fake_kms_free(x->fake);
	vault_fixture_remove_tree(x->top);
	vault_thread_cleanup();
}

/* ---- Paths ---- */

enum err vault_fixture_walk(struct vault *v, const char *path, struct vault_dir **ret_dir, struct vault_object *ret)
{
	struct vault_dir *d = vault_root(v), *next;
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		struct vault_object o = {.dir = d, .name = path, .len = (size_t)(slash - path)};
		enum err e = vault_dir_open(o, &next);

		vault_dir_release(d);
		if (e != ERR_OK)
			return e;
		d = next;
		path = slash + 1;
	}
	memset(ret, 0, sizeof(*ret));
	ret->dir = d;
	if (*path) {
		ret->name = path;
		ret->len = strlen(path);
	}
	*ret_dir = d;
	return ERR_OK;
}

#define WITH_PATH(v, path, o, call)                                                                                    \
	do {                                                                                                           \
		struct vault_dir *dir_;                                                                                \
		struct vault_object o;                                                                                 \
		enum err e_;                                                                                           \
		TRY(vault_fixture_walk(v, path, &dir_, &o));                                                           \
		e_ = call;                                                                                             \
		vault_dir_release(dir_);                                                                               \
		return e_;                                                                                             \
	} while (0)

static const struct vault_owner nobody_special = {0};

enum err vp_create(struct vault *v, const char *path, mode_t mode, struct vault_file **ret)
{
	struct stat st;

	WITH_PATH(v, path, o, vault_file_create(o, mode, nobody_special, ret, &st));
}

enum err vp_open(struct vault *v, const char *path, int writable, struct vault_file **ret)
{
	WITH_PATH(v, path, o, vault_file_open(v, o, writable, ret));
}

enum err vp_put(struct vault *v, const char *path, const void *buf, size_t len)
{
	struct vault_file *f;
	enum err e, closed;

	TRY(vp_create(v, path, 0644, &f));
	e = vault_file_write(f, 0, buf, len);
	closed = vault_file_close(f);
	return e != ERR_OK ? e : closed;
}

enum err vp_get(struct vault *v, const char *path, uint8_t **ret, size_t *ret_len)
{
	struct vault_file *f;
	struct stat st;
	uint8_t *buf;
	size_t len, room;
	enum err e;

	TRY(vp_open(v, path, 0, &f));
	/* Some more than stat says: a file that recovery lengthens or shortens does not show it before it is read. */
	e = vault_file_stat(f, &st);
	if (e != ERR_OK) {
		vault_file_close(f);
		return e;
	}
	room = (size_t)st.st_size + 65536;
	buf = malloc(room);
	assert(buf);
	e = vault_file_read(f, 0, room, buf, &len);
	vault_file_close(f);
	if (e != ERR_OK) {
		free(buf);
		return e;
	}
	*ret = buf;
	*ret_len = len;
	return ERR_OK;
}

enum err vp_stat(struct vault *v, const char *path, struct stat *ret)
{
	WITH_PATH(v, path, o, vault_stat(o, ret));
}

enum err vp_mkdir(struct vault *v, const char *path, mode_t mode)
{
	struct stat st;

	WITH_PATH(v, path, o, vault_mkdir(o, mode, nobody_special, &st));
}

enum err vp_rmdir(struct vault *v, const char *path)
{
	WITH_PATH(v, path, o, vault_rmdir(o));
}

enum err vp_unlink(struct vault *v, const char *path)
{
	WITH_PATH(v, path, o, vault_unlink(o));
}

enum err vp_rename(struct vault *v, const char *from, const char *to, unsigned flags)
{
	struct vault_dir *d1, *d2;
	struct vault_object o1, o2;
	enum err e;

	TRY(vault_fixture_walk(v, from, &d1, &o1));
	e = vault_fixture_walk(v, to, &d2, &o2);
	if (e == ERR_OK) {
		e = vault_rename(o1, o2, flags);
		vault_dir_release(d2);
	}
	vault_dir_release(d1);
	return e;
}

enum err vp_link(struct vault *v, const char *from, const char *to)
{
	struct vault_dir *d1, *d2;
	struct vault_object o1, o2;
	struct stat st;
	enum err e;

	TRY(vault_fixture_walk(v, from, &d1, &o1));
	e = vault_fixture_walk(v, to, &d2, &o2);
	if (e == ERR_OK) {
		e = vault_link(o1, o2, &st);
		vault_dir_release(d2);
	}
	vault_dir_release(d1);
	return e;
}

enum err vp_symlink(struct vault *v, const char *target, const char *path)
{
	struct stat st;

	WITH_PATH(v, path, o, vault_symlink(o, target, nobody_special, &st));
}

static enum err readlink_text(struct vault_object o, char *out, size_t size)
{
	size_t len;

	TRY(vault_readlink(o, out, size - 1, &len));
	out[len] = '\0';
	return ERR_OK;
}

enum err vp_readlink(struct vault *v, const char *path, char *out, size_t size)
{
	WITH_PATH(v, path, o, readlink_text(o, out, size));
}

enum err vp_setxattr(struct vault *v, const char *path, const char *name, const void *value, size_t len, int flags)
{
	WITH_PATH(v, path, o, vault_setxattr(o, name, value, len, flags));
}

enum err vp_getxattr(struct vault *v, const char *path, const char *name, void *value, size_t size, size_t *ret_len)
{
	WITH_PATH(v, path, o, vault_getxattr(o, name, value, size, ret_len));
}

enum err vp_removexattr(struct vault *v, const char *path, const char *name)
{
	WITH_PATH(v, path, o, vault_removexattr(o, name));
}

static int by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static enum err list_dir(struct vault_dir *d, char ***ret_names, size_t *ret_n)
{
	struct vault_entry entry;
	struct vault_list *l;
	char **names = NULL;
	size_t n = 0;
	enum err e;

	TRY(vault_list_open(d, &l));
	while ((e = vault_list_next(l, &entry)) == ERR_OK) {
		char **more = realloc(names, (n + 1) * sizeof(*names));

		assert(more);
		names = more;
		names[n] = strdup(entry.name);
		n++;
	}
	vault_list_close(l);
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*ret_names = names;
	*ret_n = n;
	return e == ERR_CLOSED ? ERR_OK : e;
}

enum err vp_list(struct vault *v, const char *path, char *out, size_t size, size_t *ret_count)
{
	struct vault_dir *parent, *d;
	struct vault_object o;
	char **names = NULL;
	size_t n = 0, used = 0;
	enum err e;

	TRY(vault_fixture_walk(v, path, &parent, &o));
	e = vault_dir_open(o, &d);
	vault_dir_release(parent);
	TRY(e);
	e = list_dir(d, &names, &n);
	vault_dir_release(d);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]) + 1;

		assert(used + len <= size);
		memcpy(out + used, names[i], len);
		used += len;
		free(names[i]);
	}
	free(names);
	*ret_count = n;
	return e;
}

/* ---- The lower tree ---- */

/* Found by the inode number: it is the lower tree's. */
static char *found_path;
static ino_t wanted_ino;

static int match_ino(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	if (st->st_ino != wanted_ino)
		return 0;
	snprintf(found_path, 4096, "%s", path);
	return 1;
}

void vault_fixture_lower_path(struct vault_fixture *x, const char *path, char out[4096])
{
	struct stat st;
	enum err e = vp_stat(x->v, path, &st);

	if (e != ERR_OK)
		die("stat %s: %s", path, err_text(e));
	wanted_ino = st.st_ino;
	found_path = out;
	if (nftw(x->path, match_ino, 16, FTW_PHYS) != 1)
		die("no lower file for %s", path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int widen_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, st->st_mode | 0700);
	return 0;
}

void vault_fixture_remove_tree(const char *path)
{
	nftw(path, widen_one, 16, FTW_PHYS);
	nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

void vault_fixture_copy_tree(const char *from, const char *to)
{
	char command[1024];

	snprintf(command, sizeof(command), "cp -a --sparse=always '%s' '%s'", from, to);
	if (system(command) != 0)
		die("%s failed", command);
}

/* ---- Randomness ---- */

uint64_t vault_fixture_seed(const char *what)
{
	const char *text = getenv("SIGNETFS_SEED");
	uint64_t seed;

	if (text)
		seed = strtoull(text, NULL, 0);
	else
		random_bytes(&seed, sizeof(seed));
	seed = seed ? seed : 1;
	printf("%s: SIGNETFS_SEED=%" PRIu64 "\n", what, seed);
	fflush(stdout);
	return seed;
}

uint64_t vault_fixture_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint64_t vault_fixture_below(uint64_t *state, uint64_t bound)
{
	return (vault_fixture_random(state) >> 11) % bound;
}

static char small_disk[] = "/tmp/signetfs-small-XXXXXX";

int vault_fixture_small_disk(const char *options)
{
	memcpy(strrchr(small_disk, '-') + 1, "XXXXXX", 6);
	if (!mkdtemp(small_disk))
		die("mkdtemp %s: %s", small_disk, strerror(errno));
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("small", small_disk, "tmpfs", 0, options) != 0) {
		rmdir(small_disk);
		return 0;
	}
	setenv("TMPDIR", small_disk, 1);
	return 1;
}

void vault_fixture_small_disk_done(void)
{
	unsetenv("TMPDIR");
	if (umount(small_disk) != 0)
		die("umount %s: %s", small_disk, strerror(errno));
	rmdir(small_disk);
}
