/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/cli.h"

#include <assert.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/base/encode.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { CELL_SIZE = 512, COLUMNS_MAX = 8, GAP = 2 };

struct cli_table {
	unsigned columns;
	size_t rows, room;
	char **cells; /* rows × columns */
	size_t width[COLUMNS_MAX];
};

int cli_is_terminal(FILE *f)
{
	return isatty(fileno(f));
}

struct cli_table *cli_table_new(unsigned columns)
{
	struct cli_table *t = calloc(1, sizeof(*t));

	assert(columns > 0 && columns <= COLUMNS_MAX);
	if (t)
		t->columns = columns;
	return t;
}

/* Columns are counted in characters, so continuation bytes of UTF-8 have no width. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* Characters of several bytes that drive a terminal, or turn the order of what it shows: their first bytes, and the last from … to. */
static const struct {
	const char *first;
	unsigned char from, to;
} unprintable[] = {
	{"\xc2", 0x80, 0x9f},     /* U+0080 to U+009F: controls; U+009B begins an escape sequence */
	{"\xd8", 0x9c, 0x9c},     /* U+061C */
	{"\xe2\x80", 0x8e, 0x8f}, /* U+200E, U+200F */
	{"\xe2\x80", 0xa8, 0xae}, /* U+2028 to U+202E */
	{"\xe2\x81", 0xa6, 0xa9}, /* U+2066 to U+2069 */
};

/* Bytes of an unprintable character that @p begins with; 0: it is none. */
static size_t unprintable_length(const char *p)
{
	if ((unsigned char)*p < ' ' || *p == 0x7f)
		return 1;
	for (size_t i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++) {
		size_t n = strlen(unprintable[i].first);

		if (strncmp(p, unprintable[i].first, n) == 0 && (unsigned char)p[n] >= unprintable[i].from &&
			(unsigned char)p[n] <= unprintable[i].to)
			return n + 1;
	}
	return 0;
}

void cli_make_printable(char *text)
{
	encode_utf8_repair(text);
	while (*text) {
		size_t n = unprintable_length(text);

		memset(text, '?', n);
		text += n ? n : 1;
	}
}

static char *printable(const char *text)
{
	char *copy = strndup(text, CELL_SIZE);

	if (copy)
		cli_make_printable(copy);
	return copy;
}

static int make_room(struct cli_table *t)
{
	size_t room = t->room ? t->room * 2 : 32;
	char **cells;

	if (t->rows < t->room)
		return 1;
	cells = reallocarray(t->cells, room, t->columns * sizeof(*cells));
	if (!cells)
		return 0;
	t->cells = cells;
	t->room = room;
	return 1;
}

void cli_table_add(struct cli_table *t, const char *const *cells)
{
	if (!t || !make_room(t))
		return;
	for (unsigned i = 0; i < t->columns; i++) {
		char *text = printable(cells[i] ? cells[i] : "");
		size_t width = text ? text_width(text) : 0;

		t->cells[t->rows * t->columns + i] = text;
		if (width > t->width[i])
			t->width[i] = width;
	}
	t->rows++;
}

void cli_table_print(const struct cli_table *t, FILE *out)
{
	for (size_t r = 0; t && r < t->rows; r++) {
		for (unsigned i = 0; i < t->columns; i++) {
			const char *text = t->cells[r * t->columns + i] ? t->cells[r * t->columns + i] : "";
			size_t pad = i + 1 < t->columns ? t->width[i] - text_width(text) + GAP : 0;

			fprintf(out, "%s%*s", text, (int)pad, "");
		}
		fputc('\n', out);
	}
}

void cli_table_free(struct cli_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void cli_field(FILE *out, int width, const char *name, const char *fmt, ...)
{
	char raw[2048];
	char *text;
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	text = printable(raw);
	fprintf(out, "%s:%*s%s\n", name, width > (int)strlen(name) ? width - (int)strlen(name) : 1, "",
		text ? text : "");
	free(text);
}

void cli_format_bytes(uint64_t bytes, char out[CLI_BYTES_SIZE])
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t unit = 0;

	for (; v >= 1024 && unit + 1 < sizeof(names) / sizeof(names[0]); unit++)
		v /= 1024;
	snprintf(out, CLI_BYTES_SIZE, unit ? "%.1f %s" : "%.0f %s", v, names[unit]);
}

/* A dead mount cannot be resolved; its path as given will do for the message. */
char *cli_absolute(const char *path)
{
	char *resolved = realpath(path, NULL), *cwd, *joined = NULL;

	if (resolved)
		return resolved;
	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (cwd && asprintf(&joined, "%s/%s", cwd, path) < 0)
		joined = NULL;
	free(cwd);
	return joined;
}

struct json_t *cli_json_text(const char *text)
{
	char *copy = strdup(text);
	json_t *value;

	if (!copy)
		return NULL;
	encode_utf8_repair(copy);
	value = json_string(copy);
	free(copy);
	return value;
}

void cli_json_line(struct json_t *o)
{
	size_t len;
	char *line = o ? json_text(o, &len) : NULL;

	json_decref(o);
	if (!line)
		return;
	flockfile(stdout);
	puts(line);
	fflush(stdout);
	funlockfile(stdout);
	secret_heap_free(line);
}
