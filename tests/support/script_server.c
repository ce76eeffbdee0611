/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/script_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 64, REQUEST_MAX = 128 * 1024, CONNECTIONS_MAX = 256 };

struct script_server {
	int fd;
	char endpoint[160], path[108];
	const struct script_step *steps;
	size_t count;
	pthread_t acceptor;
	pthread_mutex_t lock; /* for the rest */
	pthread_t threads[CONNECTIONS_MAX];
	int fds[CONNECTIONS_MAX];
	unsigned connections, requests;
	char *kept[KEPT];
};

struct conversation {
	struct script_server *server;
	unsigned number;
	int fd;
};

/* One request into @buf, NUL-terminated; -1 when the peer is gone. */
static int read_request(int fd, char *buf)
{
	size_t len = 0, want = 0;

	while (len < REQUEST_MAX - 1 && (!want || len < want)) {
		ssize_t n = recv(fd, buf + len, REQUEST_MAX - 1 - len, 0);
		const char *end, *length;

		if (n <= 0)
			return -1;
		len += (size_t)n;
		buf[len] = '\0';
		end = strstr(buf, "\r\n\r\n");
		if (want || !end)
			continue;
		length = strcasestr(buf, "content-length:");
		want = (size_t)(end + 4 - buf) + (length ? strtoul(length + 15, NULL, 10) : 0);
	}
	return 0;
}

static const struct script_step *next_step(struct script_server *s, const char *request)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->requests++;
	if (n < KEPT)
		s->kept[n] = strdup(request);
	pthread_mutex_unlock(&s->lock);
	return &s->steps[n < s->count ? n : s->count - 1];
}

/* 0: the conversation goes on. */
static int answer(int fd, const struct script_step *step)
{
	struct timespec pause = {.tv_sec = step->delay_ms / 1000, .tv_nsec = (long)(step->delay_ms % 1000) * 1000000};
	size_t len = step->body_len ? step->body_len : step->body ? strlen(step->body) : 0;
	char head[1024];
	int n;

	nanosleep(&pause, NULL);
	if (!step->status)
		return -1;
	n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", step->status, len,
		step->headers ? step->headers : "");
	if (send(fd, head, (size_t)n, MSG_NOSIGNAL) != n)
		return -1;
	if (len && send(fd, step->body, step->cut ? step->cut : len, MSG_NOSIGNAL) < 0)
		return -1;
	return step->cut ? -1 : 0;
}

static void *converse(void *context)
{
	struct conversation *c = context;
	char *buf = malloc(REQUEST_MAX);
	int on = 1;

	assert(buf);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* head and body are two writes */
	while (read_request(c->fd, buf) == 0 && answer(c->fd, next_step(c->server, buf)) == 0)
		;
	shutdown(c->fd, SHUT_RDWR);
	free(buf);
	free(c);
	return NULL;
}

static void *accept_all(void *context)
{
	struct script_server *s = context;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct conversation *c = malloc(sizeof(*c));

		assert(c);
		pthread_mutex_lock(&s->lock);
		assert(s->connections < CONNECTIONS_MAX);
		*c = (struct conversation){s, s->connections, fd};
		s->fds[s->connections] = fd;
		pthread_create(&s->threads[s->connections++], NULL, converse, c);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static void listen_tcp(struct script_server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	assert(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
	snprintf(s->endpoint, sizeof(s->endpoint), "http://127.0.0.1:%u", ntohs(a.sin_port));
}

static void listen_unix(struct script_server *s, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	snprintf(s->path, sizeof(s->path), "%s", path);
	unlink(path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	snprintf(s->endpoint, sizeof(s->endpoint), "unix:%s", path);
}

struct script_server *script_server_start(const char *path, const struct script_step *steps, size_t count)
{
	struct script_server *s = calloc(1, sizeof(*s));

	assert(s && count);
	s->steps = steps;
	s->count = count;
	pthread_mutex_init(&s->lock, NULL);
	if (path)
		listen_unix(s, path);
	else
		listen_tcp(s);
	assert(listen(s->fd, 64) == 0);
	pthread_create(&s->acceptor, NULL, accept_all, s);
	return s;
}

void script_server_stop(struct script_server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->acceptor, NULL);
	for (unsigned i = 0; i < s->connections; i++) {
		shutdown(s->fds[i], SHUT_RDWR);
		pthread_join(s->threads[i], NULL);
		close(s->fds[i]);
	}
	close(s->fd);
	if (s->path[0])
		unlink(s->path);
	for (unsigned i = 0; i < KEPT; i++)
		free(s->kept[i]);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *script_server_endpoint(const struct script_server *s)
{
	return s->endpoint;
}

unsigned script_server_requests(struct script_server *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->requests;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned script_server_connections(struct script_server *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->connections;
	pthread_mutex_unlock(&s->lock);
	return n;
}

const char *script_server_request(struct script_server *s, unsigned n)
{
	const char *text;

	assert(n < KEPT);
	pthread_mutex_lock(&s->lock);
	text = s->kept[n];
	pthread_mutex_unlock(&s->lock);
	return text;
}
