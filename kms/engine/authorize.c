/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/engine/authorize.h"
#include "kms/engine/condition_keys.h"
#include "kms/engine/grants.h"
#include "kms/engine/identity.h"
#include "kms/engine/internal.h"
#include "kms/engine/operations.h"
#include "kms/engine/policy_cache.h"

enum { ACTION_SIZE = 80, REASON_SIZE = 160 };

/* One decision on its way. */
struct decision {
	struct call *call;
	const struct authorize_question *question;
	struct policy_caller caller;
	char caller_id[STORE_UNIQUE_ID_SIZE];
	struct policy_request request;
	struct policy_inputs in;
};

/* "kms:Decrypt", "sts:AssumeRole" */
static void full_action(const char *action, char ret[ACTION_SIZE])
{
	snprintf(ret, ACTION_SIZE, "%s%s", strchr(action, ':') != NULL ? "" : "kms:", action);
}

/* ---- Documents ---- */

/* An entry of the explanation for one document; NULL without one. */
static json_t *trace_document(const struct decision *d, const char *sort, const char *name)
{
	json_t *statements, *entry;

	if (d->question->trace == NULL)
		return NULL;
	statements = json_array();
	entry = json_pack("{s:s, s:s, s:o?}", "Policy", sort, "Name", name, "Statements", statements);
	return json_array_append_new(d->question->trace, entry) == 0 ? statements : NULL;
}

static enum err ask_key_policy(struct decision *d)
{
	const struct authorize_question *q = d->question;
	struct policy_set *set AUTO_POLICIES = NULL;
	const struct policy *policy = q->instead;

	if (q->key == NULL && policy == NULL)
		return ERR_OK;
	if (policy == NULL) {
		TRY(policies_of_key(d->call->engine, q->key, &set));
		policy = set->policy[0];
	}
	d->in.has_resource_policy = 1;
	d->in.owner = q->key != NULL ? q->key->account : q->owner;
	return policy_evaluate(policy, &d->request,
		trace_document(d, q->key != NULL ? "key policy" : "trust policy", "default"), &d->in.resource);
}

static enum err ask_identity_policies(struct decision *d)
{
	struct policy_set *set AUTO_POLICIES = NULL;
	enum err e;

	if (d->call->caller->principal == 0)
		return ERR_OK;
	e = policies_of_principal(d->call->engine, d->call->caller->principal, &set);
	/* Deleted since it signed: it has no rights left, not even those that a key policy gave its name. */
	if (e == ERR_NOT_FOUND) {
		d->caller.kind = POLICY_CALLER_UNKNOWN;
		return ERR_OK;
	}
	TRY(e);
	for (size_t i = 0; i < set->count; i++) {
		unsigned says;

		TRY(policy_evaluate(
			set->policy[i], &d->request, trace_document(d, "identity policy", set->name[i]), &says));
		d->in.identity |= says;
	}
	return ERR_OK;
}

static enum err ask_session_policy(struct decision *d)
{
	const char *text = d->call->caller->session_policy;
	struct policy *policy;
	enum err e;

	if (text[0] == '\0')
		return ERR_OK;
	d->in.has_session = 1;
	TRY(policy_parse(POLICY_SESSION, text, &policy));
	e = policy_evaluate(policy, &d->request, trace_document(d, "session policy", "session"), &d->in.session);
	policy_free(policy);
	return e;
}

/* ---- The decision ---- */

static void describe_caller(struct decision *d)
{
	const struct engine_caller *c = d->call->caller;

	d->caller = (struct policy_caller){.kind = policy_caller_kind(c->arn, c->account),
		.account = c->account,
		.arn = c->arn,
		.role = c->role[0] != '\0' ? c->role : NULL,
		.id = identity_of_caller(c, d->caller_id)};
}

static int could_be_granted(enum policy_why why)
{
	return why == POLICY_NO_KEY_POLICY_ALLOWS || why == POLICY_NO_IDENTITY_ALLOWS;
}

static enum err ask_grants(struct decision *d, enum policy_why *why)
{
	struct grant_match match = {
		.account_allowed = d->caller.kind == POLICY_CALLER_ROOT || (d->in.identity & POLICY_ALLOWS)};

	TRY(grants_match(d->call, d->question->action, d->question->key, &match));
	if (d->question->trace != NULL && match.found)
		json_array_append_new(d->question->trace, json_pack("{s:s, s:s}", "Policy", "grant", "Name", match.id));
	d->in.grant = match.found;
	d->in.grant_for_session = match.names_session;
	*why = policy_decide(&d->caller, &d->in);
	return ERR_OK;
}

/* AWS leaves most of a key's administration to its own account. */
static int leaves_account(const struct decision *d)
{
	const struct store_key *key = d->question->key;
	const struct operation *op;

	if (key == NULL || d->caller.kind == POLICY_CALLER_SERVICE || strcmp(key->account, d->caller.account) == 0)
		return 0;
	op = operations_find(d->question->action); /* NULL: a half of ReEncrypt, which goes across */
	return op != NULL && !(op->flags & OP_ACROSS);
}

