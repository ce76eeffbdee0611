/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/drill.h"

#include <stdlib.h>
#include <string.h>
#include "fs/cli/cli.h"
#include "fs/cli/drill_real.h"
#include "fs/cli/rehearse.h"
#include "fs/fuse/mount.h"
#include "fs/vault/vault.h"
#include "kms/base/json.h"

enum { FILES_DEFAULT = 50, FILES_MAX = 100000, OPTIONS_MAX = 16 };

struct drill_request {
	const char *report;
	uint64_t files;
	int json;
	json_t *results; /* --json: one for each that was played */
	size_t failed;
	struct own_vault own;
	struct drill_real real;
	struct cli_settings settings; /* which KMS is that vault's */
	const char *passed[OPTIONS_MAX];
};

/* What was said of the person's own KMS, for the command that reads their vault. */
static void pass_options(struct drill_request *q)
{
	const struct cli_settings *s = &q->settings;
	const struct {
		const char *option, *value;
	} given[] = {{"--kms", s->given[CLI_SET_ENDPOINT]}, {"--region", s->given[CLI_SET_REGION]},
		{"--keystore", s->given[CLI_SET_KEYSTORE]}, {"--root-key", s->given[CLI_SET_ROOT_KEY]},
		{"--ca-file", s->given[CLI_SET_CA_FILE]}, {"--config", s->config_file}};
	size_t n = 0;

	for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
		if (given[i].value) {
			q->passed[n++] = given[i].option;
			q->passed[n++] = given[i].value;
		}
	if (s->insecure_http)
		q->passed[n++] = "--insecure-http";
	q->own.options = q->passed;
}

/* A word now rather than in the middle of the drill. -1: go on. */
static int take_vault(struct drill_request *q, const char *given, char **ret_path)
{
	struct descriptor d;
	struct mount_info info;

	if (!given)
		return -1;
	*ret_path = cli_absolute(given);
	if (!*ret_path)
		return cli_error("out of memory");
	enum err e = vault_read_descriptor(*ret_path, &d);
	if (e != ERR_OK)
		return cli_fail(e, "looking at the vault %s", given);
	q->own.vault = *ret_path;
	q->own.mounted = mount_find_source(*ret_path, &info) == ERR_OK;
	pass_options(q);
	return -1;
}

static int list_drills(void)
{
	for (const struct drill *d = drills; d->name; d++)
		printf("%-14s %s\n", d->name, d->summary);
	return CLI_DONE;
}

/* "page.html" → "page-rotation.html", where several are written. */
static char *page_name(const char *report, const char *drill)
{
	const char *dot = strrchr(report, '.'), *slash = strrchr(report, '/');
	size_t stem = dot && dot > slash ? (size_t)(dot - report) : strlen(report);
	char *name = NULL;

	return asprintf(&name, "%.*s-%s%s", (int)stem, report, drill, report + stem) < 0 ? NULL : name;
}

static enum err write_page(const struct drill_request *q, const struct story *r, int alone)
{
	char *name = alone ? strdup(q->report) : page_name(q->report, r->name);
	enum err e = name ? story_page(r, name) : err_fail(ERR_NO_MEMORY, "out of memory");

	if (e == ERR_OK && !q->json)
		printf("Report: %s\n", name);
	free(name);
	return e;
}

static enum err play_one(struct drill_request *q, const struct drill *d, int alone)
{
	struct story *r = story_new(d->name, d->summary);
	enum err e = ERR_OK;

	if (!r)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	if (!q->json) {
		r->say = rehearse_say;
		printf("Drill %s: %s\n", d->name, d->summary);
	}
	drill_play(d, q->files, &q->own, r);
	q->failed += !story_held(r);
	if (q->json)
		json_array_append_new(q->results, story_json(r));
	else
		printf("%s: %zu of %zu held, in %.1f s\n", d->name, r->checks - r->failed, r->checks, story_now(r));
	if (q->report)
		e = write_page(q, r, alone);
	free(r);
	return e;
}

static enum err play(struct drill_request *q, const char *name)
{
	const struct drill *one = drill_find(name);

	if (one)
		return play_one(q, one, 1);
	for (const struct drill *d = drills; d->name && !world_interrupted(); d++)
		TRY(play_one(q, d, 0));
	return ERR_OK;
}

static int run(struct drill_request *q, const char *name)
{
	q->results = json_array();
	enum err e = play(q, name);

	if (q->json && json_dumpf(q->results, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(q->results);
	if (e != ERR_OK)
		return cli_fail(e, "playing the drill %s", name);
	return world_interrupted() ? rehearse_interrupted() : q->failed ? CLI_FAILED : CLI_DONE;
}

static int check(const struct drill_request *q, const char *name, const char *vault)
{
	if (strcmp(name, "all") != 0 && !drill_find(name))
		return cli_wrong_usage("drill", "there is no drill \"%s\"; the names: signetfs drill list", name);
	if (q->files < 10 || q->files > FILES_MAX)
		return cli_wrong_usage("drill", "--files takes 10 to %d", FILES_MAX);
	return drill_real_check(&q->real, name, vault);
}

int cli_drill(int argc, char **argv)
{
	struct drill_request q = {.files = FILES_DEFAULT};
	const char *vault = NULL;
	char *path = NULL;
	const struct cli_option options[] = {
		{"files", 0, CLI_NUMBER, &q.files, "NUMBER", "files in the scratch vault (50)"},
		{"vault", 0, CLI_TEXT, &vault, "VAULT",
			"play with what this vault of yours holds, too; it is only read, with the KMS that is set"},
		{"for-real", 0, CLI_FLAG, &q.real.wanted, NULL,
			"play it with VAULT itself and its key: rotation, migration, compromise; asks first"},
		{"to", 0, CLI_TEXT, &q.real.to, "KEY", "for real: the key to move VAULT to"},
		{"yes", 0, CLI_FLAG, &q.real.yes, NULL, "for real: do not ask"},
		{"report", 0, CLI_TEXT, &q.report, "FILE",
			"write a page of HTML; of all drills one each: FILE-NAME.html"},
		{"json", 0, CLI_FLAG, &q.json, NULL, "print what happened as JSON"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs drill [OPTION]… NAME | all | list",
		"Rehearse an event on a scratch vault and a scratch KMS, under load, and check what must hold. Nothing "
		"of yours is changed, unless --for-real says so.\nExit code 1 when something did not hold. `signetfs "
		"drill list` has the names.",
		1, 1, options, cli_settings_options(&q.settings)};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	if (!strcmp(argv[1], "list"))
		return list_drills();
	done = check(&q, argv[1], vault);
	if (done < 0)
		done = take_vault(&q, vault, &path);
	if (done < 0)
		done = drill_real_begin(&q.real, drill_find(argv[1]), &q.own);
	if (done < 0)
		done = rehearse_begin("a drill mounts its scratch vault");
	if (done < 0)
		done = run(&q, argv[1]);
	free(path);
	cli_settings_free(&q.settings);
	return done;
}
