/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/engine/validate.h"

enum { REPORT_SIZE = 900, SHOWN_VALUE_MAX = 256, ELEMENT_MAX = 8192, TAG_KEY_MAX = 128, TAG_VALUE_MAX = 256 };

/* Constraint failures collected over a request. */
struct findings {
	unsigned count;
	size_t used;
	char text[REPORT_SIZE];
};

void validate_lower_camel(const char *name, char ret[VALIDATE_NAME_SIZE])
{
	snprintf(ret, VALIDATE_NAME_SIZE, "%s", name);
	if (ret[0] >= 'A' && ret[0] <= 'Z')
		ret[0] = (char)(ret[0] - 'A' + 'a');
}

/* @value NULL: not shown (blobs; they may be secret). */
__attribute__((format(printf, 4, 5))) static void find(
	struct findings *f, const char *path, const char *value, const char *fmt, ...)
{
	size_t room = sizeof(f->text) - f->used;
	char constraint[400];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(constraint, sizeof(constraint), fmt, ap);
	va_end(ap);
	if (value != NULL)
		n = snprintf(f->text + f->used, room, "%sValue %s at '%s' failed to satisfy constraint: %s",
			f->count > 0 ? "; " : "", value, path, constraint);
	else
		n = snprintf(f->text + f->used, room, "%sValue at '%s' failed to satisfy constraint: %s",
			f->count > 0 ? "; " : "", path, constraint);
	f->used += n > 0 && (size_t)n < room ? (size_t)n : room - 1;
	f->count++;
}

static void find_text(struct findings *f, const char *path, const char *value, const char *constraint)
{
	char quoted[SHOWN_VALUE_MAX + 8];

	snprintf(quoted, sizeof(quoted), "'%.*s'", SHOWN_VALUE_MAX, value);
	find(f, path, quoted, "%s", constraint);
}

/* ---- Patterns of the model, by hand: no regular expression engine on hostile input ---- */

static const char *pattern_text(enum member_pattern p)
{
	switch (p) {
	case PATTERN_ALIAS:
		return "^[a-zA-Z0-9:/_-]+$";
	case PATTERN_POLICY:
		return "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+";
	case PATTERN_MARKER:
		return "[\\u0020-\\u00FF]*";
	case PATTERN_XKS:
		return "^[a-zA-Z0-9-_.]+$";
	default:
		return "";
	}
}

static int is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int only(const char *text, const char *others)
{
	for (; *text != '\0'; text++)
		if (!is_alnum(*text) && strchr(others, *text) == NULL)
			return 0;
	return 1;
}

/* U+0020 to U+00FF in UTF-8: ASCII, or a two-byte sequence that begins with C2 or C3. */
static int only_latin1(const char *text, const char *controls)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 && strchr(controls, *p) == NULL)
			return 0;
		if (*p >= 0x80 && *p != 0xC2 && *p != 0xC3)
			return 0;
		if (*p >= 0x80)
			p++;
	}
	return 1;
}

static int pattern_matches(enum member_pattern p, const char *text)
{
	switch (p) {
	case PATTERN_ALIAS:
		return only(text, ":/_-");
	case PATTERN_POLICY:
		return only_latin1(text, "\t\n\r");
	case PATTERN_MARKER:
		return only_latin1(text, "");
	case PATTERN_XKS:
		return only(text, "-_.");
	default:
		return 1;
	}
}

/* ---- One member ---- */

/* Characters, as AWS counts them: code points. */
static long text_length(const char *text)
{
	long n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xC0) != 0x80;
	return n;
}

static void check_length(struct findings *f, const struct member *m, const char *path, const char *shown, long length)
{
	if (m->min == 0 && m->max == 0)
		return;
	if (length < m->min)
		find(f, path, shown, "Member must have length greater than or equal to %ld", m->min);
	if (length > m->max)
		find(f, path, shown, "Member must have length less than or equal to %ld", m->max);
}

