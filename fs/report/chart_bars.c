/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

#include <string.h>

enum { BAR = 18, BAR_GAP = 4, GROUP_GAP = 16, LABEL_MAX = 30, AXIS_HEIGHT = 44, NUMBER_ROOM = 74 };

/* Lying bars: names of operations and keys are long, and read from left to right. */
struct layout {
	struct scale x;
	double left, top, group;
	size_t groups;
};

static double label_width(const struct report_chart *c, size_t groups)
{
	double widest = 40;

	for (size_t i = 0; i < groups; i++) {
		double width = markup_width(c->categories[i]);
		if (width > widest)
			widest = width;
	}
	return widest < markup_width("") + 7.4 * LABEL_MAX ? widest : 7.4 * LABEL_MAX;
}

static void lay_out(const struct report_chart *c, struct layout *l)
{
	double smallest = chart_smallest(c), largest = chart_largest(c);

	l->groups = c->series[0].count;
	l->left = label_width(c, l->groups) + 14;
	l->group = (double)c->count * (BAR + BAR_GAP) - BAR_GAP + GROUP_GAP;
	/* On a logarithmic scale the smallest value must still have a bar. */
	scale_fit(&l->x, c->logarithmic ? smallest * 0.7 : 0, largest, c->logarithmic);
	l->x.start = l->left;
	l->x.end = SVG_WIDTH - NUMBER_ROOM;
}

static void put_axis(struct report *r, const struct layout *l)
{
	double bottom = l->top + (double)l->groups * l->group;
	char number[REPORT_NUMBER_SIZE];

	for (size_t i = 0; i < l->x.count; i++) {
		double x = scale_place(&l->x, l->x.tick[i]);

		fprintf(r->out, "<path class='%s' d='M%.1f %.1fV%.1f'/>", i ? "grid" : "axis", x, l->top - 6, bottom);
		report_number(l->x.tick[i], number);
		markup_label(r, x, bottom + 17, "class='tick' text-anchor='middle'", number, 24);
	}
}

static void put_bar(struct report *r, const struct layout *l, size_t series, double y, double value)
{
	char number[REPORT_NUMBER_SIZE];
	double end = value > 0 ? scale_place(&l->x, value) : l->left;

	if (end > l->left)
		fprintf(r->out, "<rect class='s%zu fill' x='%.1f' y='%.1f' width='%.1f' height='%d' rx='2'/>", series,
			l->left, y, end - l->left, BAR);
	report_number(value, number);
	markup_label(r, end + 7, y + BAR - 4.5, "class='value'", number, 24);
}

static void put_group(struct report *r, const struct report_chart *c, const struct layout *l, size_t group)
{
	double y = l->top + (double)group * l->group;
	double middle = y + (l->group - GROUP_GAP) / 2 + 4.5;

	markup_label(r, l->left - 10, middle, "class='name' text-anchor='end'", c->categories[group], LABEL_MAX);
	for (size_t s = 0; s < c->count; s++)
		if (group < c->series[s].count)
			put_bar(r, l, s, y + (double)s * (BAR + BAR_GAP), c->series[s].y[group]);
}

void chart_bars(struct report *r, const struct report_chart *c)
{
	struct layout l;
	double key = c->count > 1 ? 30 : 0;

	lay_out(c, &l);
	l.top = key + 14;
	markup_svg_begin(r, l.top + (double)l.groups * l.group + AXIS_HEIGHT, c->title, c->description);
	chart_key(r, c);
	put_axis(r, &l);
	for (size_t i = 0; i < l.groups; i++)
		put_group(r, c, &l, i);
	char label[256];
	snprintf(label, sizeof label, "%s%s", c->y_label, l.x.logarithmic ? " (logarithmic)" : "");
	markup_label(r, SVG_WIDTH - NUMBER_ROOM, l.top + (double)l.groups * l.group + 36,
		"class='label' text-anchor='end'", label, 90);
	markup_svg_end(r);
}
