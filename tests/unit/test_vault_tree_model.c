/* SPDX-License-Identifier: Apache-2.0 */
/* Property test: a vault against a plain directory tree of the same file system. Each operation is done to both; results are equal. */
#include "tests/support/vault_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 20000, COMPARE_EVERY = 500, NAMES = 12, DEPTH = 3, PATH_SIZE = 1200 };

struct model {
	struct vault_fixture x;
	uint64_t rng;
	char plain[300];
	int plain_fd;
	unsigned step;
	char names[NAMES][256];
	int xattrs; /* the lower tree has user attributes */
	char what[3000];
};

static size_t below(struct model *m, size_t bound)
{
	return (size_t)vault_fixture_below(&m->rng, bound);
}

static void make_names(struct model *m, int plain_names)
{
	static const char *const fixed[] = {"a", "b", "name with spaces", "dot.dot", "x.name", "-"};
	const size_t n = sizeof(fixed) / sizeof(fixed[0]);

	for (size_t i = 0; i < NAMES; i++) {
		char *name = m->names[i];
		size_t len = i < n ? 0 : i == n ? 255 : i == n + 1 ? 176 : i == n + 2 ? 175 : 1 + below(m, 255);

		if (i < n) {
			strcpy(name, fixed[i]);
			continue;
		}
		for (size_t k = 0; k < len; k++)
			do
				name[k] = (char)(1 + below(m, 255));
			while (name[k] == '/');
		name[len] = '\0';
	}
	if (!plain_names) {
		/* Ours below, anybody's above. */
		strcpy(m->names[3], "signetfs.dir");
		strcpy(m->names[4], ".signetfs");
	}
}

static void some_path(struct model *m, char out[PATH_SIZE])
{
	size_t depth = 1 + below(m, DEPTH);

	*out = '\0';
	for (size_t i = 0; i < depth; i++) {
		/* Directories mostly have the first names, so that the tree gets deep. */
		const char *name = m->names[i + 1 < depth ? below(m, 3) * 3 : below(m, NAMES)];

		if (i)
			strcat(out, "/");
		strcat(out, name);
	}
}

/* ---- The plain side: each returns 0 or an errno ---- */

/* As the vault walks: no symlinks on the way. */
static int plain_walk(struct model *m, const char *path, int *ret_fd, const char **ret_name)
{
	int fd = dup(m->plain_fd), next, errnum;
	const char *slash;
	char name[256];

	while ((slash = strchr(path, '/')) != NULL) {
		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		errnum = errno == ELOOP ? ENOTDIR : errno;
		close(fd);
		if (next < 0)
			return errnum;
		fd = next;
		path = slash + 1;
	}
	*ret_fd = fd;
	*ret_name = path;
	return 0;
}

static int done(int fd, int rc)
{
	int errnum = rc < 0 ? errno : 0;

	close(fd);
	return errnum;
}

#define ON_PLAIN(m, path, fd, name, call)                                                                              \
	do {                                                                                                           \
		const char *name;                                                                                      \
		int fd, walked_ = plain_walk(m, path, &fd, &name);                                                     \
		return walked_ ? walked_ : done(fd, (int)(call));                                                      \
	} while (0)

static int plain_put(struct model *m, const char *path, const void *buf, size_t len)
{
	const char *name;
	int dir, fd, errnum = plain_walk(m, path, &dir, &name);

	if (errnum)
		return errnum;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	errnum = done(dir, fd);
	if (fd < 0)
		return errnum;
	return done(fd, write(fd, buf, len) == (ssize_t)len ? 0 : -1);
}

static int plain_mkdir(struct model *m, const char *path, mode_t mode)
{
	ON_PLAIN(m, path, fd, name, mkdirat(fd, name, mode));
}

static int plain_rmdir(struct model *m, const char *path)
{
	ON_PLAIN(m, path, fd, name, unlinkat(fd, name, AT_REMOVEDIR));
}

static int plain_unlink(struct model *m, const char *path)
{
	ON_PLAIN(m, path, fd, name, unlinkat(fd, name, 0));
}

static int plain_symlink(struct model *m, const char *target, const char *path)
{
	ON_PLAIN(m, path, fd, name, symlinkat(target, fd, name));
}

static int plain_mkfifo(struct model *m, const char *path)
{
	ON_PLAIN(m, path, fd, name, mknodat(fd, name, S_IFIFO | 0600, 0));
}

