/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "fs/fuse/backing.h"
#include "fs/fuse/control.h"
#include "fs/fuse/mount.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"

enum { PATIENCE_MS = 2000 };

/* One that ends answers no more; who still does serves the mount to others. Another mount may have this one's device number by now. */
static int still_serves(const struct mount_info *info, pid_t server)
{
	pid_t pid = 0;
	int fd AUTO_CLOSE = control_server(info, &pid);

	return fd >= 0 && pid == server;
}

/* What was written is safe once the process has ended: it syncs the vault last. */
static void wait_for_server(int fd, pid_t server, const struct mount_info *info, const char *point)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int told = 0;

	while (fd >= 0) {
		int n = poll(&pfd, 1, PATIENCE_MS);
		if (n > 0 || (n < 0 && errno != EINTR))
			return;
		if (n == 0 && still_serves(info, server)) {
			fprintf(stderr,
				"signetfs: unmounted %s here; it goes on where else it is mounted: bound to another "
				"directory, or "
				"in another mount namespace (a container, a service)\n",
				point);
			return;
		}
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

static enum err find_point(const char *point, struct mount_info *ret)
{
	TRY(mount_what(point, ret));
	if (strncmp(ret->type, "fuse.", 5) != 0)
		return err_fail(ERR_NOT_FOUND, "it is a mount of type %s, not signetfs", ret->type);
	return ERR_OK;
}

static enum err unmount_point(const char *point, int lazy, int force)
{
	struct mount_info info;
	pid_t pid = 0;

	TRY(find_point(point, &info));
	int server AUTO_CLOSE = lazy && !force ? -1 : control_server(&info, &pid);
	if (force && server < 0)
		(void)backing_abort(makedev(info.major, info.minor));
	enum err e = mount_unmount(point, lazy);
	if (e == ERR_OK && !lazy)
		wait_for_server(server, pid, &info, point);
	return e == ERR_BUSY ? in_use(point) : e;
}

static enum err unmount(const char *given, int lazy, int force)
{
	char *point = realpath(given, NULL);

	/* Of a mount whose process died only the path as given is left. */
	if (!point)
		point = strdup(given);
	enum err e = point ? unmount_point(point, lazy, force) : err_fail(ERR_NO_MEMORY, "out of memory");
	free(point);
	return e;
}

int cli_umount(int argc, char **argv)
{
	int lazy = 0, force = 0, ignored = 0;
	const char *ignored_text = NULL;
	const struct cli_option options[] = {
		{"lazy", 'l', CLI_FLAG, &lazy, NULL, "detach now; it ends when its last user is done"},
		{"force", 'f', CLI_FLAG, &force, NULL,
			"give up a mount whose process does not answer: what it has not written is lost"},
		/* What umount(8) says to its helpers. */
		{"no-mtab", 'n', CLI_FLAG, &ignored, NULL, NULL},
		{"read-only", 'r', CLI_FLAG, &ignored, NULL, NULL},
		{"verbose", 'v', CLI_FLAG, &ignored, NULL, NULL},
		{"types", 't', CLI_TEXT, &ignored_text, "TYPE", NULL},
		{"namespace", 'N', CLI_TEXT, &ignored_text, "NS", NULL},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs umount [-f] [-l] MOUNTPOINT",
		"Unmount, and wait until everything is written and the vault is closed.", 1, 1, options, NULL};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	enum err e = unmount(argv[1], lazy, force);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "unmounting %s", argv[1]);
}
