/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/json_out.h"
#include "kms/base/secret.h"

/*
 * jansson's own writer calls back for every few characters and has to run twice to learn the length: a quarter of a KMS call.
 * What is written here is the same compact text, byte for byte.
 */

enum { FIRST_ROOM = 1536 };

static char *out_grow(struct json_out *o, size_t len)
{
	size_t room = o->room;

	while (room - o->len < len && room < SIZE_MAX / 2)
		room *= 2;
	if (room != o->room) {
		char *p = secret_heap_realloc(o->p, room);

		if (!p)
			secret_heap_free(o->p);
		o->p = p;
		o->room = room;
	}
	return o->p ? o->p + o->len : NULL;
}

static char *out_room(struct json_out *o, size_t len)
{
	if (!o->p)
		return NULL;
	return o->room - o->len >= len ? o->p + o->len : out_grow(o, len);
}

static void put(struct json_out *o, const char *p, size_t len)
{
	char *at = out_room(o, len);

	if (!at)
		return;
	memcpy(at, p, len);
	o->len += len;
}

static void put_char(struct json_out *o, char c)
{
	put(o, &c, 1);
}

/* RFC 8259 section 7, in the forms that jansson chooses. */
static void put_escaped(struct json_out *o, unsigned char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *at = strchr(plain, c);
	char text[8];
	int len = c && at ? snprintf(text, sizeof(text), "\\%c", names[at - plain])
			  : snprintf(text, sizeof(text), "\\u%04X", c);

	put(o, text, (size_t)len);
}

/* How many bytes there are before the first that has to be escaped; eight at a time are looked at. */
static size_t plain_length(const char *s, size_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
	size_t i = 0;
	uint64_t v;

	for (; len - i >= sizeof(v); i += sizeof(v)) {
		uint64_t quote, backslash, control;

		memcpy(&v, s + i, sizeof(v));
		quote = v ^ ones * '"';
		backslash = v ^ ones * '\\';
		control = v & ~(ones * 0x1f); /* zero where a byte is below 0x20 */
		if ((((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((control - ones) & ~control)) &
			tops)
			break;
	}
	while (i < len && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

static void put_string(struct json_out *o, const char *s, size_t len)
{
	put_char(o, '"');
	for (;;) {
		size_t plain = plain_length(s, len);

		put(o, s, plain);
		if (plain == len)
			break;
		put_escaped(o, (unsigned char)s[plain]);
		s += plain + 1;
		len -= plain + 1;
	}
	put_char(o, '"');
}

/* jansson knows best how it writes these. */
static void put_number(struct json_out *o, const json_t *value)
{
	char text[64];
	size_t len = json_dumpb(value, text, sizeof(text), JSON_COMPACT | JSON_ENCODE_ANY);

	put(o, text, len < sizeof(text) ? len : 0);
}

static void put_value(struct json_out *o, const json_t *value);

static void put_object(struct json_out *o, const json_t *object)
{
	const char *name;
	json_t *member;
	char before = '{';

	if (json_object_size(object) == 0)
		put_char(o, before);
	json_object_foreach ((json_t *)object, name, member) {
		put_char(o, before);
		before = ',';
		put_string(o, name, strlen(name));
		put_char(o, ':');
		put_value(o, member);
	}
	put_char(o, '}');
}

static void put_array(struct json_out *o, const json_t *array)
{
	put_char(o, '[');
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			put_char(o, ',');
		put_value(o, json_array_get(array, i));
	}
	put_char(o, ']');
}

/* Recursion is bounded by what json_parse() lets in and what we make ourselves. */
static void put_value(struct json_out *o, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		put_object(o, value);
		break;
	case JSON_ARRAY:
		put_array(o, value);
		break;
	case JSON_STRING:
		put_string(o, json_string_value(value), json_string_length(value));
		break;
	default:
		put_number(o, value);
	}
}

/* ---- Piece by piece ---- */

void json_out_init(struct json_out *o)
{
	*o = (struct json_out){.p = secret_heap_malloc(FIRST_ROOM), .room = FIRST_ROOM};
}

void json_out_free(struct json_out *o)
{
	secret_heap_free(o->p);
	o->p = NULL;
}

/* What stands behind an opening bracket or a name needs no comma. */
static void put_name(struct json_out *o, const char *name)
{
	if (o->p && o->len && !strchr("{[", o->p[o->len - 1]))
		put_char(o, ',');
	if (!name)
		return;
	put_string(o, name, strlen(name));
	put_char(o, ':');
}

void json_out_begin(struct json_out *o, const char *name, char bracket)
{
	put_name(o, name);
	put_char(o, bracket);
}

void json_out_end(struct json_out *o, char bracket)
{
	put_char(o, bracket);
}

void json_out_text(struct json_out *o, const char *name, const char *text)
{
	put_name(o, name);
	put_string(o, text, strlen(text));
}

static void put_word(struct json_out *o, const char *name, const char *word)
{
	put_name(o, name);
	put(o, word, strlen(word));
}

void json_out_bool(struct json_out *o, const char *name, int value)
{
	put_word(o, name, value ? "true" : "false");
}

void json_out_null(struct json_out *o, const char *name)
{
	put_word(o, name, "null");
}

void json_out_value(struct json_out *o, const char *name, const json_t *value)
{
	put_name(o, name);
	if (value)
		put_value(o, value);
	else
		put(o, "null", 4);
}

char *json_out_take(struct json_out *o, size_t *ret_len)
{
	char *text;

	put_char(o, '\0');
	if (o->p && ret_len)
		*ret_len = o->len - 1;
	text = o->p;
	*o = (struct json_out){.p = NULL};
	return text;
}

char *json_text(const json_t *value, size_t *ret_len)
{
	struct json_out o AUTO_JSON_OUT = {.p = NULL};

	if (!value)
		return NULL;
	json_out_init(&o);
	put_value(&o, value);
	return json_out_take(&o, ret_len);
}
