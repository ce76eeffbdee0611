/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/base/io.h"
#include "kms/policy/internal.h"

static int match_action(const struct statement *s, const char *action)
{
	for (size_t i = 0; i < s->action_count; i++)
		if (glob_match(s->actions[i].text, action, 1, 1))
			return !s->not_action;
	return s->not_action;
}

/* @ret_unknown is set when a variable has no value. */
static enum err match_pattern(const struct pattern *p, const struct policy_request *request, int *ret, int *ret_unknown)
{
	char *owned AUTO_FREE = NULL;
	const char *text;
	enum err e;

	/* The one that nearly every key policy has. */
	if (p->text[0] == '*' && p->text[1] == '\0') {
		*ret = 1;
		return ERR_OK;
	}
	e = pattern_expand(p, request, &text, &owned);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	*ret = e == ERR_OK && glob_match(text, request->resource, 1, 0);
	*ret_unknown |= e == ERR_NOT_FOUND;
	return ERR_OK;
}

static enum err match_resource(
	const struct policy *policy, const struct statement *s, const struct policy_request *request, int *ret)
{
	int found = policy->kind == POLICY_TRUST, unknown = 0;

	for (size_t i = 0; i < s->resource_count && !found; i++)
		TRY(match_pattern(&s->resources[i], request, &found, &unknown));
	*ret = found != s->not_resource;
	/* What is excepted cannot be told: nothing is allowed by it. */
	if (s->not_resource && unknown && !s->deny)
		*ret = 0;
	return ERR_OK;
}

static unsigned match_principal(
	const struct policy *policy, const struct statement *s, const struct policy_caller *caller)
{
	if (policy->kind == POLICY_IDENTITY || policy->kind == POLICY_SESSION)
		return POLICY_ALLOWS;
	return principal_match(s, caller);
}

static enum err match_conditions(
	const struct statement *s, const struct policy_request *request, json_t *trace, int *ret)
{
	int all = 1;

	for (size_t i = 0; i < s->condition_count && (all || trace != NULL); i++) {
		int holds;

		TRY(condition_holds(&s->conditions[i], !s->deny, request, trace, &holds));
		all &= holds;
	}
	*ret = all;
	return ERR_OK;
}

static enum err evaluate(
	const struct policy *policy, const struct statement *s, const struct policy_request *request, unsigned *says)
{
	unsigned found;
	int matches;

	if (!match_action(s, request->action))
		return ERR_OK;
	found = match_principal(policy, s, request->caller);
	if (found == 0)
		return ERR_OK;
	TRY(match_resource(policy, s, request, &matches));
	if (!matches)
		return ERR_OK;
	TRY(match_conditions(s, request, NULL, &matches));
	if (matches)
		*says |= s->deny ? POLICY_DENIES : found;
	return ERR_OK;
}

static const char *principal_text(unsigned found)
{
	if (found & POLICY_ALLOWS)
		return "the caller";
	return found & POLICY_ALLOWS_ACCOUNT ? "the caller's account" : "somebody else";
}

static enum err explain(const struct policy *policy, const struct statement *s, const struct policy_request *request,
	json_t *trace, unsigned *says)
{
	unsigned found = match_principal(policy, s, request->caller);
	int action = match_action(s, request->action), resource, holds, applies;
	json_t *conditions = json_array(), *entry;

	entry = json_pack("{s:s, s:s, s:o?}", "Statement", s->label, "Effect", s->deny ? "Deny" : "Allow", "Conditions",
		conditions);
	if (entry == NULL || json_array_append_new(trace, entry) != 0)
		return ERR_NO_MEMORY;
	TRY(match_resource(policy, s, request, &resource));
	TRY(match_conditions(s, request, conditions, &holds));
	applies = found != 0 && action && resource && holds;
	if (policy->kind == POLICY_KEY || policy->kind == POLICY_TRUST)
		json_object_set_new(entry, "Principal", json_string(principal_text(found)));
	json_object_set_new(entry, "ActionMatches", json_boolean(action));
	json_object_set_new(entry, "ResourceMatches", json_boolean(resource));
	json_object_set_new(entry, "ConditionsHold", json_boolean(holds));
	json_object_set_new(entry, "Applies", json_boolean(applies));
	if (applies)
		*says |= s->deny ? POLICY_DENIES : found;
	return ERR_OK;
}

enum err policy_evaluate(
	const struct policy *policy, const struct policy_request *request, json_t *trace, unsigned *ret_says)
{
	unsigned says = 0;

	for (size_t i = 0; i < policy->count; i++) {
		const struct statement *s = &policy->statements[i];

		TRY(trace != NULL ? explain(policy, s, request, trace, &says) : evaluate(policy, s, request, &says));
	}
	*ret_says = says;
	return ERR_OK;
}
