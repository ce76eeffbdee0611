/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#include "fs/cli/kms_engine.h"
#include "kms/base/secret.h"
#include "kms/wire/agent.h"
#include "kms/wire/server.h"

/* The agent outlives its terminal, so what it has to say goes to the system log. */
static void emit_to_syslog(void *context, enum report_level level, const char *text)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG};

	(void)context;
	syslog(priorities[level], "%s", text);
}

static const struct reporter syslog_reporter = {emit_to_syslog, NULL};

static int is_control_channel(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

/* Away from the terminal: its Ctrl-C is not for us, and whoever waits for its pipes must not wait for us. */
static enum err detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_system("cannot open /dev/null");
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	setsid();
	return chdir("/") == 0 ? ERR_OK : err_system("cannot change to /");
}

static enum err open_and_detach(const struct cli_engine_config *config, struct engine **ret_engine)
{
	struct engine *engine = NULL;
	enum err e;

	TRY(secret_harden_process());
	cli_lock_memory();
	TRY(cli_engine_open(config, &engine));
	e = detach();
	if (e != ERR_OK) {
		engine_close(engine);
		return e;
	}
	*ret_engine = engine;
	return ERR_OK;
}

/* Its one client's idle connections do no harm. */
enum { AGENT_IDLE_SECONDS = 7 * 86400 };

static enum err start_server(int listening, struct engine *engine, struct wire_server **ret)
{
	const struct wire_server_config config = {
		.engine = engine,
		.reporter = &syslog_reporter,
		.idle_seconds = AGENT_IDLE_SECONDS,
		.stall_seconds = 2 * AGENT_IDLE_SECONDS,
	};
	struct wire_server *server = NULL;
	struct listener listener;
	enum err e;

	TRY(listener_from_fd(listening, &listener));
	TRY(wire_server_new(&config, &server));
	e = wire_server_listen(server, &listener, NULL);
	if (e != ERR_OK) {
		wire_server_stop(server);
		return e;
	}
	*ret = server;
	return ERR_OK;
}

/* Their default action would end the agent without wiping its keys. Before the server's threads exist, which then block them, too. */
static enum err catch_signals(int *ret_fd)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	*ret_fd = signalfd(-1, &stop, SFD_CLOEXEC);
	return *ret_fd >= 0 ? ERR_OK : err_system("cannot wait for signals");
}

static int run(int control, int listening, const struct cli_engine_config *config)
{
	struct wire_server *server = NULL;
	struct engine *engine = NULL;
	int stop = -1;
	enum err e;

	openlog("signetfs-agent", LOG_PID, LOG_DAEMON);
	e = open_and_detach(config, &engine);
	if (e == ERR_OK)
		e = catch_signals(&stop);
	if (e == ERR_OK)
		e = start_server(listening, engine, &server);
	if (wire_agent_report(control, e, e == ERR_OK ? "" : err_text(e)) == ERR_OK && e == ERR_OK)
		wire_agent_wait(control, stop);
	if (stop >= 0)
		close(stop);
	wire_server_stop(server);
	engine_close(engine);
	return cli_exit_code(e);
}

int cli_kms_agent(int argc, char **argv)
{
	struct cli_engine_config config = {.root_key = "passphrase", .reporter = &syslog_reporter};
	uint64_t control = 0, listening = 0;
	const struct cli_option options[] = {
		{"control-fd", 0, CLI_NUMBER, &control, "N", "the channel to whoever started it"},
		{"listen-fd", 0, CLI_NUMBER, &listening, "N", "the socket it serves"},
		{"keystore", 0, CLI_TEXT, &config.keystore, "FILE", "the keystore"},
		{"root-key", 0, CLI_TEXT, &config.root_key, "SOURCE",
			"passphrase, passfile:PATH, keyfile:PATH or command:CMD"},
		{"region", 0, CLI_TEXT, &config.region, "REGION", "for callers that name none"},
		{"grant-delay", 0, CLI_TEXT, &config.grant_delay, "DURATION", "how long a grant takes to spread"},
		{"resource-quotas", 0, CLI_TEXT, &config.resource_quotas, "NAME=NUMBER…", "other ones than AWS's"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs kms agent --control-fd N --listen-fd N --keystore FILE [OPTION]…",
		"The KMS of one client process. Other commands start it; people do not.", 0, 0, options, NULL};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	if (!config.keystore || control < 3 || listening < 3 || control > 1023 || listening > 1023 ||
		!is_control_channel((int)control))
		return cli_wrong_usage("kms agent", "the agent is started by the commands that need it; "
						    "to serve other processes: signetfs kms serve");
	fcntl((int)control, F_SETFD, FD_CLOEXEC);
	return run((int)control, (int)listening, &config);
}
