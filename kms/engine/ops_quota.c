/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/base/json.h"
#include "kms/engine/authorize.h"
#include "kms/engine/limits.h"
#include "kms/engine/operations.h"
#include "kms/engine/quota.h"

/*
 * SignetfsGetQuotas, an operation that AWS does not have: use and headroom of every quota, for the keystore's owner. Of a quota that each key has
 * it tells about the key that is nearest to it.
 */

/* ---- Resource quotas ---- */

struct report {
	struct call *call;
	json_t *list;
};

static enum err add(struct report *r, enum limit which, json_t *of, size_t used)
{
	uint32_t most = r->call->engine->limits.most[which];
	json_t *entry = json_pack("{s:s, s:I, s:I, s:I}", "Quota", limit_name(which), "Limit", (json_int_t)most, "Used",
		(json_int_t)used, "Left", (json_int_t)(used < most ? most - used : 0));

	json_object_update(entry, of);
	json_decref(of);
	return json_array_append_new(r->list, entry) == 0 ? ERR_OK : ERR_NO_MEMORY;
}

static enum err add_keys(void *context, const char *account, const char *region, size_t count)
{
	return add(context, LIMIT_KEYS, json_pack("{s:s, s:s}", "AccountId", account, "Region", region), count);
}

static enum err add_fullest(struct report *r, enum limit which, enum store_most most)
{
	struct store_key key;
	char arn[ENGINE_ARN_SIZE];
	int64_t row;
	size_t count;
	enum err e = store_key_fullest(r->call->engine->store, most, &row, &count);

	if (e == ERR_OK)
		e = store_key_get(r->call->engine->store, row, &key);
	if (e == ERR_NOT_FOUND) /* no key has any, or it was deleted just now */
		return add(r, which, json_object(), 0);
	TRY(e);
	names_key_arn(&key, arn);
	return add(r, which,
		json_pack("{s:s, s:s, s:s}", "AccountId", key.account, "Region", key.region, "KeyArn", arn), count);
}

static enum err resource_quotas(struct report *r)
{
	static const struct {
		enum limit limit;
		enum store_most most;
	} of_keys[] = {
		{LIMIT_ALIASES, STORE_MOST_ALIASES},
		{LIMIT_GRANTS, STORE_MOST_GRANTS},
		{LIMIT_TAGS, STORE_MOST_TAGS},
		{LIMIT_ROTATIONS, STORE_MOST_ROTATIONS},
		{LIMIT_POLICY, STORE_MOST_POLICY},
	};

	TRY(store_key_count_each(r->call->engine->store, add_keys, r));
	if (json_array_size(r->list) == 0)
		TRY(add_keys(r, r->call->caller->account, r->call->region, 0));
	for (size_t i = 0; i < sizeof(of_keys) / sizeof(of_keys[0]); i++)
		TRY(add_fullest(r, of_keys[i].limit, of_keys[i].most));
	return ERR_OK;
}

/* ---- Request quotas ---- */

static void add_bucket(void *context, const struct quota_bucket *b)
{
	struct report *r = context;
	json_int_t left = (json_int_t)b->tokens;

	json_array_append_new(
		r->list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "Quota", quota_class_name(b->class),
				 "AccountId", b->account, "Region", b->region[0] != '\0' ? b->region : "others",
				 "Limit", (json_int_t)b->rate, "Used", (json_int_t)b->rate - left, "Left", left,
				 "Requests", (json_int_t)b->granted, "Throttled", (json_int_t)b->throttled));
}

enum err op_signetfs_get_quotas(struct call *call)
{
	struct engine *engine = call->engine;
	json_t *requests = json_array(), *resources = json_array();
	struct report of_requests = {call, requests}, of_resources = {call, resources};
	char root[] = "arn:aws:iam::" ENGINE_DEFAULT_ACCOUNT ":root";
	json_t *body = json_pack("{s:b, s:o?, s:o?}", "RequestQuotasEnforced", quota_is_enforced(engine->quota),
		"RequestQuotas", requests, "ResourceQuotas", resources);

	TRY(call_answer(call, body));
	/* It tells of all accounts. */
	if (strcmp(call->caller->arn, root) != 0)
		return authorize_deny(call->caller, call->op->name, "*");
	quota_each(engine->quota, call->caller->account, call->region, engine->clock->monotonic(engine->clock),
		add_bucket, &of_requests);
	return resource_quotas(&of_resources);
}
