/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on a KMS over TCP: N connections kept alive, one request under way on each, each request signed (SigV4). Prints
 * requests a second, the latency's percentiles and the client's own processor time, as text or (--json) as JSON.
 *
 *   kms_load [--json] HOST:PORT OPERATION BODY CONNECTIONS SECONDS     AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY from the environment
 *
 * BODY is one body for all requests: its signature is made anew every second (all requests within it are the same bytes), so
 * that the client costs little beside the server, which verifies every one of them. BODY may be @FILE with a body in each
 * line, each sent once and signed by itself, and the run ends with the file. A request's time begins when it is signed. An
 * answer that is not 200 ends the run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "kms/base/clock.h"
#include "kms/wire/sigv4.h"

enum { CONNECTIONS_MAX = 256, BUFFER = 65536, SAMPLES_MAX = 8 * 1024 * 1024 };
#define SIGNED "content-type;host;x-amz-date;x-amz-target"
#define TYPE   "application/x-amz-json-1.1"

struct connection {
	int fd;
	size_t got;
	uint64_t sent_at;
	char buffer[BUFFER];
};

static struct {
	const char *where, *operation, *body, *id, *secret;
	FILE *bodies; /* of @FILE */
	char *line;
	size_t line_room;
	size_t under_way;
	int epoll;
	char request[BUFFER];
	size_t request_len;
	uint64_t signed_at;
	uint32_t *sample; /* microseconds */
	size_t samples;
} load;

static uint64_t now_ns(void)
{
	return clock_system()->monotonic(clock_system());
}

__attribute__((noreturn)) static void stop(const char *what)
{
	fprintf(stderr, "kms_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void sign_request(void)
{
	char target[128], date[SIGV4_DATE_SIZE], signature[SIGV4_SIGNATURE_SIZE];
	struct sigv4_scope scope = {.region = "us-east-1", .service = "kms"};
	struct text authorization AUTO_TEXT;
	uint64_t wall = clock_system()->wall(clock_system());

	sigv4_date(wall, date);
	memcpy(scope.date, date, sizeof(date));
	snprintf(target, sizeof(target), "TrentService.%s", load.operation);
	const struct sigv4_header headers[] = {
		{"content-type", TYPE}, {"host", load.where}, {"x-amz-date", date}, {"x-amz-target", target}};
	const struct sigv4_request request = {"POST", "/", "", headers, 4, load.body, strlen(load.body)};

	if (sigv4_sign(&request, SIGNED, &scope, load.secret, signature) != ERR_OK)
		stop("signing");
	text_init(&authorization, 2048);
	sigv4_put_authorization(&authorization, load.id, &scope, SIGNED, signature);
	load.request_len = (size_t)snprintf(load.request, sizeof(load.request),
		"POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: " TYPE "\r\nX-Amz-Date: %s\r\nX-Amz-Target: %s\r\n"
		"Authorization: %s\r\nContent-Length: %zu\r\n\r\n%s",
		load.where, date, target, text_str(&authorization), strlen(load.body), load.body);
	load.signed_at = now_ns();
}

static int connect_to(const char *where)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char host[256];
	const char *colon = strrchr(where, ':');
	int on = 1, fd;

	if (!colon || (size_t)(colon - where) >= sizeof(host))
		stop("HOST:PORT is expected");
	memcpy(host, where, (size_t)(colon - where));
	host[colon - where] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
		stop(where);
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) != 0)
		stop(where);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	freeaddrinfo(list);
	return fd;
}

/* The next line of the file; 0 at its end. */
static int next_body(void)
{
	ssize_t len = getline(&load.line, &load.line_room, load.bodies);

	if (len <= 0)
		return 0;
	load.line[strcspn(load.line, "\n")] = '\0';
	load.body = load.line;
	sign_request();
	return 1;
}

static void send_request(struct connection *c)
{
	if (load.bodies && !next_body())
		return;
	c->got = 0;
	c->sent_at = now_ns();
	if (!load.bodies && c->sent_at - load.signed_at > CLOCK_SECOND)
		sign_request();
	load.under_way++;
	if (send(c->fd, load.request, load.request_len, MSG_NOSIGNAL) != (ssize_t)load.request_len)
		stop("sending");
}

