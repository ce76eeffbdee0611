/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_KMS_LISTEN_H
#define SIGNETFS_CLI_KMS_LISTEN_H

/* Where `signetfs kms serve` listens: its addresses and those that a service manager handed over, with TLS or in the clear. */

#include "fs/cli/cli.h"
#include "kms/wire/server.h"

struct kms_listen {
	struct cli_texts where;
	const char *tls_cert, *tls_key; /* PEM files; NULL: no TLS */
	int insecure;                   /* plain HTTP beyond this machine is permitted */
	mode_t socket_mode;
};

/** Listen and print each address. ERR_USAGE: plain HTTP beyond this machine; ERR_CONFIG: certificate or key is no good. */
enum err kms_listen_all(const struct kms_listen *l, struct wire_server *server);

/** Read certificate and key again and use them for new connections. On failure the old ones stay. */
enum err kms_listen_reload_tls(const struct kms_listen *l, struct wire_server *server);

#endif
