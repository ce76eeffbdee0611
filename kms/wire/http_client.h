/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_HTTP_CLIENT_H
#define SIGNETFS_WIRE_HTTP_CLIENT_H

/* One POST to one endpoint over pooled keep-alive connections: the only file that includes curl.h. Knows nothing of AWS. */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/wire/agent.h"
#include "kms/wire/endpoint.h"
#include "kms/wire/sigv4.h"
#include "kms/wire/text.h"

struct http_client;

struct http_client_config {
	struct endpoint endpoint;
	const char *ca_file;      /* NULL: the system's */
	struct wire_agent *agent; /* ENDPOINT_AGENT only; not owned */
	uint64_t connect_timeout; /* nanoseconds */
	uint64_t total_timeout;
};

enum http_outcome {
	HTTP_ANSWERED,  /* status and body are there */
	HTTP_TRANSPORT, /* refused, reset, timed out, cut short: another attempt may go better */
	HTTP_UNUSABLE,  /* an answer that is no HTTP, or is larger than we take */
	HTTP_HOPELESS,  /* certificate not trusted, agent gone: another attempt will not go better */
};

struct http_answer {
	enum http_outcome outcome;
	long status;
	char error_type[128]; /* x-amzn-ErrorType, "" when there is none */
	char cause[320];      /* for people, when not HTTP_ANSWERED */
	struct text body;     /* wiping; free with text_free() */
};

enum { HTTP_ANSWER_MAX = 1024 * 1024 }; /* ListKeys with Limit 1000 is 150 KiB */

enum err http_client_new(const struct http_client_config *config, struct http_client **ret);
void http_client_free(struct http_client *client); /* no exchange may be under way */

/** POST @body with @headers. Always fills @ret_answer. Threads: safe; each concurrent exchange has a connection of its own. */
void http_client_post(struct http_client *client, const struct sigv4_header *headers, size_t header_count,
	const char *body, size_t body_len, struct http_answer *ret_answer);

#endif
