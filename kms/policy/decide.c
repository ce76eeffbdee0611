/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/policy/policy.h"

/* The root of an account may do everything that its account may. */
static int identity_allows(const struct policy_caller *caller, const struct policy_inputs *in)
{
	return caller->kind == POLICY_CALLER_ROOT || (in->identity & POLICY_ALLOWS) != 0;
}

static int is_denied(const struct policy_inputs *in, enum policy_why *ret)
{
	if (in->resource & POLICY_DENIES)
		*ret = POLICY_DENIED_BY_KEY_POLICY;
	else if (in->identity & POLICY_DENIES)
		*ret = POLICY_DENIED_BY_IDENTITY;
	else if (in->has_session && (in->session & POLICY_DENIES))
		*ret = POLICY_DENIED_BY_SESSION;
	else
		return 0;
	return 1;
}

/* What the resource's side gives, its own account's identity policies included. */
static enum policy_why resource_side(const struct policy_caller *caller, const struct policy_inputs *in)
{
	if (in->resource & (POLICY_ALLOWS | POLICY_ALLOWS_SESSION))
		return POLICY_BECAUSE_KEY_POLICY;
	if (in->resource & POLICY_ALLOWS_ACCOUNT && identity_allows(caller, in))
		return POLICY_BECAUSE_IDENTITY;
	if (in->grant)
		return POLICY_BECAUSE_GRANT;
	return in->resource & POLICY_ALLOWS_ACCOUNT ? POLICY_NO_IDENTITY_ALLOWS : POLICY_NO_KEY_POLICY_ALLOWS;
}

/* A session's own policy narrows everything but what names the very session. */
static int session_narrows(const struct policy_inputs *in, enum policy_why why)
{
	int named = (why == POLICY_BECAUSE_KEY_POLICY && in->resource & POLICY_ALLOWS_SESSION) ||
		    (why == POLICY_BECAUSE_GRANT && in->grant_for_session);

	return in->has_session && !named && !(in->session & POLICY_ALLOWS);
}

enum policy_why policy_decide(const struct policy_caller *caller, const struct policy_inputs *in)
{
	enum policy_why why;

	if (is_denied(in, &why))
		return why;
	if (caller->kind == POLICY_CALLER_UNKNOWN)
		return in->has_resource_policy ? POLICY_NO_KEY_POLICY_ALLOWS : POLICY_NO_IDENTITY_ALLOWS;
	if (in->has_resource_policy)
		why = resource_side(caller, in);
	else if (caller->kind == POLICY_CALLER_ROOT)
		why = POLICY_BECAUSE_ROOT;
	else
		why = in->identity & POLICY_ALLOWS ? POLICY_BECAUSE_IDENTITY : POLICY_NO_IDENTITY_ALLOWS;
	if (!policy_is_allowed(why))
		return why;
	/* Across accounts both sides have to agree. */
	if (in->has_resource_policy && caller->kind != POLICY_CALLER_SERVICE &&
		strcmp(in->owner, caller->account) != 0 && !identity_allows(caller, in))
		return POLICY_NO_IDENTITY_ALLOWS;
	return session_narrows(in, why) ? POLICY_NO_SESSION_ALLOWS : why;
}

int policy_is_allowed(enum policy_why why)
{
	return why < POLICY_DENIED_BY_KEY_POLICY;
}

void policy_why_text(enum policy_why why, const char *action, char *out, size_t size)
{
	static const char *const sorts[] = {
		[POLICY_DENIED_BY_KEY_POLICY] = "with an explicit deny in a resource-based policy",
		[POLICY_DENIED_BY_IDENTITY] = "with an explicit deny in an identity-based policy",
		[POLICY_DENIED_BY_SESSION] = "with an explicit deny in a session policy",
		[POLICY_NO_KEY_POLICY_ALLOWS] = "resource-based",
		[POLICY_NO_IDENTITY_ALLOWS] = "identity-based",
		[POLICY_NO_SESSION_ALLOWS] = "session",
	};

	if (policy_is_allowed(why))
		snprintf(out, size, "allowed");
	else if (why < POLICY_NO_KEY_POLICY_ALLOWS)
		snprintf(out, size, "%s", sorts[why]);
	else
		snprintf(out, size, "because no %s policy allows the %s action", sorts[why], action);
}
