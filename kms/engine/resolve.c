/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/engine/authorize.h"
#include "kms/engine/managed.h"
#include "kms/engine/operations.h"
#include "kms/engine/resolve.h"

enum { SHOWN_MAX = 256 };

static enum err invalid(const struct call *call, const char *text)
{
	if (names_starts_with(text, "arn:") && (call->op->flags & OP_INVALID_ARN))
		return err_fail(ERR_KMS_INVALID_ARN, "Invalid arn '%.*s'", SHOWN_MAX, text);
	return err_fail(ERR_KMS_NOT_FOUND, "Invalid keyId '%.*s'", SHOWN_MAX, text);
}

enum err resolve_key_missing(const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	return err_fail(ERR_KMS_NOT_FOUND, "Key '%s' does not exist", arn);
}

enum err resolve_alias_missing(const char *region, const char *account, const char *alias)
{
	char arn[NAMES_ALIAS_ARN_SIZE];

	names_alias_arn(region, account, alias, arn);
	return err_fail(ERR_KMS_NOT_FOUND, "Alias %s is not found.", arn);
}

static const char *action_of(const struct call *call)
{
	return call->action != NULL ? call->action : call->op->name;
}

static enum err missing(const struct call *call, const struct key_name *name, const char *account)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn_of(call->region, account, name->id, name->multi_region, arn);
	/* Another account must not learn which of our keys exist. */
	if (strcmp(account, call->caller->account) != 0)
		return authorize_unknown(call->caller, action_of(call), arn);
	return err_fail(ERR_KMS_NOT_FOUND, "Key '%s' does not exist", arn);
}

static enum err by_id(struct call *call, const struct key_name *name, const char *account, struct store_key *ret)
{
	struct store_key key;
	enum err e = store_key_find(call->engine->store, call->region, name->id, &key);

	if (e == ERR_NOT_FOUND)
		return missing(call, name, account);
	TRY(e);
	if (strcmp(key.account, account) != 0 || key.multi_region != name->multi_region ||
		key.manager == KEY_MANAGER_SERVICE)
		return missing(call, name, account);
	*ret = key;
	return ERR_OK;
}

static enum err by_alias(struct call *call, const struct key_name *name, const char *account, struct store_key *ret)
{
	struct store_alias alias;
	enum err e = store_alias_find(call->engine->store, account, call->region, name->alias, &alias);

	if (e == ERR_NOT_FOUND && strcmp(account, call->caller->account) == 0 &&
		strcmp(name->alias, NAMES_SERVICE_ALIAS) == 0)
		return managed_key_create(call, ret);
	if (e == ERR_NOT_FOUND && call->foreign_alias[0] != '\0')
		return authorize_unknown(call->caller, action_of(call), call->foreign_alias);
	if (e == ERR_NOT_FOUND)
		return resolve_alias_missing(call->region, account, name->alias);
	TRY(e);
	return store_key_find(call->engine->store, call->region, alias.key_id, ret);
}

enum err resolve_key(struct call *call, const char *text, struct store_key *ret)
{
	const char *account = call->caller->account;
	struct key_name name;

	call->foreign_alias[0] = '\0';
	if (names_parse(text, &name) != ERR_OK)
		return invalid(call, text);
	if (name.kind == NAME_KEY_ARN || name.kind == NAME_ALIAS_ARN) {
		if (strcmp(name.region, call->region) != 0)
			return err_fail(ERR_KMS_NOT_FOUND, "Invalid arn %s", name.region);
		account = name.account;
	}
	if (name.kind == NAME_KEY_ID || name.kind == NAME_KEY_ARN)
		return by_id(call, &name, account, ret);
	if (!(call->op->flags & OP_ALIASES))
		return err_fail(ERR_KMS_NOT_FOUND, "Invalid keyId '%.*s'", SHOWN_MAX, text);
	if (strcmp(account, call->caller->account) != 0)
		names_alias_arn(call->region, account, name.alias, call->foreign_alias);
	return by_alias(call, &name, account, ret);
}
