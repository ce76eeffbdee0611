/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/reencrypt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "fs/cli/cli.h"
#include "fs/fuse/control.h"
#include "fs/fuse/mount.h"
#include "fs/reencrypt/reencrypt.h"
#include "fs/reencrypt/two_kms.h"
#include "fs/vault/vault.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

/* ---- Stopping: once for a good end, which is soon ---- */

static _Atomic int stopped;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&stopped, 1);
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* ---- The two KMSs ---- */

static int is_same_kms(const struct reencrypt_request *r)
{
	return !r->endpoint_to && !r->config_to;
}

static enum err connect_target(struct reencrypt_request *r, struct kms **ret)
{
	r->to_settings.given[CLI_SET_ENDPOINT] = r->endpoint_to;
	r->to_settings.last_file = r->config_to;
	r->to_settings.insecure_http = r->settings.insecure_http;
	TRY(cli_settings_load(&r->to_settings));
	return err_wrap(cli_kms_connect(&r->to_settings, ret), "the KMS to move to");
}

/* What the descriptor is to say of it. */
static const char *target_endpoint(const struct reencrypt_request *r)
{
	return is_same_kms(r) ? NULL : cli_endpoint_to_keep(&r->to_settings);
}

/* ---- Alone with the vault ---- */

static enum err run_on(struct reencrypt_request *r, struct vault *v, struct kms *old, struct kms *both)
{
	const struct reencrypt_options o = {.vault = v,
		.kms = both,
		.same_kms = is_same_kms(r),
		.old_kms = old,
		.resume = r->resume,
		.to = r->to,
		.from = r->from,
		.endpoint = target_endpoint(r),
		.region = is_same_kms(r) ? NULL : cli_setting(&r->to_settings, CLI_SET_REGION),
		.data = r->data,
		.only_count = r->only.count,
		.only = r->only.item,
		.dry_run = r->dry_run,
		.survey = reencrypt_show_wants_total(&r->show),
		.jobs = (unsigned)r->jobs,
		.rate = r->rate,
		.host = reencrypt_alone(),
		.clock = clock_system(),
		.event = reencrypt_show_event,
		.context = &r->show,
		.stop = &stopped};

	return reencrypt_run(&o, &r->result);
}

static enum err open_and_run(struct reencrypt_request *r, struct kms *old, struct kms *both)
{
	const struct vault_open_options options = {.path = r->vault,
		.holder = "signetfs reencrypt",
		.kms = both,
		.clock = clock_system(),
		.reporter = cli_reporter()};
	struct vault *v;
	enum err e, closing;

	TRY(vault_open(&options, &v));
	e = run_on(r, v, old, both);
	closing = vault_close(v);
	return e != ERR_OK ? e : closing;
}

/* A crash between the last two steps leaves a vault that is at the new KMS already: then that one was named, as it has to be. */
static enum err check_endpoint(struct reencrypt_request *r, const struct descriptor *d)
{
	const char *to = r->endpoint_to;

	if (to && (strcmp(to, d->endpoint) == 0 || (cli_is_customer_key(to) && cli_is_customer_key(d->endpoint))))
		return ERR_OK;
	return cli_settings_for_vault(&r->settings, d);
}

static enum err run_alone(struct reencrypt_request *r)
{
	struct kms *old AUTO_KMS = NULL, *other AUTO_KMS = NULL, *both AUTO_KMS = NULL;
	struct descriptor descriptor;

	secret_allow_unlocked();
	TRY(secret_harden_process());
	TRY(cli_settings_load(&r->settings));
	TRY(vault_read_descriptor(r->vault, &descriptor));
	TRY(check_endpoint(r, &descriptor));
	TRY(cli_kms_connect(&r->settings, &old));
	if (!is_same_kms(r))
		TRY(connect_target(r, &other));
	TRY(two_kms_new(old, other ? other : old, &both));
	return cli_kms_name(&r->settings, open_and_run(r, old, both));
}

/* ---- Through the mount ---- */

struct follow {
	struct reencrypt_request *r;
	int ended;
	enum err e;
	char why[1024];
};

