/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/engine/validate_type.h"

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
	case JSON_NULL:
		return "VALUE_NULL";
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

static enum err map_type(const json_t *value)
{
	const char *name;
	json_t *item;

	if (!json_is_object(value))
		return wrong_type(value, "a Map");
	json_object_foreach ((json_t *)value, name, item) {
		if (!json_is_string(item))
			return wrong_type(item, "a String");
	}
	return ERR_OK;
}

static enum err check_type(const struct member *m, const json_t *value);

/* An element that is null is of no type: a list has no members that could be left out. */
static enum err list_type(const struct member *m, const json_t *value)
{
	json_t *item;
	size_t i;

	if (!json_is_array(value))
		return wrong_type(value, "a List");
	json_array_foreach ((json_t *)value, i, item) {
		if (json_is_null(item))
			return wrong_type(item, "a member of a List");
		TRY(check_type(m->inner, item));
	}
	return ERR_OK;
}

static enum err timestamp_type(const json_t *value)
{
	return json_is_number(value) && isfinite(json_number_value(value)) ? ERR_OK : wrong_type(value, "a Timestamp");
}

static enum err members_type(const struct member *members, const json_t *object)
{
	if (!json_is_object(object))
		return wrong_type(object, "a Structure");
	for (const struct member *m = members; m->name != NULL; m++) {
		const json_t *value = json_object_get(object, m->name);

		if (value != NULL && !json_is_null(value))
			TRY(check_type(m, value));
	}
	return ERR_OK;
}

static enum err check_type(const struct member *m, const json_t *value)
{
	switch (m->type) {
	case MEMBER_STRING:
		return json_is_string(value) ? ERR_OK : wrong_type(value, "a String");
	case MEMBER_BLOB:
		return blob_type(value);
	case MEMBER_INTEGER:
		return json_is_integer(value) ? ERR_OK : wrong_type(value, "an Integer");
	case MEMBER_BOOLEAN:
		return json_is_boolean(value) ? ERR_OK : wrong_type(value, "a Boolean");
	case MEMBER_TIMESTAMP:
		return timestamp_type(value);
	case MEMBER_MAP:
		return map_type(value);
	case MEMBER_LIST:
		return list_type(m, value);
	case MEMBER_STRUCTURE:
		return members_type(m->inner, value);
	}
	return ERR_OK;
}

enum err validate_types(const struct member *members, const json_t *request)
{
	if (!json_is_object(request))
		return err_fail(ERR_KMS_SERIALIZATION, "The request is not a JSON object");
	return members_type(members, request);
}
