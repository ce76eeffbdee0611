/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/engine/create_key.h"
#include "kms/engine/names.h"

static enum err kind_spec(struct call *call, struct create_key_kind *kind)
{
	const char *spec = call_string(call, "KeySpec"), *old = call_string(call, "CustomerMasterKeySpec");

	if (spec != NULL && old != NULL)
		return err_fail(ERR_KMS_VALIDATION,
			"You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
			"CustomerMasterKeySpec is deprecated.");
	spec = spec != NULL ? spec : old != NULL ? old : "SYMMETRIC_DEFAULT";
	kind->spec = key_spec_find(spec);
	if (kind->spec == NULL)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "KeySpec %s is not supported here.", spec);
	return key_spec_available(kind->spec);
}

static enum err kind_usage(struct call *call, struct create_key_kind *kind)
{
	kind->usage = call_string(call, "KeyUsage");
	if (kind->usage == NULL && kind->spec->family != FAMILY_SYMMETRIC)
		return err_fail(ERR_KMS_VALIDATION,
			"You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
	if (kind->usage == NULL)
		kind->usage = "ENCRYPT_DECRYPT";
	if ((key_spec_usage(kind->usage) & kind->spec->usages) == 0)
		return err_fail(ERR_KMS_VALIDATION, "KeyUsage %s is not compatible with KeySpec %s", kind->usage,
			kind->spec->name);
	return ERR_OK;
}

static enum err kind_origin(struct call *call, struct create_key_kind *kind)
{
	const char *origin = call_string(call, "Origin"), *store = call_string(call, "CustomKeyStoreId");

	kind->external = origin != NULL && strcmp(origin, "EXTERNAL") == 0;
	if (store != NULL)
		return err_fail(ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, "Custom key store %s is not found.", store);
	if (call_string(call, "XksKeyId") != NULL)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "External key stores are not supported here.");
	if (origin != NULL && !kind->external && strcmp(origin, "AWS_KMS") != 0)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"Origin %s is not supported here: there are no custom key stores.", origin);
	return ERR_OK;
}

enum err create_key_kind(struct call *call, struct create_key_kind *ret)
{
	struct create_key_kind kind;

	TRY(kind_spec(call, &kind));
	TRY(kind_usage(call, &kind));
	TRY(kind_origin(call, &kind));
	*ret = kind;
	return ERR_OK;
}

enum err key_allow_one_more(struct call *call, const char *account, const char *region)
{
	size_t count;

	TRY(store_key_count(call->engine->store, account, region, &count));
	return limits_allow(&call->engine->limits, LIMIT_KEYS, count + 1);
}
