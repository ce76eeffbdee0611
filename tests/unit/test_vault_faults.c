/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fail the nth lower call of each operation, for every n, and cut the power before it; then look at the whole tree: it is as it was
 * before the operation or as it is after it, in the running vault and after it was opened again, and nothing else changed.
 */
#include "fs/vault/vault_internal.h"
#include "tests/support/faulty_lower.h"
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { DUMP_MAX = 65536, BIG = 300000 };

#define LONG_A                                                                                                         \
	"a-name-that-is-so-long-that-its-encrypted-form-needs-a-sidecar-"                                              \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"         \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_B LONG_A "b"

static uint8_t pattern[BIG + 65536];

/* ---- The whole plaintext tree as text: kind, mode, links, size, content, attribute ---- */

struct dump {
	char *text;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct dump *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	d->used += (size_t)vsnprintf(d->text + d->used, DUMP_MAX - d->used, fmt, args);
	va_end(args);
	assert_true(d->used < DUMP_MAX);
}

static void put_content(struct dump *d, struct vault *v, const char *path)
{
	uint64_t h = 0xcbf29ce484222325u;
	uint8_t *bytes;
	size_t len;
	enum err e = vp_get(v, path, &bytes, &len);

	if (e != ERR_OK) {
		put(d, " %s", err_name(e));
		return;
	}
	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 0x100000001b3u;
	put(d, " %zu:%016llx", len, (unsigned long long)h);
	free(bytes);
}

static void put_tree(struct dump *d, struct vault *v, const char *path);

static void put_entry(struct dump *d, struct vault *v, const char *path)
{
	char text[4096];
	struct stat st;
	size_t len;
	enum err e = vp_stat(v, path, &st);

	put(d, "%.300s %s %o %u", path, e == ERR_OK ? "ok" : err_name(e), st.st_mode, (unsigned)st.st_nlink);
	if (S_ISREG(st.st_mode))
		put_content(d, v, path);
	if (S_ISLNK(st.st_mode))
		put(d, " -> %s", vp_readlink(v, path, text, sizeof(text)) == ERR_OK ? text : "unreadable");
	if (vp_getxattr(v, path, "user.test", text, sizeof(text), &len) == ERR_OK)
		put(d, " test=%.*s", (int)len, text);
	put(d, "\n");
	if (S_ISDIR(st.st_mode))
		put_tree(d, v, path);
}

static void put_tree(struct dump *d, struct vault *v, const char *path)
{
	char *names = malloc(DUMP_MAX), *sub = malloc(4096);
	const char *name = names;
	size_t n;
	enum err e = vp_list(v, path, names, DUMP_MAX, &n);

	if (e != ERR_OK) {
		put(d, "%s: list: %s\n", path, err_name(e));
		n = 0;
	}
	for (size_t i = 0; i < n; i++, name += strlen(name) + 1) {
		snprintf(sub, 4096, "%s%s%s", path, *path ? "/" : "", name);
		put_entry(d, v, sub);
	}
	free(names);
	free(sub);
}

static char *dump_tree(struct vault *v)
{
	struct dump d = {.text = calloc(1, DUMP_MAX)};

	put_tree(&d, v, "");
	return d.text;
}

/* ---- The tree that every case starts from ---- */

static void put_file(struct vault *v, const char *path, size_t len)
{
	assert_int_equal(vp_put(v, path, pattern, len), ERR_OK);
}

