/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/policy/internal.h"

enum { LIST_MAX = 4096 };

enum err policy_malformed(const char *label, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_fail(
		ERR_KMS_MALFORMED_POLICY, "%s%s%s", label != NULL ? label : "", label != NULL ? ": " : "", text);
}

/* ---- Lists of patterns: Action, Resource ---- */

/* The i-th of a list, or the one text that stands for a list. */
static const char *text_at(const json_t *value, size_t i)
{
	return json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
}

static enum err check_list(const json_t *value, const char *element, const char *label, size_t *ret_n)
{
	size_t n = json_is_array(value) ? json_array_size(value) : 1;

	if (n == 0 || n > LIST_MAX)
		return policy_malformed(label, "%s is an empty list", element);
	for (size_t i = 0; i < n; i++) {
		const char *text = text_at(value, i);

		if (text == NULL || text[0] == '\0')
			return policy_malformed(label, "%s is neither a text nor a list of texts", element);
		for (; *text != '\0'; text++)
			if ((unsigned char)*text < 0x20)
				return policy_malformed(label, "%s has a control character", element);
	}
	*ret_n = n;
	return ERR_OK;
}

static enum err read_patterns(const json_t *value, const char *element, const char *label, int variables,
	struct pattern **ret, size_t *ret_count)
{
	size_t n;

	TRY(check_list(value, element, label, &n));
	*ret = calloc(n, sizeof(**ret));
	if (*ret == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		TRY(pattern_init(text_at(value, i), variables, &(*ret)[i]));
		(*ret_count)++;
	}
	return ERR_OK;
}

/* "*" or "vendor:Name"; what stands in a key's policy is about KMS, in a role's trust about STS. */
static enum err check_action(enum policy_kind kind, const char *action, const char *label)
{
	const char *colon = strchr(action, ':');
	const char *vendor = kind == POLICY_KEY ? "kms" : kind == POLICY_TRUST ? "sts" : NULL;
	size_t len = colon != NULL ? (size_t)(colon - action) : 0;

	if (strcmp(action, "*") == 0)
		return ERR_OK;
	if (len == 0 || colon[1] == '\0' ||
		strspn(colon + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*?") !=
			strlen(colon + 1))
		return policy_malformed(label, "'%.64s' is no action such as kms:Decrypt", action);
	if (vendor != NULL && (len != strlen(vendor) || strncasecmp(action, vendor, len) != 0))
		return policy_malformed(label, "action '%.64s' is not one of %s", action, vendor);
	return ERR_OK;
}

static enum err read_actions(enum policy_kind kind, const json_t *object, const char *label, struct statement *s)
{
	const json_t *yes = json_object_get(object, "Action"), *no = json_object_get(object, "NotAction");

	if ((yes == NULL) == (no == NULL))
		return policy_malformed(label, "needs exactly one of Action and NotAction");
	s->not_action = no != NULL;
	TRY(read_patterns(yes != NULL ? yes : no, "Action", label, 0, &s->actions, &s->action_count));
	for (size_t i = 0; i < s->action_count; i++)
		TRY(check_action(kind, s->actions[i].text, label));
	return ERR_OK;
}

static enum err read_resources(
	enum policy_kind kind, const json_t *object, const char *label, int variables, struct statement *s)
{
	const json_t *yes = json_object_get(object, "Resource"), *no = json_object_get(object, "NotResource");

	if (kind == POLICY_TRUST)
		return yes != NULL || no != NULL ? policy_malformed(label, "a role's trust has no Resource") : ERR_OK;
	if ((yes == NULL) == (no == NULL))
		return policy_malformed(label, "needs exactly one of Resource and NotResource");
	s->not_resource = no != NULL;
	TRY(read_patterns(yes != NULL ? yes : no, "Resource", label, variables, &s->resources, &s->resource_count));
	for (size_t i = 0; i < s->resource_count; i++)
		if (strcmp(s->resources[i].shown, "*") != 0 && strncmp(s->resources[i].shown, "arn:", 4) != 0)
			return policy_malformed(
				label, "resource '%.64s' is neither an ARN nor \"*\"", s->resources[i].shown);
	return ERR_OK;
}

/* ---- Principal ---- */

static int is_account_id(const char *text)
{
	return strlen(text) == 12 && strspn(text, "0123456789") == 12;
}

static int is_principal_arn(const char *text)
{
	static const char *const prefixes[] = {"arn:aws:iam::", "arn:aws:sts::"};
	static const char *const kinds[2][3] = {
		{":user/", ":role/", NULL}, {":assumed-role/", ":federated-user/", NULL}};

	if (strpbrk(text, "*?$ \t") != NULL || strlen(text) > 2048)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		const char *rest = text + strlen(prefixes[i]);

		if (strncmp(text, prefixes[i], strlen(prefixes[i])) != 0 || strspn(rest, "0123456789") != 12)
			continue;
		for (const char *const *k = kinds[i]; *k != NULL; k++)
			if (strncmp(rest + 12, *k, strlen(*k)) == 0 && rest[12 + strlen(*k)] != '\0')
				return 1;
	}
	return 0;
}

