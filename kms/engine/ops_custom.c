/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/operations.h"

/* Custom key stores: there are none here, and none can be made. So each that is named is not found. */

static enum err not_found(const char *name)
{
	return err_fail(ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, "Custom key store %s is not found.", name);
}

enum err op_create_custom_key_store(struct call *call)
{
	(void)call;
	return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
		"Custom key stores are not supported here: all key material is in the keystore.");
}

/* Connect, Disconnect, Update, Delete. */
enum err op_use_custom_key_store(struct call *call)
{
	return not_found(call_string(call, "CustomKeyStoreId"));
}

enum err op_describe_custom_key_stores(struct call *call)
{
	const char *id = call_string(call, "CustomKeyStoreId"), *name = call_string(call, "CustomKeyStoreName");

	if (id != NULL && name != NULL)
		return err_fail(ERR_KMS_VALIDATION, "Specify CustomKeyStoreId or CustomKeyStoreName, not both.");
	if (id != NULL || name != NULL)
		return not_found(id != NULL ? id : name);
	return call_answer(call, json_pack("{s:[], s:b}", "CustomKeyStores", "Truncated", 0));
}
