/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/engine/principals.h"

void principal_arn(const struct store_principal *p, char ret[ENGINE_ARN_SIZE])
{
	/* Both parts were bounded together when it was made. */
	int n = snprintf(ret, ENGINE_ARN_SIZE, "arn:aws:iam::%s:%s%s%s", p->account,
		p->kind == STORE_ROLE ? "role" : "user", p->path, p->name);

	if (n < 0 || n >= ENGINE_ARN_SIZE)
		ret[0] = '\0';
}

void principal_root_arn(const char *account, char ret[ENGINE_ARN_SIZE])
{
	snprintf(ret, ENGINE_ARN_SIZE, "arn:aws:iam::%.12s:root", account);
}

/* ---- Callers ---- */

void principal_describe_root(const char *account, struct engine_caller *c)
{
	snprintf(c->account, sizeof(c->account), "%s", account);
	principal_root_arn(account, c->arn);
	snprintf(c->user_id, sizeof(c->user_id), "%s", account);
}

void principal_describe_user(const struct store_principal *user, struct engine_caller *c)
{
	snprintf(c->account, sizeof(c->account), "%s", user->account);
	principal_arn(user, c->arn);
	snprintf(c->user_id, sizeof(c->user_id), "%s", user->unique_id);
	c->principal = user->row;
}

/* The longest: "arn:aws:sts::123456789012:assumed-role/", two names of 64 and a slash. */
_Static_assert(39 + 64 + 1 + 64 < ENGINE_ARN_SIZE, "a session's ARN fits");

void principal_describe_session(const struct store_principal *role, const char *session, struct engine_caller *c)
{
	snprintf(c->account, sizeof(c->account), "%s", role->account);
	snprintf(c->arn, sizeof(c->arn), "arn:aws:sts::%s:assumed-role/%s/%.64s", role->account, role->name, session);
	principal_arn(role, c->role);
	snprintf(c->user_id, sizeof(c->user_id), "%s:%.64s", role->unique_id, session);
	c->principal = role->row;
}

void principal_describe_federated(const struct store_principal *user, const char *name, struct engine_caller *c)
{
	snprintf(c->account, sizeof(c->account), "%s", user->account);
	snprintf(c->arn, sizeof(c->arn), "arn:aws:sts::%s:federated-user/%.64s", user->account, name);
	snprintf(c->user_id, sizeof(c->user_id), "%s:%.64s", user->account, name);
	c->principal = user->row;
}

/* ---- Looking up ---- */

/* What follows "arn:aws:SERVICE::", the account of which goes into @account; NULL: another form. */
static const char *split(const char *arn, const char *service, char account[ENGINE_ACCOUNT_SIZE])
{
	char prefix[24];
	size_t len = (size_t)snprintf(prefix, sizeof(prefix), "arn:aws:%s::", service);

	if (strncmp(arn, prefix, len) != 0 || strspn(arn + len, "0123456789") != ENGINE_ACCOUNT_SIZE - 1 ||
		arn[len + ENGINE_ACCOUNT_SIZE - 1] != ':')
		return NULL;
	memcpy(account, arn + len, ENGINE_ACCOUNT_SIZE - 1);
	account[ENGINE_ACCOUNT_SIZE - 1] = '\0';
	return arn + len + ENGINE_ACCOUNT_SIZE;
}

static enum err not_there(const char *arn)
{
	return err_fail(ERR_NOT_FOUND, "there is no principal %.*s", ENGINE_ARN_SIZE, arn);
}

enum err principal_find(struct engine *engine, const char *arn, struct store_principal *ret)
{
	char account[ENGINE_ACCOUNT_SIZE], found[ENGINE_ARN_SIZE];
	const char *rest = split(arn, "iam", account), *name;
	struct store_principal p;
	enum err e;

	if (rest == NULL || (!names_starts_with(rest, "user/") && !names_starts_with(rest, "role/")))
		return not_there(arn);
	name = strrchr(rest, '/') + 1;
	e = store_principal_find(engine->store, account, rest[0] == 'r' ? STORE_ROLE : STORE_USER, name, &p);
	if (e == ERR_NOT_FOUND)
		return not_there(arn);
	TRY(e);
	principal_arn(&p, found);
	if (strcmp(found, arn) != 0) /* the path is another */
		return not_there(arn);
	*ret = p;
	return ERR_OK;
}

/* ---- Is it there? ---- */

static enum err check_session(struct engine *engine, const char *arn, struct store_principal *ret)
{
	char account[ENGINE_ACCOUNT_SIZE], role[STORE_NAME_SIZE];
	const char *rest = split(arn, "sts", account);
	size_t len;

	if (rest == NULL)
		return not_there(arn);
	if (names_starts_with(rest, "federated-user/"))
		return store_account_find(engine->store, account);
	if (!names_starts_with(rest, "assumed-role/"))
		return not_there(arn);
	rest += strlen("assumed-role/");
	len = strcspn(rest, "/");
	if (len == 0 || len >= sizeof(role) || rest[len] != '/' || rest[len + 1] == '\0')
		return not_there(arn);
	memcpy(role, rest, len);
	role[len] = '\0';
	return store_principal_find(engine->store, account, STORE_ROLE, role, ret);
}

enum err principal_check(
	struct engine *engine, enum policy_named kind, const char *text, char ret_id[STORE_UNIQUE_ID_SIZE])
{
	struct store_principal p = {.unique_id = ""};

	if (kind == POLICY_NAMED_ACCOUNT)
		TRY(store_account_find(engine->store, text));
	else if (kind == POLICY_NAMED_ARN)
		TRY(names_starts_with(text, "arn:aws:sts::") ? check_session(engine, text, &p)
							     : principal_find(engine, text, &p));
	memcpy(ret_id, p.unique_id, STORE_UNIQUE_ID_SIZE);
	return ERR_OK;
}

enum err principal_check_arn(struct engine *engine, const char *arn, char ret_id[STORE_UNIQUE_ID_SIZE])
{
	char account[ENGINE_ACCOUNT_SIZE];
	const char *rest = split(arn, "iam", account);

	if (rest != NULL && strcmp(rest, "root") == 0)
		return principal_check(engine, POLICY_NAMED_ACCOUNT, account, ret_id);
	return principal_check(engine, POLICY_NAMED_ARN, arn, ret_id);
}
