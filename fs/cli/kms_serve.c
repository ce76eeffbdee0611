/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "fs/cli/kms_engine.h"
#include "fs/cli/kms_listen.h"
#include "kms/base/clock.h"
#include "kms/base/secret.h"
#include "kms/wire/service.h"

enum { SOCKET_MODE_MAX = 0777 };

struct serve {
	struct cli_settings *settings;
	struct kms_listen listen;
	const char *tls_cert, *tls_key; /* as options */
	const char *socket_mode;
	int foreground;
	uint64_t clock_ahead; /* seconds */
	struct clock_ahead clock;
	char standard[ENDPOINT_PATH_SIZE + 8];
	struct engine *engine;
	struct wire_server *server;
};

/* ---- Options and configuration ---- */

/* The words of the configuration's `listen`; its text outlives the server. */
static enum err add_configured(struct serve *s)
{
	const char *text = cli_setting(s->settings, CLI_SET_LISTEN);

	for (char *word = text ? strtok((char *)(uintptr_t)text, " \t") : NULL; word; word = strtok(NULL, " \t")) {
		if (s->listen.where.count == CLI_TEXTS_MAX)
			return err_fail(ERR_CONFIG, "listen names more than %d addresses", (int)CLI_TEXTS_MAX);
		s->listen.where.item[s->listen.where.count++] = word;
	}
	return ERR_OK;
}

/* A Unix socket in the person's own run-time directory: who calls is known without any credential. */
static void add_standard(struct serve *s)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	snprintf(s->standard, sizeof(s->standard), "unix:%s/signetfs-kms.sock", dir && dir[0] ? dir : "/run");
	s->listen.where.item[s->listen.where.count++] = s->standard;
}

static enum err take_tls(struct serve *s, const struct cli_settings *settings)
{
	int given = s->tls_cert || s->tls_key;

	s->listen.tls_cert = given ? s->tls_cert : cli_setting(settings, CLI_SET_TLS_CERT);
	s->listen.tls_key = given ? s->tls_key : cli_setting(settings, CLI_SET_TLS_KEY);
	if (!s->listen.tls_cert == !s->listen.tls_key)
		return ERR_OK;
	return given ? err_fail(ERR_USAGE, "--tls-cert and --tls-key go together")
		     : err_fail(ERR_CONFIG, "tls-cert and tls-key go together");
}

static const char *quotas_of(const struct cli_settings *settings, enum cli_setting which)
{
	const char *text = cli_setting(settings, which);

	return text ? text : "";
}

static enum err check(struct serve *s)
{
	char *end = NULL;
	unsigned long mode = strtoul(s->socket_mode, &end, 8);

	if (!s->socket_mode[0] || *end || mode > SOCKET_MODE_MAX)
		return err_fail(ERR_USAGE, "--socket-mode %s is no octal mode such as 0600", s->socket_mode);
	s->listen.socket_mode = (mode_t)mode;
	TRY(take_tls(s, s->settings));
	if (!s->listen.where.count)
		TRY(add_configured(s));
	if (!s->listen.where.count)
		add_standard(s);
	return ERR_OK;
}

/* ---- Running ---- */

/* Read the configuration anew: what can change while serving are certificate, key, retention, quotas and grant delay. */
static enum err read_again(struct serve *s, struct cli_settings *fresh)
{
	uint64_t retention = 0, delay = 0;

	memcpy(fresh->given, s->settings->given, sizeof(fresh->given));
	fresh->config_file = s->settings->config_file;
	TRY(cli_settings_load(fresh));
	TRY(cli_audit_retention(fresh, &retention));
	TRY(cli_grant_delay(cli_setting(fresh, CLI_SET_GRANT_DELAY), &delay));
	TRY(engine_check_quotas(quotas_of(fresh, CLI_SET_QUOTAS), quotas_of(fresh, CLI_SET_RESOURCE_QUOTAS)));
	TRY(take_tls(s, fresh));
	TRY(kms_listen_reload_tls(&s->listen, s->server));
	/* From here on nothing fails: all of it is taken over, or none. */
	engine_set_quotas(s->engine, quotas_of(fresh, CLI_SET_QUOTAS));
	engine_set_resource_quotas(s->engine, quotas_of(fresh, CLI_SET_RESOURCE_QUOTAS));
	engine_set_audit_retention(s->engine, retention);
	engine_set_grant_delay(s->engine, delay);
	return ERR_OK;
}

