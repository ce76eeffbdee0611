/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fs/cli/open_vault.h"
#include "fs/cli/progress.h"
#include "fs/restore/restore.h"
#include "fs/vault/rescue.h"
#include "kms/base/io.h"
#include "kms/base/json.h"

struct request {
	struct opened_vault opened;
	char *vault, *inside;
	struct restore_options options;
	struct restore_counts total; /* of a count before it, for the bar */
	struct progress progress;
	uint64_t jobs;
	int json;
};

/* ---- What is told ---- */

static const char *const kinds[] = {
	[RESTORE_FAILED] = "failed",
	[RESTORE_ATTRIBUTE] = "attribute",
	[RESTORE_ZEROED] = "zeroed",
	[RESTORE_IN_FLIGHT] = "in-flight",
};

static void print_event(const struct restore_event *e)
{
	const char *path = *e->path ? e->path : "/";

	if (e->kind == RESTORE_ZEROED)
		cli_note("%s: bytes %" PRIu64 " to %" PRIu64 ": %s", path, e->off, e->off + e->len - 1, e->why);
	else
		cli_note("%s: %s%s", path, e->kind == RESTORE_FAILED ? "not restored: " : "", e->why);
}

static void json_event(const struct restore_event *e)
{
	json_t *o = json_object();

	json_object_set_new(o, "event", json_string(kinds[e->kind]));
	json_object_set_new(o, "path", cli_json_text(e->path));
	json_object_set_new(o, "why", cli_json_text(e->why));
	if (e->kind == RESTORE_ZEROED) {
		json_object_set_new(o, "offset", json_integer((json_int_t)e->off));
		json_object_set_new(o, "length", json_integer((json_int_t)e->len));
	}
	cli_json_line(o);
}

/* On a job's thread, while the main thread may draw: what it drew last is overwritten with the next tick. */
static void on_event(void *context, const struct restore_event *e)
{
	struct request *r = context;

	if (r->json) {
		json_event(e);
		return;
	}
	flockfile(stderr);
	if (cli_is_terminal(stderr))
		fputs("\r\033[K", stderr);
	print_event(e);
	funlockfile(stderr);
}

static void ignore_event(void *context, const struct restore_event *e)
{
	(void)context;
	(void)e;
}

static void print_summary(const struct request *r, const struct restore_counts *c)
{
	char bytes[CLI_BYTES_SIZE];

	cli_format_bytes(c->bytes, bytes);
	printf("%s %" PRIu64 " files (%s), %" PRIu64 " folders, %" PRIu64 " others, %" PRIu64 " further names%s%s\n",
		r->options.dry_run ? "Would restore" : "Restored", c->files, bytes, c->directories, c->others, c->links,
		r->options.dry_run ? "" : " to ", r->options.dry_run ? "" : r->options.dest);
	if (c->in_flight)
		printf("%" PRIu64 " were in flight: restored as far as they had been written\n", c->in_flight);
	if (c->incomplete)
		printf("%" PRIu64 " were restored incompletely: see above\n", c->incomplete);
	if (c->failed)
		printf("%" PRIu64 " were not restored: see above\n", c->failed);
}

/* A refusal at the beginning restored nothing, and says enough. */
static int has_anything(const struct restore_counts *c)
{
	return c->files || c->directories || c->others || c->links || c->failed;
}

static void json_summary(const struct request *r, const struct restore_counts *c, enum err e)
{
	json_t *o = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "event", "done", "complete",
		e == ERR_OK && !c->failed && !c->incomplete, "files", (json_int_t)c->files, "directories",
		(json_int_t)c->directories, "others", (json_int_t)c->others, "links", (json_int_t)c->links, "bytes",
		(json_int_t)c->bytes, "failed", (json_int_t)c->failed, "incomplete", (json_int_t)c->incomplete,
		"in_flight", (json_int_t)c->in_flight, "seconds", progress_seconds(&r->progress));

	cli_json_line(o);
}

/* ---- Doing it ---- */

static enum err watch(struct request *r, struct restore *restore)
{
	int stopped = 0;

