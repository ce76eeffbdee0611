/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/reencrypt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "fs/report/report.h"

/* --report: what the events said, as a page. */

enum { FIGURES = 4, POINTS_MAX = 2000, FAILED_SHOWN = 200 };

static const char *text(const json_t *event, const char *name)
{
	const char *value = json_string_value(json_object_get(event, name));

	return value ? value : "";
}

static const json_t *find(const json_t *events, const char *kind)
{
	const json_t *event, *found = NULL;
	size_t i;

	json_array_foreach ((json_t *)events, i, event)
		if (strcmp(text(event, "event"), kind) == 0)
			found = event;
	return found;
}

static void figure(char out[REPORT_NUMBER_SIZE], const json_t *event, const char *name)
{
	report_number(json_number_value(json_object_get(event, name)), out);
}

static void put_figures(struct report *page, const json_t *end)
{
	char value[FIGURES][REPORT_NUMBER_SIZE];
	const json_t *calls = json_object_get(end, "kms_calls"), *n;
	const char *name;
	double all = 0;

	json_object_foreach ((json_t *)calls, name, n)
		all += json_number_value(n);
	figure(value[0], end, "moved");
	figure(value[1], end, "failed");
	figure(value[2], end, "seconds");
	report_number(all, value[3]);
	const struct report_figure figures[FIGURES] = {{value[0], "files moved", NULL}, {value[1], "failed", NULL},
		{value[2], "seconds", NULL}, {value[3], "KMS calls", "they grow with bucket keys, not with files"}};

	report_figures(page, figures, FIGURES);
}

static void put_progress(struct report *page, const json_t *events)
{
	double x[POINTS_MAX], y[POINTS_MAX];
	const json_t *event;
	size_t i, n = 0;

	json_array_foreach ((json_t *)events, i, event) {
		const char *kind = text(event, "event");

		if (n == POINTS_MAX || (strcmp(kind, "progress") != 0 && strcmp(kind, "end") != 0))
			continue;
		x[n] = json_number_value(json_object_get(event, "seconds"));
		y[n++] = json_number_value(json_object_get(event, "moved"));
	}
	const struct report_series series = {"files moved", x, y, n};
	const struct report_chart chart = {.kind = REPORT_LINES,
		.title = "Files moved",
		.description = "How many files were under the new key, by time since the start.",
		.x_label = "seconds since the start",
		.y_label = "files",
		.series = &series,
		.count = 1};

	if (n > 1)
		report_chart(page, &chart);
}

static void put_failed(struct report *page, const json_t *events)
{
	static const char *const heads[] = {"Path", "Reason"};
	const char *cells[2 * FAILED_SHOWN];
	const json_t *event;
	size_t i, n = 0;

	json_array_foreach ((json_t *)events, i, event) {
		if (n == FAILED_SHOWN || strcmp(text(event, "event"), "failed") != 0)
			continue;
		cells[2 * n] = text(event, "path");
		cells[2 * n++ + 1] = text(event, "reason");
	}
	const struct report_table table = {
		.caption = "The first of them", .columns = 2, .rows = n, .heads = heads, .cells = cells};

	if (n == 0)
		return;
	report_section(page, "Not moved", "They are as they were, and need the key that they are under.");
	report_table(page, &table);
}

enum err reencrypt_report(const json_t *events, const char *path)
{
	const json_t *start = find(events, "start"), *end = find(events, "end");
	int ok = json_is_true(json_object_get(end, "ok"));
	struct report *page;

	TRY(report_begin("Key migration", start ? text(start, "key_arn") : NULL, &page));
	report_verdict(page, ok ? REPORT_GOOD : REPORT_BAD,
		ok ? "Everything that was asked for is under the new key."
		   : "Not everything is done: the old key must stay enabled.",
		NULL, 0);
	if (end)
		put_figures(page, end);
	put_progress(page, events);
	put_failed(page, events);
	return report_end(page, path);
}