static int plain_stat(struct model *m, const char *path, struct stat *st)
{
	ON_PLAIN(m, path, fd, name, fstatat(fd, name, st, AT_SYMLINK_NOFOLLOW));
}

static int plain_chmod(struct model *m, const char *path, mode_t mode)
{
	ON_PLAIN(m, path, fd, name, fchmodat(fd, name, mode, 0));
}

static int plain_two(struct model *m, const char *from, const char *to, unsigned flags, int is_link)
{
	const char *n1, *n2;
	int d1, d2, rc, errnum = plain_walk(m, from, &d1, &n1);

	if (errnum)
		return errnum;
	errnum = plain_walk(m, to, &d2, &n2);
	if (errnum) {
		close(d1);
		return errnum;
	}
	rc = is_link ? linkat(d1, n1, d2, n2, 0) : renameat2(d1, n1, d2, n2, flags);
	errnum = done(d1, rc);
	close(d2);
	return errnum;
}

static void plain_xattr_path(char *out, size_t size, int fd, const char *name)
{
	snprintf(out, size, "/proc/self/fd/%d/%s", fd, name);
}

static int plain_setxattr(
	struct model *m, const char *path, const char *xattr, const void *value, size_t len, int flags)
{
	const char *name;
	char p[512];
	int fd, errnum = plain_walk(m, path, &fd, &name);

	if (errnum)
		return errnum;
	plain_xattr_path(p, sizeof(p), fd, name);
	return done(fd, lsetxattr(p, xattr, value, len, flags));
}

static int plain_removexattr(struct model *m, const char *path, const char *xattr)
{
	const char *name;
	char p[512];
	int fd, errnum = plain_walk(m, path, &fd, &name);

	if (errnum)
		return errnum;
	plain_xattr_path(p, sizeof(p), fd, name);
	return done(fd, lremovexattr(p, xattr));
}

/* ---- Both ---- */

static void same(struct model *m, enum err e, int errnum)
{
	int got = e == ERR_OK ? 0 : err_to_errno(e);

	/* Where two errors apply, which one is said is nobody's promise: a long name's sidecar meets missing rights first. */
	if (got == EACCES && errnum != 0)
		return;
	if (got != errnum)
		fail_msg("step %u: %s: vault says %s (%s), plain tree says %s", m->step, m->what, strerror(got),
			err_text(e), strerror(errnum));
}

static void do_create(struct model *m)
{
	uint8_t data[9000];
	char path[PATH_SIZE];
	size_t len = below(m, sizeof(data));

	some_path(m, path);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(vault_fixture_random(&m->rng) >> 13);
	snprintf(m->what, sizeof(m->what), "create %s", path);
	same(m, vp_put(m->x.v, path, data, len), plain_put(m, path, data, len));
}

static void do_mkdir(struct model *m)
{
	static const mode_t modes[] = {0755, 0700, 0777, 02755, 01777, 0500};
	mode_t mode = modes[below(m, 6)];
	char path[PATH_SIZE];

	some_path(m, path);
	snprintf(m->what, sizeof(m->what), "mkdir %s", path);
	same(m, vp_mkdir(m->x.v, path, mode), plain_mkdir(m, path, mode));
}

static void do_rmdir(struct model *m)
{
	char path[PATH_SIZE];

	some_path(m, path);
	snprintf(m->what, sizeof(m->what), "rmdir %s", path);
	same(m, vp_rmdir(m->x.v, path), plain_rmdir(m, path));
}

static void do_unlink(struct model *m)
{
	char path[PATH_SIZE];

	some_path(m, path);
	snprintf(m->what, sizeof(m->what), "unlink %s", path);
	same(m, vp_unlink(m->x.v, path), plain_unlink(m, path));
}

