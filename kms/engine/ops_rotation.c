/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/audit.h"
#include "kms/engine/due.h"
#include "kms/engine/marker.h"
#include "kms/engine/material.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"
#include "kms/engine/regions.h"
#include "kms/engine/rotation.h"

void rotation_enable(struct store_key *key, uint32_t days, uint64_t now)
{
	if (!key->rotation_enabled)
		key->rotation_from = now;
	key->rotation_enabled = 1;
	key->rotation_days = days;
	key->next_rotation = key->rotation_from + days * ENGINE_DAY;
}

/* "uns" of the state table: material that this KMS did not make cannot be made anew by it. */
static enum err require_origin(const struct call *call, const char *origin)
{
	char arn[ENGINE_ARN_SIZE];

	if (strcmp(call->key.spec, "SYMMETRIC_DEFAULT") == 0 && strcmp(call->key.origin, origin) == 0)
		return ERR_OK;
	names_key_arn(&call->key, arn);
	return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "%s is not supported for %s: key spec %s, origin %s.",
		call->op->name, arn, call->key.spec, call->key.origin);
}

static enum err require_rotatable(const struct call *call)
{
	return require_origin(call, "AWS_KMS");
}

/* Replicas follow their primary. */
static enum err require_not_replica(const struct call *call)
{
	char arn[ENGINE_ARN_SIZE];

	if (!call->key.multi_region || regions_is_primary(&call->key))
		return ERR_OK;
	names_key_arn(&call->key, arn);
	return err_fail(
		ERR_KMS_UNSUPPORTED_OPERATION, "%s is a multi-Region replica key: rotate the primary key.", arn);
}

enum err op_enable_key_rotation(struct call *call)
{
	TRY(require_rotatable(call));
	TRY(require_not_replica(call));
	rotation_enable(
		&call->key, (uint32_t)call_integer(call, "RotationPeriodInDays", ROTATION_DAYS_DEFAULT), call->now);
	return store_key_update(call->engine->store, &call->key);
}

enum err op_disable_key_rotation(struct call *call)
{
	TRY(require_rotatable(call));
	TRY(require_not_replica(call));
	call->key.rotation_enabled = 0;
	call->key.next_rotation = 0;
	return store_key_update(call->engine->store, &call->key);
}

/* The schedule of a multi-Region key is its primary's. */
static enum err schedule_of(struct call *call, struct store_key *ret)
{
	*ret = call->key;
	if (!call->key.multi_region || regions_is_primary(&call->key))
		return ERR_OK;
	return store_key_find(call->engine->store, call->key.primary_region, call->key.id, ret);
}

enum err op_get_key_rotation_status(struct call *call)
{
	struct store_key key;
	char id[NAMES_KEY_ID_SIZE];
	json_t *body;

	TRY(require_rotatable(call));
	TRY(schedule_of(call, &key));
	names_key_id(key.id, key.multi_region, id);
	/* A key that is pending deletion is not rotated, so it says that it will not be. */
	if (!key.rotation_enabled || call->key.state == KEY_PENDING_DELETION)
		return call_answer(call, json_pack("{s:b, s:s}", "KeyRotationEnabled", 0, "KeyId", id));
	body = json_pack("{s:b, s:s, s:i, s:o?}", "KeyRotationEnabled", 1, "KeyId", id, "RotationPeriodInDays",
		(int)key.rotation_days, "NextRotationDate", metadata_time(key.next_rotation));
	return call_answer(call, body);
}

/* ---- On demand ---- */

/* Every replica must have the material before anything is encrypted under it. */
static enum err check_replicas_have(struct call *call, const struct store_backing *pending)
{
	struct regions *all AUTO_FREE = NULL;
	struct store_backing theirs;

	TRY(regions_of(call->engine, &call->key, &all));
	for (size_t i = 0; call->key.multi_region && i < all->count; i++) {
		enum err e = store_backing_find(call->engine->store, all->key[i].row, pending->id, &theirs);

		if (e == ERR_NOT_FOUND || (e == ERR_OK && !theirs.present))
			return err_fail(ERR_KMS_INVALID_STATE,
				"The key material that is pending rotation has not been imported into the replica in "
				"%s.",
				all->key[i].region);
		TRY(e);
	}
	return ERR_OK;
}

static enum err rotate_to_imported(struct call *call)
{
	struct store_backing pending;
	char arn[ENGINE_ARN_SIZE];
	enum err e = store_backing_pending(call->engine->store, call->key.row, &pending);

	names_key_arn(&call->key, arn);
	if (e == ERR_NOT_FOUND || (e == ERR_OK && !pending.present))
		return err_fail(
			ERR_KMS_INVALID_STATE, "%s has no imported key material that is pending rotation.", arn);
	TRY(e);
	TRY(check_replicas_have(call, &pending));
	pending.rotation = BACKING_ON_DEMAND;
	pending.rotated = call->now;
	memcpy(call->key.current, pending.id, UUID_SIZE);
	return store_backing_update(call->engine->store, &pending);
}

enum err op_rotate_key_on_demand(struct call *call)
{
	struct store_key *key = &call->key;
	char arn[ENGINE_ARN_SIZE];