static void sparse_file(struct vault *v)
{
	struct vault_file *f;

	assert_int_equal(vp_create(v, "sparse", 0644, &f), ERR_OK);
	assert_int_equal(vault_file_write(f, 0, pattern, 5000), ERR_OK);
	assert_int_equal(vault_file_write(f, 100000, pattern, 5000), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
}

static void make_base(struct vault *v)
{
	assert_int_equal(vp_mkdir(v, "dir", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(v, "empty", 0750), ERR_OK);
	assert_int_equal(vp_mkdir(v, "full", 0700), ERR_OK);
	put_file(v, "small", 1000);
	put_file(v, "other", 9000);
	put_file(v, "aligned", 8192);
	put_file(v, "big", BIG);
	put_file(v, "full/inside", 5);
	put_file(v, "dir/" LONG_A, 77);
	sparse_file(v);
	assert_int_equal(vp_symlink(v, "some/target", "link"), ERR_OK);
	assert_int_equal(vp_setxattr(v, "other", "user.test", "old", 3, 0), ERR_OK);
}

/* ---- The operations ---- */

static enum err with_file(struct vault *v, const char *path, enum err (*run)(struct vault_file *f))
{
	struct vault_file *f;
	enum err e, closed;

	TRY(vp_open(v, path, 1, &f));
	e = run(f);
	closed = vault_file_close(f);
	return e != ERR_OK ? e : closed;
}

static enum err append_small(struct vault_file *f)
{
	return vault_file_write(f, 1000, pattern + 7, 2000);
}
static enum err append_big(struct vault_file *f)
{
	return vault_file_write(f, 1000, pattern + 7, 200000);
}
static enum err append_aligned(struct vault_file *f)
{
	return vault_file_write(f, 8192, pattern + 7, 100);
}
static enum err overwrite_one(struct vault_file *f)
{
	return vault_file_write(f, 4096, pattern + 9, 4096);
}
static enum err overwrite_part(struct vault_file *f)
{
	return vault_file_write(f, 5000, pattern + 9, 10);
}
static enum err straddle_end(struct vault_file *f)
{
	return vault_file_write(f, 8500, pattern + 9, 3000);
}
static enum err write_behind_gap(struct vault_file *f)
{
	return vault_file_write(f, 50000, pattern + 3, 10000);
}
static enum err fill_hole(struct vault_file *f)
{
	return vault_file_write(f, 40960, pattern + 3, 4096);
}
static enum err shrink_within(struct vault_file *f)
{
	return vault_file_truncate(f, 4500);
}
static enum err shrink_aligned(struct vault_file *f)
{
	return vault_file_truncate(f, 4096);
}
static enum err shrink_to_nothing(struct vault_file *f)
{
	return vault_file_truncate(f, 0);
}
static enum err grow_little(struct vault_file *f)
{
	return vault_file_truncate(f, 1500);
}
static enum err grow_much(struct vault_file *f)
{
	return vault_file_truncate(f, 1000000);
}
static enum err punch(struct vault_file *f)
{
	return vault_file_allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
}
static enum err allocate_more(struct vault_file *f)
{
	return vault_file_allocate(f, 0, 0, 30000);
}
static enum err sync_file(struct vault_file *f)
{
	return vault_file_sync(f, 0);
}

#define ON_FILE(name, path, run)                                                                                       \
	static enum err name(struct vault *v)                                                                          \
	{                                                                                                              \
		return with_file(v, path, run);                                                                        \
	}
ON_FILE(op_append_small, "small", append_small)
ON_FILE(op_append_big, "small", append_big)
ON_FILE(op_append_aligned, "aligned", append_aligned)
ON_FILE(op_overwrite_one, "big", overwrite_one)
ON_FILE(op_overwrite_part, "big", overwrite_part)
ON_FILE(op_straddle_end, "other", straddle_end)
ON_FILE(op_gap, "small", write_behind_gap)
ON_FILE(op_gap_aligned, "aligned", write_behind_gap)
ON_FILE(op_fill_hole, "sparse", fill_hole)
ON_FILE(op_shrink_within, "other", shrink_within)
ON_FILE(op_shrink_aligned, "other", shrink_aligned)
ON_FILE(op_shrink_to_nothing, "other", shrink_to_nothing)
ON_FILE(op_grow_little, "small", grow_little)
ON_FILE(op_grow_much, "small", grow_much)
ON_FILE(op_grow_sparse, "sparse", grow_much)
ON_FILE(op_punch, "big", punch)
ON_FILE(op_allocate, "small", allocate_more)
ON_FILE(op_sync, "small", sync_file)

static enum err op_create_empty(struct vault *v)
{
	return vp_put(v, "new", "", 0);
}
static enum err op_create_small(struct vault *v)
{
	return vp_put(v, "new", pattern, 5000);
}
static enum err op_create_big(struct vault *v)
{
	return vp_put(v, "new", pattern, 200000);
}
static enum err op_create_long(struct vault *v)
{
	return vp_put(v, LONG_B, pattern, 0);
}
static enum err op_mkdir(struct vault *v)
{
	return vp_mkdir(v, "newdir", 0755);
}
static enum err op_mkdir_odd_mode(struct vault *v)
{
	return vp_mkdir(v, "newdir", 0055);
}
static enum err op_mkdir_long(struct vault *v)
{
	return vp_mkdir(v, "dir/" LONG_B, 0755);
}
static enum err op_rmdir(struct vault *v)
{
	return vp_rmdir(v, "empty");
}
static enum err op_unlink(struct vault *v)
{
	return vp_unlink(v, "small");
}
static enum err op_unlink_long(struct vault *v)
{
	return vp_unlink(v, "dir/" LONG_A);
}
static enum err op_rename(struct vault *v)
{
	return vp_rename(v, "small", "dir/renamed", 0);
}
static enum err op_rename_over_file(struct vault *v)
{
	return vp_rename(v, "small", "other", 0);
}
static enum err op_rename_over_dir(struct vault *v)
{
	return vp_rename(v, "full", "empty", 0);
}
static enum err op_rename_long_to_short(struct vault *v)
{
	return vp_rename(v, "dir/" LONG_A, "short", 0);
}
static enum err op_rename_short_to_long(struct vault *v)
{
	return vp_rename(v, "small", LONG_B, 0);
}
static enum err op_rename_long_to_long(struct vault *v)
{
	return vp_rename(v, "dir/" LONG_A, "dir/" LONG_B, 0);
}
static enum err op_exchange(struct vault *v)
{
	return vp_rename(v, "dir/" LONG_A, "other", RENAME_EXCHANGE);
}
static enum err op_link(struct vault *v)
{
	return vp_link(v, "small", "dir/" LONG_B);
}
static enum err op_symlink(struct vault *v)
{
	return vp_symlink(v, "to/where", "newlink");
}
static enum err op_setxattr(struct vault *v)
{
	return vp_setxattr(v, "other", "user.test", "new", 3, 0);
}
static enum err op_removexattr(struct vault *v)
{
	return vp_removexattr(v, "other", "user.test");
}

enum outcome {
	OLD_OR_NEW = 0,
	/* A crash may leave a part of what was written, behind what was there: nothing else in the tree differs. */
	CRASH_LEAVES_PREFIX = 1 << 0,
	/* The directory that was renamed over is gone only after the exchange: for a moment it has the old name. */
	CRASH_LEAVES_EMPTY_DIR = 1 << 1,
	/* A new file exists before its content does. */
	CREATES = 1 << 2,
};

static const struct scenario {
	const char *name;
	enum err (*run)(struct vault *v);
	const char *path; /* whose line may differ where the outcome says so */
	unsigned outcome;
} scenarios[] = {
	{"append a little", op_append_small, "small", CRASH_LEAVES_PREFIX},
	{"append much", op_append_big, "small", CRASH_LEAVES_PREFIX},
	{"append to an aligned file", op_append_aligned, "aligned", CRASH_LEAVES_PREFIX},
	{"overwrite one chunk", op_overwrite_one, NULL, OLD_OR_NEW},
	{"overwrite a part of a chunk", op_overwrite_part, NULL, OLD_OR_NEW},
	{"write over the end", op_straddle_end, "other", CRASH_LEAVES_PREFIX},
	{"write behind a gap", op_gap, "small", CRASH_LEAVES_PREFIX},
	{"write behind a gap of an aligned file", op_gap_aligned, "aligned", CRASH_LEAVES_PREFIX},
	{"write into a hole", op_fill_hole, NULL, OLD_OR_NEW},
	{"shrink within a chunk", op_shrink_within, NULL, OLD_OR_NEW},
	{"shrink to a chunk's end", op_shrink_aligned, NULL, OLD_OR_NEW},
	{"shrink to nothing", op_shrink_to_nothing, NULL, OLD_OR_NEW},
	{"grow within a chunk", op_grow_little, NULL, OLD_OR_NEW},
	{"grow by a hole", op_grow_much, NULL, OLD_OR_NEW},
	{"grow a sparse file", op_grow_sparse, NULL, OLD_OR_NEW},
	{"punch a hole", op_punch, NULL, OLD_OR_NEW},
	{"allocate beyond the end", op_allocate, NULL, OLD_OR_NEW},
	{"sync", op_sync, NULL, OLD_OR_NEW},
	{"create an empty file", op_create_empty, "new", CREATES},
	{"create a small file", op_create_small, "new", CREATES},
	{"create a big file", op_create_big, "new", CREATES | CRASH_LEAVES_PREFIX},
	{"create a file with a long name", op_create_long, LONG_B, CREATES},
	{"mkdir", op_mkdir, NULL, OLD_OR_NEW},
	{"mkdir without rights for its owner", op_mkdir_odd_mode, NULL, OLD_OR_NEW},
	{"mkdir with a long name", op_mkdir_long, NULL, OLD_OR_NEW},
	{"rmdir", op_rmdir, NULL, OLD_OR_NEW},
	{"unlink", op_unlink, NULL, OLD_OR_NEW},
	{"unlink a long name", op_unlink_long, NULL, OLD_OR_NEW},
	{"rename", op_rename, NULL, OLD_OR_NEW},
	{"rename over a file", op_rename_over_file, NULL, OLD_OR_NEW},
	{"rename over an empty directory", op_rename_over_dir, "full", CRASH_LEAVES_EMPTY_DIR},
	{"rename long to short", op_rename_long_to_short, NULL, OLD_OR_NEW},
	{"rename short to long", op_rename_short_to_long, NULL, OLD_OR_NEW},
	{"rename long to long", op_rename_long_to_long, NULL, OLD_OR_NEW},
	{"exchange long and short", op_exchange, NULL, OLD_OR_NEW},
	{"link to a long name", op_link, NULL, OLD_OR_NEW},
	{"symlink", op_symlink, NULL, OLD_OR_NEW},
	{"setxattr", op_setxattr, NULL, OLD_OR_NEW},
	{"removexattr", op_removexattr, NULL, OLD_OR_NEW},
};

/* ---- Running one ---- */

struct bench {
	struct vault_fixture x;
	struct faulty_lower faulty;
	char base[300];
	char *old; /* the tree before */
	char *new; /* the tree after */
};

static void restore_base(struct bench *b)
{
	vault_fixture_remove_tree(b->x.path);
	vault_fixture_copy_tree(b->base, b->x.path);
}

static void bench_init(struct bench *b)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
	vault_fixture_init(&b->x, NULL);
	make_base(b->x.v);
	b->old = dump_tree(b->x.v);
	vault_fixture_close(&b->x);
	snprintf(b->base, sizeof(b->base), "%s/base", b->x.top);
	vault_fixture_copy_tree(b->x.path, b->base);
	faulty_lower_init(&b->faulty);
	b->x.lower = &b->faulty.lower;
}

static void bench_done(struct bench *b)
{
	free(b->old);
	vault_fixture_done(&b->x);
}

/* The line of @path taken out, so that the rest can be compared. */
static char *without_line(const char *text, const char *path, char *ret_line, size_t size)
{
	char *copy = strdup(text);
	size_t len = strlen(path), at = 0, end;

	if (!copy)
		abort();
	*ret_line = '\0';
	while (copy[at] && !(strncmp(copy + at, path, len) == 0 && copy[at + len] == ' '))
		at += strcspn(copy + at, "\n") + 1;
	if (!copy[at])
		return copy;
	end = strcspn(copy + at, "\n");
	assert_true(end < size);
	memcpy(ret_line, copy + at, end);
	ret_line[end] = '\0';
	memmove(copy + at, copy + at + end + 1, strlen(copy + at + end + 1) + 1);
	return copy;
}

/* Every byte of the file is as in the new state, and no byte of the old one is missing. */
static int is_prefix(struct vault *v, const char *path, const uint8_t *bytes, size_t len, size_t least)
{
	uint8_t *found;
	size_t n;
	int ok;

	if (vp_get(v, path, &found, &n) != ERR_OK)
		return 0;
	ok = n >= least && n <= len && memcmp(found, bytes, n) == 0;
	free(found);
	return ok;
}

struct expected {
	uint8_t *bytes; /* of scenario->path in the new state */
	size_t len, least;
};

static int state_is_allowed(
	struct bench *b, const struct scenario *s, const struct expected *want, const char *now, int crashed)
{
	char line[2048], old_line[2048];
	char *rest, *old_rest;
	int same;

	if (strcmp(now, b->old) == 0 || strcmp(now, b->new) == 0)
		return 1;
	if (!s->path || !(s->outcome & CREATES || crashed))
		return 0;
	if (s->outcome & CRASH_LEAVES_EMPTY_DIR) {
		rest = without_line(now, s->path, line, sizeof(line));
		same = strcmp(rest, b->new) == 0 && *line;
		free(rest);
		return same;
	}
	rest = without_line(now, s->path, line, sizeof(line));
	old_rest = without_line(b->old, s->path, old_line, sizeof(old_line));
	same = strcmp(rest, old_rest) == 0;
	free(rest);
	free(old_rest);
	/* A file that was created and got no content yet is empty. */
	if (same && s->outcome & CREATES && is_prefix(b->x.v, s->path, want->bytes, 0, 0))
		return 1;
	return same && crashed && s->outcome & CRASH_LEAVES_PREFIX &&
	       is_prefix(b->x.v, s->path, want->bytes, want->len, want->least);
}

static void assert_state(struct bench *b, const struct scenario *s, const struct expected *want, enum fault_kind kind,
	unsigned n, enum err e, const char *when)
{
	int crashed = kind == FAULT_POWER || kind == FAULT_POWER_TORN || (kind == FAULT_FULL && e != ERR_OK);
	char *now = dump_tree(b->x.v);

	if (!state_is_allowed(b, s, want, now, crashed) || (e == ERR_OK && !crashed && strcmp(now, b->new) != 0)) {
		fprintf(stderr, "---- before\n%s---- after\n%s---- found\n%s", b->old, b->new, now);
		fail_msg("%s, fault kind %d at call %u (%s), result %s, %s: neither old nor new", s->name, (int)kind, n,
			b->faulty.what, err_name(e), when);
	}
	free(now);
}

/* What the program is told is what happened below. */
static void assert_told(struct bench *b, const struct scenario *s, unsigned n, enum err e, int errnum)
{
	if (e != ERR_OK && (e != ERR_SYSTEM || err_errno() != errnum))
		fail_msg("%s, fault at call %u (%s): %s, errno %d, not %d", s->name, n, b->faulty.what, err_name(e),
			err_errno(), errnum);
}

/* No room to put anything back: what is there is read, through a descriptor for writing too, and who writes is told why not. */
static void assert_used_while_full(struct bench *b, const struct scenario *s, unsigned n, int errnum)
{
	uint8_t bytes[100];
	struct vault_file *f;
	size_t len;

	for (int again = 0; again < 2; again++) {
		assert_int_equal(vp_open(b->x.v, s->path, 1, &f), ERR_OK);
		if (vault_file_read(f, 0, sizeof(bytes), bytes, &len) != ERR_OK)
			fail_msg("%s, fault at call %u (%s): unreadable while the disk is full", s->name, n,
				b->faulty.what);
		assert_memory_equal(bytes, pattern, len);
		assert_int_equal(len, sizeof(bytes));
		assert_told(b, s, n, vault_file_write(f, 0, pattern, 10), errnum);
		assert_told(b, s, n, vault_file_write(f, 900000, pattern, 10), errnum);
		(void)vault_file_close(f);
	}
}

/* True while the fault was met. */
static int run_one(struct bench *b, const struct scenario *s, const struct expected *want, enum fault_kind kind,
	unsigned n, int errnum)
{
	int crashed = kind == FAULT_POWER || kind == FAULT_POWER_TORN;
	unsigned injected;
	enum err e;

	restore_base(b);
	vault_fixture_open(&b->x);
	faulty_lower_arm(&b->faulty, kind, n, errnum);
	e = s->run(b->x.v);
	injected = b->faulty.injected;
	assert_told(b, s, n, e, errnum);
	if (crashed && injected) {
		/* The machine is gone: nothing that the process does reaches the disk any more. */
		assert_int_not_equal(vault_close(b->x.v), ERR_OK);
		b->x.v = NULL;
		faulty_lower_disarm(&b->faulty);
	} else {
		if (kind == FAULT_FULL && injected && !(s->outcome & CREATES))
			assert_used_while_full(b, s, n, errnum);
		faulty_lower_disarm(&b->faulty);
		assert_state(b, s, want, kind, n, e, "at once");
		vault_fixture_close(&b->x);
	}
	vault_fixture_open(&b->x);
	/* A listing sweeps what an interrupted mkdir left; until then the parent counts one link more. */
	if (crashed)
		free(dump_tree(b->x.v));
	assert_state(b, s, want, kind, n, e, "opened again");
	assert_state(b, s, want, kind, n, e, "opened again, and read once more");
	vault_fixture_close(&b->x);
	return injected > 0;
}

static void learn_new_state(struct bench *b, const struct scenario *s, struct expected *want)
{
	struct stat st;

	restore_base(b);
	vault_fixture_open(&b->x);
	want->least =
		s->path && vp_stat(b->x.v, s->path, &st) == ERR_OK && S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
	assert_int_equal(s->run(b->x.v), ERR_OK);
	b->new = dump_tree(b->x.v);
	assert_null(strstr(b->new, "ERR_"));
	want->bytes = NULL;
	want->len = 0;
	if (s->path)
		(void)vp_get(b->x.v, s->path, &want->bytes, &want->len);
	vault_fixture_close(&b->x);
}

static unsigned run_scenario(struct bench *b, const struct scenario *s, enum fault_kind kind, int errnum)
{
	struct expected want;
	unsigned n = 1;

	learn_new_state(b, s, &want);
	while (run_one(b, s, &want, kind, n, errnum))
		n++;
	free(b->new);
	free(want.bytes);
	return n - 1;
}

static void run_all(enum fault_kind kind, int errnum, unsigned outcomes, int every_scenario_is_struck)
{
	const char *only = getenv("SCENARIO");
	unsigned total = 0;
	struct bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		unsigned n;

		if ((only && strcmp(only, scenarios[i].name) != 0) || (scenarios[i].outcome & outcomes) != outcomes)
			continue;
		n = run_scenario(&b, &scenarios[i], kind, errnum);
		if (every_scenario_is_struck)
			assert_true(n > 0);
		total += n;
	}
	printf("%u faults injected\n", total);
	assert_true(total > 0);
	bench_done(&b);
}

