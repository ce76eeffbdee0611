/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/json.h"
#include "kms/base/encode.h"
#include "kms/base/secret.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

void json_decref_auto(json_t **value)
{
	json_decref(*value);
}

/* jansson recurses; its own bound of 2048 levels is more than a small thread stack holds. */
static enum err check_depth(const char *text, size_t len)
{
	unsigned depth = 0;
	int in_string = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if ((c == '{' || c == '[') && ++depth > DEPTH_MAX)
			return err_fail(ERR_FORMAT, "JSON nests deeper than %d levels at byte %zu", (int)DEPTH_MAX, i);
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return ERR_OK;
}

/* jansson's own text quotes what stands near the error, which may be a key. */
static const char *reason(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_invalid_utf8:
		return "invalid UTF-8";
	case json_error_premature_end_of_input:
		return "the text ends too early";
	case json_error_end_of_input_expected:
		return "something stands behind the value";
	case json_error_duplicate_key:
		return "a member appears twice";
	case json_error_numeric_overflow:
		return "a number is out of range";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL character";
	default:
		return "syntax error";
	}
}

enum err json_parse(const char *text, size_t len, json_t **ret)
{
	json_error_t error;
	json_t *value;

	TRY(check_depth(text, len));
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (value) {
		*ret = value;
		return ERR_OK;
	}
	if (json_error_code(&error) == json_error_out_of_memory)
		return err_fail(ERR_NO_MEMORY, "no memory for a JSON text of %zu bytes", len);
	return err_fail(ERR_FORMAT, "JSON line %d column %d: %s", error.line, error.column > 0 ? error.column : 0,
		reason(&error));
}

int json_set_blob(json_t *object, const char *name, const void *p, size_t len)
{
	char *text = secret_heap_malloc(BASE64_LEN(len) + 1);
	int rc;

	if (!text)
		return -1;
	rc = json_object_set_new(object, name, json_stringn_nocheck(text, encode_base64(p, len, text)));
	secret_heap_free(text);
	return rc;
}

enum err json_get_blob(const json_t *object, const char *name, uint8_t **ret, size_t *ret_len)
{
	const json_t *member = json_object_get(object, name);
	uint8_t *blob AUTO_SECRET = NULL;
	size_t len, room;

	if (!member)
		return err_fail(ERR_NOT_FOUND, "no member %s", name);
	if (!json_is_string(member))
		return err_fail(ERR_FORMAT, "%s is no string", name);
	len = json_string_length(member);
	room = len / 4 * 3;
	blob = secret_alloc(room + 1);
	if (!blob)
		return err_fail(ERR_NO_MEMORY, "no secret memory for the %zu bytes of %s", room, name);
	if (decode_base64(json_string_value(member), len, blob, room, &len) != ERR_OK)
		return err_wrap(ERR_FORMAT, "%s", name);
	*ret_len = len;
	*ret = STEAL(blob);
	return ERR_OK;
}
