/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include "fs/cli/cli.h"
#include "fs/fuse/control.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { CLEAR_FROM = 1 };

static void pause_seconds(uint64_t seconds)
{
	const struct timespec pause = {.tv_sec = (time_t)seconds};

	fflush(stdout);
	nanosleep(&pause, NULL);
}

struct stats {
	int json, prometheus;
	uint64_t every; /* seconds; 0: once */
	const char *point;
};

static enum err print_json(const json_t *s)
{
	size_t len;
	char *text = json_text(s, &len);

	if (!text)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	puts(text);
	secret_heap_free(text);
	return ERR_OK;
}

static enum err show(const struct stats *o, unsigned turn)
{
	json_t *s AUTO_JSON = NULL;
	int for_people = !o->json && !o->prometheus;

	TRY(control_ask(o->point, "stats", &s));
	if (turn >= CLEAR_FROM && for_people)
		fputs(cli_is_terminal(stdout) ? "\033[H\033[2J" : "\n", stdout);
	if (o->json)
		return print_json(s);
	if (o->prometheus)
		stats_prometheus(s, stdout);
	else
		stats_table(s, stdout);
	return ERR_OK;
}

static enum err run(const struct stats *o)
{
	enum err e = show(o, 0);

	for (unsigned turn = 1; e == ERR_OK && o->every && cli_finish(CLI_DONE) == CLI_DONE; turn++) {
		pause_seconds(o->every);
		e = show(o, turn);
	}
	return e;
}

int cli_stats(int argc, char **argv)
{
	struct stats o = {.json = 0};
	const struct cli_option options[] = {
		{"json", 0, CLI_FLAG, &o.json, NULL, "one line of JSON"},
		{"prometheus", 0, CLI_FLAG, &o.prometheus, NULL, "Prometheus's text format"},
		{"watch", 'w', CLI_EVERY, &o.every, "[SECONDS]",
			"again every second, or so many, until interrupted or unmounted"},
		{NULL, 0, CLI_FLAG, NULL, NULL, NULL},
	};
	const struct cli_usage usage = {"signetfs stats [--json | --prometheus] [--watch [SECONDS]] MOUNTPOINT",
		"What a mount has done: KMS calls made and avoided, what they cost, the bucket-key cache, files and "
		"bytes, how long things took.",
		1, 1, options, NULL};
	int operands, done = cli_parse(&usage, argc, argv, &operands);

	if (done >= 0)
		return done;
	if (o.json && o.prometheus)
		return cli_wrong_usage("stats", "--json and --prometheus are two forms of the same: give one");
	char *point = realpath(argv[1], NULL);
	o.point = point ? point : argv[1];
	enum err e = run(&o);
	free(point);
	return e == ERR_OK ? CLI_DONE : cli_fail(e, "asking the mount at %s", argv[1]);
}
