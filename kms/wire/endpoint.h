/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_ENDPOINT_H
#define SIGNETFS_WIRE_ENDPOINT_H

/* Where a KMS is, as people write it: `agent`, `unix:PATH`, `http://HOST:PORT`, `https://HOST[:PORT]`. Pure parsing. */

#include <stdint.h>
#include "kms/base/err.h"

enum endpoint_kind { ENDPOINT_AGENT, ENDPOINT_UNIX, ENDPOINT_HTTP, ENDPOINT_HTTPS };

enum { ENDPOINT_PATH_SIZE = 108, ENDPOINT_HOST_SIZE = 264, ENDPOINT_URL_SIZE = 280 };

struct endpoint {
	enum endpoint_kind kind;
	int loopback;                  /* TCP: the host is this machine by its very name: localhost, 127.…, [::1] */
	char path[ENDPOINT_PATH_SIZE]; /* unix: the socket */
	char host[ENDPOINT_HOST_SIZE]; /* TCP: the Host header's value, "127.0.0.1:8080"; otherwise "localhost" */
	char url[ENDPOINT_URL_SIZE];   /* what an HTTP library is to be given, ending in '/' */
};

/** ERR_USAGE with a text that names the accepted forms. */
enum err endpoint_parse(const char *text, struct endpoint *ret);

/** "HOST:PORT", "[ADDRESS]:PORT" or "HOST": host without brackets, port 0 when there is none. ERR_USAGE. */
enum err endpoint_split_host(const char *text, char ret_host[ENDPOINT_HOST_SIZE], uint16_t *ret_port);

/** Whether @host (no brackets) can only be this machine. */
int endpoint_is_loopback(const char *host);

#endif
