/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REPORT_INTERNAL_H
#define SIGNETFS_REPORT_INTERNAL_H

#include <stdio.h>
#include "fs/report/report.h"

struct report {
	FILE *out; /* into @text */
	char *text;
	size_t size;
	unsigned charts; /* for ids that are unique in the page */
	int failed;
};

/* ---- Markup (markup.c) ---- */

/** Formatted and escaped: the only way for a text from outside into the page. */
void markup_text(struct report *r, const char *text);
/** "<tag class=…>TEXT</tag>"; @open is the tag with its attributes. */
void markup_element(struct report *r, const char *open, const char *text);
/** SVG text at a place, cut with an ellipsis behind @max_characters; its whole is then shown by pointing at it. */
void markup_label(
	struct report *r, double x, double y, const char *attributes, const char *text, unsigned max_characters);
/** "<svg …><title/><desc/>" @height units high; the width is SVG_WIDTH. */
void markup_svg_begin(struct report *r, double height, const char *title, const char *description);
void markup_svg_end(struct report *r);
/** The width of a text in the page's font, roughly: generous enough for a margin. */
double markup_width(const char *text);
/** The characters of UTF-8. */
size_t markup_length(const char *text);
/** "good", "caution", "bad", "plain": the class; and "held", "did not hold", …: the word. */
const char *markup_mood(enum report_mood mood);
const char *markup_sign(enum report_mood mood);

enum { SVG_WIDTH = 760 };

/** The style sheet in pieces, NULL behind the last (style.c). */
extern const char *const report_style[];

/* ---- Axes (scale.c) ---- */

enum { SCALE_TICKS = 12 };
struct scale {
	double from, to;   /* values */
	double start, end; /* where those are in the picture */
	int logarithmic;
	size_t count;
	double tick[SCALE_TICKS];
};
/** Round values around [@min, @max]; logarithmic only with a positive value in it. */
void scale_fit(struct scale *s, double min, double max, int logarithmic);
double scale_place(const struct scale *s, double value);

/* ---- Kinds of chart: inside an SVG that has begun ---- */

void chart_lines(struct report *r, const struct report_chart *c);
void chart_bars(struct report *r, const struct report_chart *c);
/** The key above a chart with more than one series; returns the height that it takes. */
double chart_key(struct report *r, const struct report_chart *c);
double chart_largest(const struct report_chart *c);
/** The smallest value above zero, 1 if there is none. */
double chart_smallest(const struct report_chart *c);

#endif
