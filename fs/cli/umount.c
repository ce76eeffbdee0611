/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fs/fuse/control.h"
#include "fs/fuse/mount.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/json.h"

enum { PATIENCE_MS = 2000 };

/* The serving process, to be waited for; -1 when it does not say. */
static int open_server(const char *point)
{
	json_t *stats AUTO_JSON = NULL;

	if (control_ask(point, "stats", &stats) != ERR_OK)
		return -1;
	json_int_t pid = json_integer_value(json_object_get(stats, "pid"));
	return pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)pid, 0) : -1;
}

/* What was written is safe once the process has ended: it syncs the vault last. */
static void wait_for_server(int fd, const char *point)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int told = 0;

	while (fd >= 0) {
		int n = poll(&pfd, 1, PATIENCE_MS);
		if (n > 0 || (n < 0 && errno != EINTR))
			return;
		if (n == 0 && !told++)
			fprintf(stderr, "signetfs: unmounted %s; waiting until everything is written…\n", point);
	}
}

static enum err in_use(const char *point)
{
	char room[PATH_MAX];
	const char *word = encode_shell(point, room, sizeof room);

	return err_fail(ERR_BUSY,
		"it is in use: see by whom with `fuser -vm %s`, or detach it now and let it end with its last user: "
		"signetfs umount -l %s",
		word, word);
}

static enum err unmount(const char *given, int lazy)
{
	char *point = realpath(given, NULL);
	struct mount_info info;

	/* Of a mount whose process died only the path as given is left. */
	if (!point)
		point = strdup(given);
	if (!point)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	enum err e = mount_what(point, &info);
	if (e == ERR_OK && strncmp(info.type, "fuse.", 5) != 0)
		e = err_fail(ERR_NOT_FOUND, "it is a mount of type %s, not signetfs", info.type);
	if (e == ERR_OK) {
		int server AUTO_CLOSE = lazy ? -1 : open_server(point);
		e = mount_unmount(point, lazy);
		if (e == ERR_BUSY)
			e = in_use(point);
		if (e == ERR_OK)
			wait_for_server(server, point);
	}
	free(point);
	return e;
}

int cli_umount(int argc, char **argv)
{
	int lazy = 0;
	const struct cli_option options[] = {
		{"lazy", 'l', CLI_FLAG, &lazy, NULL, "detach now; it ends when its last user is done"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs umount [-l] MOUNTPOINT",
		"Unmount, and wait until everything is written and the vault is closed.", 1, 1, options, NULL};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	enum err e = unmount(argv[1], lazy);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "unmounting %s", argv[1]);
}
