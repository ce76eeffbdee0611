/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_STORY_H
#define SIGNETFS_DRILL_STORY_H

/*
 * What happened in a drill or a bench, for a person, a program and a page: events with their time, phases, checks that held or did not,
 * a few numbers and charts. Threads: one; a workload's counters come in at the end.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "fs/report/report.h"
#include "kms/base/err.h"

enum {
	STORY_MAX = 64,
	STORY_CHARTS = 5,
	STORY_BARS = 12,
	STORY_POINTS = 1200,
	STORY_TEXT = 320,
	STORY_WORD = 96,
};

struct story_chart {
	enum report_chart_kind kind;
	int logarithmic;
	char title[STORY_WORD], description[STORY_TEXT], x_label[STORY_WORD], y_label[STORY_WORD];
	size_t count; /* series */
	char series[2][STORY_WORD];
	size_t points[2];
	char category[STORY_BARS][STORY_WORD]; /* bars */
	double x[2][STORY_POINTS], y[2][STORY_POINTS];
};

struct story {
	char name[STORY_WORD], summary[STORY_TEXT];
	uint64_t start;
	size_t events, spans, checks, figures, charts, failed;
	struct {
		double seconds;
		enum report_mood mood;
		char what[STORY_TEXT];
	} event[STORY_MAX];
	struct {
		double from, to; /* to < 0: goes on */
		enum report_mood mood;
		char lane[STORY_WORD], what[STORY_WORD];
	} span[STORY_MAX];
	struct {
		enum report_mood mood;
		char what[STORY_TEXT], detail[STORY_TEXT];
	} check[STORY_MAX];
	struct {
		char value[STORY_WORD], label[STORY_WORD], note[STORY_WORD];
	} figure[STORY_MAX];
	struct story_chart chart[STORY_CHARTS];
	/* Told at once, a line each; NULL: nobody listens. */
	void (*say)(void *context, const char *line);
	void *context;
};

struct story *story_new(const char *name, const char *summary); /* NULL: memory; free() it */
double story_now(const struct story *r);

void story_event(struct story *r, enum report_mood mood, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** A phase begins; the one before it in the same lane ends. @what NULL: only that. */
void story_phase(struct story *r, enum report_mood mood, const char *lane, const char *what);
/** What must hold. Returns @held. @fmt: by what it is known. */
int story_check(struct story *r, int held, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/** True all the same, and worth knowing: no check. */
void story_caution(struct story *r, const char *what, const char *detail);
void story_figure(struct story *r, const char *value, const char *label, const char *note);
/** The next chart, empty; NULL when there are enough. */
struct story_chart *story_chart(
	struct story *r, enum report_chart_kind kind, const char *title, const char *description, const char *y_label);

/** Something that had to be done could not be: that did not hold either. */
void story_stopped(struct story *r, enum err e);

int story_held(const struct story *r);
void story_end(struct story *r);
json_t *story_json(const struct story *r);
enum err story_page(const struct story *r, const char *path);

#endif
