/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/engine/blob.h"
#include "kms/engine/context.h"
#include "kms/engine/key_use.h"
#include "kms/engine/material.h"
#include "kms/engine/operations.h"
#include "kms/engine/resolve.h"

enum err key_use_check(const struct call *call, const struct store_key *key, const char *usage, const char *algorithm,
	const struct key_algorithm **ret)
{
	const struct key_algorithm *a = key_algorithm_find(algorithm != NULL ? algorithm : "SYMMETRIC_DEFAULT");
	const struct key_spec *spec = key_spec_find(key->spec);
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	if (strcmp(key->usage, usage) != 0)
		return err_fail(ERR_KMS_INVALID_KEY_USAGE, "%s key usage is %s which is not valid for %s.", arn,
			key->usage, call->op->name);
	if (a == NULL || spec == NULL || !key_algorithm_fits(a, spec))
		return err_fail(ERR_KMS_INVALID_KEY_USAGE, "Algorithm %s and key spec %s are not compatible.",
			algorithm != NULL ? algorithm : "SYMMETRIC_DEFAULT", key->spec);
	TRY(key_algorithm_available(a));
	if (ret != NULL)
		*ret = a;
	return ERR_OK;
}

enum err key_use_no_recipient(const struct call *call)
{
	if (json_is_object(json_object_get(call->request, "Recipient")))
		return err_fail(
			ERR_KMS_UNSUPPORTED_OPERATION, "Recipient is not supported: there are no Nitro enclaves here.");
	return ERR_OK;
}

enum err key_use_encrypt(struct call *call, const struct store_key *key, const char *context_member, const void *in,
	size_t len, uint8_t *blob)
{
	struct blob_header header = {.multi_region = key->multi_region};
	struct cmk_key material AUTO_WIPE;
	uint8_t *context AUTO_FREE = NULL;
	size_t context_len;
	enum err e;

	memcpy(header.key, key->id, UUID_SIZE);
	memcpy(header.backing, key->current, UUID_SIZE);
	TRY(context_encode(json_object_get(call->request, context_member), &context, &context_len));
	e = material_load(call->engine, key, key->current, &material);
	if (e == ERR_NOT_FOUND) /* deleted since it was looked up */
		return resolve_key_missing(key);
	TRY(e);
	return blob_seal(call->engine->secrets->blob_header, &material, &header, context, context_len, in, len, blob);
}

enum err key_use_put_material(struct call *call, json_t *object, const char *member, const struct store_key *key,
	const uint8_t backing[UUID_SIZE])
{
	struct store_backing row;

	TRY(store_backing_find(call->engine->store, key->row, backing, &row));
	if (object != NULL && json_object_set_new(object, member, json_string(row.material_id)) != 0)
		return ERR_NO_MEMORY;
	if (call->additional == NULL)
		call->additional = json_object();
	return json_object_set_new(
		       call->additional, object == NULL ? member : "keyMaterialId", json_string(row.material_id)) == 0
		       ? ERR_OK
		       : ERR_NO_MEMORY;
}

json_t *key_use_answer(const char *member, const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	return json_pack("{s:s}", member, arn);
}

enum err key_use_set_blob(json_t *body, const char *name, const void *p, size_t len)
{
	return json_set_blob(body, name, p, len) == 0 ? ERR_OK : ERR_NO_MEMORY;
}
