/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_SERVER_H
#define SIGNETFS_WIRE_SERVER_H

/*
 * The engine on the wire: AWS JSON 1.1 over HTTP (POST /, X-Amz-Target TrentService.Operation) on listening sockets.
 * GET /healthz answers 200 to anyone, GET /metrics (kms/wire/metrics.h) to this machine.
 *
 * Who calls: over TCP whoever signed the request (SigV4); on a Unix socket the peer's uid, and signature headers are ignored
 * there. Refusals before an operation begins are put on the audit trail as well.
 *
 * Hostile input is met with bounds: body, headers, nesting, connections, idle time, and the time between a connection's
 * completed requests. Bodies and answers live in memory that is wiped.
 *
 * Threads: all functions from one thread at a time; requests are served by the server's own threads, which do not wait for an audit
 * record: the engine's committer writes it, and until then the connection is suspended.
 */

#include "kms/base/clock.h"
#include "kms/base/err.h"
#include "kms/base/report.h"
#include "kms/engine/engine.h"
#include "kms/wire/listener.h"

struct wire_server;

enum { WIRE_BODY_MAX = 64 * 1024 };

struct wire_server_config {
	struct engine *engine;           /* not owned; outlives the server */
	const struct clock *clock;       /* NULL: the system's */
	const struct reporter *reporter; /* may be NULL */

	/* 0 = the default in parentheses. */
	unsigned threads;         /* per listener (4) */
	unsigned max_connections; /* per listener (4096); beyond, new ones wait in the backlog */
	unsigned idle_seconds;    /* a connection without traffic is closed (60) */
	unsigned stall_seconds;   /* a connection that completes no request for so long is closed, however busy (120) */
	unsigned drain_seconds;   /* how long wire_server_stop() lets requests finish (5) */
};

/** Starts the maintenance thread, which calls engine_run_due(). Stop with wire_server_stop(). */
enum err wire_server_new(const struct wire_server_config *config, struct wire_server **ret);

/** A certificate chain and its key, PEM text; copied. */
struct wire_tls {
	const char *certificate;
	const char *key;
};

/** Serve @listener, which the server takes over in any case. @tls NULL: plain HTTP. ERR_CONFIG: certificate or key is no good. */
enum err wire_server_listen(struct wire_server *server, struct listener *listener, const struct wire_tls *tls);

/** From now on the TLS listeners have this certificate; connections that there are keep theirs. On failure nothing changes: ERR_CONFIG. */
enum err wire_server_replace_tls(struct wire_server *server, const struct wire_tls *tls);

/** No new connections; requests under way finish (bounded); then everything is closed and freed. NULL is fine. */
void wire_server_stop(struct wire_server *server);

#endif
