/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/engine/create_key.h"
#include "kms/engine/names.h"

enum { TAGS_MAX = 50 };

static enum err check_spec(struct call *call)
{
	const char *spec = call_string(call, "KeySpec"), *old = call_string(call, "CustomerMasterKeySpec");
	const char *usage = call_string(call, "KeyUsage");

	if (spec != NULL && old != NULL)
		return err_fail(ERR_KMS_VALIDATION,
			"You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
			"CustomerMasterKeySpec is deprecated.");
	spec = spec != NULL ? spec : old != NULL ? old : "SYMMETRIC_DEFAULT";
	if (strcmp(spec, "SYMMETRIC_DEFAULT") != 0)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"KeySpec %s is not supported here; supported: SYMMETRIC_DEFAULT.", spec);
	if (usage != NULL && strcmp(usage, "ENCRYPT_DECRYPT") != 0)
		return err_fail(ERR_KMS_VALIDATION, "KeyUsage %s is not compatible with KeySpec %s", usage, spec);
	return ERR_OK;
}

static enum err check_origin(struct call *call)
{
	const char *origin = call_string(call, "Origin"), *store = call_string(call, "CustomKeyStoreId");

	if (origin != NULL && strcmp(origin, "AWS_KMS") != 0)
		return err_fail(
			ERR_KMS_UNSUPPORTED_OPERATION, "Origin %s is not supported here; supported: AWS_KMS.", origin);
	if (store != NULL)
		return err_fail(ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, "Custom key store %s is not found.", store);
	if (call_string(call, "XksKeyId") != NULL)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "External key stores are not supported here.");
	if (call_true(call, "MultiRegion"))
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "Multi-Region keys are not supported here.");
	return ERR_OK;
}

static int names_member(const json_t *tags, size_t before, const char *name)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(tags, i), "TagKey")), name) == 0)
			return 1;
	return 0;
}

static enum err check_tags(struct call *call)
{
	json_t *tags = json_object_get(call->request, "Tags"), *tag;
	size_t i;

	if (json_array_size(tags) > TAGS_MAX)
		return err_fail(ERR_KMS_LIMIT_EXCEEDED, "A key may have at most %d tags.", TAGS_MAX);
	json_array_foreach (tags, i, tag) {
		const char *name = json_string_value(json_object_get(tag, "TagKey"));

		if (names_starts_with(name, "aws:"))
			return err_fail(ERR_KMS_TAG, "Tag keys that begin with aws: are reserved.");
		if (names_member(tags, i, name))
			return err_fail(ERR_KMS_TAG, "A tag key is given twice.");
	}
	return ERR_OK;
}

enum err create_key_check(struct call *call)
{
	TRY(check_spec(call));
	TRY(check_origin(call));
	return check_tags(call);
}