/* An account's two spellings become its number. */
static enum err read_aws_principal(const char *text, const char *label, struct principal *p)
{
	char account[13];

	if (strcmp(text, "*") == 0) {
		p->kind = POLICY_NAMED_ANYONE;
	} else if (is_account_id(text)) {
		p->kind = POLICY_NAMED_ACCOUNT;
	} else if (principal_account_of_root(text, account)) {
		p->kind = POLICY_NAMED_ACCOUNT;
		p->text = NULL; /* see read_principal() */
	} else if (is_principal_arn(text)) {
		p->kind = POLICY_NAMED_ARN;
	} else {
		return policy_malformed(label,
			"'%.128s' is no principal: an account, or the ARN of a user, role or "
			"session without wildcards",
			text);
	}
	return ERR_OK;
}

static int is_host(const char *text)
{
	return strchr(text, '.') != NULL && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(text);
}

/* The text lives in the document; of "arn:aws:iam::123456789012:root" only the number is kept, as a text of its own in it. */
static enum err read_principal(const char *type, json_t *list, size_t i, const char *label, struct principal *p)
{
	const char *text = json_string_value(json_array_get(list, i));

	*p = (struct principal){.text = text, .id = NULL};
	if (strcmp(type, "AWS") == 0) {
		TRY(read_aws_principal(text, label, p));
		if (p->text == NULL) {
			json_t *number = json_stringn(text + strlen("arn:aws:iam::"), 12);

			if (number == NULL || json_array_set_new(list, i, number) != 0)
				return ERR_NO_MEMORY;
			p->text = json_string_value(number);
		}
		return ERR_OK;
	}
	p->kind = strcmp(type, "Service") == 0 ? POLICY_NAMED_SERVICE : POLICY_NAMED_FEDERATED;
	if (p->kind == POLICY_NAMED_SERVICE ? !is_host(text)
					    : !is_host(text) && strncmp(text, "arn:aws:iam::", 13) != 0)
		return policy_malformed(label, "'%.128s' is no principal of type %s", text, type);
	return ERR_OK;
}

static enum err read_typed(json_t *types, const char *type, const char *label, struct statement *s)
{
	json_t *list = json_object_get(types, type);
	struct principal *grown;
	size_t n;

	if (strcmp(type, "AWS") != 0 && strcmp(type, "Service") != 0 && strcmp(type, "Federated") != 0)
		return policy_malformed(label, "unknown type of principal %.64s", type);
	TRY(check_list(list, "Principal", label, &n));
	if (!json_is_array(list)) {
		list = json_pack("[O]", list);
		if (list == NULL || json_object_set_new(types, type, list) != 0)
			return ERR_NO_MEMORY;
	}
	grown = realloc(s->principals, (s->principal_count + n) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NO_MEMORY;
	s->principals = grown;
	for (size_t i = 0; i < n; i++)
		TRY(read_principal(type, list, i, label, &s->principals[s->principal_count++]));
	return ERR_OK;
}

static enum err read_anyone(struct statement *s)
{
	s->principals = calloc(1, sizeof(*s->principals));
	if (s->principals == NULL)
		return ERR_NO_MEMORY;
	s->principals[s->principal_count++] = (struct principal){.kind = POLICY_NAMED_ANYONE, .text = "*"};
	return ERR_OK;
}

static enum err read_principals(enum policy_kind kind, const json_t *object, const char *label, struct statement *s)
{
	json_t *yes = json_object_get(object, "Principal"), *no = json_object_get(object, "NotPrincipal");
	json_t *types = yes != NULL ? yes : no, *value;
	const char *type;
	void *safe;

	if (kind == POLICY_IDENTITY || kind == POLICY_SESSION)
		return types != NULL ? policy_malformed(label, "a policy of a principal has no Principal") : ERR_OK;
	if ((yes == NULL) == (no == NULL))
		return policy_malformed(label, "needs exactly one of Principal and NotPrincipal");
	s->not_principal = no != NULL;
	if (s->not_principal && !s->deny)
		return policy_malformed(
			label, "NotPrincipal goes with Deny only: with Allow it would let in everybody else");
	if (json_is_string(types) && strcmp(json_string_value(types), "*") == 0)
		return read_anyone(s);
	if (json_object_size(types) == 0)
		return policy_malformed(label, "Principal is neither \"*\" nor an object that names some");
	json_object_foreach_safe(types, safe, type, value)
	{
		TRY(read_typed(types, type, label, s));
	}
	return ERR_OK;
}

/* ---- Statements ---- */

static enum err check_members(const json_t *object, const char *const *known, const char *label)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)object, name, value) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, name) != 0)
			k++;
		if (*k == NULL)
			return policy_malformed(label, "unknown element %.64s", name);
	}
	return ERR_OK;
}

