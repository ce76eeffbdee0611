/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/engine/authorize.h"
#include "kms/engine/iam.h"
#include "kms/engine/identity.h"
#include "kms/engine/operations.h"
#include "kms/engine/principals.h"
#include "kms/engine/resolve.h"
#include "kms/engine/simulate.h"

#define SESSION_NAME "simulated"

/* ---- Who ---- */

/* "arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION" */
static enum err as_session(struct engine *engine, const char *arn, struct engine_caller *c)
{
	char account[ENGINE_ACCOUNT_SIZE], role[ENGINE_NAME_SIZE], session[ENGINE_NAME_SIZE];
	struct store_principal row;

	if (sscanf(arn, "arn:aws:sts::%12[0-9]:assumed-role/%64[^/]/%64[^/]", account, role, session) != 3)
		return err_fail(ERR_USAGE, "%.256s is no ARN of a session here", arn);
	TRY(store_principal_find(engine->store, account, STORE_ROLE, role, &row));
	principal_describe_session(&row, session, c);
	return ERR_OK;
}

static enum err as_row(struct engine *engine, const char *who, struct engine_caller *c)
{
	struct engine_principal found;
	struct store_principal row;

	TRY(engine_principal_find(engine, who, &found));
	TRY(principal_find(engine, found.arn, &row));
	if (found.is_role)
		principal_describe_session(&row, SESSION_NAME, c);
	else
		principal_describe_user(&row, c);
	return ERR_OK;
}

static enum err describe(struct engine *engine, const char *who, struct engine_caller *c)
{
	char account[ENGINE_ACCOUNT_SIZE];
	int end = 0;

	if (strcmp(who, "root") == 0) {
		principal_describe_root(ENGINE_DEFAULT_ACCOUNT, c);
		return ERR_OK;
	}
	if (sscanf(who, "arn:aws:iam::%12[0-9]:root%n", account, &end) == 1 && end > 0 && who[end] == '\0') {
		principal_describe_root(account, c);
		return ERR_OK;
	}
	return names_starts_with(who, "arn:aws:sts::") ? as_session(engine, who, c) : as_row(engine, who, c);
}

/* ---- What ---- */

static enum err read_action(const char *text, struct call *call, const char **ret)
{
	const struct operation *op;

	*ret = names_starts_with(text, "kms:") ? text + 4 : text;
	op = strcmp(*ret, "ReEncryptFrom") == 0 || strcmp(*ret, "ReEncryptTo") == 0 ? operations_find("ReEncrypt")
										    : operations_find(*ret);
	if (op == NULL)
		return err_fail(ERR_USAGE, "%.64s is no action of KMS", text);
	call->members = op->members;
	return ERR_OK;
}

static json_t *explanation(
	const struct engine_caller *who, const struct authorize_question *q, enum policy_why why, json_t *trace)
{
	char reason[160], action[80];
	const char *decision = policy_is_allowed(why)              ? "allowed"
			       : why < POLICY_NO_KEY_POLICY_ALLOWS ? "explicitDeny"
								   : "implicitDeny";
	static const char *const allowed[] = {[POLICY_BECAUSE_KEY_POLICY] = "the key policy allows it",
		[POLICY_BECAUSE_IDENTITY] = "an identity policy allows it",
		[POLICY_BECAUSE_GRANT] = "a grant allows it",
		[POLICY_BECAUSE_ROOT] = "the root of an account may do it"};

	snprintf(action, sizeof(action), "kms:%s", q->action);
	policy_why_text(why, action, reason, sizeof(reason));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "Principal", who->arn, "Action", action, "Resource",
		q->resource, "Decision", decision, "Reason", policy_is_allowed(why) ? allowed[why] : reason, "Policies",
		trace);
}

static enum err decide(struct call *call, struct authorize_question *q, const char *text, json_t **ret)
{
	json_t *trace AUTO_JSON = json_array();
	struct policy *policy = NULL;
	char *ids AUTO_FREE = NULL;
	enum policy_why why = POLICY_NO_KEY_POLICY_ALLOWS;
	enum err e = ERR_OK;

	if (text != NULL)
		TRY(policy_parse(POLICY_KEY, text, &policy));
	if (text != NULL)
		e = identity_bind(call->engine, policy, "the policy cannot be put", &ids);
	q->instead = policy;
	q->owner = call->caller->account;
	q->trace = trace;
	if (e == ERR_OK)
		e = authorize_decide(call, q, &why);
	policy_free(policy);
	TRY(e);
	*ret = explanation(call->caller, q, why, trace);
	return *ret != NULL ? ERR_OK : ERR_NO_MEMORY;
}

enum err engine_simulate(struct engine *engine, const struct engine_simulation *what, json_t **ret)
{
	json_t *empty AUTO_JSON = json_object();
	struct engine_caller who = {.secure = !what->insecure};
	struct authorize_question question = {.resource = "*"};
	struct call call = {.engine = engine,
		.caller = &who,
		.region = engine->region,
		.op = operations_find("DescribeKey"), /* takes every way to name a key */
		.operation = "SimulatePolicy",
		.request = what->request != NULL ? what->request : empty,
		.now = engine->clock->wall(engine->clock)};
	char arn[ENGINE_ARN_SIZE];

	TRY(describe(engine, what->principal, &who));
	snprintf(who.source_ip, sizeof(who.source_ip), "%s", what->source_ip != NULL ? what->source_ip : "local");
	TRY(read_action(what->action, &call, &question.action));
	if (what->key != NULL) {
		TRY(resolve_key(&call, what->key, &call.key));
		call.has_key = 1;
		names_key_arn(&call.key, arn);
		question.key = &call.key;
		question.resource = arn;
	}
	return decide(&call, &question, what->key_policy, ret);
}