static void check_enumeration(struct findings *f, const struct member *m, const char *path, const char *value)
{
	char set[340] = "", constraint[400];
	size_t used = 0;

	for (const char *const *v = m->values; *v != NULL; v++) {
		if (strcmp(*v, value) == 0)
			return;
		used += (size_t)snprintf(set + used, sizeof(set) - used, "%s%s", used > 0 ? ", " : "", *v);
		if (used >= sizeof(set))
			break;
	}
	snprintf(constraint, sizeof(constraint), "Member must satisfy enum value set: [%s]", set);
	find_text(f, path, value, constraint);
}

static void check_string(struct findings *f, const struct member *m, const char *path, const json_t *value)
{
	const char *text = json_string_value(value);
	char quoted[SHOWN_VALUE_MAX + 8], constraint[128];

	snprintf(quoted, sizeof(quoted), "'%.*s'", SHOWN_VALUE_MAX, text);
	check_length(f, m, path, quoted, text_length(text));
	if (m->values != NULL)
		check_enumeration(f, m, path, text);
	if (!pattern_matches(m->pattern, text)) {
		snprintf(constraint, sizeof(constraint), "Member must satisfy regular expression pattern: %s",
			pattern_text(m->pattern));
		find_text(f, path, text, constraint);
	}
}

static void check_blob(struct findings *f, const struct member *m, const char *path, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	size_t padding = (len >= 1 && text[len - 1] == '=') + (len >= 2 && text[len - 2] == '=');

	check_length(f, m, path, NULL, (long)(len / 4 * 3 - (len >= 4 ? padding : 0)));
}

static void check_integer(struct findings *f, const struct member *m, const char *path, const json_t *value)
{
	json_int_t v = json_integer_value(value);
	char shown[32];

	snprintf(shown, sizeof(shown), "'%lld'", (long long)v);
	if (v < m->min)
		find(f, path, shown, "Member must have value greater than or equal to %ld", m->min);
	if (v > m->max)
		find(f, path, shown, "Member must have value less than or equal to %ld", m->max);
}

static void check_strings(struct findings *f, const struct member *m, const char *path, const json_t *value)
{
	const struct member element = {.min = 1, .max = ELEMENT_MAX};
	char at[128];
	json_t *item;
	size_t i;

	check_length(f, m, path, NULL, (long)json_array_size(value));
	json_array_foreach ((json_t *)value, i, item) {
		snprintf(at, sizeof(at), "%s.%zu.member", path, i + 1);
		check_length(f, &element, at, NULL, text_length(json_string_value(item)));
	}
}

static void check_tag_part(struct findings *f, const json_t *tag, const char *part, size_t i, long min, long max)
{
	const struct member limits = {.min = min, .max = max};
	const char *text = json_string_value(json_object_get(tag, part));
	char at[128], camel[VALIDATE_NAME_SIZE], quoted[SHOWN_VALUE_MAX + 8];

	validate_lower_camel(part, camel);
	snprintf(at, sizeof(at), "tags.%zu.member.%s", i + 1, camel);
	if (text == NULL) {
		find(f, at, "null", "Member must not be null");
		return;
	}
	snprintf(quoted, sizeof(quoted), "'%.*s'", SHOWN_VALUE_MAX, text);
	check_length(f, &limits, at, quoted, text_length(text));
}

static void check_tags(struct findings *f, const json_t *value)
{
	json_t *tag;
	size_t i;

	json_array_foreach ((json_t *)value, i, tag) {
		check_tag_part(f, tag, "TagKey", i, 1, TAG_KEY_MAX);
		check_tag_part(f, tag, "TagValue", i, 0, TAG_VALUE_MAX);
	}
}

static void check_member(struct findings *f, const struct member *m, const json_t *value)
{
	char path[VALIDATE_NAME_SIZE];

	validate_lower_camel(m->name, path);
	if (value == NULL || json_is_null(value)) {
		if (m->flags & MEMBER_REQUIRED)
			find(f, path, "null", "Member must not be null");
		return;
	}
	switch (m->type) {
	case MEMBER_STRING:
		check_string(f, m, path, value);
		break;
	case MEMBER_BLOB:
		check_blob(f, m, path, value);
		break;
	case MEMBER_INTEGER:
		check_integer(f, m, path, value);
		break;
	case MEMBER_STRINGS:
		check_strings(f, m, path, value);
		break;
	case MEMBER_TAGS:
		check_tags(f, value);
		break;
	default:
		break;
	}
}