static enum err read_head(const json_t *object, size_t index, struct statement *s)
{
	const json_t *sid = json_object_get(object, "Sid");
	const char *effect = json_string_value(json_object_get(object, "Effect"));

	snprintf(s->label, sizeof(s->label), "#%zu", index + 1);
	if (sid != NULL && (!json_is_string(sid) || json_string_length(sid) > 64))
		return policy_malformed(s->label, "Sid is no text of at most 64 bytes");
	if (json_string_length(sid) > 0)
		snprintf(s->label, sizeof(s->label), "%s", json_string_value(sid));
	if (effect == NULL || (strcmp(effect, "Allow") != 0 && strcmp(effect, "Deny") != 0))
		return policy_malformed(s->label, "Effect is neither Allow nor Deny");
	s->deny = strcmp(effect, "Deny") == 0;
	return ERR_OK;
}

static enum err read_statement(
	const struct policy *policy, const json_t *object, size_t index, int variables, struct statement *s)
{
	static const char *const known[] = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction",
		"Resource", "NotResource", "Condition", NULL};
	const json_t *condition;

	if (!json_is_object(object))
		return policy_malformed(NULL, "statement %zu is no object", index + 1);
	TRY(read_head(object, index, s));
	TRY(check_members(object, known, s->label));
	TRY(read_principals(policy->kind, object, s->label, s));
	TRY(read_actions(policy->kind, object, s->label, s));
	TRY(read_resources(policy->kind, object, s->label, variables, s));
	condition = json_object_get(object, "Condition");
	return condition != NULL ? condition_parse(condition, variables, s->label, s) : ERR_OK;
}

static enum err check_sids(const struct policy *p)
{
	for (size_t i = 0; i < p->count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(p->statements[i].label, p->statements[j].label) == 0)
				return policy_malformed(NULL, "two statements have the Sid %s", p->statements[i].label);
	return ERR_OK;
}

static enum err read_statements(struct policy *p, int variables)
{
	json_t *list = json_object_get(p->document, "Statement");
	size_t n = json_is_array(list) ? json_array_size(list) : 1;

	if (list == NULL || n == 0 || n > POLICY_STATEMENTS_MAX)
		return policy_malformed(NULL, "the policy has no Statement, or more than %d", POLICY_STATEMENTS_MAX);
	p->statements = calloc(n, sizeof(*p->statements));
	if (p->statements == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		p->count++;
		TRY(read_statement(
			p, json_is_array(list) ? json_array_get(list, i) : list, i, variables, &p->statements[i]));
	}
	return check_sids(p);
}

static enum err read_document(struct policy *p)
{
	static const char *const known[] = {"Version", "Id", "Statement", NULL};
	const json_t *version = json_object_get(p->document, "Version"), *id = json_object_get(p->document, "Id");
	const char *text = json_string_value(version);
	int is_new = text != NULL && strcmp(text, "2012-10-17") == 0;

	TRY(check_members(p->document, known, NULL));
	if (version != NULL && !is_new && (text == NULL || strcmp(text, "2008-10-17") != 0))
		return policy_malformed(NULL, "Version is neither 2012-10-17 nor 2008-10-17");
	if (id != NULL && !json_is_string(id))
		return policy_malformed(NULL, "Id is no text");
	return read_statements(p, is_new);
}

enum err policy_parse(enum policy_kind kind, const char *text, struct policy **ret)
{
	static const size_t most[] = {POLICY_KEY_MAX, POLICY_IDENTITY_MAX, POLICY_TRUST_MAX, POLICY_SESSION_MAX};
	struct policy *p;
	size_t len = strlen(text);
	enum err e;

	if (len > most[kind])
		return err_fail(ERR_KMS_LIMIT_EXCEEDED, "The policy is %zu bytes long; at most %zu are allowed.", len,
			most[kind]);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NO_MEMORY;
	p->kind = kind;
	e = json_parse(text, len, &p->document);
	if (e == ERR_FORMAT || (e == ERR_OK && !json_is_object(p->document)))
		e = policy_malformed(
			NULL, "the policy is no JSON object: %s", e == ERR_FORMAT ? err_text(e) : "another value");
	if (e == ERR_OK)
		e = read_document(p);
	if (e != ERR_OK) {
		policy_free(p);
		return e;
	}
	*ret = p;
	return ERR_OK;
}

/* ---- Freeing ---- */

static void patterns_free(struct pattern *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pattern_free(&list[i]);
	free(list);
}

static void statement_free(struct statement *s)
{
	for (size_t i = 0; i < s->condition_count; i++)
		condition_free(&s->conditions[i]);
	free(s->conditions);
	patterns_free(s->actions, s->action_count);
	patterns_free(s->resources, s->resource_count);
	free(s->principals);
}

void policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++)
		statement_free(&p->statements[i]);
	free(p->statements);
	json_decref(p->document);
	json_decref(p->ids);
	free(p);
}
