/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/authorize.h"
#include "kms/engine/marker.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"
#include "kms/engine/resolve.h"

static enum err name_of(struct call *call, struct store_alias *ret)
{
	const char *name = call_string(call, "AliasName");
	struct store_alias alias = {.created = call->now, .updated = call->now};

	if (!names_starts_with(name, NAMES_ALIAS_PREFIX) || name[strlen(NAMES_ALIAS_PREFIX)] == '\0')
		return err_fail(ERR_KMS_VALIDATION,
			"Alias must start with the prefix \"alias/\". Please see "
			"https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
	if (strchr(name, ':') != NULL)
		return err_fail(ERR_KMS_VALIDATION, "%s contains invalid characters for an alias", name);
	snprintf(alias.account, sizeof(alias.account), "%s", call->caller->account);
	snprintf(alias.region, sizeof(alias.region), "%s", call->region);
	snprintf(alias.name, sizeof(alias.name), "%s", name);
	*ret = alias;
	return ERR_OK;
}

/* An alias has no policy of its own: what identity policies say of it counts, besides what is asked of its key. */
static enum err authorize_alias(struct call *call, const struct store_alias *alias)
{
	char arn[NAMES_ALIAS_ARN_SIZE];

	names_alias_arn(alias->region, alias->account, alias->name, arn);
	return authorize_resource(call, call->op->name, arn);
}

/* Another alias for the call's key. */
static enum err check_room(struct call *call)
{
	size_t count;

	TRY(store_alias_count(call->engine->store, call->key.row, &count));
	return limits_allow(&call->engine->limits, LIMIT_ALIASES, count + 1);
}

enum err op_create_alias(struct call *call)
{
	struct store_alias alias;
	char arn[NAMES_ALIAS_ARN_SIZE];
	enum err e;

	TRY(name_of(call, &alias));
	if (names_starts_with(alias.name, NAMES_RESERVED))
		return err_fail(ERR_KMS_INVALID_ALIAS_NAME,
			"%s begins with alias/aws/, which is reserved for keys that a service manages.", alias.name);
	TRY(authorize_alias(call, &alias));
	TRY(check_room(call));
	alias.key = call->key.row;
	e = store_alias_insert(call->engine->store, &alias);
	if (e != ERR_EXISTS)
		return e;
	names_alias_arn(alias.region, alias.account, alias.name, arn);
	return err_fail(ERR_KMS_ALREADY_EXISTS, "An alias with the name %s already exists", arn);
}

/* The existing alias, and the key it points to. */
static enum err find_alias(struct call *call, struct store_alias *ret, struct store_key *ret_key)
{
	struct store_alias wanted;
	enum err e;

	TRY(name_of(call, &wanted));
	e = store_alias_find(call->engine->store, wanted.account, wanted.region, wanted.name, ret);
	if (e == ERR_NOT_FOUND)
		return resolve_alias_missing(wanted.region, wanted.account, wanted.name);
	TRY(e);
	return store_key_find(call->engine->store, wanted.region, ret->key_id, ret_key);
}

enum err op_update_alias(struct call *call)
{
	struct store_alias alias;
	struct store_key old;

	TRY(find_alias(call, &alias, &old));
	TRY(authorize_alias(call, &alias));
	TRY(authorize(call, "UpdateAlias", &old));
	if (strcmp(old.spec, call->key.spec) != 0 || strcmp(old.usage, call->key.usage) != 0)
		return err_fail(ERR_KMS_VALIDATION, "The alias %s can be moved only to a key of spec %s and usage %s.",
			alias.name, old.spec, old.usage);
	if (old.row != call->key.row)
		TRY(check_room(call));
	alias.key = call->key.row;
	alias.updated = call->now;
	return store_alias_retarget(call->engine->store, &alias);
}

enum err op_delete_alias(struct call *call)
{
	struct store_alias alias;
	struct store_key key;

	TRY(name_of(call, &alias));
	TRY(authorize_alias(call, &alias));
	TRY(find_alias(call, &alias, &key));
	TRY(call_use_key(call, &key, "DeleteAlias"));
	return store_alias_delete(call->engine->store, &alias);
}

static json_t *alias_entry(const struct store_alias *a)
{
	char arn[NAMES_ALIAS_ARN_SIZE], id[NAMES_KEY_ID_SIZE];

	names_alias_arn(a->region, a->account, a->name, arn);
	names_key_id(a->key_id, a->key_multi_region, id);
	return json_pack("{s:s, s:s, s:s, s:o?, s:o?}", "AliasName", a->name, "AliasArn", arn, "TargetKeyId", id,
		"CreationDate", metadata_time(a->created), "LastUpdatedDate", metadata_time(a->updated));
}

enum err op_list_aliases(struct call *call)
{
	size_t limit = (size_t)call_integer(call, "Limit", 50), n;
	struct store_alias *rows AUTO_FREE = calloc(limit + 1, sizeof(*rows));
	char after[STORE_ALIAS_SIZE];
	json_t *list;

	if (rows == NULL)
		return ERR_NO_MEMORY;
	TRY(marker_read_text(call, after, sizeof(after)));
	TRY(store_alias_list(call->engine->store, call->caller->account, call->region,
		call->has_key ? call->key.row : 0, after, limit + 1, rows, &n));
	list = json_array();
	for (size_t i = 0; i < n && i < limit; i++)
		json_array_append_new(list, alias_entry(&rows[i]));
	return marker_answer_text(call, "Aliases", list, n > limit, n > limit ? rows[limit - 1].name : "");
}
