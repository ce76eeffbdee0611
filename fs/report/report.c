/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/report.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fs/report/internal.h"
#include "kms/base/io.h"

enum { PAGE_MODE = 0600 };

static void put_head(struct report *r, const char *title, const char *subtitle)
{
	char when[40];
	time_t now = time(NULL);
	struct tm parts;

	fputs("<!DOCTYPE html>\n<html lang='en' xmlns='http://www.w3.org/1999/xhtml'><head><meta charset='utf-8'/>\n"
	      "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src "
	      "'unsafe-inline'\"/>\n"
	      "<meta name='viewport' content='width=device-width, initial-scale=1'/>\n"
	      "<meta name='color-scheme' content='light dark'/>\n",
		r->out);
	markup_element(r, "title", title);
	fputs("<style>", r->out);
	for (size_t i = 0; report_style[i]; i++)
		fputs(report_style[i], r->out);
	fputs("</style></head>\n<body><header>", r->out);
	markup_element(r, "h1", title);
	if (subtitle)
		markup_element(r, "p class='subtitle'", subtitle);
	gmtime_r(&now, &parts);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &parts);
	fprintf(r->out, "<p class='quiet'>signetfs " SIGNETFS_VERSION " · %s</p></header>\n<main>\n", when);
}

enum err report_begin(const char *title, const char *subtitle, struct report **ret)
{
	struct report *r = calloc(1, sizeof *r);

	if (r)
		r->out = open_memstream(&r->text, &r->size);
	if (!r || !r->out) {
		free(r);
		return err_fail(ERR_NO_MEMORY, "no memory for a report");
	}
	put_head(r, title, subtitle);
	*ret = r;
	return ERR_OK;
}

void report_drop(struct report *r)
{
	if (!r)
		return;
	if (r->out)
		fclose(r->out);
	free(r->text);
	free(r);
}

enum err report_end(struct report *r, const char *path)
{
	fputs("</main></body></html>\n", r->out);
	int failed = ferror(r->out) || r->failed;
	failed |= fclose(r->out) != 0;
	r->out = NULL;
	enum err e = failed ? err_fail(ERR_NO_MEMORY, "no memory for the report")
			    : io_replace_file(AT_FDCWD, path, r->text, r->size, PAGE_MODE);
	report_drop(r);
	return err_wrap(e, "writing the report %s", path);
}

void report_section(struct report *r, const char *heading, const char *text)
{
	markup_element(r, "h2", heading);
	if (text)
		markup_element(r, "p", text);
	putc('\n', r->out);
}

void report_text(struct report *r, const char *fmt, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, fmt);
	if (vasprintf(&text, fmt, arguments) < 0) {
		r->failed = 1;
	} else {
		markup_element(r, "p", text);
		free(text);
	}
	va_end(arguments);
}

void report_figures(struct report *r, const struct report_figure *figures, size_t count)
{
	fputs("<dl class='figures'>\n", r->out);
	for (size_t i = 0; i < count; i++) {
		fputs("<div>", r->out);
		markup_element(r, "dt", figures[i].label);
		markup_element(r, "dd class='value'", figures[i].value);
		if (figures[i].note)
			markup_element(r, "dd class='quiet'", figures[i].note);
		fputs("</div>\n", r->out);
	}
	fputs("</dl>\n", r->out);
}

void report_verdict(
	struct report *r, enum report_mood mood, const char *sentence, const struct report_check *checks, size_t count)
{
	fprintf(r->out, "<section class='verdict %s'><p><span class='sign %s'>%s</span> ", markup_mood(mood),
		markup_mood(mood), markup_sign(mood));
	markup_element(r, "strong", sentence);
	fputs("</p>\n", r->out);
	if (count)
		fputs("<ul>\n", r->out);
	for (size_t i = 0; i < count; i++) {
		fprintf(r->out, "<li><span class='sign %s'>%s</span> <span>", markup_mood(checks[i].mood),
			markup_sign(checks[i].mood));
		markup_text(r, checks[i].what);
		if (checks[i].detail) {
			fputs(" ", r->out);
			markup_element(r, "span class='quiet'", checks[i].detail);
		}
		fputs("</span></li>\n", r->out);
	}
	fputs(count ? "</ul></section>\n" : "</section>\n", r->out);
}

void report_table(struct report *r, const struct report_table *t)
{
	fputs("<div class='scroll'><table>", r->out);
	if (t->caption)
		markup_element(r, "caption", t->caption);
	fputs("\n<thead><tr>", r->out);
	for (size_t c = 0; c < t->columns; c++)
		markup_element(r, t->align && t->align[c] == 'r' ? "th class='r'" : "th", t->heads[c]);
	fputs("</tr></thead>\n<tbody>", r->out);
	for (size_t row = 0; row < t->rows; row++) {
		fputs("<tr>", r->out);
		for (size_t c = 0; c < t->columns; c++)
			markup_element(r, t->align && t->align[c] == 'r' ? "td class='r'" : "td",
				t->cells[row * t->columns + c]);
		fputs("</tr>\n", r->out);
	}
	fputs("</tbody></table></div>\n", r->out);
}
