/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/secret.h"
#include "kms/policy/policy.h"

/* Which text stands for @text: the same, or another. */
static json_t *renamed(json_t *text, const json_t *shown)
{
	json_t *other = json_is_string(text) ? json_object_get(shown, json_string_value(text)) : NULL;

	return json_incref(other != NULL ? other : text);
}

static void rename_in(json_t *statement, const char *element, const json_t *shown)
{
	json_t *block = json_object_get(statement, element), *list = json_object_get(block, "AWS");

	if (json_is_string(list)) {
		json_object_set_new(block, "AWS", renamed(list, shown)); /* @list is gone */
		return;
	}
	for (size_t i = 0; json_is_array(list) && i < json_array_size(list); i++)
		json_array_set_new(list, i, renamed(json_array_get(list, i), shown));
}

/* In memory that free() frees, which is not always jansson's. */
static enum err write(const json_t *document, char **ret)
{
	const size_t flags = JSON_INDENT(2) | JSON_PRESERVE_ORDER;
	size_t len = json_dumpb(document, NULL, 0, flags);
	char *text AUTO_FREE = malloc(len + 1);

	if (text == NULL || len == 0 || json_dumpb(document, text, len, flags) != len)
		return ERR_NO_MEMORY;
	text[len] = '\0';
	*ret = STEAL(text);
	return ERR_OK;
}

enum err policy_rename_principals(const char *text, const json_t *shown, char **ret)
{
	json_t *document AUTO_JSON = NULL, *statements;

	TRY(json_parse(text, strlen(text), &document));
	statements = json_object_get(document, "Statement");
	for (size_t i = 0; i < (json_is_array(statements) ? json_array_size(statements) : 1); i++) {
		json_t *statement = json_is_array(statements) ? json_array_get(statements, i) : statements;

		rename_in(statement, "Principal", shown);
		rename_in(statement, "NotPrincipal", shown);
	}
	return write(document, ret);
}
