/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "fs/cli/kms_engine.h"
#include "kms/base/clock.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/wire/listener.h"
#include "kms/wire/server.h"

enum { PEM_MAX = 256 * 1024, SOCKET_MODE_MAX = 0777 };

struct serve_options {
	struct cli_texts listen;
	const char *tls_cert, *tls_key, *socket_mode;
	int insecure, foreground;
	uint64_t grant_delay; /* seconds */
	mode_t mode;
	char standard[ENDPOINT_PATH_SIZE + 8];
};

/* ---- Options ---- */

/* A Unix socket in the person's own run-time directory: who calls is known without any credential. */
static void add_standard_listener(struct serve_options *o)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (o->listen.count)
		return;
	snprintf(o->standard, sizeof(o->standard), "unix:%s/signetfs-kms.sock", dir && dir[0] ? dir : "/run");
	o->listen.item[o->listen.count++] = o->standard;
}

static enum err check_options(struct serve_options *o)
{
	char *end = NULL;
	unsigned long mode;

	if (!o->tls_cert != !o->tls_key)
		return err_fail(ERR_USAGE, "--tls-cert and --tls-key go together");
	mode = strtoul(o->socket_mode, &end, 8);
	if (!o->socket_mode[0] || *end || mode > SOCKET_MODE_MAX)
		return err_fail(ERR_USAGE, "--socket-mode %s is no octal mode such as 0600", o->socket_mode);
	o->mode = (mode_t)mode;
	add_standard_listener(o);
	return ERR_OK;
}

/* ---- Listening ---- */

struct pem {
	uint8_t *certificate, *key; /* secret_alloc() */
};

static void pem_free(struct pem *p)
{
	secret_free(p->certificate);
	secret_free(p->key);
}

static enum err pem_read(const struct serve_options *o, struct pem *pem)
{
	size_t len;

	if (!o->tls_cert)
		return ERR_OK;
	TRY(io_read_file(AT_FDCWD, o->tls_cert, PEM_MAX, &pem->certificate, &len));
	return io_read_file(AT_FDCWD, o->tls_key, PEM_MAX, &pem->key, &len);
}

static enum err refuse_clear_text(const struct serve_options *o, const struct listener *l)
{
	if (l->local || l->loopback || o->tls_cert || o->insecure)
		return ERR_OK;
	return err_fail(ERR_USAGE,
		"on %s other machines would send and receive keys in the clear: give --tls-cert and --tls-key, or "
		"--insecure if the network is protected otherwise",
		l->address);
}

static enum err listen_on(
	const struct serve_options *o, struct wire_server *server, const char *where, const struct pem *pem)
{
	const struct wire_tls tls = {(const char *)pem->certificate, (const char *)pem->key};
	struct listener l = {.fd = -1};
	char address[sizeof(l.address)];
	int secure;
	enum err e;

	TRY(listener_open(where, o->mode, &l));
	e = refuse_clear_text(o, &l);
	if (e != ERR_OK) {
		listener_close(&l);
		return e;
	}
	memcpy(address, l.address, sizeof(address));
	secure = !l.local && pem->certificate;
	e = l.local ? wire_server_listen(server, &l, NULL) : wire_server_listen(server, &l, secure ? &tls : NULL);
	TRY(e);
	printf("listening on %s%s\n", strncmp(address, "unix:", 5) ? (secure ? "https://" : "http://") : "", address);
	return ERR_OK;
}

static enum err listen_everywhere(const struct serve_options *o, struct wire_server *server)
{
	__attribute__((cleanup(pem_free))) struct pem pem = {NULL, NULL};

	TRY(pem_read(o, &pem));
	for (size_t i = 0; i < o->listen.count; i++)
		TRY(listen_on(o, server, o->listen.item[i], &pem));
	fflush(stdout);
	return ERR_OK;
}

/* ---- Running ---- */

static void allow_many_connections(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static enum err run(const struct serve_options *o, struct engine *engine, const sigset_t *stop)
{
	const struct wire_server_config config = {.engine = engine, .reporter = cli_reporter()};
	struct wire_server *server = NULL;
	enum err e;
	int caught;

	TRY(wire_server_new(&config, &server));
	e = listen_everywhere(o, server);
	if (e == ERR_OK)
		sigwait(stop, &caught);
	wire_server_stop(server);
	return e;
}

static enum err serve(const struct serve_options *o, const struct cli_settings *s)
{
	const struct cli_engine_config config = {
		.keystore = cli_setting(s, CLI_SET_KEYSTORE),
		.root_key = cli_setting(s, CLI_SET_ROOT_KEY),
		.region = cli_setting(s, CLI_SET_REGION),
		.grant_delay = o->grant_delay * CLOCK_SECOND,
		.reporter = cli_reporter(),
	};
	struct engine *engine = NULL;
	sigset_t stop;
	enum err e;

	TRY(secret_harden_process());
	cli_lock_memory();
	allow_many_connections();
	TRY(cli_engine_open(&config, &engine));
	/* Blocked before the server's threads exist, so that only sigwait() takes them. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	e = run(o, engine, &stop);
	engine_close(engine);
	return e;
}

int cli_kms_serve(int argc, char **argv)
{
	struct cli_settings settings AUTO_SETTINGS = {0};
	struct serve_options o = {.socket_mode = "0600"};
	const struct cli_option options[] = {
		{"listen", 0, CLI_TEXTS, &o.listen, "WHERE",
			"unix:PATH or HOST:PORT (port 0 picks one); may be repeated"},
		{"tls-cert", 0, CLI_TEXT, &o.tls_cert, "FILE", "PEM certificate chain for the TCP addresses"},
		{"tls-key", 0, CLI_TEXT, &o.tls_key, "FILE", "its PEM key"},
		{"socket-mode", 0, CLI_TEXT, &o.socket_mode, "MODE", "permissions of Unix sockets (0600)"},
		{"insecure", 0, CLI_FLAG, &o.insecure, NULL, "permit plain HTTP beyond this machine"},
		{"grant-delay", 0, CLI_SECONDS, &o.grant_delay, "DURATION",
			"how long a grant takes to work without its token (0)"},
		{"foreground", 'f', CLI_FLAG, &o.foreground, NULL, "stay in the foreground, as it does anyway"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms serve [OPTION]…",
		"Serve the keystore to many clients, in the AWS KMS protocol, until SIGTERM or SIGINT. Over TCP "
		"clients sign with\n"
		"an access key (signetfs kms create-access-key); on a Unix socket their user id is their identity.",
		0, 0, options, cli_settings_options(&settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);
	enum err e;

	if (done >= 0)
		return done;
	e = cli_settings_load(&settings);
	if (e == ERR_OK)
		e = check_options(&o);
	if (e == ERR_OK)
		e = serve(&o, &settings);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "serving the KMS");
}
