/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/child.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int child_run(int (*fn)(void *context), void *context)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(fn(context));
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}
