/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_HEIGHT = 26, KEY_SPACE = 34, TABLE_ROWS_MAX = 400 };

double chart_largest(const struct report_chart *c)
{
	double largest = 0;

	for (size_t s = 0; s < c->count; s++)
		for (size_t i = 0; i < c->series[s].count; i++)
			if (c->series[s].y[i] > largest)
				largest = c->series[s].y[i];
	return largest;
}

double chart_smallest(const struct report_chart *c)
{
	double smallest = 0;

	for (size_t s = 0; s < c->count; s++)
		for (size_t i = 0; i < c->series[s].count; i++) {
			double y = c->series[s].y[i];
			if (y > 0 && (smallest == 0 || y < smallest))
				smallest = y;
		}
	return smallest > 0 ? smallest : 1;
}

double chart_key(struct report *r, const struct report_chart *c)
{
	double x = 4, y = 14;

	if (c->count < 2)
		return 0;
	for (size_t s = 0; s < c->count; s++) {
		double width = markup_width(c->series[s].name) + KEY_SPACE;

		if (x + width > SVG_WIDTH) {
			x = 4;
			y += KEY_HEIGHT - 4;
		}
		if (c->kind == REPORT_BARS)
			fprintf(r->out, "<rect class='s%zu fill' x='%.1f' y='%.1f' width='16' height='12' rx='2'/>", s,
				x, y - 10);
		else
			fprintf(r->out, "<path class='s%zu line' d='M%.1f %.1fh22'/>", s, x, y - 4);
		markup_label(r, x + (c->kind == REPORT_BARS ? 22 : 28), y, "class='key'", c->series[s].name, 60);
		x += width + 10;
	}
	return y - 14 + KEY_HEIGHT;
}

/* ---- The numbers of a chart as a table, folded away ---- */

static size_t point_count(const struct report_chart *c)
{
	size_t n = 0;

	for (size_t s = 0; s < c->count; s++)
		n += c->series[s].count;
	return n;
}

static void put_cell(struct report *r, double value)
{
	char number[REPORT_NUMBER_SIZE];

	report_number(value, number);
	fprintf(r->out, "<td class='r'>%s</td>", number);
}

static void put_points(struct report *r, const struct report_chart *c)
{
	size_t every = point_count(c) / TABLE_ROWS_MAX + 1;

	fputs("<tr><th>series</th><th class='r'>", r->out);
	markup_text(r, c->x_label);
	fputs("</th><th class='r'>", r->out);
	markup_text(r, c->y_label);
	fputs("</th></tr>\n", r->out);
	for (size_t s = 0; s < c->count; s++)
		for (size_t i = 0; i < c->series[s].count; i += every) {
			fputs("<tr>", r->out);
			markup_element(r, "td", c->series[s].name);
			put_cell(r, c->series[s].x[i]);
			put_cell(r, c->series[s].y[i]);
			fputs("</tr>\n", r->out);
		}
}

static void put_categories(struct report *r, const struct report_chart *c)
{
	fputs("<tr><th>", r->out);
	markup_text(r, c->y_label);
	fputs("</th>", r->out);
	for (size_t s = 0; s < c->count; s++)
		markup_element(r, "th class='r'", c->series[s].name);
	fputs("</tr>\n", r->out);
	for (size_t i = 0; i < c->series[0].count; i++) {
		fputs("<tr>", r->out);
		markup_element(r, "td", c->categories[i]);
		for (size_t s = 0; s < c->count; s++)
			put_cell(r, c->series[s].y[i]);
		fputs("</tr>\n", r->out);
	}
}

static void put_numbers(struct report *r, const struct report_chart *c)
{
	fputs("<details><summary>The numbers</summary><div class='scroll'><table>\n", r->out);
	if (c->kind == REPORT_BARS)
		put_categories(r, c);
	else
		put_points(r, c);
	fputs("</table></div></details>\n", r->out);
}

void report_chart(struct report *r, const struct report_chart *c)
{
	if (c->count == 0 || c->count > REPORT_SERIES_MAX || point_count(c) == 0)
		return;
	fputs("<figure><figcaption>", r->out);
	markup_element(r, "strong", c->title);
	fputs("<span>", r->out);
	markup_text(r, c->description);
	fputs("</span></figcaption>\n", r->out);
	if (c->kind == REPORT_BARS)
		chart_bars(r, c);
	else
		chart_lines(r, c);
	put_numbers(r, c);
	fputs("</figure>\n", r->out);
}
