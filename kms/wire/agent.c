/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kms/base/bytes.h"
#include "kms/base/io.h"
#include "kms/wire/server.h"

/* Status message: the error code as its 32-bit pattern, then its text without a NUL. Connection message: one byte and one descriptor. */
enum { CONTROL_FD = 3, STATUS_MAX = 1024 + 4, CONNECTION_MARK = 'C', MAX_ARGUMENTS = 12, STOP_SECONDS = 10 };

struct wire_agent {
	int control;
	pid_t pid;
};

union control_space {
	struct cmsghdr header; /* for its alignment */
	char room[CMSG_SPACE(sizeof(int))];
};

/* ---- The starter's side ---- */

/* Between fork() and execv(): async-signal-safe calls only, other threads may have held any lock. */
__attribute__((noreturn)) static void become_agent(const char *exe, char *const *arguments, int control)
{
	sigset_t none;

	sigemptyset(&none);
	if (dup2(control, CONTROL_FD) < 0)
		_exit(126);
	if (control == CONTROL_FD && fcntl(CONTROL_FD, F_SETFD, 0) != 0)
		_exit(126);
	close_range(CONTROL_FD + 1, ~0U, 0);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(exe, arguments);
	_exit(127);
}

static enum err spawn(struct wire_agent *a, const char *exe, char *const *arguments)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_system("cannot make the control channel of the KMS agent");
	a->pid = fork();
	if (a->pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_system("cannot start the KMS agent");
	}
	if (a->pid == 0)
		become_agent(exe, arguments, pair[1]);
	close(pair[1]);
	a->control = pair[0];
	return ERR_OK;
}

static enum err agent_died(const struct wire_agent *a)
{
	int status = 0;

	if (waitpid(a->pid, &status, 0) == a->pid && WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_fail(
			ERR_KMS_UNREACHABLE, "cannot run the KMS agent: the signetfs program could not be executed");
	return err_fail(ERR_KMS_UNREACHABLE, "the KMS agent ended before it was ready (%s %d)",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* What the agent reported about its start. */
static enum err await_status(const struct wire_agent *a)
{
	uint8_t buf[STATUS_MAX];
	struct reader r;
	uint32_t code;
	ssize_t n;

	do {
		n = recv(a->control, buf, sizeof(buf), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_system("cannot hear from the KMS agent");
	if (n == 0)
		return agent_died(a);
	reader_init(&r, buf, (size_t)n);
	TRY(reader_u32(&r, &code));
	if ((enum err)(int32_t)code == ERR_OK)
		return ERR_OK;
	return err_fail((enum err)(int32_t)code, "%.*s", (int)r.left, (const char *)r.p);
}

static enum err start(struct wire_agent *a, const struct wire_agent_config *config)
{
	const char *exe = config->exe ? config->exe : "/proc/self/exe";
	const char *arguments[MAX_ARGUMENTS] = {"signetfs", "kms", "agent", "--control-fd", "3"};
	size_t n = 5;

	arguments[n++] = "--keystore";
	arguments[n++] = config->keystore;
	if (config->root_key) {
		arguments[n++] = "--root-key";
		arguments[n++] = config->root_key;
	}
	if (config->region) {
		arguments[n++] = "--region";
		arguments[n++] = config->region;
	}
	TRY(spawn(a, exe, (char *const *)(uintptr_t)arguments));
	return await_status(a);
}

enum err wire_agent_start(const struct wire_agent_config *config, struct wire_agent **ret)
{
	struct wire_agent *a = malloc(sizeof(*a));
	enum err e;

	if (!a)
		return err_fail(ERR_NO_MEMORY, "no memory for the KMS agent");
	*a = (struct wire_agent){.control = -1, .pid = -1};
	e = start(a, config);
	if (e != ERR_OK) {
		wire_agent_stop(a);
		return e;
	}
	*ret = a;
	return ERR_OK;
}

static int send_descriptor(int control, int fd)
{
	char mark = CONNECTION_MARK;
	struct iovec body = {&mark, 1};
	union control_space space = {.room = {0}};
	struct msghdr m = {
		.msg_iov = &body, .msg_iovlen = 1, .msg_control = space.room, .msg_controllen = sizeof(space.room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	do {
		n = sendmsg(control, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

enum err wire_agent_connect(struct wire_agent *a, int *ret_fd)
{
	int pair[2], failed;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_system("cannot make a connection to the KMS agent");
	failed = send_descriptor(a->control, pair[1]);
	close(pair[1]);
	if (failed) {
		close(pair[0]);
		return err_fail(ERR_KMS_UNREACHABLE, "the KMS agent (process %d) has ended", (int)a->pid);
	}
	*ret_fd = pair[0];
	return ERR_OK;
}

/*
 * Closing the channel ends the agent. It is waited for so that its keys are gone when we return; one that hangs is killed.
 * After a fork() it is somebody else's child and waitpid() says so at once.
 */
void wire_agent_stop(struct wire_agent *a)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	if (!a)
		return;
	if (a->control >= 0)
		close(a->control);
	for (int i = 0; a->pid > 0 && waitpid(a->pid, NULL, WNOHANG) == 0; i++) {
		if (i == STOP_SECONDS * 500)
			kill(a->pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
	free(a);
}

pid_t wire_agent_pid(const struct wire_agent *a)
{
	return a->pid;
}

/* ---- The agent's side ---- */

enum err wire_agent_report(int control_fd, enum err e, const char *text)
{
	uint8_t buf[STATUS_MAX];
	struct writer w;
	size_t len = strlen(text);

	writer_init(&w, buf, sizeof(buf));
	writer_u32(&w, (uint32_t)e);
	writer_put(&w, text, len < STATUS_MAX - 4 ? len : STATUS_MAX - 4);
	if (send(control_fd, buf, w.used, MSG_NOSIGNAL) != (ssize_t)w.used)
		return err_fail(ERR_CLOSED, "whoever started the KMS agent is gone");
	return ERR_OK;
}

/* One message: ERR_CLOSED at the end of the channel; *ret_fd -1 for a message that carries nothing we know. */
static enum err receive_descriptor(int control_fd, int *ret_fd)
{
	char mark = 0;
	struct iovec body = {&mark, 1};
	union control_space space = {.room = {0}};
	struct msghdr m = {
		.msg_iov = &body, .msg_iovlen = 1, .msg_control = space.room, .msg_controllen = sizeof(space.room)};
	const struct cmsghdr *c;
	ssize_t n;
	int fd = -1;

	do {
		n = recvmsg(control_fd, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return ERR_CLOSED;
	if (n < 0)
		return err_system("cannot read the KMS agent's control channel");
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (fd >= 0 && mark != CONNECTION_MARK) {
		close(fd);
		fd = -1;
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err wire_agent_serve(int control_fd, struct wire_server *server)
{
	for (;;) {
		int fd = -1;
		enum err e = receive_descriptor(control_fd, &fd);

		if (e == ERR_CLOSED)
			return ERR_OK;
		TRY(e);
		/* A connection that cannot be served is closed: its client sees that and the others go on. */
		if (fd >= 0)
			wire_server_adopt(server, fd);
	}
}
