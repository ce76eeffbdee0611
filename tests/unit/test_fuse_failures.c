/* SPDX-License-Identifier: Apache-2.0 */
/* The remembering of lost data: what every fsync is told, which names the kernel is asked to drop, and how it ends. */
#include "fs/fuse/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { PATIENCE = 60, NAMES = 200 }; /* seconds until a test gives up */

/* ---- The kernel: notes which names it is asked to drop ---- */

static struct kernel {
	pthread_mutex_t lock;
	pthread_cond_t asked;
	struct node_table *nodes;
	struct fuse_session *session;
	struct failures *failures;
	struct node *noted_meanwhile; /* fails while the thread is busy */
	unsigned taken[NAMES];        /* how often each number was taken, as a name in the directory */
	unsigned top;                 /* "top" in the root */
	fuse_ino_t parent;            /* of the numbers */
} kernel = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER};

static void note(struct node *n, int errnum)
{
	err_set_errno(errnum);
	failures_note(kernel.failures, n, ERR_SYSTEM);
}

/* In place of libfuse's. Whoever calls it must hold no lock: the kernel may be waiting for a worker that needs one. */
int fuse_lowlevel_notify_inval_entry(struct fuse_session *se, fuse_ino_t parent, const char *name, size_t len)
{
	nodes_exclude(kernel.nodes);
	nodes_done(kernel.nodes);
	assert_true(node_count(kernel.nodes) > 0);
	if (kernel.noted_meanwhile)
		note(kernel.noted_meanwhile, EIO);
	pthread_mutex_lock(&kernel.lock);
	assert_ptr_equal(se, kernel.session);
	if (len == 3 && !memcmp(name, "top", 3)) {
		assert_int_equal(parent, FUSE_ROOT_ID);
		kernel.top++;
	} else {
		assert_int_equal(parent, kernel.parent);
		kernel.taken[atoi(name)]++;
	}
	pthread_cond_broadcast(&kernel.asked);
	pthread_mutex_unlock(&kernel.lock);
	return -ENOENT;
}

/* What the kernel was asked is counted in @counter: wait until it is at least @least. */
static void await(const unsigned *counter, unsigned least)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&kernel.lock);
	while (*counter < least)
		if (pthread_cond_timedwait(&kernel.asked, &kernel.lock, &until))
			fail_msg("the kernel was asked %u times, not %u", *counter, least);
	pthread_mutex_unlock(&kernel.lock);
}

/* ---- A table with a root, a directory and files ---- */

static struct node *enter(struct node *parent, const char *name, ino_t ino, mode_t type)
{
	const struct stat st = {.st_dev = 1, .st_ino = ino, .st_mode = type | 0644, .st_nlink = 1};
	struct node *n = node_enter(kernel.nodes, parent, name, strlen(name), &st);

	assert_non_null(n);
	return n;
}

static void begin(void)
{
	static const struct stat root = {.st_dev = 1, .st_ino = 1, .st_mode = S_IFDIR | 0755};

	memset(kernel.taken, 0, sizeof kernel.taken);
	kernel.top = 0;
	kernel.noted_meanwhile = NULL;
	kernel.session = (struct fuse_session *)&kernel; /* only passed through */
	kernel.nodes = node_table_new(&root);
	assert_non_null(kernel.nodes);
	assert_int_equal(failures_new(kernel.nodes, kernel.session, &kernel.failures), ERR_OK);
}

static void leave(void *context, struct node *n)
{
	(void)context;
	(void)n;
}

static void end(void)
{
	failures_stop(kernel.failures);
	failures_free(kernel.failures);
	node_table_free(kernel.nodes, leave, NULL);
}

static void forget(struct node *n, uint64_t count)
{
	for (struct node *gone = node_forget(kernel.nodes, n, count), *next; gone; gone = next) {
		next = gone->chain;
		node_free(kernel.nodes, gone);
	}
}

static void assert_fails(const struct node *n, int errnum)
{
	assert_int_equal(failures_check(n), errnum ? ERR_SYSTEM : ERR_OK);
	if (errnum)
		assert_int_equal(err_errno(), errnum);
}

