/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/guard.h"

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

/* Everything that it has of its parent's is closed, so that it keeps nothing alive: no vault, no terminal, no /dev/fuse. */
static _Noreturn void watch(pid_t parent, const char *mount_point, const char *source, const _Atomic dev_t *device)
{
	sigset_t all;
	int death;

	close_range(0, ~0U, 0);
	setsid();
	struct pollfd gone = {.fd = pidfd_open(parent, 0), .events = POLLIN};
	if (chdir("/") != 0 || gone.fd < 0 || getppid() != parent)
		_exit(1);
	prctl(PR_SET_NAME, "signetfs-guard");
	sigemptyset(&all);
	sigaddset(&all, SIGUSR1);
	if (sigwait(&all, &death) == 0 && poll(&gone, 1, GRACE) == 0)
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
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
	else
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

enum err guard_start(const char *mount_point, const char *source, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof *g);
	pid_t self = getpid();

	if (!g)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	g->device = mmap(NULL, sizeof *g->device, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g->pid = g->device == MAP_FAILED ? -1 : fork_blocked();
	if (g->pid == 0)
		watch(self, mount_point, source, g->device);
	if (g->pid < 0) {
		enum err e = err_system("starting the mount's guard");
		if (g->device != MAP_FAILED)
			munmap(g->device, sizeof *g->device);
		free(g);
		return e;
	}
	*ret = g;
	return ERR_OK;
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
	munmap(g->device, sizeof *g->device);
	free(g);
}
