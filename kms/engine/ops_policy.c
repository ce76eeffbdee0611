/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/authorize.h"
#include "kms/engine/identity.h"
#include "kms/engine/key_policy.h"
#include "kms/engine/operations.h"
#include "kms/engine/policy_cache.h"

#define POLICY_NAME        "default"
#define INVALID_PRINCIPALS "Policy contains a statement with one or more invalid principals"

/* ---- A policy that is to be stored ---- */

/* The question that PutKeyPolicy will ask next time. */
static enum err check_lockout(struct call *call, const struct store_key *key, const struct policy *policy)
{
	char arn[ENGINE_ARN_SIZE];
	struct authorize_question question = {.action = "PutKeyPolicy", .key = key, .resource = arn, .instead = policy};
	enum policy_why why;

	if (call_true(call, "BypassPolicyLockoutSafetyCheck"))
		return ERR_OK;
	names_key_arn(key, arn);
	TRY(authorize_decide(call, &question, &why));
	if (!policy_is_allowed(why))
		return err_fail(ERR_KMS_MALFORMED_POLICY,
			"The new key policy will not allow you to update the key policy in the future.");
	return ERR_OK;
}

enum err key_policy_put(struct call *call, struct store_key *key, const char *text)
{
	char *ids AUTO_FREE = NULL;
	struct policy *policy;
	enum err e;

	TRY(policy_parse(POLICY_KEY, text, &policy));
	e = identity_bind(call->engine, policy, INVALID_PRINCIPALS, &ids);
	if (e == ERR_OK)
		e = check_lockout(call, key, policy);
	policy_free(policy);
	TRY(e);
	return store_key_policy_set(call->engine->store, key->row, text, ids, &key->policy);
}

/* ---- Operations ---- */

static enum err check_name(const struct call *call)
{
	const char *name = call_string(call, "PolicyName");

	if (name != NULL && strcmp(name, POLICY_NAME) != 0)
		return err_fail(ERR_KMS_NOT_FOUND, "No such policy exists");
	return ERR_OK;
}

enum err op_put_key_policy(struct call *call)
{
	TRY(check_name(call));
	return key_policy_put(call, &call->key, call_string(call, "Policy"));
}

enum err op_get_key_policy(struct call *call)
{
	char *text AUTO_FREE = NULL;

	TRY(check_name(call));
	TRY(policy_text_of_key(call->engine, &call->key, &text));
	return call_answer(call, json_pack("{s:s, s:s}", "Policy", text, "PolicyName", POLICY_NAME));
}

enum err op_list_key_policies(struct call *call)
{
	return call_answer(call, json_pack("{s:[s], s:b}", "PolicyNames", POLICY_NAME, "Truncated", 0));
}
