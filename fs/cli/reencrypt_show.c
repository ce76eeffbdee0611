/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/reencrypt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/base/json.h"
#include "kms/base/secret.h"
#include "kms/engine/cost.h"

enum { BAR_WIDTH = 30, PLAIN_SECONDS = 10, LABEL_WIDTH = 22, REPORT_EVENTS_MAX = 10000 };

static const char *text(const json_t *event, const char *name)
{
	const char *value = json_string_value(json_object_get(event, name));

	return value ? value : "";
}

static uint64_t number(const json_t *event, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(event, name));
}

static double real(const json_t *event, const char *name)
{
	return json_number_value(json_object_get(event, name));
}

/* ---- Progress: a bar on a terminal, a line now and then elsewhere ---- */

static void clear_bar(struct reencrypt_show *s)
{
	if (s->drawn)
		fprintf(stderr, "\r\033[K");
	s->drawn = 0;
}

static void draw_bar(struct reencrypt_show *s, const json_t *e)
{
	uint64_t done = number(e, "moved") + number(e, "failed"), total = number(e, "total");
	double seconds = real(e, "seconds"), rate = seconds > 0 ? (double)done / seconds : 0;
	unsigned filled = total ? (unsigned)(done * BAR_WIDTH / total) : 0;
	char left[32] = "";

	if (filled > BAR_WIDTH)
		filled = BAR_WIDTH;
	if (rate > 0 && total > done)
		snprintf(left, sizeof(left), ", %.0f s left", (double)(total - done) / rate);
	fprintf(stderr, "\r\033[K[%.*s%*s] %" PRIu64 " of %" PRIu64 " files, %.0f/s%s", (int)filled,
		"##############################", (int)(BAR_WIDTH - filled), "", done, total, rate, left);
	fflush(stderr);
	s->drawn = 1;
}

static void show_progress(struct reencrypt_show *s, const json_t *e)
{
	uint64_t seconds = (uint64_t)real(e, "seconds");

	if (cli_is_terminal(stderr)) {
		draw_bar(s, e);
		return;
	}
	if (seconds < s->told + PLAIN_SECONDS)
		return;
	s->told = seconds;
	fprintf(stderr, "%" PRIu64 " files moved, %" PRIu64 " failed, after %" PRIu64 " s\n", number(e, "moved"),
		number(e, "failed"), seconds);
}

/* ---- Events in words ---- */

static void show_start(struct reencrypt_show *s, const json_t *e)
{
	(void)s;
	printf("%s %s%s%s\n", json_is_true(json_object_get(e, "data")) ? "New data keys under" : "Moving to",
		text(e, "key_arn"), text(e, "backing_key")[0] ? ", backing key " : "", text(e, "backing_key"));
}

static void show_failed(struct reencrypt_show *s, const json_t *e)
{
	clear_bar(s);
	fprintf(stderr, "signetfs: %s: %s\n", text(e, "path"), text(e, "reason"));
}

static void show_superseded(struct reencrypt_show *s, const json_t *e)
{
	clear_bar(s);
	fprintf(stderr, "signetfs: an earlier move, to %s, was not finished; this one takes its place\n",
		text(e, "to"));
}

static void print_calls(const json_t *calls)
{
	const char *name;
	const json_t *n;
	uint64_t all = 0;

	json_object_foreach ((json_t *)calls, name, n) {
		all += (uint64_t)json_integer_value(n);
		if (json_integer_value(n))
			cli_field(stdout, LABEL_WIDTH, name, "%" JSON_INTEGER_FORMAT, json_integer_value(n));
	}
	cli_field(stdout, LABEL_WIDTH, "Cost at AWS", "$%.6f", cost_of_requests(all));
}

static void show_survey(struct reencrypt_show *s, const json_t *e)
{
	struct cli_table *t = cli_table_new(5);
	const char *heading[] = {"FROM KMS KEY", "BACKING KEY", "WRAPPED BY", "FILES", "BYTES"};
	const json_t *row;
	size_t i;

	(void)s;
	cli_table_add(t, heading);
	json_array_foreach (json_object_get(e, "keys"), i, row) {
		char files[24], bytes[CLI_BYTES_SIZE];
		const char *cells[] = {
			text(row, "key_arn"), text(row, "backing_key"), text(row, "wrapped_by"), files, bytes};

		snprintf(files, sizeof(files), "%" PRIu64, number(row, "files"));
		cli_format_bytes(number(row, "bytes"), bytes);
		cli_table_add(t, cells);
	}
	if (number(e, "files") > 0)
		cli_table_print(t, stdout);
	cli_table_free(t);
	cli_field(stdout, LABEL_WIDTH, "Files to move", "%" PRIu64, number(e, "files"));
	cli_field(stdout, LABEL_WIDTH, "Volume key", "%s",
		json_is_true(json_object_get(e, "volume_key")) ? "moves" : "stays");
	cli_field(stdout, LABEL_WIDTH, "To", "%s", text(e, "key_arn"));
	print_calls(json_object_get(e, "kms_calls"));
}

static void show_last(struct reencrypt_show *s, const json_t *e)
{
	double seconds = real(e, "seconds");
	uint64_t moved = number(e, "moved");

	clear_bar(s);
	printf("%" PRIu64 " files moved in %.1f s (%.0f/s), %" PRIu64 " were there already, %" PRIu64 " failed\n",
		moved, seconds, seconds > 0 ? (double)moved / seconds : 0, number(e, "kept") + number(e, "empty"),
		number(e, "failed"));
	print_calls(json_object_get(e, "kms_calls"));
	if (json_is_true(json_object_get(e, "ok")) || moved + number(e, "failed") == 0)
		return;
	fprintf(stderr,
		"Not everything is done. The old key must stay enabled until `signetfs keys` lists nothing under "
		"it; go on with: signetfs reencrypt --resume\n");
}

static const struct {
	const char *event;
	void (*show)(struct reencrypt_show *s, const json_t *e);
} kinds[] = {
	{"start", show_start},
	{"progress", show_progress},
	{"failed", show_failed},
	{"superseded", show_superseded},
	{"survey", show_survey},
	{"end", show_last},
};

static void print_json(const json_t *event)
{
	size_t len;
	char *line = json_text(event, &len);

	if (line)
		puts(line);
	fflush(stdout);
	secret_heap_free(line);
}

static void keep(struct reencrypt_show *s, const json_t *event)
{
	if (!s->events)
		s->events = json_array();
	if (json_array_size(s->events) < REPORT_EVENTS_MAX)
		json_array_append_new(s->events, json_deep_copy(event));
}

void reencrypt_show_event(void *context, const json_t *event)
{
	struct reencrypt_show *s = context;
	const char *what = text(event, "event");

	if (s->report)
		keep(s, event);
	if (s->json) {
		print_json(event);
		return;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].event, what) == 0)
			kinds[i].show(s, event);
}

int reencrypt_show_wants_total(const struct reencrypt_show *s)
{
	return !s->json && cli_is_terminal(stderr);
}

void reencrypt_show_end(struct reencrypt_show *s)
{
	clear_bar(s);
	if (s->events && s->report) {
		enum err e = reencrypt_report(s->events, s->report);

		if (e != ERR_OK)
			cli_fail(e, "writing the report %s", s->report);
	}
	json_decref(s->events);
	s->events = NULL;
}
