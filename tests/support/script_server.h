/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_SCRIPT_SERVER_H
#define SIGNETFS_TESTS_SCRIPT_SERVER_H

/*
 * An HTTP server that answers what a test wrote down: request after request takes the next step of the script, whichever
 * connection it comes on; the last step repeats. It keeps what it was sent.
 */

#include <stddef.h>

struct script_step {
	int status;          /* 0: hang up without an answer */
	const char *headers; /* more header lines, each ending in \r\n; NULL for none */
	const char *body;    /* NULL: empty */
	size_t body_len;     /* 0: strlen(body) */
	size_t cut;          /* hang up after so many bytes of the body; 0: send it all */
	unsigned delay_ms;   /* before answering */
};

struct script_server;

/** @path NULL: 127.0.0.1 on a free port; otherwise a Unix socket. The script is not copied. */
struct script_server *script_server_start(const char *path, const struct script_step *steps, size_t count);
void script_server_stop(struct script_server *s);

/** "http://127.0.0.1:PORT" or "unix:PATH" */
const char *script_server_endpoint(const struct script_server *s);
unsigned script_server_requests(struct script_server *s);
unsigned script_server_connections(struct script_server *s);
/** The whole text, head and body, of request @n (from 0; the first 64 are kept). */
const char *script_server_request(struct script_server *s, unsigned n);

#endif