static void do_rename(struct model *m)
{
	static const unsigned all[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned flags = all[below(m, 4)];
	char from[PATH_SIZE], to[PATH_SIZE];

	some_path(m, from);
	some_path(m, to);
	snprintf(m->what, sizeof(m->what), "rename %u %s -> %s", flags, from, to);
	same(m, vp_rename(m->x.v, from, to, flags), plain_two(m, from, to, flags, 0));
}

static void do_link(struct model *m)
{
	char from[PATH_SIZE], to[PATH_SIZE];

	some_path(m, from);
	some_path(m, to);
	snprintf(m->what, sizeof(m->what), "link %s -> %s", from, to);
	same(m, vp_link(m->x.v, from, to), plain_two(m, from, to, 0, 1));
}

static void do_symlink(struct model *m)
{
	char path[PATH_SIZE], target[600];
	size_t len = 1 + below(m, 500);

	some_path(m, path);
	memset(target, 't', len);
	target[len] = '\0';
	snprintf(m->what, sizeof(m->what), "symlink %s", path);
	same(m, vp_symlink(m->x.v, target, path), plain_symlink(m, target, path));
}

static enum err vault_mkfifo(struct vault *v, const char *path)
{
	const struct vault_owner owner = {0};
	struct vault_object o;
	struct vault_dir *d;
	struct stat st;
	enum err e;

	TRY(vault_fixture_walk(v, path, &d, &o));
	e = vault_mknod(o, S_IFIFO | 0600, 0, owner, &st);
	vault_dir_release(d);
	return e;
}

static void do_mkfifo(struct model *m)
{
	char path[PATH_SIZE];

	some_path(m, path);
	snprintf(m->what, sizeof(m->what), "mkfifo %s", path);
	same(m, vault_mkfifo(m->x.v, path), plain_mkfifo(m, path));
}

static int is_link(struct model *m, const char *path)
{
	struct stat st;

	return plain_stat(m, path, &st) == 0 && S_ISLNK(st.st_mode);
}

static enum err vault_chmod(struct vault *v, const char *path, mode_t mode)
{
	const struct vault_attr attr = {.set = VAULT_SET_MODE, .mode = mode};
	struct vault_object o;
	struct vault_dir *d;
	struct stat st;
	enum err e;

	TRY(vault_fixture_walk(v, path, &d, &o));
	e = vault_setattr(o, NULL, &attr, &st);
	vault_dir_release(d);
	return e;
}

static void do_chmod(struct model *m)
{
	mode_t mode = (mode_t)below(m, 010000);
	char path[PATH_SIZE];

	some_path(m, path);
	snprintf(m->what, sizeof(m->what), "chmod %o %s", mode, path);
	if (!is_link(m, path))
		same(m, vault_chmod(m->x.v, path, mode | 0700), plain_chmod(m, path, mode | 0700));
}

static void some_xattr(struct model *m, char out[64])
{
	snprintf(out, 64, "user.attribute%zu", below(m, 3));
}

static void do_setxattr(struct model *m)
{
	char path[PATH_SIZE], name[64], value[300];
	size_t len = below(m, sizeof(value));
	int flags = (int)below(m, 3);

	some_path(m, path);
	some_xattr(m, name);
	memset(value, (int)m->step, len);
	snprintf(m->what, sizeof(m->what), "setxattr %d %s %s", flags, name, path);
	if (m->xattrs)
		same(m, vp_setxattr(m->x.v, path, name, value, len, flags),
			plain_setxattr(m, path, name, value, len, flags));
}

static void do_removexattr(struct model *m)
{
	char path[PATH_SIZE], name[64];

	some_path(m, path);
	some_xattr(m, name);
	snprintf(m->what, sizeof(m->what), "removexattr %s %s", name, path);
	if (m->xattrs)
		same(m, vp_removexattr(m->x.v, path, name), plain_removexattr(m, path, name));
}

static void do_stat(struct model *m)
{
	struct stat a, b;
	char path[PATH_SIZE];
	int errnum;

	some_path(m, path);
	snprintf(m->what, sizeof(m->what), "stat %s", path);
	errnum = plain_stat(m, path, &b);
	same(m, vp_stat(m->x.v, path, &a), errnum);
	if (errnum)
		return;
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_nlink, b.st_nlink);
	if (!S_ISDIR(a.st_mode))
		assert_int_equal(a.st_size, b.st_size);
}

static void do_reopen(struct model *m)
{
	vault_fixture_reopen(&m->x);
}