	TRY(require_origin(call, key->origin));
	TRY(require_not_replica(call));
	names_key_arn(key, arn);
	if (limits_allow(&call->engine->limits, LIMIT_ROTATIONS, key->on_demand_rotations + (size_t)1) != ERR_OK)
		return err_fail(ERR_KMS_LIMIT_EXCEEDED,
			"The on-demand rotations limit has been reached for the given keyId. No more on-demand "
			"rotations can be performed for this key: %s",
			arn);
	key->on_demand_rotations++;
	if (strcmp(key->origin, "EXTERNAL") == 0)
		TRY(rotate_to_imported(call));
	else
		TRY(material_create(call->engine, key, KEY_SIZE, BACKING_ON_DEMAND, call->now));
	TRY(store_key_update(call->engine->store, key));
	TRY(regions_follow_rotation(call->engine, key));
	return call_answer(call, json_pack("{s:s}", "KeyId", arn));
}

static void add_import(json_t *entry, const struct store_backing *b)
{
	json_object_set_new(entry, "ImportState", json_string(b->present ? "IMPORTED" : "PENDING_IMPORT"));
	if (b->description[0] != '\0')
		json_object_set_new(entry, "KeyMaterialDescription", json_string(b->description));
	if (!b->present)
		return;
	json_object_set_new(entry, "ExpirationModel",
		json_string(b->valid_to != 0 ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE"));
	if (b->valid_to != 0)
		json_object_set_new(entry, "ValidTo", metadata_time(b->valid_to));
}

static const char *material_state(struct call *call, const struct store_backing *b)
{
	if (memcmp(b->id, call->key.current, UUID_SIZE) == 0)
		return "CURRENT";
	if (b->rotation != BACKING_PENDING)
		return "NON_CURRENT";
	return check_replicas_have(call, b) == ERR_OK ? "PENDING_ROTATION" : "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";
}

static json_t *rotation_entry(struct call *call, const struct store_backing *b)
{
	const struct store_key *key = &call->key;
	char id[NAMES_KEY_ID_SIZE];
	json_t *entry;

	names_key_id(key->id, key->multi_region, id);
	entry = json_pack("{s:s, s:s, s:s}", "KeyId", id, "KeyMaterialId", b->material_id, "KeyMaterialState",
		material_state(call, b));
	if (strcmp(key->origin, "EXTERNAL") == 0)
		add_import(entry, b);
	if (b->rotation == BACKING_AUTOMATIC || b->rotation == BACKING_ON_DEMAND) {
		json_object_set_new(entry, "RotationDate", metadata_time(b->rotated));
		json_object_set_new(entry, "RotationType",
			json_string(b->rotation == BACKING_AUTOMATIC ? "AUTOMATIC" : "ON_DEMAND"));
	}
	return entry;
}

enum err op_list_key_rotations(struct call *call)
{
	const char *include = call_string(call, "IncludeKeyMaterial");
	int rotations_only = include == NULL || strcmp(include, "ALL_KEY_MATERIAL") != 0;
	size_t limit = (size_t)call_integer(call, "Limit", 100), n;
	struct store_backing *rows AUTO_FREE = NULL;
	int64_t after;
	json_t *list;

	/* Imported material has its list too; there its own origin is right by definition. */
	TRY(require_origin(call, call->key.origin));
	TRY(marker_read_row(call, &after));
	rows = calloc(limit + 1, sizeof(*rows));
	if (rows == NULL)
		return ERR_NO_MEMORY;
	TRY(store_backing_list(call->engine->store, call->key.row, rotations_only, after, limit + 1, rows, &n));
	list = json_array();
	for (size_t i = 0; i < n && i < limit; i++)
		json_array_append_new(list, rotation_entry(call, &rows[i]));
	return marker_answer_row(call, "Rotations", list, n > limit, n > limit ? rows[limit - 1].seq : 0);
}

/* ---- On schedule ---- */

static enum err rotate_one(struct engine *engine, int64_t row, uint64_t now)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	struct store_key key;
	uint64_t period;

	TRY(store_txn_begin(engine->store, &txn));
	TRY(store_key_get(engine->store, row, &key));
	/* Another process may have done it, or the key's owner changed his mind, since the row was found. */
	if (!key.rotation_enabled || key.state != KEY_ENABLED || key.next_rotation > now)
		return ERR_OK;
	period = (key.rotation_days > 0 ? key.rotation_days : ROTATION_DAYS_DEFAULT) * ENGINE_DAY;
	key.rotation_from = key.next_rotation + (now - key.next_rotation) / period * period;
	key.next_rotation = key.rotation_from + period;
	TRY(material_create(engine, &key, KEY_SIZE, BACKING_AUTOMATIC, now));
	TRY(store_key_update(engine->store, &key));
	TRY(regions_follow_rotation(engine, &key));
	TRY(audit_service_event(engine, now, "RotateKey", &key));
	return store_txn_commit(&txn);
}

enum err rotation_run_due(struct engine *engine, uint64_t now)
{
	return due_each(engine, KEY_WORK_ROTATION, now, rotate_one);
}
