/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_LISTENER_H
#define SIGNETFS_WIRE_LISTENER_H

/* A listening socket from what a person wrote: `unix:PATH`, `HOST:PORT`, `[ADDRESS]:PORT`, `*:PORT`; port 0 picks one. */

#include <sys/types.h>
#include <time.h>
#include "kms/base/err.h"
#include "kms/wire/endpoint.h"

struct listener {
	int fd;
	int local;                     /* a Unix socket: peers are known by their uid */
	int loopback;                  /* TCP: only this machine can reach it */
	char path[ENDPOINT_PATH_SIZE]; /* Unix: removed by listener_close() */
	dev_t path_dev;                /* … if it is still the file that was made */
	ino_t path_ino;
	struct timespec path_made;            /* inode numbers are reused */
	char address[ENDPOINT_HOST_SIZE + 8]; /* "unix:PATH" or "127.0.0.1:43210", the real port */
};

/**
 * Bind and listen. A Unix socket is created with @socket_mode; a stale one (nobody answers) is replaced, a live one is ERR_BUSY.
 * ERR_USAGE: not a listener; ERR_SYSTEM: address in use, no permission, …
 */
enum err listener_open(const char *text, mode_t socket_mode, struct listener *ret);
/** Take over an inherited listening socket (the agent's, a service manager's). ERR_USAGE: @fd is none. */
enum err listener_from_fd(int fd, struct listener *ret);

void listener_close(struct listener *l); /* harmless for a zeroed one with fd -1 */

#endif