static void on_line(void *context, const json_t *line)
{
	struct follow *f = context;
	const char *event = json_string_value(json_object_get(line, "event"));
	const char *error = json_string_value(json_object_get(line, event ? "reason" : "error"));

	if (event)
		reencrypt_show_event(&f->r->show, line);
	if (event && strcmp(event, "survey") == 0)
		f->ended = 1;
	if (event && strcmp(event, "end") != 0)
		return;
	f->ended = 1;
	f->e = (enum err)json_integer_value(json_object_get(line, "code"));
	if (event)
		f->r->result.failed = (uint64_t)json_integer_value(json_object_get(line, "failed"));
	snprintf(f->why, sizeof(f->why), "%s", error ? error : "");
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *request_of(const struct reencrypt_request *r)
{
	json_t *only = json_array();
	char *config = r->config_to ? cli_absolute(r->config_to) : NULL;
	json_t *q;

	for (size_t i = 0; i < r->only.count; i++)
		json_array_append_new(only, json_string(r->only.item[i]));
	q = json_pack("{s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:b, s:b, s:b, s:I, s:I}", "op", "reencrypt", "to",
		text_or_null(r->to), "from", text_or_null(r->from), "endpoint", text_or_null(r->endpoint_to), "config",
		text_or_null(config), "insecure_http", r->settings.insecure_http, "data", r->data, "only", only,
		"resume", r->resume, "dry_run", r->dry_run, "survey", reencrypt_show_wants_total(&r->show), "jobs",
		(json_int_t)r->jobs, "rate", (json_int_t)r->rate);
	free(config);
	return q;
}

static enum err run_through_mount(struct reencrypt_request *r, const struct mount_info *info)
{
	json_t *request AUTO_JSON = request_of(r);
	struct follow f = {.r = r};

	if (!request)
		return err_fail(ERR_NO_MEMORY, "no memory for the request (are all names UTF-8?)");
	TRY(err_wrap(control_follow(info, request, &stopped, on_line, &f), "the mount of this vault"));
	if (!f.ended)
		return err_fail(ERR_CLOSED,
			"the mount of this vault ended before the move did; every file can be read, "
			"and --resume goes on");
	return f.e == ERR_OK ? ERR_OK : err_fail(f.e, "%s", f.why);
}

/* ---- The command ---- */

static int check(const struct reencrypt_request *r)
{
	static const char command[] = "reencrypt";

	if (cli_is_customer_key(r->endpoint_to) && r->to)
		return cli_wrong_usage(command, "a key file has one key: leave out --to");
	if (!r->to && !r->resume && !cli_is_customer_key(r->endpoint_to))
		return cli_wrong_usage(command, "which key? --to KEY, or --resume to go on with an interrupted move");
	if (r->resume && (r->to || r->from || r->data || r->only.count))
		return cli_wrong_usage(command, "--resume goes on with what was asked for before: leave out --to, "
						"--from, --data and --only");
	if (r->resume && r->dry_run)
		return cli_wrong_usage(command, "--dry-run tells of a new move, --resume goes on with an old one");
	if (r->jobs > WALK_JOBS_MAX)
		return cli_wrong_usage(command, "--jobs: at most %d", (int)WALK_JOBS_MAX);
	return -1;
}

static int run(struct reencrypt_request *r)
{
	struct mount_info info;
	enum err e;

	r->vault = cli_absolute(r->given);
	if (!r->vault)
		return cli_error("out of memory");
	catch_signals();
	if (cli_is_customer_key(r->endpoint_to)) {
		e = cli_customer_key_arn(r->endpoint_to, r->customer_key);
		if (e != ERR_OK)
			return cli_fail(e, "moving %s", r->given);
		r->to = r->resume ? NULL : r->customer_key;
	}
	e = control_find_vault(r->vault, &info) == ERR_OK ? run_through_mount(r, &info) : run_alone(r);
	if (e != ERR_OK)
		return cli_fail(e, "moving %s", r->given);
	return r->result.failed ? CLI_FAILED : CLI_DONE;
}

int cli_reencrypt(int argc, char **argv)
{
	struct reencrypt_request r = {.vault = NULL};
	const struct cli_option options[] = {
		{"to", 0, CLI_TEXT, &r.to, "KEY", "the KMS key to move to: id, ARN or alias"},
		{"from", 0, CLI_TEXT, &r.from, "KEY",
			"only what is under this KMS key, or this backing key as `signetfs keys` shows it"},
		{"endpoint-to", 0, CLI_TEXT, &r.endpoint_to, "E", "the KMS to move to, when it is another one"},
		{"config-to", 0, CLI_TEXT, &r.config_to, "FILE",
			"configuration of that KMS: region, credentials, keystore, root key"},
		{"data", 0, CLI_FLAG, &r.data, NULL, "new data keys, and the contents written anew under them"},
		{"only", 0, CLI_WORDS, &r.only, "PATH…", "only these files and directories, as paths in the mount"},
		{"dry-run", 0, CLI_FLAG, &r.dry_run, NULL, "change nothing; tell files, bytes, KMS calls and cost"},
		{"jobs", 0, CLI_NUMBER, &r.jobs, "N", "threads; default: one a processor"},
		{"rate", 0, CLI_NUMBER, &r.rate, "FILES", "at most so many files a second"},
		{"resume", 0, CLI_FLAG, &r.resume, NULL, "go on with a move that was interrupted"},
		{"json", 0, CLI_FLAG, &r.show.json, NULL, "events as lines of JSON"},
		{"report", 0, CLI_TEXT, &r.show.report, "FILE", "a page of HTML about it"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs reencrypt [OPTION]… VAULT",
		"Move a vault to another KMS key, or to the newest material of the one it has: each file's data key is "
		"wrapped anew, "
		"the contents stay; with --data they are written anew under new data keys. Interrupted at any moment "
		"every file can be "
		"read, and --resume goes on.",
		1, 1, options, cli_settings_options(&r.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0)
		done = check(&r);
	if (done < 0) {
		r.given = argv[1];
		done = run(&r);
	}
	reencrypt_show_end(&r.show);
	free(r.vault);
	cli_settings_free(&r.settings);
	cli_settings_free(&r.to_settings);
	return done;
}
