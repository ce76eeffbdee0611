/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fs/fuse/guard.h"
#include "fs/fuse/mount.h"

/*
 * A process that holds /dev/fuse and waits for its own answer is killed. Nobody inside can end that any more: with a guard it is over,
 * without one it hangs until somebody cuts the connection. (The second case keeps the first honest.)
 */

#define SOURCE "signetfs-guard-test"
enum { REQUEST_MAX = 1 << 17, STEP_US = 20 * 1000, ENDS_STEPS = 30 * 50, HANGS_STEPS = 3 * 50 };

struct scene {
	char point[64];
	int guarded;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -1;
	strcpy(s->point, "/tmp/signetfs-guard.XXXXXX");
	*state = s;
	return mkdtemp(s->point) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	rmdir(s->point);
	free(s);
	return 0;
}

/* ---- The process that dies ---- */

static void *ask_the_mount(void *context)
{
	const struct scene *s = context;
	char name[80];
	struct stat st;

	snprintf(name, sizeof(name), "%s/name", s->point);
	stat(name, &st);
	return NULL;
}

static int mount_raw(const struct scene *s)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[80];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	return fd >= 0 && mount(SOURCE, s->point, "fuse", MS_NOSUID | MS_NODEV, options) == 0 ? fd : -1;
}

/* The next request's header, if it is the one that is meant. */
static int read_request(int fd, uint32_t opcode, struct fuse_in_header *ret)
{
	static union {
		struct fuse_in_header header;
		uint8_t bytes[REQUEST_MAX];
	} request;

	if (read(fd, &request, sizeof(request)) < (ssize_t)sizeof(*ret))
		return 0;
	*ret = request.header;
	return ret->opcode == opcode;
}

static int answer_init(int fd)
{
	struct fuse_in_header asked;
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} answer = {.header = {.len = sizeof(answer)},
		.init = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096}};

	if (!read_request(fd, FUSE_INIT, &asked))
		return 0;
	answer.header.unique = asked.unique;
	return write(fd, &answer, sizeof(answer)) == sizeof(answer);
}

static int die_while_asking(void *context)
{
	struct scene *s = context;
	struct guard *guard = NULL;
	struct fuse_in_header asked;
	struct mount_info info;
	pthread_t thread;
	int fd;

	if (s->guarded && guard_start(s->point, SOURCE, &guard) != ERR_OK)
		return 1;
	fd = mount_raw(s);
	if (fd < 0 || mount_what(s->point, &info) != ERR_OK)
		return 2;
	guard_watch(guard, makedev(info.major, info.minor));
	if (!answer_init(fd) || pthread_create(&thread, NULL, ask_the_mount, s) != 0)
		return 3;
	/* A request that was read and not answered cannot be taken back, not even from a thread that is killed. */
	if (!read_request(fd, FUSE_LOOKUP, &asked))
		return 4;
	raise(SIGKILL);
	return 5;
}

/* ---- Whoever waits for it ---- */

/* Its end within so many steps, or 0. */
static int await_end(pid_t pid, int steps, int *ret_status)
{
	for (int i = 0; i < steps; i++) {
		if (waitpid(pid, ret_status, WNOHANG) == pid)
			return 1;
		usleep(STEP_US);
	}
	return 0;
}

static int ends_by_itself(struct scene *s, int steps)
{
	pid_t pid = fork();
	int status = 0, ended;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(die_while_asking(s));
	ended = await_end(pid, steps, &status);
	if (!ended)
		umount2(s->point, MNT_FORCE);
	assert_true(ended || await_end(pid, ENDS_STEPS, &status));
	umount2(s->point, MNT_DETACH);
	if (!WIFSIGNALED(status))
		fail_msg("it did not come as far: step %d", WEXITSTATUS(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return ended;
}

static int can_mount(void)
{
	return geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0;
}

static void with_a_guard_it_dies(void **state)
{
	struct scene *s = *state;

	if (!can_mount())
		skip();
	s->guarded = 1;
	assert_true(ends_by_itself(s, ENDS_STEPS));
}

static void without_one_it_hangs(void **state)
{
	if (!can_mount())
		skip();
	assert_false(ends_by_itself(*state, HANGS_STEPS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(with_a_guard_it_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(without_one_it_hangs, setup, teardown),
	};

	return cmocka_run_group_tests_name("fuse_guard", tests, NULL, NULL);
}
