/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/metadata.h"
#include "kms/engine/states.h"

json_t *metadata_time(uint64_t wall_ns)
{
	return json_real((double)(wall_ns / 1000000) / 1000.0);
}

static void add_optional(json_t *m, const struct store_key *key)
{
	if (key->state == KEY_PENDING_DELETION)
		json_object_set_new(m, "DeletionDate", metadata_time(key->deletion_date));
}

static enum err add_material(struct engine *engine, const struct store_key *key, json_t *m)
{
	struct store_backing current;

	if (strcmp(key->spec, "SYMMETRIC_DEFAULT") != 0)
		return ERR_OK;
	json_object_set_new(m, "EncryptionAlgorithms", json_pack("[s]", "SYMMETRIC_DEFAULT"));
	TRY(store_backing_find(engine->store, key->row, key->current, &current));
	json_object_set_new(m, "CurrentKeyMaterialId", json_string(current.material_id));
	return ERR_OK;
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
	add_optional(m, key);
	e = add_material(engine, key, m);
	if (e != ERR_OK) {
		json_decref(m);
		return e;
	}
	*ret = m;
	return ERR_OK;
}
