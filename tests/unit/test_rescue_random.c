/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault damaged at random, again and again ($SIGNETFS_ROUNDS, $SIGNETFS_SEED): fsck never crashes and never calls it clean where the
 * format notices the damage; a repair loses nothing, and what it leaves is clean.
 */
#include "tests/support/copy_tree.h"
#include "tests/support/rescue_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROUNDS = 250, SEED = 20261122, FILES_MAX = 64 };

static char files[FILES_MAX][4096];
static size_t count;

/* The lock's text is for people; the spare list is written over before it is read. */
static int collect(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + ftw->base;

	(void)type;
	if (!S_ISREG(st->st_mode) || strcmp(name, "lock") == 0 || strcmp(name, "sessions.new") == 0)
		return 0;
	assert_true(count < FILES_MAX);
	snprintf(files[count++], sizeof(files[0]), "%s", path);
	return 0;
}

/* ---- Ways to damage a file. True: whoever looks must notice. ---- */

struct victim {
	char *path, *other; /* another file of the vault */
	off_t size;
	uint64_t *seed;
};

static int flip(const struct victim *v)
{
	off_t at = (off_t)vault_fixture_below(v->seed, (uint64_t)v->size);
	int fd = open(v->path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= (uint8_t)(1 << vault_fixture_below(v->seed, 8));
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
	return 1;
}

static int cut(const struct victim *v)
{
	assert_int_equal(truncate(v->path, (off_t)vault_fixture_below(v->seed, (uint64_t)v->size)), 0);
	return 1;
}

static int overwrite(const struct victim *v)
{
	uint8_t bytes[64];
	off_t at = (off_t)vault_fixture_below(v->seed, (uint64_t)v->size);
	size_t n = 1 + vault_fixture_below(v->seed, sizeof(bytes));
	int fd = open(v->path, O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)vault_fixture_random(v->seed);
	bytes[0] = 0;
	assert_int_equal(pread(fd, bytes, 1, at), 1);
	bytes[0] ^= 0xff;
	assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
	return 1;
}

static int append(const struct victim *v)
{
	uint8_t bytes[5000];
	size_t n = 1 + vault_fixture_below(v->seed, sizeof(bytes));
	int fd = open(v->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)vault_fixture_random(v->seed);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	return 1;
}

/* The format does not notice that something is not there, or that two files changed places. */
static int lose(const struct victim *v)
{
	assert_int_equal(unlink(v->path), 0);
	return 0;
}

static int swap(const struct victim *v)
{
	assert_int_equal(renameat2(AT_FDCWD, v->path, AT_FDCWD, v->other, RENAME_EXCHANGE), 0);
	return 0;
}

static int rename_it(const struct victim *v)
{
	char to[4200];

	snprintf(to, sizeof(to), "%.*sx%llu", (int)(strrchr(v->path, '/') + 1 - v->path), v->path,
		(unsigned long long)vault_fixture_random(v->seed));
	assert_int_equal(rename(v->path, to), 0);
	return 0;
}

static int replace(const struct victim *v)
{
	assert_int_equal(unlink(v->path), 0);
	switch (vault_fixture_below(v->seed, 3)) {
	case 0:
		return mkfifo(v->path, 0600);
	case 1:
		return symlink("../../elsewhere", v->path);
	default:
		return mkdir(v->path, 0700);
	}
}

static int (*const ways[])(const struct victim *) = {
	flip, flip, flip, cut, overwrite, append, lose, swap, rename_it, replace};
static const char *const way_names[] = {
	"flip", "flip", "flip", "cut", "overwrite", "append", "lose", "swap", "rename", "replace"};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* *ret_cuts: a repair may cut what does not verify. *ret_gone: something was taken away. */
static int damage(struct vault_fixture *x, uint64_t *seed, char what[8192], int *ret_cuts, int *ret_gone)
{
	struct victim v = {.seed = seed};
	struct stat st;
	size_t way, n;

	count = 0;
	assert_int_equal(nftw(x->path, collect, 16, FTW_PHYS), 0);
	way = vault_fixture_below(seed, WAYS);
	n = vault_fixture_below(seed, count);
	v.path = files[n];
	v.other = files[(n + 1 + vault_fixture_below(seed, count - 1)) % count];
	assert_int_equal(stat(v.path, &st), 0);
	v.size = st.st_size;
	if (v.size == 0)
		return 0;
	snprintf(what, 8192, "%s of %s", way_names[way], v.path + strlen(x->path));
	*ret_cuts = ways[way] == append;
	*ret_gone = ways[way] == lose || ways[way] == replace;
	return ways[way](&v);
}

/* A sidecar whose entry is gone is removed: its name says what it says. */
static void drop_sidecars(struct rescue_inventory *i)
{
	size_t kept = 0;

	for (size_t n = 0; n < i->count; n++) {
		size_t len = strlen(i->item[n].where);

		if (len > 5 && strcmp(i->item[n].where + len - 5, ".name") == 0)
			free(i->item[n].where);
		else
			i->item[kept++] = i->item[n];
	}
	i->count = kept;
}

static void judge_repair(struct vault_fixture *x, const char *what)
{
	struct rescue_checked repaired, last;

	rescue_check(x, 1, &repaired);
	rescue_check(x, 0, &last);
	if (repaired.error == ERR_OK && !repaired.counts.left[FSCK_DAMAGED] && !repaired.counts.left[FSCK_UNCHECKED] &&
		(!rescue_says_clean(&last) || last.told[FSCK_LEFTOVER] || last.told[FSCK_IN_FLIGHT]))
		fail_msg("%s: repaired\n%s-- and then\n%s", what, repaired.text, last.text);
}

static void play_round(struct vault_fixture *x, const char *kept, uint64_t *seed)
{
	struct rescue_inventory before, now;
	struct rescue_checked found;
	char what[8192] = "nothing";
	int must_notice, cuts = 0, gone = 0;

	vault_fixture_remove_tree(x->path);
	copy_tree(kept, x->path);
	must_notice = damage(x, seed, what, &cuts, &gone);
	rescue_inventory_take(x->path, &before);
	drop_sidecars(&before);
	rescue_check(x, 0, &found);
	if (must_notice && found.error == ERR_OK && !found.told[FSCK_DAMAGED] && !found.told[FSCK_IN_FLIGHT])
		fail_msg("%s: called clean", what);
	judge_repair(x, what);
	rescue_inventory_take(x->path, &now);
	if (!cuts)
		rescue_inventory_check(&before, &now);
	rescue_inventory_free(&before);
	rescue_inventory_free(&now);
}

static void damage_is_noticed_and_nothing_is_lost(void **state)
{
	const char *rounds = getenv("SIGNETFS_ROUNDS");
	uint64_t seed = getenv("SIGNETFS_SEED") ? strtoull(getenv("SIGNETFS_SEED"), NULL, 0) : SEED;
	struct vault_fixture x;
	char kept[600];

	(void)state;
	print_message("SIGNETFS_SEED=%llu\n", (unsigned long long)seed);
	rescue_make_sound(&x);
	snprintf(kept, sizeof(kept), "%s/kept", x.top);
	assert_int_equal(rename(x.path, kept), 0);
	for (int n = 0; n < (rounds ? atoi(rounds) : ROUNDS); n++)
		play_round(&x, kept, &seed);
	vault_fixture_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_is_noticed_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
