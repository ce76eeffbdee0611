/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/server_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TICK_SECONDS = 5, CONNECTION_MEMORY = 48 * 1024 };

static uint64_t monotonic_now(void)
{
	return clock_system()->monotonic(clock_system());
}

/* ---- Connections ---- */

static void peer_name(struct peer *p, const struct sockaddr *a)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);

	network_address(a, p->address, sizeof(p->address));
	p->network = network_of(a);
	if (a && a->sa_family != AF_UNIX)
		return;
	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0 && len == sizeof(credentials)) {
		p->local = 1;
		p->uid = credentials.uid;
	}
}

static void peer_opened(struct wire_server *s, struct MHD_Connection *connection, void **ret_peer)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *address =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct peer *p = fd ? calloc(1, sizeof(*p)) : NULL;

	/* A connection without a peer is refused by server_request(). */
	if (!p)
		return;
	p->fd = fd->connect_fd;
	p->last_done = monotonic_now();
	peer_name(p, address ? address->client_addr : NULL);
	pthread_mutex_lock(&s->lock);
	if (!networks_enter(s->networks, &p->network, s->config.max_connections / 4 * 3)) {
		pthread_mutex_unlock(&s->lock);
		shutdown(p->fd, SHUT_RDWR);
		free(p);
		return;
	}
	p->next = s->peers;
	p->link = &s->peers;
	if (p->next)
		p->next->link = &p->next;
	s->peers = p;
	s->peer_count++;
	pthread_mutex_unlock(&s->lock);
	*ret_peer = p;
}

static void peer_closed(struct wire_server *s, struct peer *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&s->lock);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	s->peer_count--;
	networks_leave(s->networks, &p->network);
	pthread_mutex_unlock(&s->lock);
	free(p);
}

static void notify_connection(
	void *context, struct MHD_Connection *connection, void **peer, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		peer_opened(context, connection, peer);
	} else {
		peer_closed(context, *peer);
		*peer = NULL;
	}
}

/*
 * A client that sends a byte now and then never is idle: close what completes no request in the time allowed. Only
 * shutdown(), under the lock that keeps the descriptor from being closed and reused; its thread does the rest.
 */
static void close_stalled(struct wire_server *s, uint64_t now)
{
	uint64_t limit = s->config.stall_seconds * CLOCK_SECOND;

	for (struct peer *p = s->peers; p; p = p->next)
		if (now - p->last_done > limit)
			shutdown(p->fd, SHUT_RDWR);
}

/* ---- Time ---- */

static void wait_until(struct wire_server *s, uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ns / CLOCK_SECOND);
	until.tv_nsec += (long)(ns % CLOCK_SECOND);
	if (until.tv_nsec >= (long)CLOCK_SECOND) {
		until.tv_nsec -= (long)CLOCK_SECOND;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

/* Do whatever is due in the engine; returns when to do so again, at most a minute ahead. A failure is reported and tried again then. */
static uint64_t run_due(struct wire_server *s)
{
	uint64_t latest = s->clock->wall(s->clock) + 60 * CLOCK_SECOND, next = 0;
	enum err e = engine_run_due(s->config.engine, &next);

	sigv4_keys_forget(s->keys);
	if (e != ERR_OK)
		report(s->config.reporter, REPORT_ERROR, "scheduled key work failed, next try in a minute: %s",
			err_text(e));
	return e == ERR_OK && next < latest ? next : latest;
}

/* Is work due that was not known of when work was done last? A request scheduled it, or another process with the same keystore. */
static int is_newly_due(struct wire_server *s, uint64_t seen)
{
	uint64_t next;

	return engine_next_due(s->config.engine, &next) == ERR_OK && next > seen && next <= s->clock->wall(s->clock);
}

static void *maintain(void *context)
{
	struct wire_server *s = context;
	uint64_t due = 0, seen = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		pthread_mutex_unlock(&s->lock);
		if (s->clock->wall(s->clock) >= due || is_newly_due(s, seen)) {
			seen = s->clock->wall(s->clock);
			due = run_due(s);
		}
		pthread_mutex_lock(&s->lock);
		close_stalled(s, monotonic_now());
		if (!s->stopping)
			wait_until(s, TICK_SECONDS * CLOCK_SECOND);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- Daemons ---- */

static void log_line(void *context, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
static void log_line(void *context, const char *format, va_list arguments)
{
	struct wire_server *s = context;
	char text[512];

	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\r\n")] = '\0';
	report(s->config.reporter, REPORT_DEBUG, "HTTP: %s", text);
}

/* Nothing that we serve has an escaped name, and what is signed is the name as it is sent: "/%00" is not "/". */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct wire_server *s, int fd, const struct wire_tls *tls)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem more[8] = {{MHD_OPTION_END, 0, NULL}};
	size_t n = 0;

	more[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL};
	more[n++] = (struct MHD_OptionItem){MHD_OPTION_CONNECTION_TIMEOUT, s->config.idle_seconds, NULL};
	if (s->config.threads > 1)
		more[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, s->config.threads, NULL};
	if (tls) {
		flags |= MHD_USE_TLS;
		more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)tls->certificate};
		more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)tls->key};
		more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
	}
	more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	return MHD_start_daemon(flags, 0, NULL, NULL, server_request, s, MHD_OPTION_EXTERNAL_LOGGER, log_line, s,
		MHD_OPTION_NOTIFY_COMPLETED, server_request_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
		notify_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->config.max_connections,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
}

