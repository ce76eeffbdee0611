/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kms/base/bytes.h"
#include "kms/base/io.h"

/* Status message: the error code as its 32-bit pattern, then its text without a NUL. */
enum { CONTROL_FD = 3, LISTEN_FD = 4, SPARE_FD = 5, STATUS_MAX = 1024 + 4, MAX_ARGUMENTS = 20, STOP_SECONDS = 10 };
enum { LISTEN_BACKLOG = 128 };

struct wire_agent {
	int control;
	int socket; /* O_PATH: the listening socket's removed file */
	pid_t pid;
	char path[32];
};

/* ---- The starter's side ---- */

/* A listening socket in @dir whose file is gone again, and an O_PATH descriptor of that file. */
static enum err listen_in(const char *dir, int *ret_listen, int *ret_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char temporary[64];
	int fd AUTO_CLOSE = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), path = -1;

	snprintf(temporary, sizeof(temporary), "%s/signetfs-XXXXXX", dir);
	if (fd < 0 || !mkdtemp(temporary))
		return err_system("cannot make a socket for the KMS agent in %s", dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent", temporary);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		if (listen(fd, LISTEN_BACKLOG) == 0)
			path = open(address.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		unlink(address.sun_path);
	}
	rmdir(temporary);
	if (path < 0)
		return err_system("cannot make a socket for the KMS agent in %s", dir);
	*ret_listen = fd;
	*ret_path = path;
	fd = -1;
	return ERR_OK;
}

static enum err make_socket(int *ret_listen, int *ret_path)
{
	static const char *const dirs[] = {"/dev/shm", "/tmp", "/var/tmp"};
	enum err e = ERR_SYSTEM;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]) && e != ERR_OK; i++)
		e = listen_in(dirs[i], ret_listen, ret_path);
	return e;
}

/* Between fork() and execv(): async-signal-safe calls only, other threads may have held any lock. */
__attribute__((noreturn)) static void become_agent(const char *exe, char *const *arguments, int control, int listening)
{
	sigset_t none;

	/* Out of the way first, so that neither dup2() below hits the other. */
	control = fcntl(control, F_DUPFD, SPARE_FD);
	listening = fcntl(listening, F_DUPFD, SPARE_FD);
	if (control < 0 || listening < 0 || dup2(control, CONTROL_FD) < 0 || dup2(listening, LISTEN_FD) < 0)
		_exit(126);
	close_range(SPARE_FD, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(exe, arguments);
	_exit(127);
}

static enum err spawn(struct wire_agent *a, const char *exe, char *const *arguments)
{
	int listening AUTO_CLOSE = -1, far_end AUTO_CLOSE = -1, pair[2];

	TRY(make_socket(&listening, &a->socket));
	snprintf(a->path, sizeof(a->path), "/proc/self/fd/%d", a->socket);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_system("cannot make the control channel of the KMS agent");
	a->control = pair[0];
	far_end = pair[1];
	a->pid = fork();
	if (a->pid < 0)
		return err_system("cannot start the KMS agent");
	if (a->pid == 0)
		become_agent(exe, arguments, far_end, listening);
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
	const char *arguments[MAX_ARGUMENTS] = {"signetfs", "kms", "agent", "--control-fd", "3", "--listen-fd", "4"};
	const struct {
		const char *name, *value;
	} options[] = {
		{"--keystore", config->keystore},
		{"--root-key", config->root_key},
		{"--region", config->region},
		{"--grant-delay", config->grant_delay},
		{"--resource-quotas", config->resource_quotas},
	};
	size_t n = 7;

	_Static_assert(7 + 2 * (sizeof(options) / sizeof(options[0])) < MAX_ARGUMENTS, "and NULL behind them");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!options[i].value)
			continue;
		arguments[n++] = options[i].name;
		arguments[n++] = options[i].value;
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
	*a = (struct wire_agent){.control = -1, .socket = -1, .pid = -1};
	e = start(a, config);
	if (e != ERR_OK) {
		wire_agent_stop(a);
		return e;
	}
	*ret = a;
	return ERR_OK;
}

const char *wire_agent_socket(const struct wire_agent *a)
{
	return a->path;
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
	if (a->socket >= 0)
		close(a->socket);
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

void wire_agent_wait(int control_fd, int stop_fd)
{
	struct pollfd fds[] = {{.fd = control_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
	char ignored[16];
	ssize_t n = 1;

	while (n > 0 || (n < 0 && errno == EINTR)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		n = recv(control_fd, ignored, sizeof(ignored), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			n = 1;
	}
}
