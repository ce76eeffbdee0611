/* SPDX-License-Identifier: Apache-2.0 */
/* Open handles within a bound: whatever is asked for is open, whatever is not asked for may be closed, nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "fs/fuse/handles.h"
#include "tests/support/vault_fixture.h"

enum { BUDGET = 6 };

struct setup {
	struct vault_fixture x;
	struct node_table *nodes;
	struct handle_cache *c;
};

static void begin(struct setup *s)
{
	struct stat st;

	vault_fixture_init(&s->x, NULL);
	struct vault_dir *root = vault_root(s->x.v);
	assert_int_equal(vault_stat((struct vault_object){.dir = root, .pin = -1}, &st), ERR_OK);
	vault_dir_release(root);
	s->nodes = node_table_new(&st);
	const struct handle_cache_config config = {
		.vault = s->x.v, .nodes = s->nodes, .budget = BUDGET, .reporter = &s->x.reporter};
	assert_int_equal(handle_cache_new(&config, &s->c), ERR_OK);
}

static void dispose(void *context, struct node *n)
{
	handle_dispose(context, n);
}

static void end(struct setup *s)
{
	node_table_free(s->nodes, dispose, s->c);
	assert_int_equal(handle_cache_open(s->c), 0);
	handle_cache_free(s->c);
	vault_fixture_done(&s->x);
}

static struct vault_dir *dir_of(struct setup *s, struct node *n)
{
	struct vault_dir *dir;

	nodes_share(s->nodes);
	assert_int_equal(handle_dir(s->c, n, &dir), ERR_OK);
	nodes_done(s->nodes);
	return dir;
}

/* As LOOKUP does. */
static struct node *look_up(struct setup *s, struct node *parent, const char *name)
{
	struct vault_dir *dir = dir_of(s, parent);
	struct stat st;

	assert_int_equal(
		vault_stat((struct vault_object){.dir = dir, .name = name, .len = strlen(name), .pin = -1}, &st),
		ERR_OK);
	vault_dir_release(dir);
	return node_enter(s->nodes, parent, name, strlen(name), &st);
}

static void assert_content(struct setup *s, struct node *n, const char *expected)
{
	struct vault_file *file;
	char buf[64];
	size_t len;

	assert_int_equal(handle_file(s->c, n, 0, &file), ERR_OK);
	assert_int_equal(vault_file_read(file, 0, sizeof buf, buf, &len), ERR_OK);
	handle_file_done(s->c, n, 0);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(buf, expected, len);
}

/* As UNLINK and RMDIR do. */
static void take_name(struct setup *s, struct node *parent, const char *name, int directory)
{
	struct vault_dir *dir = dir_of(s, parent);
	const struct vault_object o = {.dir = dir, .name = name, .len = strlen(name), .pin = -1};

	nodes_exclude(s->nodes);
	struct node *n = node_find(s->nodes, parent, name, strlen(name));
	if (n && node_is_last_name(s->nodes, n))
		assert_int_equal(handle_keep(s->c, n), ERR_OK);
	assert_int_equal(directory ? vault_rmdir(o) : vault_unlink(o), ERR_OK);
	struct node *gone = node_unname(s->nodes, parent, name, strlen(name));
	nodes_done(s->nodes);
	vault_dir_release(dir);
	handle_dispose_list(s->c, gone);
}

static void forget(struct setup *s, struct node *n)
{
	handle_dispose_list(s->c, node_forget(s->nodes, n, n->lookups));
}

static void test_many_files_few_descriptors(void **state)
{
	struct setup s;
	struct node *n[50];
	char name[16];

	(void)state;
	begin(&s);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_int_equal(vp_put(s.x.v, name, name, strlen(name)), ERR_OK);
		n[i] = look_up(&s, node_root(s.nodes), name);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 50; i++) {
			snprintf(name, sizeof name, "f%d", i);
			assert_content(&s, n[i], name);
			assert_in_range(handle_cache_open(s.c), 1, BUDGET);
		}
	}
	end(&s);
}

static void test_recently_used_stay_open(void **state)
{
	struct setup s;
	struct node *n[BUDGET + 2];
	struct vault_file *file;
	char name[16];

	(void)state;
	begin(&s);
	for (int i = 0; i < BUDGET + 2; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_int_equal(vp_put(s.x.v, name, name, strlen(name)), ERR_OK);
		n[i] = look_up(&s, node_root(s.nodes), name);
	}
	for (int i = 0; i < BUDGET + 1; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_content(&s, n[i], name);
		assert_content(&s, n[0], "f0");
	}
	assert_non_null(file = handle_file_if_open(s.c, n[0]));
	handle_file_done(s.c, n[0], 0);
	assert_null(handle_file_if_open(s.c, n[1]));
	assert_null(handle_file_if_open(s.c, n[BUDGET + 1]));
	end(&s);
}

