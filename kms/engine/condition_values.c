/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/condition_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/clock.h"

enum err condition_give(struct policy_values *ret, const char *text)
{
	ret->one[0] = text;
	ret->list = ret->one;
	ret->count = 1;
	return ERR_OK;
}

enum err condition_give_bool(struct policy_values *ret, int value)
{
	return condition_give(ret, value ? "true" : "false");
}

enum err condition_give_copy(struct policy_values *ret, const char *text)
{
	ret->text = strdup(text);
	return ret->text != NULL ? condition_give(ret, ret->text) : ERR_NO_MEMORY;
}

enum err condition_give_number(struct policy_values *ret, int64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	return condition_give_copy(ret, text);
}

enum err condition_give_date(struct policy_values *ret, uint64_t wall_ns)
{
	char text[CLOCK_ISO8601_SIZE];

	clock_iso8601(wall_ns, text);
	return condition_give_copy(ret, text);
}

enum err condition_room(struct policy_values *ret, size_t n)
{
	ret->owned = calloc(n + 1, sizeof(*ret->list));
	ret->list = ret->owned;
	return ret->owned != NULL ? ERR_OK : ERR_NO_MEMORY;
}

enum err condition_give_strings(struct policy_values *ret, const json_t *list)
{
	const json_t *item;
	size_t i;

	TRY(condition_room(ret, json_array_size(list)));
	json_array_foreach ((json_t *)list, i, item) {
		if (json_is_string(item))
			ret->list[ret->count++] = json_string_value(item);
	}
	return ERR_OK;
}