static void any_call_fails_with_eio(void **state)
{
	(void)state;
	run_all(FAULT_ANY, EIO, 0, 1);
}

static void any_change_fails_with_enospc(void **state)
{
	(void)state;
	run_all(FAULT_CHANGE, ENOSPC, 0, 1);
}

static void any_change_fails_with_edquot(void **state)
{
	(void)state;
	run_all(FAULT_CHANGE, EDQUOT, 0, 1);
}

/* As ext4 does once it found its own damage. */
static void any_change_fails_with_erofs(void **state)
{
	(void)state;
	run_all(FAULT_CHANGE, EROFS, 0, 1);
}

static void any_write_is_short(void **state)
{
	(void)state;
	run_all(FAULT_SHORT, 0, 0, 0);
}

static void the_disk_fills_inside_a_write(void **state)
{
	(void)state;
	run_all(FAULT_SHORT_FULL, ENOSPC, 0, 0);
}

static void the_quota_is_reached_inside_a_write(void **state)
{
	(void)state;
	run_all(FAULT_SHORT_FULL, EDQUOT, 0, 0);
}

/* As on btrfs. */
static void a_quota_that_leaves_no_room_to_cut(void **state)
{
	(void)state;
	run_all(FAULT_FULL, EDQUOT, CRASH_LEAVES_PREFIX, 1);
}