static void test_what_is_in_use_is_not_closed(void **state)
{
	struct setup s;
	struct node *n[BUDGET * 2];
	struct vault_file *files[BUDGET * 2];
	char name[16], buf[16];
	size_t len;

	(void)state;
	begin(&s);
	for (int i = 0; i < BUDGET * 2; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_int_equal(vp_put(s.x.v, name, name, strlen(name)), ERR_OK);
		n[i] = look_up(&s, node_root(s.nodes), name);
		assert_int_equal(handle_file(s.c, n[i], 1, &files[i]), ERR_OK);
		assert_true(vault_file_writable(files[i]));
	}
	for (int i = 0; i < BUDGET * 2; i++) {
		assert_int_equal(vault_file_read(files[i], 0, sizeof buf, buf, &len), ERR_OK);
		handle_file_done(s.c, n[i], 0);
	}
	assert_content(&s, n[0], "f0");
	end(&s);
}

static void test_deep_directories(void **state)
{
	enum { DEPTH = 150 };
	struct setup s;
	struct node *n[DEPTH + 1];
	struct stat st;

	(void)state;
	begin(&s);
	n[0] = node_root(s.nodes);
	for (int i = 0; i < DEPTH; i++) {
		struct vault_dir *dir = dir_of(&s, n[i]);
		assert_int_equal(vault_mkdir((struct vault_object){.dir = dir, .name = "d", .len = 1, .pin = -1}, 0755,
					 (struct vault_owner){.set = 0}, &st),
			ERR_OK);
		vault_dir_release(dir);
		n[i + 1] = node_enter(s.nodes, n[i], "d", 1, &st);
	}
	/* From the top again and again: more levels than descriptors, and than open_chain() takes at once. */
	for (int i = DEPTH; i > 0; i -= 7) {
		struct vault_dir *dir = dir_of(&s, n[i]), *top = dir_of(&s, n[1]);
		assert_int_equal(vault_stat((struct vault_object){.dir = dir, .pin = -1}, &st), ERR_OK);
		assert_int_equal(st.st_ino, n[i]->ino);
		vault_dir_release(dir);
		vault_dir_release(top);
		assert_in_range(handle_cache_open(s.c), 1, BUDGET);
	}
	end(&s);
}

static void test_unlinked_file_can_be_used(void **state)
{
	struct setup s;
	struct node *n[BUDGET * 3];
	char name[16];
	struct handle_object o;
	struct stat st;

	(void)state;
	begin(&s);
	for (int i = 0; i < BUDGET * 3; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_int_equal(vp_put(s.x.v, name, name, strlen(name)), ERR_OK);
		n[i] = look_up(&s, node_root(s.nodes), name);
		take_name(&s, node_root(s.nodes), name, 0);
		assert_int_equal(vp_stat(s.x.v, name, &st), ERR_SYSTEM);
	}
	for (int i = 0; i < BUDGET * 3; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_content(&s, n[i], name);
		nodes_share(s.nodes);
		assert_int_equal(handle_object(s.c, n[i], &o), ERR_OK);
		assert_int_equal(vault_stat(o.o, &st), ERR_OK);
		handle_object_done(&o);
		nodes_done(s.nodes);
		assert_int_equal(st.st_nlink, 0);
		assert_int_equal(st.st_ino, n[i]->ino);
	}
	for (int i = 0; i < BUDGET * 3; i++)
		forget(&s, n[i]);
	assert_int_equal(node_count(s.nodes), 1);
	assert_int_equal(handle_cache_open(s.c), 0);
	end(&s);
}

static void test_removed_directory(void **state)
{
	struct setup s;
	struct vault_dir *dir;

	(void)state;
	begin(&s);
	for (int open_before = 0; open_before < 2; open_before++) {
		assert_int_equal(vp_mkdir(s.x.v, "d", 0755), ERR_OK);
		struct node *n = look_up(&s, node_root(s.nodes), "d");
		if (open_before)
			vault_dir_release(dir_of(&s, n));
		take_name(&s, node_root(s.nodes), "d", 1);
		nodes_share(s.nodes);
		enum err e = handle_dir(s.c, n, &dir);
		nodes_done(s.nodes);
		if (open_before) {
			assert_int_equal(e, ERR_OK);
			vault_dir_release(dir);
		} else {
			assert_int_equal(e, ERR_SYSTEM);
			assert_int_equal(err_to_errno(e), ENOENT);
		}
		forget(&s, n);
	}
	end(&s);
}