/* ---- Comparing ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void compare_file(struct model *m, const char *path, const char *plain, size_t size)
{
	uint8_t *a, *b = malloc(size + 1);
	size_t len;
	int fd = open(plain, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, b, size + 1), size);
	close(fd);
	same(m, vp_get(m->x.v, path, &a, &len), 0);
	assert_int_equal(len, size);
	assert_memory_equal(a, b, size);
	free(a);
	free(b);
}

static void compare_xattrs(struct model *m, const char *path, const char *plain)
{
	char a[300], b[300], name[64];

	for (unsigned i = 0; i < 3 && m->xattrs; i++) {
		ssize_t n;
		size_t len = 0;
		enum err e;

		snprintf(name, sizeof(name), "user.attribute%u", i);
		n = lgetxattr(plain, name, b, sizeof(b));
		e = vp_getxattr(m->x.v, path, name, a, sizeof(a), &len);
		same(m, e, n < 0 ? errno : 0);
		if (n >= 0) {
			assert_int_equal(len, n);
			assert_memory_equal(a, b, len);
		}
	}
}

static void compare_dir(struct model *m, const char *path, const char *plain);

static void compare_one(struct model *m, const char *path, const char *plain)
{
	char text[4096], expected[4096];
	struct stat a, b;
	ssize_t n;

	snprintf(m->what, sizeof(m->what), "comparing %s", path);
	assert_int_equal(lstat(plain, &b), 0);
	same(m, vp_stat(m->x.v, path, &a), 0);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_nlink, b.st_nlink);
	if (!S_ISDIR(b.st_mode))
		assert_int_equal(a.st_size, b.st_size);
	compare_xattrs(m, path, plain);
	if (S_ISREG(b.st_mode))
		compare_file(m, path, plain, (size_t)b.st_size);
	if (S_ISDIR(b.st_mode))
		compare_dir(m, path, plain);
	if (!S_ISLNK(b.st_mode))
		return;
	n = readlink(plain, expected, sizeof(expected) - 1);
	expected[n] = '\0';
	same(m, vp_readlink(m->x.v, path, text, sizeof(text)), 0);
	assert_string_equal(text, expected);
}

static void compare_dir(struct model *m, const char *path, const char *plain)
{
	char *names = malloc(65536), *sub = malloc(4096), *plain_sub = malloc(4096);
	const char *name = names;
	struct dirent **entries;
	int n = scandir(plain, &entries, not_dots, by_name);
	size_t count;

	same(m, vp_list(m->x.v, path, names, 65536, &count), 0);
	assert_int_equal(count, n);
	for (int i = 0; i < n; i++, name += strlen(name) + 1) {
		assert_string_equal(name, entries[i]->d_name);
		snprintf(sub, 4096, "%s%s%s", path, *path ? "/" : "", name);
		snprintf(plain_sub, 4096, "%s/%s", plain, name);
		compare_one(m, sub, plain_sub);
		free(entries[i]);
	}
	free(entries);
	free(names);
	free(sub);
	free(plain_sub);
}

/* ---- ---- */

static void step(struct model *m)
{
	static const struct {
		unsigned weight;
		void (*run)(struct model *m);
	} table[] = {
		{18, do_create},
		{16, do_mkdir},
		{6, do_rmdir},
		{8, do_unlink},
		{22, do_rename},
		{5, do_link},
		{4, do_symlink},
		{3, do_mkfifo},
		{4, do_chmod},
		{5, do_setxattr},
		{3, do_removexattr},
		{6, do_stat},
	};
	unsigned at = (unsigned)below(m, 100);
	size_t i = 0;

	while (at >= table[i].weight)
		at -= table[i++].weight;
	table[i].run(m);
}

static void run_model(const struct vault_create_options *options, const char *what)
{
	struct model *m = calloc(1, sizeof(*m));
	char probe[512];

	m->rng = vault_fixture_seed(what);
	make_names(m, options && options->names == NAMES_PLAIN);
	vault_fixture_init(&m->x, options);
	snprintf(m->plain, sizeof(m->plain), "%s/plain", m->x.top);
	assert_int_equal(mkdir(m->plain, 0700), 0);
	m->plain_fd = open(m->plain, O_RDONLY | O_DIRECTORY);
	snprintf(probe, sizeof(probe), "%s", m->plain);
	m->xattrs = setxattr(probe, "user.probe", "x", 1, 0) == 0;
	for (m->step = 0; m->step < STEPS; m->step++) {
		step(m);
		if (m->step % COMPARE_EVERY == 0)
			compare_dir(m, "", m->plain);
		if (m->step % (COMPARE_EVERY * 4) == 0)
			do_reopen(m);
	}
	compare_dir(m, "", m->plain);
	assert_int_equal(m->x.reports[REPORT_ERROR], 0);
	close(m->plain_fd);
	vault_fixture_done(&m->x);
	free(m);
}

static void encrypted_names(void **state)
{
	(void)state;
	run_model(NULL, "tree model, encrypted names");
}

static void plain_names(void **state)
{
	const struct vault_create_options options = {.bucket_keys = 1, .names = NAMES_PLAIN};

	(void)state;
	run_model(&options, "tree model, plain names");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encrypted_names),
		cmocka_unit_test(plain_names),
	};

	return cmocka_run_group_tests_name("vault: a tree against a plain tree", tests, NULL, NULL);
}