/* ---- Types ---- */

static const char *token_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return "STRING_VALUE";
	case JSON_INTEGER:
	case JSON_REAL:
		return "NUMBER_VALUE";
	case JSON_TRUE:
		return "TRUE_VALUE";
	case JSON_FALSE:
		return "FALSE_VALUE";
	default:
		return NULL;
	}
}

static enum err wrong_type(const json_t *value, const char *wanted)
{
	const char *token = token_of(value);

	if (token == NULL)
		return err_fail(ERR_KMS_SERIALIZATION, "Start of %s found where not expected",
			json_is_array(value) ? "list" : "structure or map");
	return err_fail(ERR_KMS_SERIALIZATION, "%s can not be converted to %s", token, wanted);
}

static enum err all_strings(const json_t *value)
{
	const char *name;
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)value, i, item) {
		if (!json_is_string(item))
			return wrong_type(item, "a String");
	}
	json_object_foreach ((json_t *)value, name, item) {
		if (!json_is_string(item))
			return wrong_type(item, "a String");
	}
	return ERR_OK;
}

static enum err tags_type(const json_t *value)
{
	json_t *tag;
	size_t i;

	json_array_foreach ((json_t *)value, i, tag) {
		const json_t *key = json_object_get(tag, "TagKey"), *text = json_object_get(tag, "TagValue");

		if (!json_is_object(tag))
			return wrong_type(tag, "a Tag");
		if (key != NULL && !json_is_string(key))
			return wrong_type(key, "a String");
		if (text != NULL && !json_is_string(text))
			return wrong_type(text, "a String");
	}
	return ERR_OK;
}

static enum err blob_type(const json_t *value)
{
	size_t len = json_string_length(value), n;
	char *buf;
	enum err e;

	if (!json_is_string(value))
		return wrong_type(value, "a Blob");
	buf = malloc(len / 4 * 3 + 4);
	if (buf == NULL)
		return ERR_NO_MEMORY;
	e = decode_base64(json_string_value(value), len, buf, len / 4 * 3 + 4, &n);
	explicit_bzero(buf, len / 4 * 3 + 4); /* it may be plaintext */
	free(buf);
	return e == ERR_OK ? ERR_OK : err_fail(ERR_KMS_SERIALIZATION, "A blob is not valid base64");
}

static enum err check_type(const struct member *m, const json_t *value)
{
	if (value == NULL || json_is_null(value))
		return ERR_OK;
	switch (m->type) {
	case MEMBER_STRING:
		return json_is_string(value) ? ERR_OK : wrong_type(value, "a String");
	case MEMBER_BLOB:
		return blob_type(value);
	case MEMBER_INTEGER:
		return json_is_integer(value) ? ERR_OK : wrong_type(value, "an Integer");
	case MEMBER_BOOLEAN:
		return json_is_boolean(value) ? ERR_OK : wrong_type(value, "a Boolean");
	case MEMBER_MAP:
		return json_is_object(value) ? all_strings(value) : wrong_type(value, "a Map");
	case MEMBER_STRINGS:
		return json_is_array(value) ? all_strings(value) : wrong_type(value, "a List");
	case MEMBER_TAGS:
		return json_is_array(value) ? tags_type(value) : wrong_type(value, "a List");
	case MEMBER_STRUCTURE:
		return json_is_object(value) ? ERR_OK : wrong_type(value, "a Structure");
	}
	return ERR_OK;
}

enum err validate_request(const struct member *members, const json_t *request)
{
	struct findings f = {.count = 0};

	if (!json_is_object(request))
		return err_fail(ERR_KMS_SERIALIZATION, "The request is not a JSON object");
	for (const struct member *m = members; m->name != NULL; m++)
		TRY(check_type(m, json_object_get(request, m->name)));
	for (const struct member *m = members; m->name != NULL; m++)
		check_member(&f, m, json_object_get(request, m->name));
	if (f.count == 0)
		return ERR_OK;
	return err_fail(
		ERR_KMS_VALIDATION, "%u validation error%s detected: %s", f.count, f.count == 1 ? "" : "s", f.text);
}
