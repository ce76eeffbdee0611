/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/random.h"
#include "kms/engine/create_key.h"
#include "kms/engine/deletion.h"
#include "kms/engine/key_policy.h"
#include "kms/engine/marker.h"
#include "kms/engine/material.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"
#include "kms/engine/regions.h"
#include "kms/engine/rotation.h"
#include "kms/engine/states.h"
#include "kms/engine/tags.h"

enum { PENDING_DAYS_MIN = 7, PENDING_DAYS_MAX = 30 };

static enum err answer_metadata(struct call *call, const struct store_key *key)
{
	json_t *metadata;

	TRY(metadata_of_key(call->engine, key, &metadata));
	return call_answer(call, json_pack("{s:o?}", "KeyMetadata", metadata));
}

static struct store_key new_key(const struct call *call, const struct create_key_kind *kind)
{
	struct store_key key = {.manager = KEY_MANAGER_CUSTOMER, .created = call->now};

	random_uuid(key.id);
	key.state = kind->external ? KEY_PENDING_IMPORT : KEY_ENABLED;
	key.multi_region = call_true(call, "MultiRegion");
	snprintf(key.account, sizeof(key.account), "%s", call->caller->account);
	snprintf(key.region, sizeof(key.region), "%s", call->region);
	snprintf(key.spec, sizeof(key.spec), "%s", kind->spec->name);
	snprintf(key.usage, sizeof(key.usage), "%s", kind->usage);
	snprintf(key.origin, sizeof(key.origin), "%s", kind->external ? "EXTERNAL" : "AWS_KMS");
	snprintf(key.primary_region, sizeof(key.primary_region), "%s", key.multi_region ? call->region : "");
	return key;
}

static enum err first_material(struct call *call, const struct key_spec *spec, struct store_key *key)
{
	if (call->prepared.p != NULL)
		return material_put(call->engine, key, BACKING_FIRST, call->prepared.p, call->prepared.len, call->now);
	return material_create(call->engine, key, spec->size, BACKING_FIRST, call->now);
}

enum err op_create_key(struct call *call)
{
	const char *description = call_string(call, "Description");
	struct create_key_kind kind;
	struct store_key key;

	TRY(create_key_kind(call, &kind));
	TRY(tags_check(call));
	TRY(key_allow_one_more(call, call->caller->account, call->region));
	key = new_key(call, &kind);
	TRY(store_key_insert(call->engine->store, &key, description != NULL ? description : "", &key.row));
	if (!kind.external)
		TRY(first_material(call, kind.spec, &key));
	TRY(store_key_update(call->engine->store, &key));
	TRY(tags_put(call, key.row));
	if (call_string(call, "Policy") != NULL)
		TRY(key_policy_put(call, &key, call_string(call, "Policy")));
	call_touch(call, &key);
	return answer_metadata(call, &key);
}

enum err op_describe_key(struct call *call)
{
	return answer_metadata(call, &call->key);
}

enum err op_list_keys(struct call *call)
{
	size_t limit = (size_t)call_integer(call, "Limit", 100), n;
	struct store_key *keys AUTO_FREE = calloc(limit + 1, sizeof(*keys));
	json_t *list;
	int64_t after;

	if (keys == NULL)
		return ERR_NO_MEMORY;
	TRY(marker_read_row(call, &after));
	TRY(store_key_list(call->engine->store, call->caller->account, call->region, after, limit + 1, keys, &n));
	list = json_array();
	for (size_t i = 0; i < n && i < limit; i++) {
		char id[NAMES_KEY_ID_SIZE], arn[ENGINE_ARN_SIZE];

		names_key_id(keys[i].id, keys[i].multi_region, id);
		names_key_arn(&keys[i], arn);
		json_array_append_new(list, json_pack("{s:s, s:s}", "KeyId", id, "KeyArn", arn));
	}
	return marker_answer_row(call, "Keys", list, n > limit, n > limit ? keys[limit - 1].row : 0);
}

static enum err set_state(struct call *call, enum key_state state)
{
	call->key.state = state;
	return store_key_update(call->engine->store, &call->key);
}

enum err op_enable_key(struct call *call)
{
	return set_state(call, KEY_ENABLED);
}

enum err op_disable_key(struct call *call)
{
	return set_state(call, KEY_DISABLED);
}

enum err op_update_key_description(struct call *call)
{
	return store_key_set_description(call->engine->store, call->key.row, call_string(call, "Description"));
}

/* A primary waits for its replicas to be gone first; its own waiting period begins then. */
static enum err begin_deletion(struct call *call, uint32_t days)
{
	struct regions *all AUTO_FREE = NULL;

	if (!regions_is_primary(&call->key))
		return deletion_wait(call->engine, &call->key, days, call->now);
	TRY(regions_of(call->engine, &call->key, &all));
	if (all->count <= 1)
		return deletion_wait(call->engine, &call->key, days, call->now);
	call->key.state = KEY_PENDING_REPLICA_DELETION;
	call->key.pending_days = days;
	return ERR_OK;
}

enum err op_schedule_key_deletion(struct call *call)
{
	int64_t days = call_integer(call, "PendingWindowInDays", PENDING_DAYS_MAX);
	struct store_key *key = &call->key;
	char arn[ENGINE_ARN_SIZE];

	if (days < PENDING_DAYS_MIN || days > PENDING_DAYS_MAX)
		return err_fail(ERR_KMS_VALIDATION, "PendingWindowInDays must be between %d and %d (inclusive).",
			PENDING_DAYS_MIN, PENDING_DAYS_MAX);
	TRY(begin_deletion(call, (uint32_t)days));
	TRY(store_key_update(call->engine->store, key));
	names_key_arn(key, arn);
	TRY(call_answer(call, json_pack("{s:s, s:s, s:I}", "KeyId", arn, "KeyState", states_name(key->state),
				      "PendingWindowInDays", (json_int_t)days)));
	if (key->state == KEY_PENDING_DELETION)
		json_object_set_new(call->body, "DeletionDate", metadata_time(key->deletion_date));
	return ERR_OK;
}

enum err op_cancel_key_deletion(struct call *call)
{
	char arn[ENGINE_ARN_SIZE];

	call->key.deletion_date = 0;
	call->key.pending_days = 0;
	TRY(set_state(call, KEY_DISABLED));
	names_key_arn(&call->key, arn);
	return call_answer(call, json_pack("{s:s}", "KeyId", arn));
}
