/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drill/story.h"

/* ---- JSON ---- */

static json_t *events_json(const struct story *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->events; i++)
		json_array_append_new(
			list, json_pack("{s:f, s:s}", "seconds", r->event[i].seconds, "what", r->event[i].what));
	return list;
}

static json_t *checks_json(const struct story *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->checks; i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s}", "what", r->check[i].what, "held",
						    r->check[i].mood != REPORT_BAD, "caution",
						    r->check[i].mood == REPORT_CAUTION, "detail", r->check[i].detail));
	return list;
}

static json_t *phases_json(const struct story *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->spans; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "lane", r->span[i].lane, "what",
						    r->span[i].what, "from", r->span[i].from, "to", r->span[i].to));
	return list;
}

static json_t *figures_json(const struct story *r)
{
	json_t *object = json_object();

	for (size_t i = 0; i < r->figures; i++)
		json_object_set_new(object, r->figure[i].label, json_string(r->figure[i].value));
	return object;
}

json_t *story_json(const struct story *r)
{
	return json_pack("{s:s, s:b, s:f, s:o, s:o, s:o, s:o}", "name", r->name, "held", story_held(r), "seconds",
		story_now(r), "checks", checks_json(r), "events", events_json(r), "phases", phases_json(r), "figures",
		figures_json(r));
}

/* ---- The page ---- */

static void put_verdict(const struct story *r, struct report *page)
{
	struct report_check checks[STORY_MAX];
	char sentence[STORY_WORD] = "Everything that must hold did hold.";

	for (size_t i = 0; i < r->checks; i++)
		checks[i] = (struct report_check){r->check[i].mood, r->check[i].what, r->check[i].detail};
	if (!story_held(r))
		snprintf(sentence, sizeof sentence, "%zu of %zu did not hold.", r->failed, r->checks);
	report_verdict(page, story_held(r) ? REPORT_GOOD : REPORT_BAD, sentence, checks, r->checks);
}

static void put_figures(const struct story *r, struct report *page)
{
	struct report_figure figures[STORY_MAX];

	for (size_t i = 0; i < r->figures; i++)
		figures[i] = (struct report_figure){
			r->figure[i].value, r->figure[i].label, r->figure[i].note[0] ? r->figure[i].note : NULL};
	if (r->figures)
		report_figures(page, figures, r->figures);
}

static void put_timeline(const struct story *r, struct report *page)
{
	struct report_event events[STORY_MAX];
	struct report_span spans[STORY_MAX];
	size_t n = 0;

	for (size_t i = 0; i < r->events; i++)
		events[i] = (struct report_event){r->event[i].seconds, r->event[i].mood, r->event[i].what, NULL};
	/* Lane by lane, in the order in which lanes appeared. */
	for (size_t i = 0; i < r->spans; i++) {
		int first = 1;

		for (size_t k = 0; k < i; k++)
			first &= strcmp(r->span[k].lane, r->span[i].lane) != 0;
		for (size_t k = i; first && k < r->spans; k++)
			if (strcmp(r->span[k].lane, r->span[i].lane) == 0)
				spans[n++] = (struct report_span){r->span[k].from, r->span[k].to, r->span[k].mood,
					r->span[k].lane, r->span[k].what};
	}
	if (r->events + n)
		report_timeline(page, &(struct report_timeline){"What happened when",
					      "Phases as bars, events by their number in the list below.", events,
					      r->events, spans, n});
}

static void put_chart(const struct story_chart *c, struct report *page)
{
	struct report_series series[2];
	const char *categories[STORY_BARS];

	for (size_t i = 0; i < c->count; i++)
		series[i] = (struct report_series){
			c->series[i], c->kind == REPORT_BARS ? NULL : c->x[i], c->y[i], c->points[i]};
	for (size_t i = 0; i < STORY_BARS; i++)
		categories[i] = c->category[i];
	report_chart(page, &(struct report_chart){c->kind, c->title, c->description, c->x_label, c->y_label,
				   c->logarithmic, categories, series, c->count});
}

enum err story_page(const struct story *r, const char *path)
{
	struct report *page;

	TRY(report_begin(r->name, r->summary, &page));
	put_verdict(r, page);
	put_figures(r, page);
	put_timeline(r, page);
	if (r->charts)
		report_section(page, "Measured", NULL);
	for (size_t i = 0; i < r->charts; i++)
		put_chart(&r->chart[i], page);
	return report_end(page, path);
}
