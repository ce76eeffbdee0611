/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "kms/engine/validate.h"
#include "kms/engine/validate_type.h"

enum {
	REPORT_SIZE = 900,
	SHOWN_MAX = 256,
	SHOWN_SIZE = SHOWN_MAX + 8,
	CONSTRAINT_SIZE = 640,
	PATH_SIZE = 160,
	OUTER_MAX = 120
};

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

/* @shown "": not shown, for it may be secret. */
static void find(struct findings *f, const char *path, const char *shown, const char *constraint)
{
	size_t room = sizeof(f->text) - f->used;
	int n = snprintf(f->text + f->used, room, "%sValue %s%sat '%s' failed to satisfy constraint: %s",
		f->count > 0 ? "; " : "", shown, shown[0] != '\0' ? " " : "", path, constraint);

	f->used += n > 0 && (size_t)n < room ? (size_t)n : room - 1;
	f->count++;
}

/* ---- How AWS prints a value ---- */

static size_t blob_length(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	size_t padding = (len >= 1 && text[len - 1] == '=') + (len >= 2 && text[len - 2] == '=');

	return len / 4 * 3 - (len >= 4 ? padding : 0);
}

static void show_list(const json_t *value, char ret[SHOWN_SIZE])
{
	size_t used = (size_t)snprintf(ret, SHOWN_SIZE, "'["), i;
	json_t *item;

	json_array_foreach ((json_t *)value, i, item) {
		const char *text = json_string_value(item);

		used += (size_t)snprintf(
			ret + used, SHOWN_MAX - used, "%s%s", i > 0 ? ", " : "", text != NULL ? text : "");
		if (used >= SHOWN_MAX - 1) {
			used = SHOWN_MAX - 1;
			break;
		}
	}
	snprintf(ret + used, SHOWN_SIZE - used, "]'");
}

static void show(const struct member *m, const json_t *value, char ret[SHOWN_SIZE])
{
	ret[0] = '\0';
	if (m->flags & MEMBER_SENSITIVE)
		return;
	switch (m->type) {
	case MEMBER_STRING:
		snprintf(ret, SHOWN_SIZE, "'%.*s'", SHOWN_MAX, json_string_value(value));
		break;
	case MEMBER_INTEGER:
		snprintf(ret, SHOWN_SIZE, "'%lld'", (long long)json_integer_value(value));
		break;
	case MEMBER_BLOB:
		snprintf(ret, SHOWN_SIZE, "'java.nio.HeapByteBuffer[pos=0 lim=%zu cap=%zu]'", blob_length(value),
			blob_length(value));
		break;
	case MEMBER_LIST:
		show_list(value, ret);
		break;
	default:
		break;
	}
}

/* ---- Constraints: each call of @each is one that the value does not meet ---- */

struct asking {
	struct findings *f;
	const char *path;
	const struct member *member; /* what a refusal shows of @value */
	const json_t *value;
	int nested; /* the value is a list whose elements are asked: say so */
};