/*
 * A descriptor of its own for the library: it closes the one it is given on some of its failures and not on others.
 * A copy that it does not close then is lost, but never another file's descriptor closed.
 */
static enum err serve_copy(
	struct wire_server *s, const struct listener *listener, const struct wire_tls *tls, struct MHD_Daemon **ret)
{
	struct MHD_Daemon *daemon;
	int fd;

	errno = 0;
	fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
	daemon = fd >= 0 ? start_daemon(s, fd, tls) : NULL;
	if (!daemon)
		return tls ? err_fail(ERR_CONFIG, "cannot serve %s over TLS: the certificate or its key is not usable",
				     listener->address)
			   : err_system("cannot serve %s", listener->address);
	*ret = daemon;
	return ERR_OK;
}

enum err wire_server_listen(struct wire_server *s, struct listener *listener, const struct wire_tls *tls)
{
	struct MHD_Daemon *daemon = NULL;
	enum err e;

	if (s->listening_count == SERVER_MAX_LISTENERS) {
		listener_close(listener);
		return err_fail(ERR_LIMIT, "at most %d addresses can be listened on", SERVER_MAX_LISTENERS);
	}
	e = serve_copy(s, listener, tls, &daemon);
	if (e != ERR_OK) {
		listener_close(listener);
		return e;
	}
	s->listening[s->listening_count].daemon = daemon;
	s->listening[s->listening_count].tls = tls != NULL;
	s->listening[s->listening_count].listener = *listener;
	s->listening_count++;
	listener->fd = -1;
	listener->path[0] = '\0';
	return ERR_OK;
}

static void stop_retired(struct wire_server *s)
{
	for (size_t i = 0; i < s->retired_count; i++) {
		MHD_stop_daemon(s->retired[i].daemon);
		if (s->retired[i].fd >= 0)
			close(s->retired[i].fd);
	}
	s->retired_count = 0;
}

/* Without it the service is slower, and no less right. */
static void start_committer(struct wire_server *s)
{
	enum err e = engine_committer_start(s->config.engine);

	s->committing = e == ERR_OK;
	if (e != ERR_OK)
		report(s->config.reporter, REPORT_WARNING, "%s: requests wait for each other's audit records",
			err_text(e));
}

static void stop_committer(struct wire_server *s)
{
	if (s->committing)
		engine_committer_stop(s->config.engine);
	s->committing = 0;
}

/* New certificates for all or, when one daemon cannot be had, for none. */
static enum err start_fresh(struct wire_server *s, const struct wire_tls *tls, struct MHD_Daemon **fresh)
{
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < s->listening_count; i++)
		if (s->listening[i].tls)
			e = serve_copy(s, &s->listening[i].listener, tls, &fresh[i]);
	return e;
}

