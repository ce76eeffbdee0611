/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/clock.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/rootkey/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 * 1024, PIECE = 1024, LOOK_MS = 20 };

struct child {
	pid_t pid;
	int out; /* its standard output */
	int tty; /* our terminal, while it is lent to the command; or -1 */
	int ended, status;
	size_t output;
	uint64_t deadline; /* ns, monotonic */
	const char *command;
};

/* Zero once the time is over. */
static int wait_ms(const struct child *c)
{
	const struct clock *clock = clock_system();
	uint64_t now = clock->monotonic(clock);

	return now < c->deadline ? LOOK_MS : 0;
}

/*
 * The command is a process group of its own, so that giving up ends all that its shell started. A group in the background
 * may not read from the terminal, and a passphrase manager asks for its PIN there: so the group is the foreground for as long as
 * it runs, as a shell would have it. Control-C is then the command's, and comes back to us as its end.
 */
static int lend_terminal(void)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (tty >= 0 && tcgetpgrp(tty) != getpgrp()) {
		close(tty);
		tty = -1;
	}
	return tty;
}

static void take_terminal_back(int tty)
{
	sigset_t ttou, before;

	if (tty < 0)
		return;
	/* We are in the background: unblocked, the signal would stop us. */
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &before);
	tcsetpgrp(tty, getpgrp());
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(tty);
}

/* Signals that a daemon ignores or blocks would be ignored or blocked in the shell too. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) ||
	       posix_spawnattr_setpgroup(attr, 0) || posix_spawnattr_setsigmask(attr, &none) ||
	       posix_spawnattr_setsigdefault(attr, &all);
}

static int set_files(posix_spawn_file_actions_t *files, int out, int tty)
{
	return posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0) ||
	       (tty >= 0 && posix_spawn_file_actions_addtcsetpgrp_np(files, tty)) ||
	       posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
}

static int spawn(const char *command, int out, int tty, pid_t *ret_pid)
{
	/* execve's argument is not const and not written to. */
	char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		rc = set_files(&files, out, tty) || set_attributes(&attr) ? ENOMEM : 0;
		if (rc == 0)
			rc = posix_spawn(ret_pid, "/bin/sh", &files, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static enum err start(struct child *c)
{
	int ends[2];
	int rc;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_system("cannot make a pipe");
	/* The child's end blocks, as programs expect of their output. */
	fcntl(ends[1], F_SETFL, 0);
	c->out = ends[0];
	c->tty = lend_terminal();
	rc = spawn(c->command, ends[1], c->tty, &c->pid);
	close(ends[1]);
	if (rc == 0)
		return ERR_OK;
	errno = rc;
	return err_system("cannot run the command \"%s\"", c->command);
}

static enum err look_for_end(struct child *c)
{
	pid_t pid = waitpid(c->pid, &c->status, WNOHANG);

	if (pid < 0 && errno != EINTR)
		return err_system("cannot tell how the command \"%s\" ended", c->command);
	c->ended = pid == c->pid;
	return ERR_OK;
}

/* Take what the pipe holds. *ret_more is false at its end. */
static enum err drain(struct child *c, struct words *w, int *ret_more)
{
	char piece[PIECE];
	ssize_t n;

	while ((n = read(c->out, piece, sizeof(piece))) > 0) {
		words_add(w, piece, (size_t)n);
		secret_wipe(piece, (size_t)n);
		c->output += (size_t)n;
		if (c->output > OUTPUT_MAX)
			return err_fail(
				ERR_LIMIT, "the command \"%s\" prints more than %d bytes", c->command, (int)OUTPUT_MAX);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_system("cannot read what the command \"%s\" prints", c->command);
	*ret_more = n != 0;
	return ERR_OK;
}

/* Until the shell has ended; not until the pipe has, for an agent that the command started may hold it open for ever. */
static enum err collect(struct child *c, struct words *w)
{
	int more = 1;

	while (!c->ended) {
		struct pollfd ready = {.fd = more ? c->out : -1, .events = POLLIN};
		int wait = wait_ms(c);

		if (wait == 0) {
			err_set_errno(ETIMEDOUT);
			return err_fail(ERR_SYSTEM, "the command \"%s\" did not end in time", c->command);
		}
		poll(&ready, 1, wait);
		TRY(look_for_end(c));
		if (more)
			TRY(drain(c, w, &more));
	}
	return ERR_OK;
}

static enum err check_status(const struct child *c)
{
	if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0)
		return ERR_OK;
	if (WIFSIGNALED(c->status) && WTERMSIG(c->status) == SIGINT)
		return err_fail(ERR_INTERRUPTED, "the command \"%s\" was broken off", c->command);
	err_set_errno(EIO);
	if (WIFEXITED(c->status))
		return err_fail(ERR_SYSTEM, "the command \"%s\" failed with exit status %d", c->command,
			WEXITSTATUS(c->status));
	return err_fail(ERR_SYSTEM, "the command \"%s\" was ended by signal %d", c->command, WTERMSIG(c->status));
}

enum err command_run(const char *command, unsigned timeout_ms, struct words *w)
{
	const struct clock *clock = clock_system();
	struct child c = {.out = -1, .tty = -1, .command = command};
	char from[128];
	enum err e;

	c.deadline = clock->monotonic(clock) + timeout_ms * UINT64_C(1000000);
	e = start(&c);
	if (e == ERR_OK) {
		e = collect(&c, w);
		if (!c.ended) {
			kill(-c.pid, SIGKILL);
			waitpid(c.pid, &c.status, 0);
		}
	}
	take_terminal_back(c.tty);
	if (c.out >= 0)
		close(c.out);
	TRY(e);
	TRY(check_status(&c));
	snprintf(from, sizeof(from), "the command \"%.100s\"", command);
	return words_finish(w, from);
}