/* What is wrong is told and leaves everything as it was: a service does not end over a typing error. */
static void reload(struct serve *s)
{
	struct cli_settings fresh AUTO_SETTINGS = {0};
	char state[64];
	enum err e;

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)(clock_system()->monotonic(clock_system()) / 1000));
	service_notify(state);
	e = read_again(s, &fresh);
	if (e != ERR_OK)
		report(cli_reporter(), REPORT_ERROR, "the configuration was not reloaded: %s", err_text(e));
	else
		report(cli_reporter(), REPORT_NOTICE, "the configuration was reloaded");
	take_tls(s, s->settings); /* the paths of the settings that stay */
	service_notify("READY=1");
}

static void run_until_stopped(struct serve *s, const sigset_t *signals)
{
	int caught = SIGHUP;

	service_notify("READY=1");
	while (sigwait(signals, &caught) == 0 && caught == SIGHUP)
		reload(s);
	service_notify("STOPPING=1");
}

static enum err run(struct serve *s, const sigset_t *signals)
{
	const struct wire_server_config config = {.engine = s->engine, .reporter = cli_reporter()};
	enum err e;

	TRY(wire_server_new(&config, &s->server));
	e = kms_listen_all(&s->listen, s->server);
	if (e == ERR_OK)
		run_until_stopped(s, signals);
	wire_server_stop(s->server);
	return e;
}

static void allow_many_connections(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * Keys whose waiting period is over are destroyed for good, so the clock of a keystore that matters is not for anybody to move: only one
 * beside which lies the mark of a rehearsal takes it.
 */
static enum err set_clock(struct serve *s)
{
	const char *keystore = cli_setting(s->settings, CLI_SET_KEYSTORE);
	char mark[PATH_MAX];

	clock_ahead_init(&s->clock, clock_system(), s->clock_ahead * CLOCK_SECOND);
	if (s->clock_ahead == 0)
		return ERR_OK;
	if (snprintf(mark, sizeof(mark), "%s.scratch", keystore) < (int)sizeof(mark) && access(mark, F_OK) == 0)
		return ERR_OK;
	return err_fail(ERR_USAGE,
		"--clock-ahead is for a scratch keystore: keys are destroyed when their waiting period is over by that "
		"clock. "
		"If %s is one, make the file %s.scratch",
		keystore, keystore);
}

static enum err serve(struct serve *s)
{
	struct cli_engine_config config = cli_engine_settings(s->settings);
	sigset_t signals;
	enum err e;

	TRY(set_clock(s));
	config.clock = &s->clock.clock;
	TRY(cli_audit_retention(s->settings, &config.audit_retention));
	TRY(secret_harden_process());
	cli_lock_memory();
	allow_many_connections();
	TRY(cli_engine_open(&config, &s->engine));
	/* Blocked before the server's threads exist, so that only sigwait() takes them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	e = engine_set_quotas(s->engine, quotas_of(s->settings, CLI_SET_QUOTAS));
	if (e == ERR_OK)
		e = run(s, &signals);
	engine_close(s->engine);
	return e;
}

int cli_kms_serve(int argc, char **argv)
{
	struct cli_settings settings AUTO_SETTINGS = {0};
	struct serve s = {.settings = &settings, .socket_mode = "0600"};
	const struct cli_option options[] = {
		{"listen", 0, CLI_TEXTS, &s.listen.where, "WHERE",
			"unix:PATH or HOST:PORT (port 0 picks one); may be repeated"},
		{"tls-cert", 0, CLI_TEXT, &s.tls_cert, "FILE", "PEM certificate chain for the TCP addresses"},
		{"tls-key", 0, CLI_TEXT, &s.tls_key, "FILE", "its PEM key"},
		{"socket-mode", 0, CLI_TEXT, &s.socket_mode, "MODE", "permissions of Unix sockets (0600)"},
		{"insecure", 0, CLI_FLAG, &s.listen.insecure, NULL, "permit plain HTTP beyond this machine"},
		{"grant-delay", 0, CLI_TEXT, &settings.given[CLI_SET_GRANT_DELAY], "DURATION",
			"how long a grant takes to work without its token (0)"},
		{"clock-ahead", 0, CLI_SECONDS, &s.clock_ahead, "TIME",
			"for rehearsals: a clock so far ahead; only of a scratch keystore"},
		{"foreground", 'f', CLI_FLAG, &s.foreground, NULL, "stay in the foreground, as it does anyway"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms serve [OPTION]…",
		"Serve the keystore to many clients, in the AWS KMS protocol, until SIGTERM or SIGINT; SIGHUP reads "
		"the "
		"configuration anew.\n"
		"Over TCP clients sign with an access key (signetfs kms create-access-key); on a Unix socket their "
		"user "
		"id is their identity.",
		0, 0, options, cli_settings_options(&settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);
	enum err e;

	if (done >= 0)
		return done;
	e = cli_settings_load(&settings);
	if (e == ERR_OK)
		e = check(&s);
	if (e == ERR_OK)
		e = serve(&s);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "serving the KMS");
}