static void refuse(struct asking *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct asking *a, const char *fmt, ...)
{
	char constraint[CONSTRAINT_SIZE], outer[CONSTRAINT_SIZE + 40], shown[SHOWN_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(constraint, sizeof(constraint), fmt, ap);
	va_end(ap);
	snprintf(outer, sizeof(outer), a->nested ? "Member must satisfy constraint: [%s]" : "%s", constraint);
	show(a->member, a->value, shown);
	find(a->f, a->path, shown, outer);
}

/* Characters, as AWS counts them: code points. */
static long text_length(const char *text)
{
	long n = 0;

	for (; *text != '\0'; text++)
		n += (*text & 0xC0) != 0x80;
	return n;
}

static void ask_limits(struct asking *a, const struct member *m, const char *what, long n)
{
	if (m->min == 0 && m->max == 0)
		return;
	if (n < m->min)
		refuse(a, "Member must have %s greater than or equal to %ld", what, m->min);
	if (n > m->max)
		refuse(a, "Member must have %s less than or equal to %ld", what, m->max);
}

static void ask_enumeration(struct asking *a, const struct member *m, const char *value)
{
	char set[CONSTRAINT_SIZE - 40];
	size_t used = 0;

	if (m->values == NULL)
		return;
	for (const char *const *v = m->values; *v != NULL; v++)
		if (strcmp(*v, value) == 0)
			return;
	for (const char *const *v = m->values; *v != NULL; v++) {
		if (used < sizeof(set))
			used += (size_t)snprintf(set + used, sizeof(set) - used, "%s%s", used > 0 ? ", " : "", *v);
	}
	refuse(a, "Member must satisfy enum value set: [%s]", set);
}

static void ask_string(struct asking *a, const struct member *m, const char *text)
{
	ask_limits(a, m, "length", text_length(text));
	ask_enumeration(a, m, text);
	if (m->pattern != NULL && !pattern_matches(m->pattern, text))
		refuse(a, "Member must satisfy regular expression pattern: %s", m->pattern->text);
}

/* ---- Members ---- */

static void ask_members(struct findings *f, const char *prefix, const struct member *members, const json_t *object);

static void ask_elements(struct asking *a, const struct member *m, const json_t *list)
{
	char path[PATH_SIZE];
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		unsigned before = a->f->count;

		if (m->inner->type == MEMBER_STRUCTURE) {
			snprintf(path, sizeof(path), "%.*s.%zu.member.", OUTER_MAX, a->path, i + 1);
			ask_members(a->f, path, m->inner->inner, item);
			continue;
		}
		a->nested = 1;
		ask_string(a, m->inner, json_string_value(item));
		if (a->f->count > before) /* the message shows the whole list: once is enough */
			return;
	}
}

static void ask_value(struct asking *a, const struct member *m, const json_t *value)
{
	char path[PATH_SIZE];

	switch (m->type) {
	case MEMBER_STRING:
		ask_string(a, m, json_string_value(value));
		break;
	case MEMBER_BLOB:
		ask_limits(a, m, "length", (long)blob_length(value));
		break;
	case MEMBER_INTEGER:
		ask_limits(a, m, "value", json_integer_value(value));
		break;
	case MEMBER_LIST:
		ask_limits(a, m, "length", (long)json_array_size(value));
		ask_elements(a, m, value);
		break;
	case MEMBER_STRUCTURE:
		snprintf(path, sizeof(path), "%.*s.", OUTER_MAX, a->path);
		ask_members(a->f, path, m->inner, value);
		break;
	default:
		break;
	}
}

/* @value NULL: it is required, and not there. */
static void ask_member(struct findings *f, const char *prefix, const struct member *m, const json_t *value)
{
	char name[VALIDATE_NAME_SIZE], path[PATH_SIZE];
	struct asking a = {.f = f, .path = path, .member = m, .value = value};

	validate_lower_camel(m->name, name);
	snprintf(path, sizeof(path), "%s%s", prefix, name);
	if (value == NULL)
		find(f, path, "null", "Member must not be null");
	else
		ask_value(&a, m, value);
}

static void ask_members(struct findings *f, const char *prefix, const struct member *members, const json_t *object)
{
	for (const struct member *m = members; m->name != NULL; m++) {
		const json_t *value = json_object_get(object, m->name);
		int given = value != NULL && !json_is_null(value);

		if (given || (m->flags & MEMBER_REQUIRED))
			ask_member(f, prefix, m, given ? value : NULL);
	}
}

enum err validate_request(const struct member *members, const json_t *request)
{
	struct findings f;

	f.count = 0;
	f.used = 0;
	TRY(validate_types(members, request));
	ask_members(&f, "", members, request);
	if (f.count == 0)
		return ERR_OK;
	return err_fail(
		ERR_KMS_VALIDATION, "%u validation error%s detected: %s", f.count, f.count == 1 ? "" : "s", f.text);
}