static void test_a_file_that_was_never_written_gets_its_header(void **state)
{
	struct setup s;
	struct vault_file *file;
	struct stat st, lower;
	char path[4096];

	(void)state;
	begin(&s);
	struct vault_dir *root = dir_of(&s, node_root(s.nodes));
	assert_int_equal(vault_file_create((struct vault_object){.dir = root, .name = "f", .len = 1, .pin = -1}, 0644,
				 (struct vault_owner){.set = 0}, &file, &st),
		ERR_OK);
	vault_dir_release(root);
	handle_file_adopt(s.c, node_enter(s.nodes, node_root(s.nodes), "f", 1, &st), file, -1);
	vault_fixture_lower_path(&s.x, "f", path);
	assert_int_equal(stat(path, &lower), 0);
	assert_int_equal(lower.st_size, 0);
	/* The flusher does it within two ticks of a second. */
	for (int i = 0; i < 100 && lower.st_size == 0; i++) {
		usleep(50000);
		assert_int_equal(stat(path, &lower), 0);
	}
	assert_true(lower.st_size >= 512);
	assert_int_equal(lower.st_mtim.tv_sec, st.st_mtim.tv_sec);
	assert_int_equal(lower.st_mtim.tv_nsec, st.st_mtim.tv_nsec);
	end(&s);
}

static void test_wrong_kinds_are_refused(void **state)
{
	struct setup s;
	struct vault_file *file;
	struct vault_dir *dir;

	(void)state;
	begin(&s);
	assert_int_equal(vp_put(s.x.v, "f", "x", 1), ERR_OK);
	assert_int_equal(vp_symlink(s.x.v, "f", "l"), ERR_OK);
	assert_int_equal(err_to_errno(handle_file(s.c, node_root(s.nodes), 0, &file)), EISDIR);
	assert_int_equal(err_to_errno(handle_file(s.c, look_up(&s, node_root(s.nodes), "l"), 0, &file)), EINVAL);
	nodes_share(s.nodes);
	struct node *f = look_up(&s, node_root(s.nodes), "f");
	assert_int_equal(err_to_errno(handle_dir(s.c, f, &dir)), ENOTDIR);
	nodes_done(s.nodes);
	/* Removed behind the mount's back. */
	assert_int_equal(vp_unlink(s.x.v, "f"), ERR_OK);
	assert_int_equal(err_to_errno(handle_file(s.c, f, 0, &file)), ENOENT);
	end(&s);
}

/* ---- Many threads ---- */

enum { FILES = 24, THREADS = 4, ROUNDS = 400 };

struct worker {
	struct setup *s;
	struct node **n;
	uint64_t seed;
};

static atomic_uint wrong;

static void *work(void *context)
{
	struct worker *w = context;
	char expected[16], buf[16];
	struct vault_file *file;
	size_t len;

	for (int i = 0; i < ROUNDS; i++) {
		size_t k = vault_fixture_below(&w->seed, FILES);
		int writable = (int)vault_fixture_below(&w->seed, 2);

		snprintf(expected, sizeof expected, "file-%zu", k);
		if (handle_file(w->s->c, w->n[k], writable, &file) != ERR_OK) {
			wrong++;
			continue;
		}
		if (writable && vault_file_write(file, 0, expected, strlen(expected)) != ERR_OK)
			wrong++;
		if (vault_file_read(file, 0, sizeof buf, buf, &len) != ERR_OK || len != strlen(expected) ||
			memcmp(buf, expected, len) != 0)
			wrong++;
		handle_file_done(w->s->c, w->n[k], writable);
	}
	vault_thread_cleanup();
	return NULL;
}

static void test_threads(void **state)
{
	struct setup s;
	struct node *n[FILES];
	struct worker w[THREADS];
	pthread_t threads[THREADS];
	uint64_t seed = vault_fixture_seed("test_fuse_handles");
	char name[16];

	(void)state;
	begin(&s);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "file-%d", i);
		assert_int_equal(vp_put(s.x.v, name, name, strlen(name)), ERR_OK);
		n[i] = look_up(&s, node_root(s.nodes), name);
	}
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.s = &s, .n = n, .seed = seed + (uint64_t)i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	end(&s);
}

static void test_budget_follows_the_limit(void **state)
{
	struct rlimit old, small = {.rlim_cur = 256, .rlim_max = 256};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	small.rlim_max = old.rlim_max;
	/* The soft limit is raised to the hard one. */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_true(handle_cache_budget() <= 1024);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &small), 0);
	assert_int_equal(small.rlim_cur, old.rlim_max);
	/* Last, because an ordinary user cannot raise it again. */
	small.rlim_cur = small.rlim_max = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_in_range(handle_cache_budget(), 64, 200);
	small.rlim_cur = small.rlim_max = 40;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_int_equal(handle_cache_budget(), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_files_few_descriptors),
		cmocka_unit_test(test_recently_used_stay_open),
		cmocka_unit_test(test_what_is_in_use_is_not_closed),
		cmocka_unit_test(test_deep_directories),
		cmocka_unit_test(test_unlinked_file_can_be_used),
		cmocka_unit_test(test_removed_directory),
		cmocka_unit_test(test_a_file_that_was_never_written_gets_its_header),
		cmocka_unit_test(test_wrong_kinds_are_refused),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_budget_follows_the_limit),
	};

	return cmocka_run_group_tests_name("test_fuse_handles", tests, NULL, NULL);
}
