/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_SERVER_INTERNAL_H
#define SIGNETFS_WIRE_SERVER_INTERNAL_H

/* What server.c (daemons, connections, time), server_request.c (one request) and server_watch.c (health, metrics) share. */

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include "kms/wire/server.h"
#include "kms/wire/metrics.h"
#include "kms/wire/networks.h"
#include "kms/wire/sigv4_keys.h"
#include "kms/wire/text.h"

enum { SERVER_MAX_LISTENERS = 16 };

/* A daemon that accepts no more, whose connections may end by themselves. */
struct retired {
	struct MHD_Daemon *daemon;
	int fd;
};

/*
 * Invariants, under @lock: 1. @peers is the chain of all open connections. 2. A peer's fd is open while it is in the chain.
 */
struct wire_server {
	struct wire_server_config config;
	const struct clock *clock;
	struct {
		struct MHD_Daemon *daemon;
		struct listener listener;
		int quiesced_fd; /* the daemon's own copy, ours again once it accepts no more */
		int tls;
	} listening[SERVER_MAX_LISTENERS];
	struct retired retired[SERVER_MAX_LISTENERS]; /* with the certificate before the last reload */
	size_t retired_count;
	int committing; /* the engine's committer runs for us */
	struct metrics *metrics;
	struct sigv4_keys *keys;
	uint64_t started;
	size_t peer_count;
	struct networks *networks; /* of the peers; under @lock */
	size_t listening_count;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int stopping;
	struct peer *peers;
	atomic_uint active; /* requests begun and not completed */
	atomic_int draining;
	pthread_t maintenance;
};

/** One connection. Fixed when it is opened, but for the time and the links. */
struct peer {
	struct peer *next, **link;
	int fd;
	int local; /* known by uid, not by signature */
	uint32_t uid;
	char address[64];
	struct network network;
	uint64_t last_done; /* monotonic: when it was opened or last completed a request; under the server's lock */
};

/** Called by libmicrohttpd for every request, several times: first with the headers, then for the body, then to answer. */
enum MHD_Result server_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **request);
void server_request_completed(
	void *context, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode how);

/** Answer GET /healthz; GET /metrics, for who may know. */
enum MHD_Result server_health(struct MHD_Connection *connection);
enum MHD_Result server_metrics(struct wire_server *s, struct MHD_Connection *connection);

#endif
