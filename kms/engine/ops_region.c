/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/authorize.h"
#include "kms/engine/create_key.h"
#include "kms/engine/key_policy.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"
#include "kms/engine/policy_cache.h"
#include "kms/engine/regions.h"
#include "kms/engine/states.h"
#include "kms/engine/tags.h"

static enum err require_primary(const struct call *call)
{
	char arn[ENGINE_ARN_SIZE];

	if (regions_is_primary(&call->key))
		return ERR_OK;
	names_key_arn(&call->key, arn);
	return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "%s is not a multi-Region primary key.", arn);
}

static struct store_key *in_region(struct regions *all, const char *region)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->key[i].region, region) == 0)
			return &all->key[i];
	return NULL;
}

/* ---- ReplicateKey ---- */

static enum err check_region(struct call *call, struct regions *all)
{
	const char *region = call_string(call, "ReplicaRegion");
	char arn[ENGINE_ARN_SIZE];

	if (strlen(region) >= STORE_REGION_SIZE)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "The Region %s is not known.", region);
	if (all->count >= REGIONS_MAX)
		return err_fail(
			ERR_KMS_LIMIT_EXCEEDED, "A multi-Region key can be in at most %d Regions.", REGIONS_MAX);
	if (in_region(all, region) == NULL)
		return ERR_OK;
	names_key_arn(in_region(all, region), arn);
	return err_fail(ERR_KMS_ALREADY_EXISTS, "The key %s already exists", arn);
}

/* The replica is created in its own region: a caller who may create keys only here may not have one there. */
static enum err authorize_creation(struct call *call)
{
	const char *here = call->region;
	enum err e;

	call->region = call_string(call, "ReplicaRegion");
	e = authorize(call, "CreateKey", NULL);
	call->region = here;
	return e;
}

static enum err make_replica(struct call *call, struct store_key *ret)
{
	const char *description = call_string(call, "Description");
	int external = strcmp(call->key.origin, "EXTERNAL") == 0;
	struct store_key key = call->key;

	snprintf(key.region, sizeof(key.region), "%s", call_string(call, "ReplicaRegion"));
	snprintf(key.account, sizeof(key.account), "%s", call->key.account);
	key.state = external ? KEY_PENDING_IMPORT : KEY_ENABLED;
	key.created = call->now;
	key.policy = 0;
	key.rotation_enabled = 0;
	key.next_rotation = key.rotation_from = 0;
	TRY(store_key_insert(call->engine->store, &key, description != NULL ? description : "", &key.row));
	TRY(regions_copy_materials(call->engine, &call->key, &key));
	TRY(store_key_update(call->engine->store, &key));
	*ret = key;
	return ERR_OK;
}

static enum err put_policy(struct call *call, struct store_key *replica, json_t **ret)
{
	const char *text = call_string(call, "Policy");

	char *effective AUTO_FREE = NULL;

	if (text != NULL)
		TRY(key_policy_put(call, replica, text));
	TRY(policy_text_of_key(call->engine, replica, &effective));
	*ret = json_string(effective);
	return ERR_OK;
}

enum err op_replicate_key(struct call *call)
{
	struct regions *all AUTO_FREE = NULL;
	json_t *metadata = NULL, *policy = NULL, *tags = json_object_get(call->request, "Tags");
	struct store_key replica;

	TRY(require_primary(call));
	TRY(tags_check(call));
	TRY(regions_of(call->engine, &call->key, &all));
	TRY(check_region(call, all));
	TRY(authorize_creation(call));
	TRY(key_allow_one_more(call, call->key.account, call_string(call, "ReplicaRegion")));
	TRY(make_replica(call, &replica));
	TRY(tags_put(call, replica.row));
	TRY(put_policy(call, &replica, &policy));
	TRY(metadata_of_key(call->engine, &replica, &metadata));
	call_touch(call, &replica);
	return call_answer(call, json_pack("{s:o, s:o?, s:o}", "ReplicaKeyMetadata", metadata, "ReplicaPolicy", policy,
					 "ReplicaTags", json_is_array(tags) ? json_incref(tags) : json_array()));
}

/* ---- UpdatePrimaryRegion ---- */

/* The schedule goes along: rotation is the primary's business. */
static void hand_over(struct store_key *from, struct store_key *to)
{
	to->rotation_enabled = from->rotation_enabled;
	to->rotation_days = from->rotation_days;
	to->rotation_from = from->rotation_from;
	to->next_rotation = from->next_rotation;
	to->on_demand_rotations = from->on_demand_rotations;
	from->rotation_enabled = 0;
	from->next_rotation = 0;
}

enum err op_update_primary_region(struct call *call)
{
	const char *region = call_string(call, "PrimaryRegion");
	struct regions *all AUTO_FREE = NULL;
	struct store_key *next;

	TRY(require_primary(call));
	TRY(regions_of(call->engine, &call->key, &all));
	next = in_region(all, region);
	if (next == NULL || next->row == call->key.row)
		return err_fail(next == NULL ? ERR_KMS_NOT_FOUND : ERR_KMS_UNSUPPORTED_OPERATION,
			next == NULL ? "There is no replica of the key in the Region %s."
				     : "The primary key is already in the Region %s.",
			region);
	TRY(call_use_key(call, next, "UpdatePrimaryRegion"));
	hand_over(in_region(all, call->key.region), next);
	for (size_t i = 0; i < all->count; i++) {
		snprintf(all->key[i].primary_region, STORE_REGION_SIZE, "%s", region);
		TRY(store_key_update(call->engine->store, &all->key[i]));
	}
	return ERR_OK;
}
