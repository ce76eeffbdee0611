/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fs/fuse/backing.h"
#include "fs/fuse/mount.h"

/* How long the rest of a dead process may take to go by itself, ms. */
enum { GRACE = 1000 };

struct guard {
	pid_t pid;
	_Atomic dev_t *device; /* shared with the guard; 0: not mounted */
};

/* ---- In the guard ---- */

/* Not that of somebody else who got the number since: the kernel gives it out again at once. */
static int is_mounted_there(const char *mount_point, const char *source, dev_t device)
{
	struct mount_info info;

	return mount_what(mount_point, &info) == ERR_OK && makedev(info.major, info.minor) == device &&
	       strcmp(info.source, source) == 0;
}

/* Where /sys has no such knob, forcing an unmount cuts the connection too, which only root may. */
static void cut(const char *mount_point, const char *source, dev_t device)
{
	if (device == 0 || !is_mounted_there(mount_point, source, device))
		return;
	if (backing_abort(device) != 0)
		(void)umount2(mount_point, MNT_FORCE);
}

/*
 * Everything that it has of its parent's is closed, so that it keeps nothing alive: no vault, no terminal, no /dev/fuse. That tells
 * the parent, too, that it is ready.
 */
static _Noreturn void watch(pid_t parent, const char *mount_point, const char *source, const _Atomic dev_t *device)
{
	sigset_t death;
	int signal;

	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	prctl(PR_SET_NAME, "signetfs-guard");
	setsid();
	if (chdir("/") != 0)
		_exit(1);
	close_range(0, ~0U, 0);
	struct pollfd gone = {.fd = pidfd_open(parent, 0), .events = POLLIN};
	sigemptyset(&death);
	sigaddset(&death, SIGUSR1);
	/* A parent that died before it could be watched sends nothing. */
	if (gone.fd >= 0 && getppid() == parent)
		sigwait(&death, &signal);
	if (gone.fd >= 0 && poll(&gone, 1, GRACE) == 0)
		cut(mount_point, source, atomic_load(device));
	_exit(0);
}

/* ---- In the mount ---- */

/* With every signal blocked, before and in the guard: the terminal's are for the mount. */
static pid_t fork_blocked(void)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid_t pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static void await(int ready)
{
	char nothing;

	while (read(ready, &nothing, 1) < 0 && errno == EINTR)
		continue;
}

static enum err fork_guard(struct guard *g, const char *mount_point, const char *source)
{
	int ready[2];
	pid_t self = getpid();

	if (pipe2(ready, O_CLOEXEC) != 0)
		return err_system("pipe");
	g->pid = fork_blocked();
	if (g->pid == 0)
		watch(self, mount_point, source, g->device);
	enum err e = g->pid < 0 ? err_system("starting the mount's guard") : ERR_OK;
	close(ready[1]);
	if (e == ERR_OK)
		await(ready[0]);
	close(ready[0]);
	return e;
}

static void release(struct guard *g)
{
	munmap(g->device, sizeof *g->device);
	free(g);
}

enum err guard_start(const char *mount_point, const char *source, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof *g);
	void *shared = mmap(NULL, sizeof *g->device, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!g || shared == MAP_FAILED) {
		if (shared != MAP_FAILED)
			munmap(shared, sizeof *g->device);
		free(g);
		return err_fail(ERR_NO_MEMORY, "out of memory");
	}
	g->device = shared;
	enum err e = fork_guard(g, mount_point, source);
	if (e == ERR_OK)
		*ret = g;
	else
		release(g);
	return e;
}

void guard_watch(struct guard *g, dev_t device)
{
	if (g)
		atomic_store(g->device, device);
}

void guard_stop(struct guard *g)
{
	if (!g)
		return;
	kill(g->pid, SIGKILL);
	waitpid(g->pid, NULL, 0);
	release(g);
}
