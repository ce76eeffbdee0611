/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/verbs.h"

#include <string.h>
#include "kms/base/clock.h"
#include "kms/base/secret.h"

enum { CELL_SIZE = 9000, COLUMNS_MAX = 7 };

static int ends_with(const char *text, const char *end)
{
	size_t lt = strlen(text), le = strlen(end);

	return lt >= le && strcmp(text + lt - le, end) == 0;
}

/* Dates are epoch seconds on the wire; everything else that is a number is a count. */
static void number_text(const char *name, const json_t *value, char *out, size_t size)
{
	double v = json_number_value(value);
	char date[CLOCK_ISO8601_SIZE];

	if (json_is_integer(value) && !ends_with(name, "Date")) {
		snprintf(out, size, "%lld", (long long)json_integer_value(value));
	} else if (ends_with(name, "Date") && v >= 0 && v < 1e11) {
		clock_iso8601((uint64_t)(v * 1e9), date);
		snprintf(out, size, "%s", date);
	} else {
		snprintf(out, size, "%g", v);
	}
}

static void scalar_text(const char *name, const json_t *value, char *out, size_t size)
{
	out[0] = '\0';
	if (json_is_string(value))
		snprintf(out, size, "%s", json_string_value(value));
	else if (json_is_number(value))
		number_text(name, value, out, size);
	else if (json_is_boolean(value))
		snprintf(out, size, "%s", json_is_true(value) ? "yes" : "no");
}

static void value_text(const char *name, const json_t *value, char *out, size_t size)
{
	size_t used = 0, i;
	json_t *item;

	if (!json_is_array(value)) {
		scalar_text(name, value, out, size);
		return;
	}
	out[0] = '\0';
	json_array_foreach (value, i, item) {
		if (used + 3 >= size)
			break;
		if (used)
			used += (size_t)snprintf(out + used, size - used, ", ");
		scalar_text(name, item, out + used, size - used);
		used += strlen(out + used);
	}
}

/* The members of the rows, in order of first appearance. */
static unsigned collect_columns(const json_t *rows, const char *columns[COLUMNS_MAX])
{
	unsigned n = 0;
	size_t r;
	json_t *row;

	json_array_foreach (rows, r, row) {
		const char *name;
		json_t *value;

		json_object_foreach (row, name, value) {
			unsigned i = 0;

			while (i < n && strcmp(columns[i], name) != 0)
				i++;
			if (i == n && n < COLUMNS_MAX)
				columns[n++] = name;
		}
	}
	return n;
}

static void add_row(struct cli_table *t, const json_t *row, const char *const *columns, unsigned n)
{
	const char *cells[COLUMNS_MAX];
	char text[COLUMNS_MAX][512];

	for (unsigned i = 0; i < n; i++) {
		value_text(columns[i], json_object_get(row, columns[i]), text[i], sizeof(text[i]));
		cells[i] = text[i];
	}
	cli_table_add(t, cells);
}

static void show_table(const json_t *rows, FILE *out)
{
	const char *columns[COLUMNS_MAX];
	unsigned n = collect_columns(rows, columns);
	struct cli_table *t;
	size_t r;
	json_t *row;

	if (n == 0)
		return;
	t = cli_table_new(n);
	if (!t)
		return;
	cli_table_add(t, columns);
	json_array_foreach (rows, r, row) {
		add_row(t, row, columns, n);
	}
	cli_table_print(t, out);
	cli_table_free(t);
}

static int is_rows(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static int widest_name(const json_t *object)
{
	size_t width = 0;
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, name, value)
		if (strlen(name) > width)
			width = strlen(name);
	return (int)width + 2;
}

static void show_fields(const json_t *object, FILE *out)
{
	char *text AUTO_SECRET = secret_alloc(CELL_SIZE);
	int width = widest_name(object);
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
		if (!text || is_rows(value) || json_is_object(value))
			continue;
		value_text(name, value, text, CELL_SIZE);
		cli_field(out, width, name, "%s", text);
	}
}

/* A page of a list: its own members ("Truncated") tell nobody anything unless something was left out. */
static void show_list(const json_t *response, FILE *out)
{
	const char *name;
	json_t *value;

	if (json_is_true(json_object_get(response, "Truncated")))
		show_fields(response, out);
	json_object_foreach ((json_t *)(uintptr_t)response, name, value) {
		if (is_rows(value))
			show_table(value, out);
		else if (json_is_array(value))
			fputs("None.\n", out);
	}
}

void verb_show(const json_t *response, FILE *out)
{
	const char *name;
	json_t *value;

	if (json_object_get(response, "Truncated")) {
		show_list(response, out);
		return;
	}
	show_fields(response, out);
	json_object_foreach ((json_t *)(uintptr_t)response, name, value) {
		if (json_is_object(value))
			verb_show(value, out);
		else if (is_rows(value))
			show_table(value, out);
	}
}