	while (!restore_wait(restore, PROGRESS_TICK_MS)) {
		struct restore_counts c;

		if (opened_vault_was_interrupted() && !stopped++)
			restore_stop(restore);
		restore_progress(restore, &c);
		const struct progress_now now = {.doing = r->options.dry_run ? "counted" : "restored",
			.files = c.files + c.others + c.links,
			.bytes = c.bytes,
			.of_files = r->total.files + r->total.others,
			.of_bytes = r->total.bytes,
			.troubles = c.failed + c.incomplete};
		progress_tick(&r->progress, &now);
	}
	progress_clear(&r->progress);
	return ERR_OK;
}

/* For the bar: how much there is. Not worth a second walk where nobody looks. */
static enum err count_first(struct request *r)
{
	struct restore_options o = r->options;
	struct restore *restore;

	if (r->json || r->options.dry_run || !cli_is_terminal(stderr))
		return ERR_OK;
	o.dry_run = 1;
	o.event = ignore_event;
	TRY(restore_start(&o, &restore));
	while (!restore_wait(restore, PROGRESS_TICK_MS))
		if (opened_vault_was_interrupted())
			restore_stop(restore);
	return restore_finish(restore, &r->total);
}

static enum err run(struct request *r, struct restore_counts *ret)
{
	struct vault_open_options open = {.path = r->vault, .read_only = 1, .beside = 1, .holder = "signetfs restore"};
	struct restore *restore;

	TRY(opened_vault_open(&r->opened, &open));
	if (rescue_is_held(r->opened.vault))
		cli_note("%s is mounted: what the mount has not written to it yet is not restored", r->vault);
	r->options.vault = r->opened.vault;
	opened_vault_catch_signals();
	progress_begin(&r->progress, r->json);
	TRY(count_first(r));
	TRY(restore_start(&r->options, &restore));
	TRY(watch(r, restore));
	return restore_finish(restore, ret);
}

static int restore_as_asked(struct request *r, char **argv)
{
	struct restore_counts counts = {0};
	enum err e = opened_vault_split(argv[1], &r->vault, &r->inside), closing;

	if (e != ERR_OK)
		return cli_fail(e, "restoring %s", argv[1]);
	r->options.path = r->inside;
	r->options.dest = argv[2];
	r->options.jobs = r->jobs > 64 ? 64 : (unsigned)r->jobs;
	r->options.event = on_event;
	r->options.context = r;
	e = run(r, &counts);
	if (r->json)
		json_summary(r, &counts, e);
	else if (e == ERR_OK || has_anything(&counts))
		print_summary(r, &counts);
	if (e != ERR_OK)
		cli_fail(e, "restoring %s to %s", argv[1], argv[2]);
	int code = e != ERR_OK ? (int)cli_exit_code(e) : counts.failed || counts.incomplete ? CLI_FAILED : CLI_DONE;

	closing = opened_vault_close(&r->opened);
	return closing == ERR_OK ? code : cli_fail(closing, "closing %s", r->vault);
}

int cli_restore(int argc, char **argv)
{
	struct request r = {.json = 0};
	const struct cli_option options[] = {
		{"overwrite", 0, CLI_FLAG, &r.options.overwrite, NULL, "replace files that are in DEST already"},
		{"partial", 0, CLI_FLAG, &r.options.partial, NULL,
			"restore damaged files, too, with zeros in place of what is lost"},
		{"dry-run", 'n', CLI_FLAG, &r.options.dry_run, NULL, "only say how much would be restored"},
		{"jobs", 'j', CLI_NUMBER, &r.jobs, "N", "threads (one a processor)"},
		{"json", 0, CLI_FLAG, &r.json, NULL, "events as lines of JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs restore [OPTION]… VAULT[/PATH] DEST",
		"Decrypt a vault, or a part of it, into the folder DEST, without mounting it. The vault is only read.",
		2, 2, options, cli_settings_options(&r.opened.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0) {
		/* Modes are the vault's. */
		umask(0);
		done = restore_as_asked(&r, argv);
	}
	cli_settings_free(&r.opened.settings);
	free(r.vault);
	free(r.inside);
	return done;
}
