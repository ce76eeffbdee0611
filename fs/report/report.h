/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REPORT_H
#define SIGNETFS_REPORT_H

/*
 * One page of HTML that says what a command did: sentences, key figures, tables, charts (inline SVG) and timelines.
 *
 * The page is self-contained: no script, no font, no image, nothing that is fetched (a content security policy in it forbids that,
 * too). It follows the reader's light or dark setting, prints, and never tells two things apart by colour alone. Charts have a title,
 * a description and their numbers as a table. It is well-formed XML as well, so that programs can read it.
 *
 * Every text that is passed in is text, never markup: file names, error messages and key names may hold anything. It is copied at
 * once. Bytes that are no UTF-8 and control characters become '?'.
 *
 * A page grows in memory. Calls between report_begin() and report_end() cannot fail for the caller: what goes wrong (memory) is
 * said by report_end(), which then writes nothing. One thread at a time.
 *
 *	TRY(report_begin("Key migration", "vault /srv/vault", &page));
 *	report_section(page, "Files by key", NULL);
 *	report_chart(page, &chart);
 *	return report_end(page, "migration.html");
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

struct report;

/** @subtitle may be NULL. End with report_end(), or report_drop() to leave no page. */
enum err report_begin(const char *title, const char *subtitle, struct report **ret);
/** Replace @path atomically by the page (mode 0600: it names files and keys) and free it, also on failure. */
enum err report_end(struct report *r, const char *path);
void report_drop(struct report *r); /* NULL is fine */

/** A heading, and a paragraph below it unless @text is NULL. */
void report_section(struct report *r, const char *heading, const char *text);
void report_text(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** How a thing went. Shown by a sign and a word as well as by colour. */
enum report_mood { REPORT_PLAIN, REPORT_GOOD, REPORT_CAUTION, REPORT_BAD };

struct report_figure {
	const char *value; /* "99.998 %" */
	const char *label; /* "fewer KMS calls" */
	const char *note;  /* a few words more, or NULL */
};
/** The few numbers that matter, large. */
void report_figures(struct report *r, const struct report_figure *figures, size_t count);

struct report_check {
	enum report_mood
		mood; /* GOOD: held, BAD: did not, CAUTION: held with a reservation, PLAIN: was not looked at */
	const char *what, *detail;
};
/** The answer in a sentence, and what it rests on. */
void report_verdict(
	struct report *r, enum report_mood mood, const char *sentence, const struct report_check *checks, size_t count);

struct report_table {
	const char *caption; /* NULL: none */
	size_t columns, rows;
	const char *const *heads; /* columns */
	const char *const *cells; /* rows × columns, row by row; NULL is an empty cell */
	const char *align;        /* a letter for each column, 'l' or 'r'; NULL: all left */
};
void report_table(struct report *r, const struct report_table *t);

struct report_series {
	const char *name;
	const double *x; /* lines: ascending; bars: NULL */
	const double *y; /* not negative */
	size_t count;
};

enum report_chart_kind { REPORT_LINES, REPORT_STEPS, REPORT_BARS };
enum { REPORT_SERIES_MAX = 6 };

struct report_chart {
	enum report_chart_kind kind; /* STEPS: a line that keeps its value up to the next point, for counters */
	const char *title;
	const char *description; /* one sentence: what is to be seen; it is the chart for those who do not see it */
	const char *x_label;     /* "seconds since the start"; lines only */
	const char *y_label;     /* "KMS calls", with its unit */
	int logarithmic;         /* the scale of the values */
	const char *const *categories; /* bars: as many as each series has points */
	const struct report_series *series;
	size_t count; /* at most REPORT_SERIES_MAX */
};
void report_chart(struct report *r, const struct report_chart *c);

struct report_event {
	double seconds; /* since the start */
	enum report_mood mood;
	const char *what, *detail; /* @detail may be NULL */
};
struct report_span {
	double from, to; /* seconds */
	enum report_mood mood;
	const char *lane, *what; /* spans that follow each other with the same lane share a row */
};
struct report_timeline {
	const char *title, *description;
	const struct report_event *events;
	size_t event_count;
	const struct report_span *spans;
	size_t span_count;
};
/** Spans as bars above a time axis, events as numbers on it, and the events as a table. */
void report_timeline(struct report *r, const struct report_timeline *t);

/** "8,376", "0.25", "1.2e-05": a number for people, in charts and elsewhere. */
enum { REPORT_NUMBER_SIZE = 48 };
void report_number(double value, char out[REPORT_NUMBER_SIZE]);

#endif
