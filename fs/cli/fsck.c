/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "fs/cli/open_vault.h"
#include "fs/cli/progress.h"
#include "fs/fsck/fsck.h"
#include "fs/vault/rescue.h"

/* As fsck(8) has them; bits, so that several can be true. Documented in signetfs-fsck(8). */
enum {
	FSCK_EXIT_CLEAN = 0,
	FSCK_EXIT_REPAIRED = 1,
	FSCK_EXIT_LEFT = 4,
	FSCK_EXIT_FAILED = 8,
	FSCK_EXIT_USAGE = 16,
	FSCK_EXIT_INTERRUPTED = 32,
};

struct request {
	struct opened_vault opened;
	struct fsck_options options;
	struct progress progress;
	uint64_t jobs;
	int json;
};

/* ---- Findings ---- */

static const char *const repairs[] = {
	[FSCK_LEFT] = "",
	[FSCK_MOVED] = "moved to .signetfs/lost+found",
	[FSCK_REMOVED] = "removed",
	[FSCK_SETTLED] = "brought up to date",
	[FSCK_REWRITTEN] = "made anew",
};

static void print_finding(const struct fsck_finding *f)
{
	const char *repaired = repairs[f->repair];

	cli_note("%s: %s (%s): %s", fsck_state_name(f->state), *f->plain ? f->plain : "/", fsck_kind_name(f->kind),
		f->why);
	cli_note("    in the vault: %s", f->lower);
	if (f->repair != FSCK_LEFT)
		cli_note("    repaired: %s%s%s", repaired, f->moved_to ? "/" : "", f->moved_to ? f->moved_to : "");
	else if (f->not_repaired)
		cli_note("    could not be repaired: %s", f->not_repaired);
	else
		cli_note("    %s", fsck_advice(f));
}

static void json_finding(const struct fsck_finding *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "event", json_string("finding"));
	json_object_set_new(o, "kind", json_string(fsck_kind_name(f->kind)));
	json_object_set_new(o, "state", json_string(fsck_state_name(f->state)));
	json_object_set_new(o, "path", cli_json_text(f->plain));
	json_object_set_new(o, "lower", cli_json_text(f->lower));
	json_object_set_new(o, "why", cli_json_text(f->why));
	json_object_set_new(o, "repaired", json_boolean(f->repair != FSCK_LEFT));
	json_object_set_new(
		o, "what_next", cli_json_text(f->repair == FSCK_LEFT ? fsck_advice(f) : repairs[f->repair]));
	if (f->moved_to)
		json_object_set_new(o, "moved_to", cli_json_text(f->moved_to));
	if (f->not_repaired)
		json_object_set_new(o, "not_repaired", cli_json_text(f->not_repaired));
	if (f->chunks) {
		json_object_set_new(o, "chunks", json_integer((json_int_t)f->chunks));
		json_object_set_new(o, "offset", json_integer((json_int_t)f->off));
		json_object_set_new(o, "length", json_integer((json_int_t)f->len));
	}
	cli_json_line(o);
}

static void on_finding(void *context, const struct fsck_finding *f)
{
	const struct request *r = context;

	if (r->json) {
		json_finding(f);
		return;
	}
	flockfile(stderr);
	if (cli_is_terminal(stderr))
		fputs("\r\033[K", stderr);
	print_finding(f);
	funlockfile(stderr);
}

/* ---- The end ---- */

static int exit_code(const struct fsck_counts *c)
{
	uint64_t found = 0, left = 0;
	int code = FSCK_EXIT_CLEAN;

	for (int i = 0; i < FSCK_STATES; i++) {
		found += c->found[i];
		left += c->left[i];
	}
	if (found > left)
		code |= FSCK_EXIT_REPAIRED;
	if (c->left[FSCK_DAMAGED] || c->lost)
		code |= FSCK_EXIT_LEFT;
	if (c->left[FSCK_UNCHECKED])
		code |= FSCK_EXIT_FAILED;
	return code;
}

static const char *verdict(const struct fsck_counts *c)
{
	if (c->left[FSCK_UNCHECKED])
		return "not everything could be checked";
	if (c->left[FSCK_DAMAGED])
		return "damaged";
	if (c->lost)
		return "usable, but for what was in flight and cannot be read whole";
	return c->left[FSCK_IN_FLIGHT] ? "usable; some files were in flight" : "clean";
}

static void print_summary(const struct request *r, const char *vault, const struct fsck_counts *c)
{
	char bytes[CLI_BYTES_SIZE];

	cli_format_bytes(c->bytes, bytes);
	printf("%s: %s\n", vault, verdict(c));
	printf("checked %" PRIu64 " files (%s%s), %" PRIu64 " folders, %" PRIu64 " others in %.1f s\n", c->files, bytes,
		r->options.read_data ? ", every byte" : ", contents not read", c->directories, c->others,
		progress_seconds(&r->progress));
	for (int i = 0; i < FSCK_STATES; i++)
		if (c->found[i])
			printf("%s: %" PRIu64 ", repaired %" PRIu64 "\n", fsck_state_name((enum fsck_state)i),
				c->found[i], c->found[i] - c->left[i]);
	if (c->forgot_sessions)
		puts("the list of sessions that had not ended cleanly is empty now");
}