/* The whole answer is here. */
static int complete(const struct connection *c)
{
	const char *end = strstr(c->buffer, "\r\n\r\n"), *length = strstr(c->buffer, "\r\nContent-Length:");

	if (end && !length) /* another server's spelling */
		length = strcasestr(c->buffer, "\r\nContent-Length:");
	return end && length && c->got >= (size_t)(end + 4 - c->buffer) + strtoul(length + 17, NULL, 10);
}

static void open_connection(struct connection *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};

	c->fd = connect_to(load.where);
	epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* Some servers keep no connection. */
static void renew_if_closed(struct connection *c)
{
	if (!strstr(c->buffer, "\r\nConnection: close"))
		return;
	close(c->fd);
	open_connection(c);
}

static int receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->buffer + c->got, BUFFER - 1 - c->got, 0);

	if (n <= 0)
		stop("receiving");
	c->got += (size_t)n;
	c->buffer[c->got] = '\0';
	if (!complete(c))
		return 0;
	if (strncmp(c->buffer, "HTTP/1.1 200", 12) != 0) {
		errno = EPROTO;
		stop(c->buffer);
	}
	load.under_way--;
	renew_if_closed(c);
	if (load.samples < SAMPLES_MAX)
		load.sample[load.samples++] = (uint32_t)((now_ns() - c->sent_at) / 1000);
	return 1;
}

static void run(struct connection *list, size_t count, uint64_t until)
{
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < count; i++) {
		open_connection(&list[i]);
		send_request(&list[i]);
	}
	while (load.under_way && (load.bodies || now_ns() < until)) {
		struct epoll_event ready[CONNECTIONS_MAX];
		int n = epoll_wait(load.epoll, ready, CONNECTIONS_MAX, 1000);

		for (int i = 0; i < n; i++)
			if (receive(ready[i].data.ptr))
				send_request(ready[i].data.ptr);
	}
	close(load.epoll);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile(double p)
{
	return load.samples ? load.sample[(size_t)(p * (double)(load.samples - 1))] / 1000.0 : 0;
}

static double processor_seconds(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void print_results(double seconds, int json)
{
	double rate = (double)load.samples / seconds;

	qsort(load.sample, load.samples, sizeof(*load.sample), by_value);
	printf(json ? "{\"operation\": \"%s\", \"rate\": %.1f, \"p50\": %.3f, \"p99\": %.3f, \"worst\": %.3f, "
		      "\"requests\": %zu, "
		      "\"seconds\": %.3f, \"client\": %.3f}\n"
		    : "%s: %.0f/s, p50 %.2f ms, p99 %.2f ms, worst %.2f ms (%zu requests in %.1f s, client %.1f s)\n",
		load.operation, rate, percentile(0.5), percentile(0.99), percentile(1), load.samples, seconds,
		processor_seconds());
}

static void open_body(const char *body)
{
	load.body = body;
	if (body[0] == '@' && !(load.bodies = fopen(body + 1, "re")))
		stop(body);
	if (!load.bodies)
		sign_request();
}

int main(int argc, char **argv)
{
	int json = argc > 1 && !strcmp(argv[1], "--json");
	size_t count;
	double seconds;
	struct connection *list = calloc(CONNECTIONS_MAX, sizeof(*list));
	uint64_t start;

	argv += json;
	argc -= json;
	count = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
	seconds = argc == 6 ? strtod(argv[5], NULL) : 0;
	load.id = getenv("AWS_ACCESS_KEY_ID");
	load.secret = getenv("AWS_SECRET_ACCESS_KEY");
	load.sample = malloc(SAMPLES_MAX * sizeof(*load.sample));
	if (!count || count > CONNECTIONS_MAX || seconds <= 0 || !load.id || !load.secret || !list || !load.sample) {
		fprintf(stderr, "usage: kms_load [--json] HOST:PORT OPERATION BODY CONNECTIONS SECONDS\n");
		return 2;
	}
	load.where = argv[1];
	load.operation = argv[2];
	open_body(argv[3]);
	start = now_ns();
	run(list, count, start + (uint64_t)(seconds * 1e9));
	print_results((double)(now_ns() - start) / 1e9, json);
	return 0;
}
