/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 700 };

static void become(const char *const *argv, const char *const *env, int out, int errors, enum child_how how)
{
	sigset_t none;

	if (how == CHILD_DIES_WITH_US)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(nothing, 0) < 0 || dup2(out, 1) < 0 || dup2(errors, 2) < 0)
		_exit(126);
	/* Interrupted from the keyboard, it is the drill that ends what it started. */
	if (how != CHILD_AT_TERMINAL)
		setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	_exit(127);
}

enum err child_start(const char *const *argv, const char *const *env, enum child_how how, struct child *ret)
{
	int pipe_fds[2];
	FILE *errors = tmpfile();

	if (!errors || pipe2(pipe_fds, O_CLOEXEC)) {
		enum err e = err_system("cannot start %s", argv[0]);
		if (errors)
			fclose(errors);
		return e;
	}
	fcntl(fileno(errors), F_SETFD, FD_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, env, pipe_fds[1], fileno(errors), how);
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		fclose(errors);
		return err_system("fork");
	}
	*ret = (struct child){pid, fdopen(pipe_fds[0], "r"), errors};
	return ERR_OK;
}

/* The last of it, which says why; on one line. */
static void what_it_said(FILE *errors, char said[SAID_MAX])
{
	long size = fseek(errors, 0, SEEK_END) ? 0 : ftell(errors);
	size_t n;

	fseek(errors, size > SAID_MAX - 1 ? size - (SAID_MAX - 1) : 0, SEEK_SET);
	n = fread(said, 1, SAID_MAX - 1, errors);
	said[n] = '\0';
	while (n > 0 && said[n - 1] == '\n')
		said[--n] = '\0';
	for (char *c = said; *c; c++)
		if (*c == '\n')
			*c = ' ';
}

enum err child_end(struct child *c, const char *what)
{
	char said[SAID_MAX];
	int status = 0;

	if (c->out) {
		while (getc(c->out) != EOF)
			;
		fclose(c->out);
	}
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	what_it_said(c->errors, said);
	fclose(c->errors);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return ERR_OK;
	if (WIFSIGNALED(status))
		return err_fail(ERR_CLOSED, "%s: ended by signal %d %s", what, WTERMSIG(status), said);
	const char *why = strncmp(said, "signetfs: ", 10) == 0 ? said + 10 : said;
	return err_fail(ERR_CLOSED, "%s ends with %d: %s", what, WEXITSTATUS(status), why);
}