static void json_summary(const struct request *r, const struct fsck_counts *c, int code)
{
	json_t *o = json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:f}", "event", "done", "verdict", verdict(c),
		"exit", code, "files", (json_int_t)c->files, "directories", (json_int_t)c->directories, "others",
		(json_int_t)c->others, "bytes", (json_int_t)c->bytes, "sessions_cleared", c->forgot_sessions, "seconds",
		progress_seconds(&r->progress));

	for (int i = 0; o && i < FSCK_STATES; i++)
		json_object_set_new(o, fsck_state_name((enum fsck_state)i),
			json_pack("{s:I, s:I}", "found", (json_int_t)c->found[i], "left", (json_int_t)c->left[i]));
	cli_json_line(o);
}

/* ---- Doing it ---- */

static void watch(struct request *r, struct fsck *fsck)
{
	int stopped = 0;

	while (!fsck_wait(fsck, PROGRESS_TICK_MS)) {
		struct fsck_counts c;

		if (opened_vault_was_interrupted() && !stopped++)
			fsck_stop(fsck);
		fsck_progress(fsck, &c);
		const struct progress_now now = {.doing = "checked",
			.files = c.files + c.others,
			.bytes = c.bytes,
			.troubles = c.found[FSCK_DAMAGED] + c.found[FSCK_UNCHECKED]};
		progress_tick(&r->progress, &now);
	}
	progress_clear(&r->progress);
}

static enum err run(struct request *r, const char *path, struct fsck_counts *ret)
{
	struct vault_open_options open = {.path = path,
		.read_only = !r->options.repair,
		.beside = 1,
		.forgiving = 1,
		.holder = "signetfs fsck --repair"};
	struct fsck *fsck;

	TRY(opened_vault_open(&r->opened, &open));
	r->options.vault = r->opened.vault;
	if (rescue_is_held(r->opened.vault))
		cli_note("%s is mounted: what is being written is looked at again, and called in flight", path);
	opened_vault_catch_signals();
	progress_begin(&r->progress, r->json);
	TRY(fsck_start(&r->options, &fsck));
	watch(r, fsck);
	return fsck_finish(fsck, ret);
}

/* What keeps us from looking into the vault at all: its own records, or everything else. */
static int code_of(enum err e)
{
	return e == ERR_INTERRUPTED                 ? FSCK_EXIT_INTERRUPTED
	       : e == ERR_USAGE || e == ERR_CONFIG  ? FSCK_EXIT_USAGE
	       : err_is_damage(e) || e == ERR_VAULT ? FSCK_EXIT_LEFT
						    : FSCK_EXIT_FAILED;
}

static int check(struct request *r, const char *path)
{
	struct fsck_counts counts = {0};
	enum err e, closing;
	int code;

	r->options.jobs = r->jobs > 64 ? 64 : (unsigned)r->jobs;
	r->options.finding = on_finding;
	r->options.context = r;
	e = run(r, path, &counts);
	code = exit_code(&counts) | (e == ERR_OK ? 0 : code_of(e));
	if (e != ERR_OK)
		cli_fail(e, "checking %s", path);
	closing = opened_vault_close(&r->opened);
	if (closing != ERR_OK) {
		cli_fail(closing, "closing %s", path);
		code |= FSCK_EXIT_FAILED;
	}
	if (r->json)
		json_summary(r, &counts, code);
	else if (e == ERR_OK)
		print_summary(r, path, &counts);
	return code;
}

int cli_fsck(int argc, char **argv)
{
	struct request r = {.json = 0};
	const struct cli_option options[] = {
		{"read-data", 0, CLI_FLAG, &r.options.read_data, NULL, "check every byte of every file, too"},
		{"repair", 0, CLI_FLAG, &r.options.repair, NULL,
			"mend what a crash left; put what is damaged aside, in .signetfs/lost+found"},
		{"jobs", 'j', CLI_NUMBER, &r.jobs, "N", "threads (one a processor)"},
		{"json", 0, CLI_FLAG, &r.json, NULL, "findings as lines of JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs fsck [OPTION]… VAULT",
		"Check a vault: its records, names, headers and sizes, and with --read-data every byte. Without "
		"--repair "
		"nothing is changed. Exit status: 0 clean, 1 repaired, 4 damage left, 8 not everything could be "
		"checked.",
		1, 1, options, cli_settings_options(&r.opened.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done < 0)
		done = check(&r, argv[1]);
	else if (done == CLI_WRONG_USAGE)
		done = FSCK_EXIT_USAGE;
	cli_settings_free(&r.opened.settings);
	return done;
}
