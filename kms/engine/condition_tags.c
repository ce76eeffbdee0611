/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/condition_tags.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "kms/engine/condition_values.h"
#include "kms/engine/tags.h"

/* How well the name of a tag fits the one of a condition: 2 as it is, 1 in another case, 0 not. */
static int fit_of(const char *name, const char *wanted)
{
	return strcmp(name, wanted) == 0 ? 2 : strcasecmp(name, wanted) == 0;
}

enum err condition_request_tag(const struct condition_scope *s, const char *name, struct policy_values *ret)
{
	const json_t *tags = call_member(s->call, "Tags"), *tag;
	const char *found = NULL;
	int best = 0;
	size_t i;

	json_array_foreach ((json_t *)tags, i, tag) {
		const char *key = json_string_value(json_object_get(tag, "TagKey"));
		const char *value = json_string_value(json_object_get(tag, "TagValue"));
		int fit = key != NULL && value != NULL ? fit_of(key, name) : 0;

		found = fit > best ? value : found;
		best = fit > best ? fit : best;
	}
	return found != NULL ? condition_give(ret, found) : ERR_OK;
}

enum err condition_tag_keys(const struct condition_scope *s, struct policy_values *ret)
{
	const json_t *tags = call_member(s->call, "Tags"), *tag;
	size_t i;

	if (tags == NULL)
		return condition_give_strings(ret, call_member(s->call, "TagKeys"));
	TRY(condition_room(ret, json_array_size(tags)));
	json_array_foreach ((json_t *)tags, i, tag) {
		if (json_is_string(json_object_get(tag, "TagKey")))
			ret->list[ret->count++] = json_string_value(json_object_get(tag, "TagKey"));
	}
	return ERR_OK;
}

enum err condition_resource_tag(const struct condition_scope *s, const char *name, struct policy_values *ret)
{
	struct store_tag *tags;
	const char *found = NULL;
	size_t n = 0;
	int best = 0;
	enum err e;

	if (s->key == NULL)
		return ERR_OK;
	tags = calloc(TAGS_MAX, sizeof(*tags));
	if (tags == NULL)
		return ERR_NO_MEMORY;
	e = store_tag_list(s->call->engine->store, s->key->row, "", TAGS_MAX, tags, &n);
	for (size_t i = 0; e == ERR_OK && i < n; i++) {
		int fit = fit_of(tags[i].name, name);

		found = fit > best ? tags[i].value : found;
		best = fit > best ? fit : best;
	}
	if (found != NULL)
		e = condition_give_copy(ret, found);
	free(tags);
	return e;
}
