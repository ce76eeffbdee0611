/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/story.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/clock.h"
#include "kms/base/encode.h"
#include "kms/base/latency.h"

/* A text that may be NULL into an array, cut to what it holds. */
#define COPY(to, text) copy(to, sizeof(to), text)
static void copy(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

struct story *story_new(const char *name, const char *summary)
{
	struct story *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	COPY(r->name, name);
	COPY(r->summary, summary);
	r->start = latency_now();
	return r;
}

double story_now(const struct story *r)
{
	return (double)(latency_now() - r->start) / (double)CLOCK_SECOND;
}

static void say(const struct story *r, enum report_mood mood, const char *what, const char *detail)
{
	static const char *const signs[] = {"    ", "ok  ", "note", "FAIL"};
	char line[3 * STORY_TEXT];

	snprintf(line, sizeof line, "%8.2f s  %s  %s%s%s", story_now(r), signs[mood], what, detail[0] ? ": " : "",
		detail);
	if (r->say)
		r->say(r->context, line);
}

static void format(char *out, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
static void format(char *out, size_t size, const char *fmt, va_list ap)
{
	vsnprintf(out, size, fmt, ap);
	encode_utf8_repair(out);
}

void story_event(struct story *r, enum report_mood mood, const char *fmt, ...)
{
	va_list ap;

	if (r->events == STORY_MAX)
		return;
	va_start(ap, fmt);
	format(r->event[r->events].what, STORY_TEXT, fmt, ap);
	va_end(ap);
	r->event[r->events].seconds = story_now(r);
	r->event[r->events].mood = mood;
	/* Bad events are part of the play: only a check can fail. */
	say(r, mood == REPORT_BAD ? REPORT_CAUTION : mood, r->event[r->events++].what, "");
}

void story_phase(struct story *r, enum report_mood mood, const char *lane, const char *what)
{
	double now = story_now(r);

	for (size_t i = 0; i < r->spans; i++)
		if (r->span[i].to < 0 && strcmp(r->span[i].lane, lane) == 0)
			r->span[i].to = now;
	if (!what || r->spans == STORY_MAX)
		return;
	r->span[r->spans].from = now;
	r->span[r->spans].to = -1;
	r->span[r->spans].mood = mood;
	COPY(r->span[r->spans].lane, lane);
	COPY(r->span[r->spans].what, what);
	r->spans++;
}

static void add_check(struct story *r, enum report_mood mood, const char *what, const char *detail)
{
	r->failed += mood == REPORT_BAD;
	say(r, mood, what, detail);
	if (r->checks == STORY_MAX)
		return;
	r->check[r->checks].mood = mood;
	COPY(r->check[r->checks].what, what);
	COPY(r->check[r->checks].detail, detail);
	r->checks++;
}

int story_check(struct story *r, int held, const char *what, const char *fmt, ...)
{
	char detail[STORY_TEXT];
	va_list ap;

	va_start(ap, fmt);
	format(detail, sizeof detail, fmt, ap);
	va_end(ap);
	add_check(r, held ? REPORT_GOOD : REPORT_BAD, what, detail);
	return held;
}

void story_caution(struct story *r, const char *what, const char *detail)
{
	add_check(r, REPORT_CAUTION, what, detail);
}

void story_stopped(struct story *r, enum err e)
{
	char detail[STORY_TEXT];

	COPY(detail, err_text(e));
	encode_utf8_repair(detail);
	add_check(r, REPORT_BAD, "it could be played to the end", detail);
}

void story_figure(struct story *r, const char *value, const char *label, const char *note)
{
	if (r->figures == STORY_MAX)
		return;
	COPY(r->figure[r->figures].value, value);
	COPY(r->figure[r->figures].label, label);
	COPY(r->figure[r->figures].note, note);
	r->figures++;
}

struct story_chart *story_chart(
	struct story *r, enum report_chart_kind kind, const char *title, const char *description, const char *y_label)
{
	struct story_chart *c = r->charts < STORY_CHARTS ? &r->chart[r->charts++] : NULL;

	if (!c)
		return NULL;
	c->kind = kind;
	COPY(c->title, title);
	COPY(c->description, description);
	COPY(c->y_label, y_label);
	COPY(c->x_label, "seconds since the start");
	return c;
}

int story_held(const struct story *r)
{
	return r->failed == 0 && r->checks > 0;
}

void story_end(struct story *r)
{
	double now = story_now(r);

	for (size_t i = 0; i < r->spans; i++)
		if (r->span[i].to < 0)
			r->span[i].to = now;
}
