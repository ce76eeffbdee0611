/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/kms_listen.h"

#include <fcntl.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/wire/listener.h"
#include "kms/wire/service.h"

enum { PEM_MAX = 256 * 1024 };

struct pem {
	uint8_t *certificate, *key; /* secret_alloc() */
};

static void pem_free(struct pem *p)
{
	secret_free(p->certificate);
	secret_free(p->key);
}
#define AUTO_PEM __attribute__((cleanup(pem_free)))

static enum err pem_read(const struct kms_listen *l, struct pem *pem)
{
	size_t len;

	if (!l->tls_cert)
		return ERR_OK;
	TRY(io_read_file(AT_FDCWD, l->tls_cert, PEM_MAX, &pem->certificate, &len));
	return io_read_file(AT_FDCWD, l->tls_key, PEM_MAX, &pem->key, &len);
}

static enum err refuse_clear_text(const struct kms_listen *l, const struct listener *socket)
{
	if (socket->local || socket->loopback || l->tls_cert || l->insecure)
		return ERR_OK;
	return err_fail(ERR_USAGE,
		"on %s other machines would send and receive keys in the clear: give --tls-cert and --tls-key, or "
		"--insecure if the network is protected otherwise",
		socket->address);
}

/* @socket is taken over. */
static enum err serve(
	const struct kms_listen *l, struct wire_server *server, struct listener *socket, const struct pem *pem)
{
	const struct wire_tls tls = {(const char *)pem->certificate, (const char *)pem->key};
	int secure = !socket->local && pem->certificate;
	const char *scheme = socket->local ? "" : secure ? "https://" : "http://";
	char address[sizeof(socket->address)];
	enum err e = refuse_clear_text(l, socket);

	if (e != ERR_OK) {
		listener_close(socket);
		return e;
	}
	memcpy(address, socket->address, sizeof(address));
	TRY(wire_server_listen(server, socket, secure ? &tls : NULL));
	printf("listening on %s%s\n", scheme, address);
	return ERR_OK;
}

enum err kms_listen_all(const struct kms_listen *l, struct wire_server *server)
{
	struct pem pem AUTO_PEM = {NULL, NULL};
	struct listener socket = {.fd = -1};
	int handed_over = 0;

	TRY(pem_read(l, &pem));
	TRY(service_listen_fds(&handed_over));
	for (int i = 0; i < handed_over; i++) {
		TRY(listener_from_fd(SERVICE_FIRST_FD + i, &socket));
		TRY(serve(l, server, &socket, &pem));
	}
	for (size_t i = 0; i < l->where.count && !handed_over; i++) {
		TRY(listener_open(l->where.item[i], l->socket_mode, &socket));
		TRY(serve(l, server, &socket, &pem));
	}
	fflush(stdout);
	return ERR_OK;
}

enum err kms_listen_reload_tls(const struct kms_listen *l, struct wire_server *server)
{
	struct pem pem AUTO_PEM = {NULL, NULL};
	const char *certificate, *key;

	if (!l->tls_cert)
		return ERR_OK;
	TRY(pem_read(l, &pem));
	certificate = (const char *)pem.certificate;
	key = (const char *)pem.key;
	return wire_server_replace_tls(server, &(struct wire_tls){certificate, key});
}
