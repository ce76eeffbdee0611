/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

#include <string.h>

enum { LANE = 30, LEFT = 130, RIGHT = 24, TOP = 14, MARK = 11, MARK_ROW = 26, MARK_ROWS = 6, AXIS_HEIGHT = 44 };

struct timescale {
	struct scale x;
	double events_top, axis;
	size_t lanes, rows;
};

static int starts_lane(const struct report_timeline *t, size_t i)
{
	return i == 0 || strcmp(t->spans[i].lane, t->spans[i - 1].lane) != 0;
}

static double last_moment(const struct report_timeline *t)
{
	double last = 0;

	for (size_t i = 0; i < t->event_count; i++)
		if (t->events[i].seconds > last)
			last = t->events[i].seconds;
	for (size_t i = 0; i < t->span_count; i++)
		if (t->spans[i].to > last)
			last = t->spans[i].to;
	return last;
}

/* The first row in which the mark does not lie on the one before it; the last one takes what finds no room. */
static size_t row_of(double x, double free_from[MARK_ROWS])
{
	size_t row = 0;

	while (row + 1 < MARK_ROWS && x - MARK < free_from[row])
		row++;
	free_from[row] = x + MARK + 2;
	return row;
}

static size_t rows_needed(const struct report_timeline *t, const struct scale *x)
{
	double free_from[MARK_ROWS] = {0};
	size_t rows = t->event_count > 0;

	for (size_t i = 0; i < t->event_count; i++) {
		size_t row = row_of(scale_place(x, t->events[i].seconds), free_from);
		if (row + 1 > rows)
			rows = row + 1;
	}
	return rows;
}

static void fit(const struct report_timeline *t, struct timescale *s)
{
	double last = last_moment(t);

	scale_fit(&s->x, 0, last, 0);
	if (last > 0)
		s->x.to = last;
	s->x.start = LEFT;
	s->x.end = SVG_WIDTH - RIGHT;
	s->lanes = 0;
	for (size_t i = 0; i < t->span_count; i++)
		s->lanes += starts_lane(t, i);
	s->rows = rows_needed(t, &s->x);
	s->events_top = TOP + (double)s->lanes * LANE + 6;
	s->axis = s->events_top + (double)s->rows * MARK_ROW + 4;
}

static void put_axis(struct report *r, const struct timescale *s)
{
	char number[REPORT_NUMBER_SIZE];

	for (size_t i = 0; i < s->x.count && s->x.tick[i] <= s->x.to; i++) {
		double x = scale_place(&s->x, s->x.tick[i]);

		fprintf(r->out, "<path class='grid' d='M%.1f %dV%.1f'/>", x, TOP - 6, s->axis);
		report_number(s->x.tick[i], number);
		markup_label(r, x, s->axis + 17, "class='tick' text-anchor='middle'", number, 24);
	}
	fprintf(r->out, "<path class='axis' d='M%d %.1fH%d'/>\n", LEFT, s->axis, SVG_WIDTH - RIGHT);
	markup_label(
		r, SVG_WIDTH - RIGHT, s->axis + 36, "class='label' text-anchor='end'", "seconds since the start", 40);
}

static void put_spans(struct report *r, const struct report_timeline *t, const struct timescale *s)
{
	double y = TOP - LANE;

	for (size_t i = 0; i < t->span_count; i++) {
		const struct report_span *span = &t->spans[i];
		double from = scale_place(&s->x, span->from), to = scale_place(&s->x, span->to);
		double width = to - from > 3 ? to - from : 3;

		if (starts_lane(t, i)) {
			y += LANE;
			markup_label(r, LEFT - 10, y + 16, "class='name' text-anchor='end'", span->lane, 16);
		}
		fprintf(r->out, "<rect class='span %s' x='%.1f' y='%.1f' width='%.1f' height='%d' rx='3'><title>",
			markup_mood(span->mood), from, y, width, LANE - 7);
		markup_text(r, span->what);
		fputs("</title></rect>", r->out);
		if (width > markup_width("letters"))
			markup_label(r, from + 7, y + 16, "class='inside'", span->what, (unsigned)((width - 8) / 7.4));
	}
}

/* @lines: the lines down to the axis, which come first, so that none crosses a number. */
static void put_marks(struct report *r, const struct report_timeline *t, const struct timescale *s, int lines)
{
	double free_from[MARK_ROWS] = {0};

	for (size_t i = 0; i < t->event_count; i++) {
		const struct report_event *e = &t->events[i];
		double x = scale_place(&s->x, e->seconds);
		double y = s->axis - 14 - (double)row_of(x, free_from) * MARK_ROW;

		fprintf(r->out, "<g class='mark %s'>", markup_mood(e->mood));
		if (lines) {
			fprintf(r->out, "<path d='M%.1f %.1fV%.1f'/></g>\n", x, y, s->axis);
			continue;
		}
		markup_element(r, "title", e->what);
		fprintf(r->out,
			"<circle cx='%.1f' cy='%.1f' r='%d'/><text x='%.1f' y='%.1f' "
			"text-anchor='middle'>%zu</text></g>\n",
			x, y, MARK, x, y + 4, i + 1);
	}
}

static void put_list(struct report *r, const struct report_timeline *t)
{
	fputs("<div class='scroll'><table class='events'><tr><th class='r'>#</th><th class='r'>seconds</th><th>what "
	      "happened</th><th></th></tr>\n",
		r->out);
	for (size_t i = 0; i < t->event_count; i++) {
		const struct report_event *e = &t->events[i];

		fprintf(r->out, "<tr><td class='r'>%zu</td><td class='r'>%.2f</td><td><span class='sign %s'>%s</span> ",
			i + 1, e->seconds, markup_mood(e->mood), markup_sign(e->mood));
		markup_text(r, e->what);
		fputs("</td>", r->out);
		markup_element(r, "td class='quiet'", e->detail);
		fputs("</tr>\n", r->out);
	}
	fputs("</table></div>\n", r->out);
}

void report_timeline(struct report *r, const struct report_timeline *t)
{
	struct timescale s;

	fit(t, &s);
	fputs("<figure><figcaption>", r->out);
	markup_element(r, "strong", t->title);
	fputs("<span>", r->out);
	markup_text(r, t->description);
	fputs("</span></figcaption>\n", r->out);
	markup_svg_begin(r, s.axis + AXIS_HEIGHT, t->title, t->description);
	put_axis(r, &s);
	put_spans(r, t, &s);
	put_marks(r, t, &s, 1);
	put_marks(r, t, &s, 0);
	markup_svg_end(r);
	if (t->event_count)
		put_list(r, t);
	fputs("</figure>\n", r->out);
}
