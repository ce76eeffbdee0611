/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/key_specs.h"
#include "kms/engine/metadata.h"
#include "kms/engine/regions.h"
#include "kms/engine/states.h"

json_t *metadata_time(uint64_t wall_ns)
{
	return json_real((double)(wall_ns / 1000000) / 1000.0);
}

static void add_deletion(json_t *m, const struct store_key *key)
{
	if (key->state == KEY_PENDING_DELETION)
		json_object_set_new(m, "DeletionDate", metadata_time(key->deletion_date));
	if (key->state == KEY_PENDING_REPLICA_DELETION)
		json_object_set_new(m, "PendingDeletionWindowInDays", json_integer(key->pending_days));
}

/* A key whose material was never imported has none. */
static enum err add_material(struct engine *engine, const struct store_key *key, json_t *m)
{
	struct store_backing current;
	enum err e = store_backing_find(engine->store, key->row, key->current, &current);

	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	TRY(e);
	if (strcmp(key->spec, "SYMMETRIC_DEFAULT") == 0)
		json_object_set_new(m, "CurrentKeyMaterialId", json_string(current.material_id));
	if (strcmp(key->origin, "EXTERNAL") != 0 || !current.present)
		return ERR_OK;
	json_object_set_new(m, "ExpirationModel",
		json_string(current.valid_to != 0 ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE"));
	if (current.valid_to != 0)
		json_object_set_new(m, "ValidTo", metadata_time(current.valid_to));
	return ERR_OK;
}

static json_t *region_of(const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	return json_pack("{s:s, s:s}", "Arn", arn, "Region", key->region);
}

static enum err add_regions(struct engine *engine, const struct store_key *key, json_t *m)
{
	struct regions *all AUTO_FREE = NULL;
	json_t *replicas = json_array(), *primary = NULL, *configuration;
	enum err e = regions_of(engine, key, &all);

	for (size_t i = 0; e == ERR_OK && i < all->count; i++) {
		if (regions_is_primary(&all->key[i]))
			primary = region_of(&all->key[i]);
		else
			json_array_append_new(replicas, region_of(&all->key[i]));
	}
	configuration = json_pack("{s:s, s:o*, s:o}", "MultiRegionKeyType",
		regions_is_primary(key) ? "PRIMARY" : "REPLICA", "PrimaryKey", primary, "ReplicaKeys", replicas);
	json_object_set_new(m, "MultiRegionConfiguration", configuration);
	return e;
}

static enum err add_all(struct engine *engine, const struct store_key *key, json_t *m)
{
	add_deletion(m, key);
	TRY(key_specs_list_algorithms(m, key->spec, key->usage));
	if (key->multi_region)
		TRY(add_regions(engine, key, m));
	return add_material(engine, key, m);
}

enum err metadata_of_key(struct engine *engine, const struct store_key *key, json_t **ret)
{
	char id[NAMES_KEY_ID_SIZE], arn[ENGINE_ARN_SIZE];
	char *description AUTO_FREE = NULL;
	json_t *m;
	enum err e;

	names_key_id(key->id, key->multi_region, id);
	names_key_arn(key, arn);
	TRY(store_key_description(engine->store, key->row, &description));
	m = json_pack("{s:s, s:s, s:s, s:o?, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "AWSAccountId",
		key->account, "KeyId", id, "Arn", arn, "CreationDate", metadata_time(key->created), "Enabled",
		key->state == KEY_ENABLED, "Description", description, "KeyUsage", key->usage, "KeyState",
		states_name(key->state), "Origin", key->origin, "KeyManager",
		key->manager == KEY_MANAGER_AWS ? "AWS" : "CUSTOMER", "CustomerMasterKeySpec", key->spec, "KeySpec",
		key->spec, "MultiRegion", key->multi_region);
	if (m == NULL)
		return ERR_NO_MEMORY;
	e = add_all(engine, key, m);
	if (e != ERR_OK) {
		json_decref(m);
		return e;
	}
	*ret = m;
	return ERR_OK;
}
