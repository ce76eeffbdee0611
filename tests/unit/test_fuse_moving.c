/* SPDX-License-Identifier: Apache-2.0 */
/* A mounted vault is re-encrypted while the kernel makes files in it: who walks it meets a file whose header is still to come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include "fs/fuse/adapter.h"
#include "fs/fuse/moving.h"
#include "fs/vault/walk.h"
#include "tests/support/vault_fixture.h"

enum { HEAD_START_MS = 200 }; /* for the walk, which must not need it: it waits for the file to be made */

static struct scene {
	struct vault_fixture x;
	struct adapter a;
	struct lower lower;
	_Atomic int armed;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int done, met;
	enum err e;
	struct vault_file *moved; /* only to be compared */
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* ---- In place of libfuse's ---- */

static struct {
	int errnum;
	fuse_ino_t ino;
} answer;

void *fuse_req_userdata(fuse_req_t req)
{
	(void)req;
	return &scene.a;
}

const struct fuse_ctx *fuse_req_ctx(fuse_req_t req)
{
	static const struct fuse_ctx context;

	(void)req;
	return &context;
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

/* ---- Who walks ---- */

static int on_entry(void *context, struct walk_entry *e)
{
	const struct reencrypt_host *host = context;
	struct vault_file *file;
	void *handle;
	char byte;
	size_t len;

	if (e->type != DT_REG)
		return 1;
	scene.met++;
	scene.e = host->open(host->context, e, &file, &handle);
	if (scene.e == ERR_OK) {
		scene.moved = file;
		scene.e = vault_file_read(file, 0, 1, &byte, &len);
		host->done(host->context, file, handle);
	}
	return 1;
}

static void on_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	(void)context;
	(void)e;
	(void)what;
	scene.e = why;
}

static void *walk_it(void *context)
{
	struct reencrypt_host host = moving_host(&scene.a);
	const struct walk_options options = {
		.vault = scene.x.v, .jobs = 1, .calls = {.entry = on_entry, .fault = on_fault}, .context = &host};
	enum err e = walk_run(&options);

	vault_thread_cleanup();
	pthread_mutex_lock(&scene.lock);
	if (scene.e == ERR_OK)
		scene.e = e;
	scene.done = 1;
	pthread_cond_signal(&scene.changed);
	pthread_mutex_unlock(&scene.lock);
	return context;
}

static void let_it_walk(void)
{
	struct timespec until;

	assert_int_equal(pthread_create(&scene.thread, NULL, walk_it, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += HEAD_START_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&scene.lock);
	while (!scene.done && pthread_cond_timedwait(&scene.changed, &scene.lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&scene.lock);
}

/* The name is there, the header is not, and nobody knows the node. */
static int making(const struct lower *l, int dirfd, const char *name, int flags, mode_t mode)
{
	int fd = lower_system()->openat(l, dirfd, name, flags, mode);

	if (flags & O_EXCL && atomic_exchange(&scene.armed, 0))
		let_it_walk();
	return fd;
}

/* ---- */

static void begin(void)
{
	struct stat st;

	scene.lower = *lower_system();
	scene.lower.openat = making;
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

static void test_a_file_that_is_being_made_is_no_damage(void **state)
{
	struct vault_file *file;

	(void)state;
	begin();
	scene.armed = 1;
	op_mknod(NULL, (fuse_ino_t)(uintptr_t)node_root(scene.a.nodes), "new", S_IFREG | 0644, 0);
	assert_false(scene.armed);
	assert_int_equal(answer.errnum, 0);
	pthread_join(scene.thread, NULL);
	assert_int_equal(scene.met, 1);
	assert_int_equal(scene.e, ERR_OK);
	/* One file open, or each would write a header of its own. */
	struct node *n = adapter_node(&scene.a, answer.ino);
	assert_int_equal(handle_file(scene.a.handles, n, 1, &file), ERR_OK);
	assert_ptr_equal(scene.moved, file);
	handle_file_done(scene.a.handles, n, 0);
	node_table_check(scene.a.nodes);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_that_is_being_made_is_no_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
