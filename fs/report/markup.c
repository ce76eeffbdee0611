/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"

static const char *escape_of(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* U+FFFE and U+FFFF are UTF-8 but no XML; the bidirectional controls would let a file name reorder what is around it. */
static size_t forbidden(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	if (u[0] == 0xef && u[1] == 0xbf && u[2] >= 0xbe)
		return 3;
	if (u[0] == 0xe2 && u[1] == 0x80 && u[2] >= 0xaa && u[2] <= 0xae)
		return 3;
	if (u[0] == 0xe2 && u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9)
		return 3;
	return (u[0] < ' ' && u[0] != '\n') || u[0] == 0x7f;
}

static void put_escaped(struct report *r, const char *text)
{
	for (const char *p = text; *p;) {
		size_t skip = forbidden(p);
		const char *escape = escape_of(*p);

		if (skip)
			putc('?', r->out);
		else if (escape)
			fputs(escape, r->out);
		else
			putc(*p, r->out);
		p += skip ? skip : 1;
	}
}

void markup_text(struct report *r, const char *text)
{
	char *copy = strdup(text ? text : "");

	if (!copy) {
		r->failed = 1;
		return;
	}
	encode_utf8_repair(copy);
	put_escaped(r, copy);
	free(copy);
}

void markup_element(struct report *r, const char *open, const char *text)
{
	fprintf(r->out, "<%s>", open);
	markup_text(r, text);
	fprintf(r->out, "</%.*s>", (int)strcspn(open, " "), open);
}

size_t markup_length(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

double markup_width(const char *text)
{
	return 7.4 * (double)markup_length(text);
}

/* The length in bytes of the first @characters. */
static size_t bytes_of(const char *text, size_t characters)
{
	const char *p = text;

	for (; *p; p++)
		if (((unsigned char)*p & 0xc0) != 0x80 && characters-- == 0)
			break;
	return (size_t)(p - text);
}

void markup_label(
	struct report *r, double x, double y, const char *attributes, const char *text, unsigned max_characters)
{
	char *cut = NULL;

	fprintf(r->out, "<text x='%.1f' y='%.1f' %s>", x, y, attributes);
	if (markup_length(text) <= max_characters) {
		markup_text(r, text);
	} else if (asprintf(&cut, "%.*s…", (int)bytes_of(text, max_characters - 1), text) > 0) {
		markup_element(r, "title", text);
		markup_text(r, cut);
		free(cut);
	} else {
		r->failed = 1;
	}
	fputs("</text>\n", r->out);
}

void markup_svg_begin(struct report *r, double height, const char *title, const char *description)
{
	unsigned id = ++r->charts;

	fprintf(r->out,
		"<div class='scroll'><svg viewBox='0 0 %d %.0f' role='img' aria-labelledby='t%u d%u' "
		"xmlns='http://www.w3.org/2000/svg'>\n<title id='t%u'>",
		SVG_WIDTH, height, id, id, id);
	markup_text(r, title);
	fprintf(r->out, "</title><desc id='d%u'>", id);
	markup_text(r, description);
	fputs("</desc>\n", r->out);
}

void markup_svg_end(struct report *r)
{
	fputs("</svg></div>\n", r->out);
}

const char *markup_mood(enum report_mood mood)
{
	static const char *const names[] = {"plain", "good", "caution", "bad"};

	return names[mood];
}

const char *markup_sign(enum report_mood mood)
{
	static const char *const signs[] = {"–", "✓", "!", "✗"};

	return signs[mood];
}