/* @ret_in: what the documents said. */
static enum err decide(struct call *call, const struct authorize_question *question, struct policy_inputs *ret_in,
	enum policy_why *ret)
{
	const struct condition_scope scope = {call, question->action, question->key};
	struct decision d = {.call = call, .question = question};
	char action[ACTION_SIZE];
	enum policy_why why;

	full_action(question->action, action);
	describe_caller(&d);
	d.request = (struct policy_request){.caller = &d.caller,
		.action = action,
		.resource = question->resource,
		.lookup = condition_keys_lookup,
		.context = (void *)(uintptr_t)&scope};
	TRY(ask_key_policy(&d));
	TRY(ask_identity_policies(&d));
	TRY(ask_session_policy(&d));
	d.in.grant = question->granted != AUTHORIZE_NOT_GRANTED;
	d.in.grant_for_session = question->granted == AUTHORIZE_GRANTED_TO_SESSION;
	why = policy_decide(&d.caller, &d.in);
	if (question->key != NULL && question->instead == NULL && d.caller.kind != POLICY_CALLER_UNKNOWN &&
		could_be_granted(why))
		TRY(ask_grants(&d, &why));
	*ret = policy_is_allowed(why) && leaves_account(&d) ? POLICY_NO_KEY_POLICY_ALLOWS : why;
	*ret_in = d.in;
	return ERR_OK;
}

enum err authorize_decide(struct call *call, const struct authorize_question *question, enum policy_why *ret)
{
	struct policy_inputs in;

	return decide(call, question, &in, ret);
}

/* ---- The refusal ---- */

static enum err refuse(
	const struct engine_caller *caller, const char *action, const char *resource, enum policy_why why)
{
	char full[ACTION_SIZE], reason[REASON_SIZE];

	full_action(action, full);
	policy_why_text(why, full, reason, sizeof(reason));
	return err_fail(ERR_KMS_ACCESS_DENIED, "User: %s is not authorized to perform: %s on resource: %s %s",
		caller->arn, full, resource, reason);
}

enum err authorize_deny(const struct engine_caller *caller, const char *action, const char *resource)
{
	return refuse(caller, action, resource, POLICY_NO_KEY_POLICY_ALLOWS);
}

enum err authorize_unknown(const struct engine_caller *caller, const char *action, const char *resource)
{
	char full[ACTION_SIZE];

	full_action(action, full);
	return err_fail(ERR_KMS_ACCESS_DENIED,
		"User: %s is not authorized to perform: %s on resource: %s because the resource does not exist in this "
		"Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
		caller->arn, full, resource);
}

/*
 * What another account has, what it is like and what its aliases point to, is not for the caller to learn from a refusal: not from one by
 * its own policies either, whose conditions ask of the key what they like. Only whom the key's side lets in is told more.
 */
static enum err refuse_across(const struct call *call, const struct authorize_question *question,
	const struct policy_inputs *in, enum policy_why why)
{
	const char *resource = call->foreign_alias[0] != '\0' ? call->foreign_alias : question->resource;
	int let_in = (in->resource & (POLICY_ALLOWS | POLICY_ALLOWS_SESSION | POLICY_ALLOWS_ACCOUNT)) != 0 || in->grant;

	if (!let_in || why == POLICY_NO_KEY_POLICY_ALLOWS || why == POLICY_DENIED_BY_KEY_POLICY)
		return authorize_unknown(call->caller, question->action, resource);
	return refuse(call->caller, question->action, resource, why);
}

enum err authorize_ask(struct call *call, const struct authorize_question *question)
{
	struct policy_inputs in;
	enum policy_why why;

	TRY(decide(call, question, &in, &why));
	/* What is granted needs no identity policy, across accounts neither. */
	if (policy_is_allowed(why) || (question->granted != AUTHORIZE_NOT_GRANTED && why == POLICY_NO_IDENTITY_ALLOWS))
		return ERR_OK;
	if (question->key != NULL && strcmp(question->key->account, call->caller->account) != 0)
		return refuse_across(call, question, &in, why);
	return refuse(call->caller, question->action, question->resource, why);
}

enum err authorize(struct call *call, const char *action, const struct store_key *key)
{
	struct authorize_question question = {.action = action, .key = key, .resource = "*"};
	char arn[ENGINE_ARN_SIZE];

	if (key != NULL) {
		names_key_arn(key, arn);
		question.resource = arn;
	}
	return authorize_ask(call, &question);
}

enum err authorize_resource(struct call *call, const char *action, const char *arn)
{
	return authorize_ask(call, &(struct authorize_question){.action = action, .resource = arn});
}
