/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/policy/internal.h"

static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

int principal_account_of_root(const char *arn, char ret[13])
{
	const char *rest = after(arn, "arn:aws:iam::");

	if (rest == NULL || strspn(rest, "0123456789") != 12 || strcmp(rest + 12, ":root") != 0)
		return 0;
	memcpy(ret, rest, 12);
	ret[12] = '\0';
	return 1;
}

enum policy_caller_kind policy_caller_kind(const char *arn, const char *account)
{
	static const struct {
		const char *service, *prefix;
		enum policy_caller_kind kind;
	} kinds[] = {
		{"arn:aws:iam::", "user/", POLICY_CALLER_USER},
		{"arn:aws:sts::", "assumed-role/", POLICY_CALLER_ROLE_SESSION},
		{"arn:aws:sts::", "federated-user/", POLICY_CALLER_FEDERATED_USER},
	};
	char root[13];

	if (strlen(account) != 12)
		return POLICY_CALLER_UNKNOWN;
	if (principal_account_of_root(arn, root))
		return strcmp(root, account) == 0 ? POLICY_CALLER_ROOT : POLICY_CALLER_UNKNOWN;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *rest = after(arn, kinds[i].service), *name;

		if (rest == NULL || strncmp(rest, account, 12) != 0 || rest[12] != ':')
			continue;
		name = after(rest + 13, kinds[i].prefix);
		if (name != NULL && name[0] != '\0')
			return kinds[i].kind;
	}
	return POLICY_CALLER_UNKNOWN;
}

/* ---- Principal ---- */

/* A name that somebody else bore when the document was put is not the caller's. */
static int is_same_one(const struct principal *p, const struct policy_caller *caller)
{
	if (!policy_arn_is_bound(p->text))
		return 1;
	return p->id != NULL && caller->id != NULL && strcmp(p->id, caller->id) == 0;
}

static unsigned match_arn(const struct principal *p, const struct policy_caller *caller)
{
	unsigned found = 0;

	if (caller->kind == POLICY_CALLER_UNKNOWN || caller->kind == POLICY_CALLER_SERVICE)
		return 0;
	if (strcmp(p->text, caller->arn) == 0)
		found = caller->kind == POLICY_CALLER_ROLE_SESSION || caller->kind == POLICY_CALLER_FEDERATED_USER
				? POLICY_ALLOWS | POLICY_ALLOWS_SESSION
				: POLICY_ALLOWS;
	else if (caller->role != NULL && strcmp(p->text, caller->role) == 0)
		found = POLICY_ALLOWS;
	return found != 0 && is_same_one(p, caller) ? found : 0;
}

static unsigned match_one(const struct principal *p, const struct policy_caller *caller)
{
	switch (p->kind) {
	case POLICY_NAMED_ANYONE:
		return POLICY_ALLOWS;
	case POLICY_NAMED_ACCOUNT:
		if (strcmp(p->text, caller->account) != 0 || caller->kind == POLICY_CALLER_SERVICE)
			return 0;
		return caller->kind == POLICY_CALLER_ROOT ? POLICY_ALLOWS | POLICY_ALLOWS_ACCOUNT
							  : POLICY_ALLOWS_ACCOUNT;
	case POLICY_NAMED_ARN:
		return match_arn(p, caller);
	case POLICY_NAMED_SERVICE:
		return caller->kind == POLICY_CALLER_SERVICE && strcmp(p->text, caller->arn) == 0 ? POLICY_ALLOWS : 0;
	case POLICY_NAMED_FEDERATED:
		return 0; /* nobody signs in through a provider here */
	}
	return 0;
}

/* ---- NotPrincipal ---- */

static int names(
	const struct statement *s, const struct policy_caller *caller, enum policy_named kind, const char *text)
{
	for (const struct principal *p = s->principals; p < s->principals + s->principal_count; p++)
		if (p->kind == POLICY_NAMED_ANYONE || (p->kind == kind && strcmp(p->text, text) == 0 &&
							      (kind != POLICY_NAMED_ARN || is_same_one(p, caller))))
			return 1;
	return 0;
}

/*
 * Exempt from a Deny is only who is named with everything that it is: a user also with its account, a session also with its
 * role and account. So AWS documents it, and it errs on the safe side.
 */
static int is_exempt(const struct statement *s, const struct policy_caller *caller)
{
	if (caller->kind == POLICY_CALLER_SERVICE)
		return names(s, caller, POLICY_NAMED_SERVICE, caller->arn);
	if (!names(s, caller, POLICY_NAMED_ACCOUNT, caller->account))
		return 0;
	if (caller->kind == POLICY_CALLER_ROOT)
		return 1;
	if (caller->role != NULL && !names(s, caller, POLICY_NAMED_ARN, caller->role))
		return 0;
	return names(s, caller, POLICY_NAMED_ARN, caller->arn);
}

unsigned principal_match(const struct statement *s, const struct policy_caller *caller)
{
	unsigned found = 0;

	if (s->not_principal)
		return is_exempt(s, caller) ? 0 : POLICY_ALLOWS;
	for (size_t i = 0; i < s->principal_count; i++)
		found |= match_one(&s->principals[i], caller);
	return found;
}

enum err policy_each_principal(const struct policy *policy,
	enum err (*each)(void *context, enum policy_named kind, const char *text), void *context)
{
	for (size_t i = 0; i < policy->count; i++)
		for (size_t j = 0; j < policy->statements[i].principal_count; j++)
			TRY(each(context, policy->statements[i].principals[j].kind,
				policy->statements[i].principals[j].text));
	return ERR_OK;
}

/* ---- Whose names they are ---- */

int policy_arn_is_bound(const char *arn)
{
	static const char *const kinds[] = {":user/", ":role/", ":assumed-role/"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *account = after(arn, i < 2 ? "arn:aws:iam::" : "arn:aws:sts::");

		if (account != NULL && strspn(account, "0123456789") == 12 && after(account + 12, kinds[i]) != NULL)
			return 1;
	}
	return 0;
}

void policy_bind(struct policy *policy, json_t *ids)
{
	json_decref(policy->ids);
	policy->ids = json_incref(ids);
	for (size_t i = 0; i < policy->count; i++) {
		struct statement *s = &policy->statements[i];

		for (size_t j = 0; j < s->principal_count; j++)
			if (s->principals[j].kind == POLICY_NAMED_ARN)
				s->principals[j].id = json_string_value(json_object_get(ids, s->principals[j].text));
	}
}
