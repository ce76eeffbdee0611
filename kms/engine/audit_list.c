/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/engine/internal.h"

/* Records name keys by ARN; people also name them by id and alias. */
static enum err key_arn_of(struct engine *engine, const char *text, char ret[ENGINE_ARN_SIZE])
{
	struct key_name name;
	struct store_alias alias;

	if (names_parse(text, &name) != ERR_OK)
		return err_fail(ERR_USAGE, "'%.256s' is no key id, key ARN, alias or alias ARN", text);
	if (name.kind == NAME_KEY_ID || name.kind == NAME_ALIAS) {
		snprintf(name.account, sizeof(name.account), "%s", ENGINE_DEFAULT_ACCOUNT);
		snprintf(name.region, sizeof(name.region), "%s", engine->region);
	}
	if (name.kind == NAME_ALIAS || name.kind == NAME_ALIAS_ARN) {
		enum err e = store_alias_find(engine->store, name.account, name.region, name.alias, &alias);

		if (e == ERR_NOT_FOUND)
			return err_fail(e, "there is no alias %s in account %s, region %s", name.alias, name.account,
				name.region);
		TRY(e);
		memcpy(name.id, alias.key_id, sizeof(name.id));
		name.multi_region = alias.key_multi_region;
	}
	names_key_arn_of(name.region, name.account, name.id, name.multi_region, ret);
	return ERR_OK;
}

enum err engine_audit_list(struct engine *engine, const struct engine_audit_filter *filter,
	enum err (*each)(void *context, const char *record), void *context)
{
	struct store_audit_filter f = {.from = filter->from,
		.to = filter->to,
		.operation = filter->operation,
		.error = filter->error,
		.principal = filter->principal,
		.limit = filter->limit};
	char arn[ENGINE_ARN_SIZE];

	if (filter->key != NULL) {
		TRY(key_arn_of(engine, filter->key, arn));
		f.key_arn = arn;
	}
	return store_audit_list(engine->store, &f, each, context);
}
