/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/rehearse.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "fs/cli/cli.h"

enum { BY_SIGNAL = 128 };

/* Without SA_RESTART: what waits for a child or a file is to come back. */
static void catch_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction action = {.sa_handler = world_interrupt};

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		sigaction(ends[i], &action, NULL);
}

int rehearse_begin(const char *what_mounts)
{
	if (access("/dev/fuse", R_OK | W_OK))
		return cli_error(
			"%s, and /dev/fuse cannot be used here: is fuse3 installed, the module loaded?", what_mounts);
	catch_signals();
	return -1;
}

int rehearse_interrupted(void)
{
	cli_note("interrupted (%s): mounts, services and the scratch folder are removed",
		strsignal(world_interrupted()));
	return BY_SIGNAL + world_interrupted();
}

void rehearse_say(void *context, const char *line)
{
	(void)context;
	puts(line);
	fflush(stdout);
}
