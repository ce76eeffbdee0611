/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "kms/engine/audit.h"
#include "kms/engine/due.h"
#include "kms/engine/import.h"
#include "kms/engine/material.h"
#include "kms/engine/regions.h"
#include "kms/engine/unwrap.h"
#include "kms/engine/wrapping.h"

enum err import_require_external(const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE];

	if (strcmp(key->origin, "EXTERNAL") == 0)
		return ERR_OK;
	names_key_arn(key, arn);
	return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "%s origin is %s which is not valid for this operation.", arn,
		key->origin);
}

/* ---- Before the transaction ---- */

static enum err wrong_material(void)
{
	return err_fail(ERR_KMS_INCORRECT_KEY_MATERIAL,
		"The key material in the request is not of the kind and size that the key's spec has.");
}

/* As it was sent when it is plain bytes; a private key as OpenSSL writes it, so that one key has one form. */
static enum err fit_to_spec(const struct store_key *key, struct pkey_bytes *material)
{
	const struct key_spec *spec = key_spec_find(key->spec);
	struct pkey_bytes canonical = {NULL, 0};

	if (spec->family == FAMILY_SYMMETRIC || spec->family == FAMILY_HMAC)
		return material->len == spec->size ? ERR_OK : wrong_material();
	if (pkey_import(spec, material, &canonical) != ERR_OK)
		return wrong_material();
	secret_free(material->p);
	*material = canonical;
	return ERR_OK;
}

enum err import_unwrap(struct call *call, const struct store_key *key)
{
	struct pkey_bytes wrapped AUTO_PKEY_BYTES = {NULL, 0}, token AUTO_PKEY_BYTES = {NULL, 0},
				  private_key AUTO_PKEY_BYTES = {NULL, 0}, material AUTO_PKEY_BYTES = {NULL, 0};
	char algorithm[STORE_WORD_SIZE];

	TRY(json_get_blob(call->request, "ImportToken", &token.p, &token.len));
	TRY(json_get_blob(call->request, "EncryptedKeyMaterial", &wrapped.p, &wrapped.len));
	TRY(wrapping_open(call, key, &token, algorithm, &private_key));
	TRY(unwrap(algorithm, &private_key, &wrapped, &material));
	TRY(fit_to_spec(key, &material));
	call->prepared.len = material.len;
	call->prepared.p = STEAL(material.p);
	return ERR_OK;
}

/* ---- Identity and completeness ---- */

enum err import_material_id(struct engine *engine, const struct store_key *key, const struct pkey_bytes *material,
	char ret[STORE_MATERIAL_ID_SIZE])
{
	const struct bytes_view parts[] = {{LABEL_KMS_MATERIAL_ID, sizeof(LABEL_KMS_MATERIAL_ID)}, {key->id, UUID_SIZE},
		{material->p, material->len}};
	uint8_t mac[SHA256_SIZE];

	TRY(kdf_hmacv(engine->secrets->marker, KEY_SIZE, parts, sizeof(parts) / sizeof(parts[0]), mac));
	encode_hex(mac, sizeof(mac), ret);
	return ERR_OK;
}

/* Every backing key of a key; @each may change the one it is given. */
enum { MATERIALS_MAX = 1024 };

static enum err all_materials(struct engine *engine, int64_t row, struct store_backing **ret, size_t *ret_count)
{
	struct store_backing *rows AUTO_FREE = calloc(MATERIALS_MAX, sizeof(*rows));

	if (rows == NULL)
		return ERR_NO_MEMORY;
	TRY(store_backing_list(engine->store, row, 0, 0, MATERIALS_MAX, rows, ret_count));
	*ret = STEAL(rows);
	return ERR_OK;
}

enum err import_is_complete(struct engine *engine, const struct store_key *key, int *ret)
{
	struct store_backing *rows AUTO_FREE = NULL;
	int complete = 1;
	size_t n;

	TRY(all_materials(engine, key->row, &rows, &n));
	for (size_t i = 0; i < n; i++)
		if (!rows[i].present && rows[i].rotation != BACKING_PENDING)
			complete = 0;
	*ret = complete && n > 0;
	return ERR_OK;
}

/* ---- Going ---- */

/* What a primary has not rotated to is not of the key yet: it goes from every region. */
static enum err remove_pending(struct engine *engine, const struct store_key *key, const struct store_backing *backing)
{
	struct regions *all AUTO_FREE = NULL;

	TRY(store_backing_delete(engine->store, key->row, backing->id));
	if (!regions_is_primary(key))
		return ERR_OK;
	TRY(regions_of(engine, key, &all));
	for (size_t i = 0; i < all->count; i++) {
		enum err e = all->key[i].row == key->row
				     ? ERR_NOT_FOUND
				     : store_backing_delete(engine->store, all->key[i].row, backing->id);

		if (e != ERR_OK && e != ERR_NOT_FOUND)
			return e;
	}
	return ERR_OK;
}

enum err import_remove(struct engine *engine, struct store_key *key, const struct store_backing *backing)
{
	if (backing->rotation == BACKING_PENDING) {
		TRY(remove_pending(engine, key, backing));
	} else {
		TRY(store_backing_set_sealed(engine->store, key->row, backing->id, NULL, 0));
		if (key->state != KEY_PENDING_DELETION && key->state != KEY_PENDING_REPLICA_DELETION)
			key->state = KEY_PENDING_IMPORT;
	}
	engine->checkpoint_owed = 1;
	return ERR_OK;
}

static enum err expire_one(struct engine *engine, int64_t row, uint64_t now)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	struct store_backing *rows AUTO_FREE = NULL;
	struct store_key key;
	size_t n;

	TRY(store_txn_begin(engine->store, &txn));
	TRY(store_key_get(engine->store, row, &key));
	TRY(all_materials(engine, row, &rows, &n));
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].present || rows[i].valid_to == 0 || rows[i].valid_to > now)
			continue;
		TRY(import_remove(engine, &key, &rows[i]));
		TRY(audit_service_event(engine, now, "DeleteExpiredKeyMaterial", &key));
	}
	TRY(store_key_update(engine->store, &key));
	return store_txn_commit(&txn);
}

static enum err drop_wrapping_keys(struct engine *engine, uint64_t now)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	int gone;

	TRY(store_txn_begin(engine->store, &txn));
	TRY(store_wrapping_expire(engine->store, now, &gone));
	return gone > 0 ? store_txn_commit(&txn) : ERR_OK;
}

enum err import_run_due(struct engine *engine, uint64_t now)
{
	TRY(due_each(engine, KEY_WORK_EXPIRY, now, expire_one));
	return drop_wrapping_keys(engine, now);
}