/* ---- Tests ---- */

static void the_first_failure_stands(void **state)
{
	(void)state;
	begin();
	struct node *bad = enter(node_root(kernel.nodes), "top", 10, S_IFREG);
	struct node *good = enter(node_root(kernel.nodes), "good", 11, S_IFREG);
	assert_fails(bad, 0);
	note(bad, ENOSPC);
	assert_fails(bad, ENOSPC);
	note(bad, EIO);
	for (int i = 0; i < 3; i++)
		assert_fails(bad, ENOSPC);
	assert_fails(good, 0);
	/* What is no system's error has an errno as well: none must pass for no failure. */
	failures_note(kernel.failures, good, ERR_TAMPERED);
	assert_fails(good, EIO);
	forget(good, 1);
	end();
}

/* Names in the root and elsewhere, more than go into one question; again and again until the kernel has let the file go. */
static void every_name_is_taken_until_the_node_is_gone(void **state)
{
	char name[16];

	(void)state;
	begin();
	struct node *dir = enter(node_root(kernel.nodes), "dir", 2, S_IFDIR);
	struct node *n = enter(node_root(kernel.nodes), "top", 10, S_IFREG);
	kernel.parent = (fuse_ino_t)(uintptr_t)dir;
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "%d", i);
		assert_ptr_equal(enter(dir, name, 10, S_IFREG), n);
	}
	note(n, EDQUOT);
	await(&kernel.top, 2);
	for (int i = 0; i < NAMES; i++)
		await(&kernel.taken[i], 2);
	assert_fails(n, EDQUOT);
	/* Forgotten: the same file is another node, without the failure. */
	forget(n, NAMES + 1);
	n = enter(node_root(kernel.nodes), "top", 10, S_IFREG);
	assert_fails(n, 0);
	forget(dir, 1);
	end();
}

/* One that fails while the thread asks the kernel for another's name is not overlooked. */
static void a_failure_in_between(void **state)
{
	(void)state;
	begin();
	struct node *dir = enter(node_root(kernel.nodes), "dir", 2, S_IFDIR);
	struct node *first = enter(node_root(kernel.nodes), "top", 10, S_IFREG);
	struct node *second = enter(dir, "7", 11, S_IFREG);
	kernel.parent = (fuse_ino_t)(uintptr_t)dir;
	kernel.noted_meanwhile = second;
	note(first, EIO);
	await(&kernel.taken[7], 1);
	assert_fails(second, EIO);
	end();
}

/* A file that lost its last name is kept by who has it open: it goes on failing, and the thread has nothing to ask. */
static void without_a_name(void **state)
{
	(void)state;
	begin();
	struct node *n = enter(node_root(kernel.nodes), "top", 10, S_IFREG);
	struct node *dir = enter(node_root(kernel.nodes), "dir", 2, S_IFDIR);
	struct node *other = enter(dir, "7", 11, S_IFREG);
	kernel.parent = (fuse_ino_t)(uintptr_t)dir;
	nodes_exclude(kernel.nodes);
	assert_null(node_unname(kernel.nodes, node_root(kernel.nodes), "top", 3));
	nodes_done(kernel.nodes);
	note(n, EIO);
	note(other, EIO);
	await(&kernel.taken[7], 2);
	assert_int_equal(kernel.top, 0);
	assert_fails(n, EIO);
	end();
}

/* Ending does not wait for the second to pass, whatever there is to do; nor is NULL a mistake. */
static void stopping(void **state)
{
	(void)state;
	begin();
	end();
	begin();
	note(enter(node_root(kernel.nodes), "top", 10, S_IFREG), EIO);
	end();
	failures_stop(NULL);
	failures_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_failure_stands),
		cmocka_unit_test(every_name_is_taken_until_the_node_is_gone),
		cmocka_unit_test(a_failure_in_between),
		cmocka_unit_test(without_a_name),
		cmocka_unit_test(stopping),
	};

	return cmocka_run_group_tests_name("test_fuse_failures", tests, NULL, NULL);
}