/* Half a write, then an error: what was begun is put back, or ended. */
static void a_write_is_short_and_then_fails(void **state)
{
	(void)state;
	run_all(FAULT_SHORT_FAIL, EIO, 0, 0);
}

static void the_power_goes_before_any_change(void **state)
{
	(void)state;
	run_all(FAULT_POWER, EIO, 0, 1);
}

/* Of a new file a torn write leaves a prefix. (A chunk that is overwritten in place and torn is lost: that takes a journal.) */
static void the_power_goes_inside_a_write_to_a_new_file(void **state)
{
	(void)state;
	run_all(FAULT_POWER_TORN, EIO, CREATES, 1);
}

/* ---- Opening, closing, making a vault ---- */

static void assert_unchanged(struct bench *b, unsigned n, const char *what)
{
	char *now;

	vault_fixture_open(&b->x);
	now = dump_tree(b->x.v);
	if (strcmp(now, b->old) != 0)
		fail_msg("%s, fault at call %u (%s): the tree changed", what, n, b->faulty.what);
	free(now);
	vault_fixture_close(&b->x);
}

static unsigned open_with_faults(struct bench *b, enum fault_kind kind)
{
	unsigned n = 0;
	int met;

	do {
		enum err e;

		restore_base(b);
		faulty_lower_arm(&b->faulty, kind, ++n, EIO);
		e = vault_fixture_try_open(&b->x);
		met = b->faulty.injected > 0;
		/* Reading the lock's old text and the like is for people and may fail unnoticed. */
		if (e == ERR_OK) {
			e = vault_close(b->x.v);
			b->x.v = NULL;
		}
		if (kind == FAULT_POWER && met)
			assert_int_equal(e, ERR_SYSTEM);
		faulty_lower_disarm(&b->faulty);
		assert_unchanged(b, n, "opening");
	} while (met);
	return n - 1;
}