static void take_over(struct wire_server *s, struct MHD_Daemon **fresh)
{
	for (size_t i = 0; i < s->listening_count; i++) {
		if (!fresh[i])
			continue;
		s->retired[s->retired_count++] =
			(struct retired){s->listening[i].daemon, MHD_quiesce_daemon(s->listening[i].daemon)};
		s->listening[i].daemon = fresh[i];
	}
}

/*
 * A running daemon keeps its certificate: a new one takes over the socket, and the old one serves the connections that it has.
 * Those of the reload before this one are closed. No daemon may be stopped while a connection of it is suspended, or about to be told
 * that its record is written: meanwhile each request waits for its own.
 */
enum err wire_server_replace_tls(struct wire_server *s, const struct wire_tls *tls)
{
	struct MHD_Daemon *fresh[SERVER_MAX_LISTENERS] = {NULL};
	enum err e = start_fresh(s, tls, fresh);

	stop_committer(s);
	if (e == ERR_OK)
		stop_retired(s);
	for (size_t i = 0; e != ERR_OK && i < s->listening_count; i++)
		if (fresh[i])
			MHD_stop_daemon(fresh[i]);
	start_committer(s);
	if (e == ERR_OK)
		take_over(s, fresh);
	return e;
}

/* ---- Start and stop ---- */

static void set_defaults(struct wire_server_config *c)
{
	c->threads = c->threads ? c->threads : 4;
	c->max_connections = c->max_connections ? c->max_connections : 4096;
	c->idle_seconds = c->idle_seconds ? c->idle_seconds : 60;
	c->stall_seconds = c->stall_seconds ? c->stall_seconds : 120;
	c->drain_seconds = c->drain_seconds ? c->drain_seconds : 5;
}

static enum err start_maintenance(struct wire_server *s)
{
	pthread_condattr_t monotonic;
	int failed;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	failed = pthread_create(&s->maintenance, NULL, maintain, s);
	if (!failed)
		return ERR_OK;
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	errno = failed;
	return err_system("cannot start the server's maintenance thread");
}

enum err wire_server_new(const struct wire_server_config *config, struct wire_server **ret)
{
	struct wire_server *s = calloc(1, sizeof(*s));
	enum err e;

	if (!s)
		return err_fail(ERR_NO_MEMORY, "no memory for a KMS server");
	s->config = *config;
	set_defaults(&s->config);
	s->clock = config->clock ? config->clock : clock_system();
	s->started = s->clock->wall(s->clock);
	s->metrics = metrics_new();
	s->keys = sigv4_keys_new();
	s->networks = networks_new();
	e = s->metrics && s->keys && s->networks ? start_maintenance(s)
						 : err_fail(ERR_NO_MEMORY, "no memory for a KMS server");
	if (e != ERR_OK) {
		networks_free(s->networks);
		sigv4_keys_free(s->keys);
		metrics_free(s->metrics);
		free(s);
		return e;
	}
	start_committer(s);
	*ret = s;
	return ERR_OK;
}

/* Stop accepting, tell clients to close, and give what is under way its time. */
static void drain(struct wire_server *s)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	uint64_t until = monotonic_now() + s->config.drain_seconds * CLOCK_SECOND;

	atomic_store(&s->draining, 1);
	for (size_t i = 0; i < s->listening_count; i++)
		s->listening[i].quiesced_fd = MHD_quiesce_daemon(s->listening[i].daemon);
	while (atomic_load(&s->active) && monotonic_now() < until)
		nanosleep(&pause, NULL);
}

void wire_server_stop(struct wire_server *s)
{
	if (!s)
		return;
	drain(s);
	pthread_mutex_lock(&s->lock);
	s->stopping = 1;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->maintenance, NULL);
	stop_committer(s); /* as wire_server_replace_tls() says */
	stop_retired(s);
	for (size_t i = 0; i < s->listening_count; i++) {
		MHD_stop_daemon(s->listening[i].daemon);
		if (s->listening[i].quiesced_fd >= 0)
			close(s->listening[i].quiesced_fd);
		listener_close(&s->listening[i].listener);
	}
	assert(!s->peers);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	networks_free(s->networks);
	sigv4_keys_free(s->keys);
	metrics_free(s->metrics);
	free(s);
}
