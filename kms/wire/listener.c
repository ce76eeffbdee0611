/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "kms/base/io.h"

enum { LISTEN_BACKLOG = 1024 };

static int stream_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* A socket file that nobody listens on is left over from a service that was killed. */
static enum err clear_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd AUTO_CLOSE = -1;

	if (lstat(address->sun_path, &st) != 0)
		return errno == ENOENT ? ERR_OK : err_system("cannot look at %s", address->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_fail(ERR_EXISTS, "%s exists and is no socket: choose another path", address->sun_path);
	fd = stream_socket(AF_UNIX);
	if (fd < 0)
		return err_system("cannot make a socket");
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED)
		return err_fail(ERR_BUSY, "another service listens on %s", address->sun_path);
	if (unlink(address->sun_path) != 0)
		return err_system("cannot remove the stale socket %s", address->sun_path);
	return ERR_OK;
}

static enum err bind_unix(int fd, const struct sockaddr_un *address, mode_t mode, struct listener *l)
{
	struct stat st;
	mode_t mask = umask(0777 & ~mode);
	int failed = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(mask);
	if (failed)
		return err_system("cannot listen on unix:%s", address->sun_path);
	if (lstat(address->sun_path, &st) != 0)
		return err_system("cannot look at %s", address->sun_path);
	l->path_dev = st.st_dev;
	l->path_ino = st.st_ino;
	l->path_made = st.st_mtim;
	memcpy(l->path, address->sun_path, sizeof(l->path));
	return ERR_OK;
}

static enum err open_unix(const char *path, mode_t mode, struct listener *ret)
{
	struct listener l = {.fd = -1, .local = 1, .loopback = 1};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd AUTO_CLOSE = -1;

	if (!path[0] || strlen(path) >= sizeof(address.sun_path))
		return err_fail(ERR_USAGE, "'%s' is no path for a socket: it must have 1 to 107 bytes", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	TRY(clear_stale(&address));
	fd = stream_socket(AF_UNIX);
	if (fd < 0)
		return err_system("cannot make a socket");
	TRY(bind_unix(fd, &address, mode, &l));
	if (listen(fd, LISTEN_BACKLOG) != 0)
		return err_system("cannot listen on unix:%s", path);
	snprintf(l.address, sizeof(l.address), "unix:%s", path);
	l.fd = fd;
	fd = -1;
	*ret = l;
	return ERR_OK;
}

static int address_is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
	return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static enum err describe_tcp(struct listener *l)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	char host[ENDPOINT_HOST_SIZE - 16], port[8];

	if (getsockname(l->fd, (struct sockaddr *)&a, &len) != 0)
		return err_system("cannot tell the address we listen on");
	if (getnameinfo((struct sockaddr *)&a, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV))
		return err_fail(ERR_SYSTEM, "cannot print the address we listen on");
	l->loopback = address_is_loopback((struct sockaddr *)&a);
	snprintf(l->address, sizeof(l->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	return ERR_OK;
}

static enum err bind_tcp(const struct addrinfo *info, const char *text, struct listener *ret)
{
	struct listener l = {.fd = -1};
	int fd AUTO_CLOSE = stream_socket(info->ai_family), on = 1;

	if (fd < 0)
		return err_system("cannot make a socket for %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
		return err_system("cannot listen on %s", text);
	l.fd = fd;
	TRY(describe_tcp(&l));
	fd = -1;
	*ret = l;
	return ERR_OK;
}

static enum err open_tcp(const char *text, struct listener *ret)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
	char host[ENDPOINT_HOST_SIZE], service[8];
	uint16_t port = 0;
	enum err e;
	int failed;

	TRY(endpoint_split_host(text, host, &port));
	if (!strchr(text, ':'))
		return err_fail(ERR_USAGE, "'%s' names no port: expected unix:PATH or HOST:PORT", text);
	snprintf(service, sizeof(service), "%u", port);
	failed = getaddrinfo(strcmp(host, "*") ? host : NULL, service, &hints, &list);
	if (failed)
		return err_fail(ERR_USAGE, "cannot listen on %s: %s", text, gai_strerror(failed));
	e = bind_tcp(list, text, ret);
	freeaddrinfo(list);
	return e;
}

enum err listener_open(const char *text, mode_t socket_mode, struct listener *ret)
{
	if (!strncmp(text, "unix:", 5))
		return open_unix(text + 5, socket_mode, ret);
	return open_tcp(text, ret);
}

enum err listener_from_fd(int fd, struct listener *ret)
{
	int listening = 0, family = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof(listening);
	struct listener l = {.fd = fd};

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening || flags < 0)
		return err_fail(ERR_USAGE, "descriptor %d is no listening socket", fd);
	len = sizeof(family);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0)
		return err_system("cannot tell what descriptor %d is", fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_system("cannot take over descriptor %d", fd);
	if (family == AF_UNIX) {
		l.local = l.loopback = 1;
		snprintf(l.address, sizeof(l.address), "unix:fd %d", fd);
	} else {
		TRY(describe_tcp(&l));
	}
	*ret = l;
	return ERR_OK;
}

static int is_ours(const struct listener *l)
{
	struct stat st;

	return lstat(l->path, &st) == 0 && st.st_dev == l->path_dev && st.st_ino == l->path_ino &&
	       st.st_mtim.tv_sec == l->path_made.tv_sec && st.st_mtim.tv_nsec == l->path_made.tv_nsec;
}

void listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	/* Another service may have taken the path over since: remove only what is ours. */
	if (l->path[0] && is_ours(l))
		unlink(l->path);
	l->path[0] = '\0';
}
