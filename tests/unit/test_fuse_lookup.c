/* SPDX-License-Identifier: Apache-2.0 */
/* A name that is looked up while it goes away: the kernel asks about names that it remembers without any lock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include "fs/fuse/adapter.h"
#include "tests/support/vault_fixture.h"

enum { HEAD_START_MS = 200 }; /* for the change, which must not need it: it waits for the lookup */

static struct scene {
	struct vault_fixture x;
	struct adapter a;
	struct lower lower;
	struct node *from, *to, *file; /* /from/name, and a directory beside it */
	void (*change)(void);          /* what happens while the next entry is looked at, once armed */
	_Atomic int armed;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int done, errnum;
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* ---- In place of libfuse's: the last answer to each thread ---- */

static _Thread_local struct {
	int errnum;
	fuse_ino_t ino;
} answer;

void *fuse_req_userdata(fuse_req_t req)
{
	(void)req;
	return &scene.a;
}

int fuse_reply_err(fuse_req_t req, int errnum)
{
	(void)req;
	answer.errnum = errnum;
	return 0;
}

int fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry)
{
	(void)req;
	answer.errnum = 0;
	answer.ino = entry->ino;
	return 0;
}

/* ---- The lower tree: something else happens between a look at an entry and its answer ---- */

static void *change(void *context)
{
	scene.change();
	vault_thread_cleanup();
	pthread_mutex_lock(&scene.lock);
	scene.errnum = answer.errnum;
	scene.done = 1;
	pthread_cond_signal(&scene.changed);
	pthread_mutex_unlock(&scene.lock);
	return context;
}

static void let_it_change(void)
{
	struct timespec until;

	assert_int_equal(pthread_create(&scene.thread, NULL, change, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += HEAD_START_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&scene.lock);
	while (!scene.done && pthread_cond_timedwait(&scene.changed, &scene.lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&scene.lock);
}

static int looking(const struct lower *l, int dirfd, const char *name, struct stat *st, int flags)
{
	int rc = lower_system()->fstatat(l, dirfd, name, st, flags);

	if (*name && atomic_exchange(&scene.armed, 0))
		let_it_change();
	return rc;
}

/* ---- */

static struct node *look_up(struct node *parent, const char *name)
{
	op_lookup(NULL, (fuse_ino_t)(uintptr_t)parent, name);
	assert_int_equal(answer.errnum, 0);
	return adapter_node(&scene.a, answer.ino);
}

static void begin(void)
{
	struct stat st;

	scene.lower = *lower_system();
	scene.lower.fstatat = looking;
	scene.done = 0;
	vault_fixture_init_closed(&scene.x, NULL);
	scene.x.lower = &scene.lower;
	vault_fixture_open(&scene.x);
	struct vault_dir *root = vault_root(scene.x.v);
	assert_int_equal(vault_stat((struct vault_object){.dir = root, .pin = -1}, &st), ERR_OK);
	vault_dir_release(root);
	scene.a = (struct adapter){.vault = scene.x.v, .nodes = node_table_new(&st)};
	const struct handle_cache_config config = {
		.vault = scene.x.v, .nodes = scene.a.nodes, .reporter = &scene.x.reporter};
	assert_int_equal(handle_cache_new(&config, &scene.a.handles), ERR_OK);
	assert_int_equal(vp_mkdir(scene.x.v, "from", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(scene.x.v, "to", 0755), ERR_OK);
	assert_int_equal(vp_put(scene.x.v, "from/name", "content", 7), ERR_OK);
	scene.from = look_up(node_root(scene.a.nodes), "from");
	scene.to = look_up(node_root(scene.a.nodes), "to");
	scene.file = look_up(scene.from, "name");
}

static void dispose(void *context, struct node *n)
{
	handle_dispose(context, n);
}

static void end(void)
{
	node_table_free(scene.a.nodes, dispose, scene.a.handles);
	handle_cache_free(scene.a.handles);
	vault_fixture_done(&scene.x);
}

/* Look the name up while @what happens to it; it is found, for it was there when the lookup began. */
static void look_up_while(void (*what)(void))
{
	scene.change = what;
	scene.armed = 1;
	assert_ptr_equal(look_up(scene.from, "name"), scene.file);
	assert_false(scene.armed);
	pthread_join(scene.thread, NULL);
	assert_int_equal(scene.errnum, 0);
	node_table_check(scene.a.nodes);
}

static void assert_readable(void)
{
	struct vault_file *file;
	char buf[16];
	size_t len;

	assert_int_equal(handle_file(scene.a.handles, scene.file, 0, &file), ERR_OK);
	assert_int_equal(vault_file_read(file, 0, sizeof buf, buf, &len), ERR_OK);
	handle_file_done(scene.a.handles, scene.file, 0);
	assert_int_equal(len, 7);
	assert_memory_equal(buf, "content", 7);
}

static void rename_it(void)
{
	op_rename(NULL, (fuse_ino_t)(uintptr_t)scene.from, "name", (fuse_ino_t)(uintptr_t)scene.to, "new", 0);
}

static void test_renamed_meanwhile(void **state)
{
	(void)state;
	begin();
	look_up_while(rename_it);
	assert_null(node_find(scene.a.nodes, scene.from, "name", 4));
	assert_ptr_equal(node_find(scene.a.nodes, scene.to, "new", 3), scene.file);
	assert_true(node_is_last_name(scene.a.nodes, scene.file));
	assert_readable();
	end();
}

static void unlink_it(void)
{
	op_unlink(NULL, (fuse_ino_t)(uintptr_t)scene.from, "name");
}

static void test_removed_meanwhile(void **state)
{
	(void)state;
	begin();
	look_up_while(unlink_it);
	assert_null(node_name(scene.a.nodes, scene.file));
	assert_readable();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_renamed_meanwhile),
		cmocka_unit_test(test_removed_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
