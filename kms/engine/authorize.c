/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/engine/authorize.h"
#include "kms/engine/internal.h"

/* What an AWS managed key's own policy leaves to its account: use it and look at it. */
static const char *const on_managed_keys[] = {"Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey",
	"GenerateDataKeyWithoutPlaintext", "GetKeyLastUsage", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases",
	"ListGrants", "ListKeyPolicies", "ListKeyRotations", "ListResourceTags", "ReEncryptFrom", "ReEncryptTo"};

static int allowed_on_managed(const char *action)
{
	for (size_t i = 0; i < sizeof(on_managed_keys) / sizeof(on_managed_keys[0]); i++)
		if (strcmp(on_managed_keys[i], action) == 0)
			return 1;
	return 0;
}

static int is_root_of(const struct engine_caller *caller, const char *account)
{
	char root[ENGINE_ARN_SIZE];

	snprintf(root, sizeof(root), "arn:aws:iam::%s:root", account);
	return account[0] != '\0' && strcmp(caller->account, account) == 0 && strcmp(caller->arn, root) == 0;
}

enum err authorize_deny(const struct engine_caller *caller, const char *action, const char *resource)
{
	const char *based = strcmp(resource, "*") == 0 ? "identity" : "resource";

	return err_fail(ERR_KMS_ACCESS_DENIED,
		"User: %s is not authorized to perform: kms:%s on resource: %s because no %s-based policy allows the "
		"kms:%s action",
		caller->arn, action, resource, based, action);
}

enum err authorize(struct call *call, const char *action, const struct store_key *key)
{
	const struct engine_caller *caller = call->caller;
	char arn[ENGINE_ARN_SIZE];

	if (key == NULL)
		return is_root_of(caller, caller->account) ? ERR_OK : authorize_deny(caller, action, "*");
	names_key_arn(key, arn);
	if (!is_root_of(caller, key->account))
		return authorize_deny(caller, action, arn);
	if (key->manager == KEY_MANAGER_AWS && !allowed_on_managed(action))
		return authorize_deny(caller, action, arn);
	return ERR_OK;
}
