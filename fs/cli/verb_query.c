/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/verbs.h"

#include <string.h>

enum { NAME_SIZE = 64 };

/* "Keys[0].KeyId": one step, a name or an index. NULL: the path is malformed. */
static const char *step(const char *p, const json_t **value)
{
	char name[NAME_SIZE];
	uint64_t index;
	size_t len;

	if (*p == '[') {
		len = strcspn(p + 1, "]");
		snprintf(name, sizeof(name), "%.*s", (int)(len < NAME_SIZE ? len : NAME_SIZE - 1), p + 1);
		if (p[len + 1] != ']' || cli_parse_number(name, &index) != ERR_OK)
			return NULL;
		*value = json_array_get(*value, (size_t)index);
		p += len + 2;
	} else {
		len = strcspn(p, ".[");
		if (len == 0 || len >= NAME_SIZE)
			return NULL;
		*value = json_object_getn(*value, p, len);
		p += len;
	}
	return *p == '.' && p[1] ? p + 1 : *p == '.' ? NULL : p;
}

enum err verb_query(const json_t *response, const char *path, const json_t **ret)
{
	const json_t *value = response;

	for (const char *p = path; *p;) {
		p = step(p, &value);
		if (!p)
			return err_fail(
				ERR_USAGE, "--query %s: only names, dots and [number], as in Keys[0].KeyId", path);
	}
	*ret = value;
	return ERR_OK;
}

static void print_scalar(const json_t *value, FILE *out)
{
	if (json_is_string(value))
		fputs(json_string_value(value), out);
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "True" : "False", out);
	else if (!value || json_is_null(value))
		fputs("None", out);
	else
		json_dumpf(value, out, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
}

void verb_print_text(const json_t *value, FILE *out)
{
	size_t i;
	json_t *item;

	if (json_is_array(value)) {
		json_array_foreach (value, i, item) {
			if (i)
				fputc('\t', out);
			print_scalar(item, out);
		}
	} else {
		print_scalar(value, out);
	}
	fputc('\n', out);
}
