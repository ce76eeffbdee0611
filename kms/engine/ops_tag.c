/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/marker.h"
#include "kms/engine/operations.h"
#include "kms/engine/tags.h"

static int names_member(const json_t *tags, size_t before, const char *name)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(tags, i), "TagKey")), name) == 0)
			return 1;
	return 0;
}

enum err tags_check(struct call *call)
{
	json_t *tags = json_object_get(call->request, "Tags"), *tag;
	size_t i;

	TRY(limits_allow(&call->engine->limits, LIMIT_TAGS, json_array_size(tags)));
	json_array_foreach (tags, i, tag) {
		const char *name = json_string_value(json_object_get(tag, "TagKey"));

		if (names_starts_with(name, "aws:"))
			return err_fail(ERR_KMS_TAG, "Tag keys that begin with aws: are reserved.");
		if (names_member(tags, i, name))
			return err_fail(ERR_KMS_TAG, "A tag key is given twice.");
	}
	return ERR_OK;
}

enum err tags_put(struct call *call, int64_t row)
{
	json_t *tags = json_object_get(call->request, "Tags"), *tag;
	size_t i;

	json_array_foreach (tags, i, tag) {
		TRY(store_tag_set(call->engine->store, row, json_string_value(json_object_get(tag, "TagKey")),
			json_string_value(json_object_get(tag, "TagValue"))));
	}
	return ERR_OK;
}

/* ---- Operations ---- */

enum err op_tag_resource(struct call *call)
{
	size_t count;

	TRY(tags_check(call));
	TRY(tags_put(call, call->key.row));
	TRY(store_tag_count(call->engine->store, call->key.row, &count));
	return limits_allow(&call->engine->limits, LIMIT_TAGS, count);
}

enum err op_untag_resource(struct call *call)
{
	json_t *names = json_object_get(call->request, "TagKeys"), *name;
	size_t i;

	json_array_foreach (names, i, name) {
		if (names_starts_with(json_string_value(name), "aws:"))
			return err_fail(ERR_KMS_TAG, "Tag keys that begin with aws: are reserved.");
		TRY(store_tag_delete(call->engine->store, call->key.row, json_string_value(name)));
	}
	return ERR_OK;
}

enum err op_list_resource_tags(struct call *call)
{
	size_t limit = (size_t)call_integer(call, "Limit", TAGS_MAX), n;
	struct store_tag *tags AUTO_FREE = calloc(limit + 1, sizeof(*tags));
	char after[STORE_TAG_NAME_SIZE];
	json_t *list;

	if (tags == NULL)
		return ERR_NO_MEMORY;
	TRY(marker_read_text(call, after, sizeof(after)));
	TRY(store_tag_list(call->engine->store, call->key.row, after, limit + 1, tags, &n));
	list = json_array();
	for (size_t i = 0; i < n && i < limit; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "TagKey", tags[i].name, "TagValue", tags[i].value));
	return marker_answer_text(call, "Tags", list, n > limit, n > limit ? tags[limit - 1].name : "");
}
