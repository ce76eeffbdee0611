/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/import.h"
#include "kms/engine/key_use.h"
#include "kms/engine/material.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"
#include "kms/engine/regions.h"
#include "kms/engine/rotation.h"
#include "kms/engine/wrapping.h"

enum { VALID_DAYS_MAX = 365 };

/* The pair was made by prepare.c. */
enum err op_get_parameters_for_import(struct call *call)
{
	struct pkey_bytes public_key AUTO_PKEY_BYTES = {NULL, 0};
	uint8_t token[WRAPPING_TOKEN_SIZE];
	uint64_t expires;

	TRY(import_require_external(&call->key));
	TRY(pkey_public(&call->prepared, &public_key));
	TRY(wrapping_store(call, &call->key, call_string(call, "WrappingAlgorithm"), &call->prepared, token, &expires));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	TRY(key_use_set_blob(call->body, "ImportToken", token, sizeof(token)));
	TRY(key_use_set_blob(call->body, "PublicKey", public_key.p, public_key.len));
	return json_object_set_new(call->body, "ParametersValidTo", metadata_time(expires)) == 0 ? ERR_OK
												 : ERR_NO_MEMORY;
}

/* ---- What ImportKeyMaterial asks for ---- */

static enum err read_valid_to(struct call *call, uint64_t *ret)
{
	const char *model = call_string(call, "ExpirationModel");
	const json_t *value = json_object_get(call->request, "ValidTo");
	int expires = model == NULL || strcmp(model, "KEY_MATERIAL_EXPIRES") == 0;
	double seconds = json_number_value(value), now = (double)(call->now / 1000000) / 1000.0;

	*ret = 0;
	if (expires != json_is_number(value))
		return err_fail(
			ERR_KMS_VALIDATION, expires ? "A validTo date must be set if the ExpirationModel is "
						      "KEY_MATERIAL_EXPIRES"
						    : "A validTo date must not be set if the ExpirationModel is "
						      "KEY_MATERIAL_DOES_NOT_EXPIRE");
	if (!expires)
		return ERR_OK;
	if (!(seconds > now) || seconds > now + VALID_DAYS_MAX * 86400.0)
		return err_fail(ERR_KMS_VALIDATION,
			"The validTo date must be in the future, and at most %d days ahead.", VALID_DAYS_MAX);
	*ret = (uint64_t)(seconds * 1000.0 + 0.5) * 1000000;
	return ERR_OK;
}

static enum err check_members(struct call *call)
{
	static const char *const symmetric_only[] = {"ImportType", "KeyMaterialDescription", "KeyMaterialId"};
	const char *type = call_string(call, "ImportType");

	for (size_t i = 0; i < sizeof(symmetric_only) / sizeof(symmetric_only[0]); i++)
		if (call_string(call, symmetric_only[i]) != NULL && strcmp(call->key.spec, "SYMMETRIC_DEFAULT") != 0)
			return err_fail(ERR_KMS_VALIDATION, "%s can be used only with symmetric encryption keys.",
				symmetric_only[i]);
	if (type != NULL && strcmp(type, "NEW_KEY_MATERIAL") == 0 && call_string(call, "KeyMaterialId") != NULL)
		return err_fail(ERR_KMS_VALIDATION, "KeyMaterialId cannot be used with ImportType NEW_KEY_MATERIAL.");
	return ERR_OK;
}

static enum err incorrect(const char *why)
{
	return err_fail(ERR_KMS_INCORRECT_KEY_MATERIAL, "%s", why);
}

/* ---- New material ---- */

static enum err check_new(struct call *call, size_t known)
{
	struct store_key *key = &call->key;
	struct store_backing pending;
	enum err e;