static void opening_and_closing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_true(open_with_faults(&b, FAULT_ANY) > 10);
	assert_true(open_with_faults(&b, FAULT_POWER) > 5);
	bench_done(&b);
}

/* A failed creation leaves nothing; a power cut leaves something that is no vault, or a whole one. */
static unsigned create_with_faults(struct vault_fixture *x, struct faulty_lower *faulty, enum fault_kind kind)
{
	const struct vault_create_options options = {.bucket_keys = 1};
	unsigned n = 0;
	int met;

	do {
		struct descriptor d;
		enum err e;

		faulty_lower_arm(faulty, kind, ++n, EIO);
		e = vault_create_on(&faulty->lower, x->path, &options, fake_kms_client(x->fake), &x->clock.clock);
		met = faulty->injected > 0;
		faulty_lower_disarm(faulty);
		if (kind == FAULT_ANY && e != ERR_OK)
			assert_int_equal(access(x->path, F_OK), -1);
		if (e == ERR_OK || vault_read_descriptor(x->path, &d) == ERR_OK) {
			vault_fixture_open(x);
			vault_fixture_close(x);
		}
		vault_fixture_remove_tree(x->path);
	} while (met);
	return n - 1;
}

static void creating(void **state)
{
	struct vault_fixture x;
	struct faulty_lower faulty;

	(void)state;
	vault_fixture_init_bare(&x);
	faulty_lower_init(&faulty);
	assert_true(create_with_faults(&x, &faulty, FAULT_ANY) > 15);
	assert_true(create_with_faults(&x, &faulty, FAULT_POWER) > 15);
	vault_fixture_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_call_fails_with_eio),
		cmocka_unit_test(any_change_fails_with_enospc),
		cmocka_unit_test(any_change_fails_with_edquot),
		cmocka_unit_test(any_change_fails_with_erofs),
		cmocka_unit_test(any_write_is_short),
		cmocka_unit_test(the_disk_fills_inside_a_write),
		cmocka_unit_test(the_quota_is_reached_inside_a_write),
		cmocka_unit_test(a_quota_that_leaves_no_room_to_cut),
		cmocka_unit_test(a_write_is_short_and_then_fails),
		cmocka_unit_test(the_power_goes_before_any_change),
		cmocka_unit_test(the_power_goes_inside_a_write_to_a_new_file),
		cmocka_unit_test(opening_and_closing),
		cmocka_unit_test(creating),
	};

	return cmocka_run_group_tests_name("vault: faults", tests, NULL, NULL);
}
