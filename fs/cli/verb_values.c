/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/verbs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"

enum { VALUE_FILE_MAX = 65536 };

/* A value as bytes: the text itself, or the file that it names. */
struct value {
	const char *text; /* NUL-terminated; into argv or @file */
	size_t len;
	int raw;       /* from fileb:// */
	uint8_t *file; /* owned */
};

static void value_free(struct value *v)
{
	secret_free(v->file);
}
#define AUTO_VALUE __attribute__((cleanup(value_free)))

static enum err value_read(const char *text, struct value *ret)
{
	const char *path = strncmp(text, "file://", 7) == 0    ? text + 7
			   : strncmp(text, "fileb://", 8) == 0 ? text + 8
							       : NULL;
	uint8_t *file;
	size_t len;

	if (!path) {
		*ret = (struct value){text, strlen(text), 0, NULL};
		return ERR_OK;
	}
	enum err e = io_read_file(AT_FDCWD, path, VALUE_FILE_MAX, &file, &len);

	if (e != ERR_OK)
		return err_wrap(e, "reading %s", path);
	*ret = (struct value){(const char *)file, len, path == text + 8, file};
	return ERR_OK;
}

static enum err made(json_t *value, json_t **ret)
{
	if (!value)
		return err_fail(ERR_USAGE, "the value is not valid UTF-8 text");
	*ret = value;
	return ERR_OK;
}

static enum err blob_value(const struct value *v, json_t **ret)
{
	size_t room = BASE64_LEN(v->len) + 1, len;
	char *text AUTO_SECRET = secret_alloc(room);

	if (!text)
		return err_fail(ERR_NO_MEMORY, "out of locked memory");
	if (v->raw)
		len = encode_base64(v->text, v->len, text);
	else if (decode_base64(v->text, v->len, text, room, &len) == ERR_OK)
		return made(json_stringn(v->text, v->len), ret);
	else
		return err_fail(ERR_USAGE, "not base64; for the raw bytes of a file write fileb://PATH");
	return made(json_stringn(text, len), ret);
}

static enum err integer_value(const struct value *v, json_t **ret)
{
	uint64_t n;

	TRY(cli_parse_number(v->text, &n));
	if (n > INT32_MAX)
		return err_fail(ERR_USAGE, "%s is too large", v->text);
	return made(json_integer((json_int_t)n), ret);
}

static enum err json_value(const struct value *v, json_t **ret)
{
	enum err e = json_parse(v->text, v->len, ret);

	return e == ERR_OK ? ERR_OK : err_fail(ERR_USAGE, "not valid JSON: %s", err_text(e));
}

/* One word of AWS's shorthand: up to a comma, or quoted. Returns what follows it, NULL when a quote is left open. */
static const char *shorthand_end(const char *p, const char **start, size_t *len)
{
	const char *end;

	if (*p != '"' && *p != '\'') {
		*start = p;
		*len = strcspn(p, ",");
		return p + *len;
	}
	end = strchr(p + 1, *p);
	if (!end || (end[1] && end[1] != ','))
		return NULL;
	*start = p + 1;
	*len = (size_t)(end - p - 1);
	return end + 1;
}

/* k=v,k2="v,2" */
static enum err shorthand_map(const char *text, json_t **ret)
{
	json_t *map AUTO_JSON = json_object();

	for (const char *p = text; *p;) {
		const char *equals = strpbrk(p, "=,"), *start;
		size_t name_len, len;

		if (!equals || *equals != '=' || equals == p)
			return err_fail(ERR_USAGE, "\"%s\" is neither NAME=VALUE,… nor JSON", text);
		name_len = (size_t)(equals - p);
		char *name AUTO_FREE = strndup(p, name_len);

		p = shorthand_end(equals + 1, &start, &len);
		if (!p || !name || json_object_get(map, name))
			return err_fail(ERR_USAGE, "\"%s\": an open quotation mark, or a name twice", text);
		if (json_object_setn_new(map, name, name_len, json_stringn(start, len)) != 0)
			return err_fail(ERR_USAGE, "\"%s\" is not valid UTF-8 text", text);
		p += *p == ',';
	}
	*ret = STEAL(map);
	return ERR_OK;
}

static enum err map_value(const struct value *v, json_t **ret)
{
	json_t *map AUTO_JSON = NULL;
	const char *name;
	json_t *item;

	if (v->text[0] != '{')
		return shorthand_map(v->text, ret);
	TRY(json_value(v, &map));
	json_object_foreach (map, name, item)
		if (!json_is_string(item))
			return err_fail(ERR_USAGE, "\"%s\" must be a string", name);
	*ret = STEAL(map);
	return ERR_OK;
}

/* "2026-11-22T02:05:00Z" or a number of seconds. */
static enum err time_value(const struct value *v, json_t **ret)
{
	struct tm tm = {.tm_isdst = 0};
	const char *end = strptime(v->text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	char *number_end;
	double seconds = end && *end == '\0' ? (double)timegm(&tm) : strtod(v->text, &number_end);

	if (!(end && *end == '\0') && (number_end == v->text || *number_end != '\0'))
		return err_fail(ERR_USAGE,
			"\"%s\" is neither a number of seconds since 1970 nor a time like 2026-11-22T02:05:00Z",
			v->text);
	return made(json_real(seconds), ret);
}

static enum err one_value(enum verb_type type, const char *text, json_t **ret)
{
	struct value v AUTO_VALUE = {NULL, 0, 0, NULL};

	TRY(value_read(text, &v));
	switch (type) {
	case VERB_BLOB:
		return blob_value(&v, ret);
	case VERB_INTEGER:
		return integer_value(&v, ret);
	case VERB_JSON:
		return json_value(&v, ret);
	case VERB_TIME:
		return time_value(&v, ret);
	case VERB_MAP:
	case VERB_TAGS:
		return map_value(&v, ret);
	case VERB_STRING:
	case VERB_LIST:
	case VERB_BOOLEAN:
		break;
	}
	return made(json_stringn(v.text, v.len), ret);
}

static enum err json_list(const char *text, json_t **ret)
{
	struct value v AUTO_VALUE = {NULL, 0, 0, NULL};

	TRY(value_read(text, &v));
	if (v.text[0] != '[')
		return ERR_NOT_FOUND;
	return json_value(&v, ret);
}

static enum err list_value(enum verb_type type, const struct cli_texts *words, json_t **ret)
{
	json_t *list AUTO_JSON = json_array();

	if (words->count == 1) {
		enum err e = json_list(words->item[0], ret);

		if (e != ERR_NOT_FOUND) /* not a JSON array, or no such file: one_value() tells which */
			return e;
	}
	for (size_t i = 0; i < words->count; i++) {
		json_t *item = NULL;

		TRY(one_value(type, words->item[i], &item));
		if (json_array_append_new(list, item) != 0)
			return err_fail(ERR_NO_MEMORY, "out of memory");
	}
	*ret = STEAL(list);
	return ERR_OK;
}

enum err verb_value(enum verb_type type, const struct cli_texts *words, json_t **ret)
{
	if (type == VERB_LIST || type == VERB_TAGS)
		return list_value(type, words, ret);
	return one_value(type, words->item[0], ret);
}

enum err verb_input_json(const char *text, json_t **ret)
{
	struct value v AUTO_VALUE = {NULL, 0, 0, NULL};
	json_t *value AUTO_JSON = NULL;

	TRY(value_read(text, &v));
	TRY(json_value(&v, &value));
	if (!json_is_object(value))
		return err_fail(ERR_USAGE, "not a JSON object");
	*ret = STEAL(value);
	return ERR_OK;
}