	if (key->multi_region && !regions_is_primary(key))
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "New key material is imported into the primary key of a "
							       "multi-Region key, and then into its replicas.");
	if (known == 0)
		return ERR_OK;
	if (strcmp(key->spec, "SYMMETRIC_DEFAULT") != 0)
		return incorrect("The key material is not the material that was imported before.");
	e = store_backing_pending(call->engine->store, key->row, &pending);
	if (e == ERR_OK)
		return err_fail(ERR_KMS_INVALID_STATE,
			"There is imported key material that is pending rotation: rotate to it, or delete it first.");
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err insert_new(struct call *call, struct store_backing *b, size_t known)
{
	struct regions *all AUTO_FREE = NULL;

	b->rotation = known == 0 ? BACKING_FIRST : BACKING_PENDING;
	b->created = b->rotated = call->now;
	TRY(material_insert(call->engine, &call->key, b, call->prepared.p, call->prepared.len));
	if (known == 0)
		memcpy(call->key.current, b->id, UUID_SIZE);
	if (!call->key.multi_region)
		return ERR_OK;
	TRY(regions_of(call->engine, &call->key, &all));
	for (size_t i = 0; i < all->count; i++)
		if (all->key[i].row != call->key.row)
			TRY(regions_expect_material(call->engine, &all->key[i], b));
	return ERR_OK;
}

/* ---- The same material again ---- */

static enum err put_again(struct call *call, struct store_backing *found, const struct store_backing *wanted)
{
	found->valid_to = wanted->valid_to;
	if (call_string(call, "KeyMaterialDescription") != NULL)
		memcpy(found->description, wanted->description, sizeof(found->description));
	TRY(store_backing_update(call->engine->store, found));
	return material_put_back(call->engine, &call->key, found->id, call->prepared.p, call->prepared.len);
}

static enum err bring_in(struct call *call, struct store_backing *b)
{
	const char *type = call_string(call, "ImportType"), *id = call_string(call, "KeyMaterialId");
	struct store_backing found;
	enum err e = store_backing_by_material(call->engine->store, call->key.row, b->material_id, &found);
	size_t known;
	int is_new;

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	TRY(store_backing_count(call->engine->store, call->key.row, &known));
	is_new = type != NULL ? strcmp(type, "NEW_KEY_MATERIAL") == 0 : known == 0;
	if (id != NULL && strcmp(id, b->material_id) != 0)
		return incorrect("The key material is not the material with the given KeyMaterialId.");
	if (is_new && e == ERR_OK)
		return incorrect("The key material is already associated with the key.");
	if (!is_new && e == ERR_NOT_FOUND)
		return incorrect("The key material is not the material that was imported before.");
	if (!is_new)
		return put_again(call, &found, b);
	TRY(check_new(call, known));
	return insert_new(call, b, known);
}

enum err op_import_key_material(struct call *call)
{
	struct store_backing b = {.key = call->key.row};
	const char *description = call_string(call, "KeyMaterialDescription");
	int complete;

	TRY(import_require_external(&call->key));
	TRY(check_members(call));
	TRY(read_valid_to(call, &b.valid_to));
	snprintf(b.description, sizeof(b.description), "%s", description != NULL ? description : "");
	TRY(import_material_id(call->engine, &call->key, &call->prepared, b.material_id));
	TRY(bring_in(call, &b));
	TRY(import_is_complete(call->engine, &call->key, &complete));
	if (complete && call->key.state == KEY_PENDING_IMPORT)
		call->key.state = KEY_ENABLED;
	TRY(store_key_update(call->engine->store, &call->key));
	TRY(call_answer(call, key_use_answer("KeyId", &call->key)));
	if (strcmp(call->key.spec, "SYMMETRIC_DEFAULT") == 0)
		json_object_set_new(call->body, "KeyMaterialId", json_string(b.material_id));
	return ERR_OK;
}

enum err op_delete_imported_key_material(struct call *call)
{
	const char *id = call_string(call, "KeyMaterialId");
	struct store_key *key = &call->key;
	struct store_backing b;
	enum err e;

	TRY(import_require_external(key));
	e = id != NULL ? store_backing_by_material(call->engine->store, key->row, id, &b)
		       : store_backing_find(call->engine->store, key->row, key->current, &b);
	if (e == ERR_NOT_FOUND && id != NULL)
		return err_fail(ERR_KMS_NOT_FOUND, "Key material %s does not exist", id);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	TRY(call_answer(call, key_use_answer("KeyId", key)));
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (b.present || b.rotation == BACKING_PENDING)
		TRY(import_remove(call->engine, key, &b));
	TRY(store_key_update(call->engine->store, key));
	if (strcmp(key->spec, "SYMMETRIC_DEFAULT") == 0)
		json_object_set_new(call->body, "KeyMaterialId", json_string(b.material_id));
	return ERR_OK;
}
