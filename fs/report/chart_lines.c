/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

#include <string.h>

/* LEFT: room for "1,000,000". */
enum { LEFT = 80, RIGHT = 18, HEIGHT = 320, BOTTOM = 46, TOP = 30, MARKED_POINTS_MAX = 40 };

struct axes {
	struct scale x, y;
};

static void find_range(const struct report_chart *c, double *ret_min, double *ret_max)
{
	int any = 0;

	for (size_t s = 0; s < c->count; s++)
		for (size_t i = 0; i < c->series[s].count; i++) {
			double x = c->series[s].x[i];
			if (!any || x < *ret_min)
				*ret_min = x;
			if (!any || x > *ret_max)
				*ret_max = x;
			any = 1;
		}
}

static void fit_axes(const struct report_chart *c, double top, struct axes *a)
{
	double min = 0, max = 1;

	find_range(c, &min, &max);
	scale_fit(&a->x, min, max, 0);
	/* Time ends where it ended: no empty stretch up to the next round number. */
	if (max > min)
		a->x.to = max;
	a->x.start = LEFT;
	a->x.end = SVG_WIDTH - RIGHT;
	scale_fit(&a->y, c->logarithmic ? chart_smallest(c) : 0, chart_largest(c), c->logarithmic);
	a->y.start = HEIGHT - BOTTOM;
	a->y.end = top;
}

static void put_grid(struct report *r, const struct axes *a)
{
	char number[REPORT_NUMBER_SIZE];

	for (size_t i = 0; i < a->y.count; i++) {
		double y = scale_place(&a->y, a->y.tick[i]);

		fprintf(r->out, "<path class='%s' d='M%d %.1fH%d'/>", i ? "grid" : "axis", LEFT, y, SVG_WIDTH - RIGHT);
		report_number(a->y.tick[i], number);
		markup_label(r, LEFT - 8, y + 4, "class='tick' text-anchor='end'", number, 24);
	}
	for (size_t i = 0; i < a->x.count && a->x.tick[i] <= a->x.to; i++) {
		double x = scale_place(&a->x, a->x.tick[i]);

		fprintf(r->out, "<path class='axis' d='M%.1f %dv5'/>", x, HEIGHT - BOTTOM);
		report_number(a->x.tick[i], number);
		markup_label(r, x, HEIGHT - BOTTOM + 19, "class='tick' text-anchor='middle'", number, 24);
	}
}

static void put_line(struct report *r, const struct report_chart *c, size_t which, const struct axes *a)
{
	const struct report_series *s = &c->series[which];

	fprintf(r->out, "<path class='s%zu line' d='", which);
	for (size_t i = 0; i < s->count; i++) {
		double x = scale_place(&a->x, s->x[i]), y = scale_place(&a->y, s->y[i]);

		if (i && c->kind == REPORT_STEPS)
			fprintf(r->out, "H%.1fV%.1f", x, y);
		else
			fprintf(r->out, "%c%.1f %.1f", i ? 'L' : 'M', x, y);
	}
	fputs("'/>\n", r->out);
}

/* Points of a short series can be pointed at; a single one would not be seen at all without. */
static void put_points(struct report *r, const struct report_series *s, size_t which, const struct axes *a)
{
	char number[REPORT_NUMBER_SIZE];

	for (size_t i = 0; i < s->count && s->count <= MARKED_POINTS_MAX; i++) {
		report_number(s->y[i], number);
		fprintf(r->out, "<circle class='s%zu dot' cx='%.1f' cy='%.1f' r='3'><title>", which,
			scale_place(&a->x, s->x[i]), scale_place(&a->y, s->y[i]));
		markup_text(r, s->name);
		fprintf(r->out, ": %s</title></circle>\n", number);
	}
}

void chart_lines(struct report *r, const struct report_chart *c)
{
	struct axes a;

	markup_svg_begin(r, HEIGHT, c->title, c->description);
	double top = TOP + chart_key(r, c);
	fit_axes(c, top, &a);
	put_grid(r, &a);
	markup_label(r, 4, top - 16, "class='label'", c->y_label, 80);
	markup_label(
		r, SVG_WIDTH - RIGHT, HEIGHT - 8, "class='label' text-anchor='end'", c->x_label ? c->x_label : "", 80);
	for (size_t s = 0; s < c->count; s++) {
		if (c->series[s].count == 0)
			continue;
		put_line(r, c, s, &a);
		put_points(r, &c->series[s], s, &a);
	}
	markup_svg_end(r);
}
