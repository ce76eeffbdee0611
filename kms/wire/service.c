/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "kms/base/io.h"

void service_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd AUTO_CLOSE = -1;

	if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static int number_of(const char *name, long *ret)
{
	const char *text = getenv(name);
	char *end = NULL;

	if (!text || !text[0])
		return 0;
	errno = 0;
	*ret = strtol(text, &end, 10);
	return errno == 0 && !*end;
}

enum err service_listen_fds(int *ret_count)
{
	long pid = 0, count = 0;
	int ours = number_of("LISTEN_PID", &pid) && pid == (long)getpid();
	int good = number_of("LISTEN_FDS", &count) && count >= 0 && count <= SERVICE_FDS_MAX;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	*ret_count = 0;
	if (!ours)
		return ERR_OK;
	if (!good)
		return err_fail(ERR_USAGE, "the service manager hands over at most %d sockets", SERVICE_FDS_MAX);
	for (int fd = SERVICE_FIRST_FD; fd < SERVICE_FIRST_FD + count; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return err_system("the service manager's socket %d is not there", fd);
	*ret_count = (int)count;
	return ERR_OK;
}
