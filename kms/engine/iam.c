/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/audit_iam.h"
#include "kms/engine/iam.h"
#include "kms/engine/identity.h"
#include "kms/engine/principals.h"

enum { SESSION_MIN = 3600, SESSION_MAX = 43200, POLICIES_MAX = 20, UNIQUE_RANDOM = 17 };

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

/* ---- Names ---- */

static enum err check_account(const char *id)
{
	if (strlen(id) != ENGINE_ACCOUNT_SIZE - 1 || strspn(id, "0123456789") != ENGINE_ACCOUNT_SIZE - 1)
		return err_fail(ERR_USAGE, "an account has 12 digits");
	return ERR_OK;
}

static enum err check_name(const char *what, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= ENGINE_NAME_SIZE || strspn(name, NAME_CHARACTERS) != len)
		return err_fail(ERR_USAGE, "%s has 1 to %d letters, digits and characters of _+=,.@-", what,
			ENGINE_NAME_SIZE - 1);
	return ERR_OK;
}

static enum err check_path(const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || path[len - 1] != '/' || strspn(path, NAME_CHARACTERS "/") != len)
		return err_fail(ERR_USAGE, "a path begins and ends with /");
	return ERR_OK;
}

/* An ARN, or a name in the default account: a role only when it says so. */
static enum err find_row(struct engine *engine, const char *who, struct store_principal *ret)
{
	int is_role = names_starts_with(who, "role/");
	const char *name = is_role || names_starts_with(who, "user/") ? who + 5 : who;
	enum err e;

	if (names_starts_with(who, "arn:"))
		return principal_find(engine, who, ret);
	e = store_principal_find(engine->store, ENGINE_DEFAULT_ACCOUNT, is_role ? STORE_ROLE : STORE_USER, name, ret);
	return e == ERR_NOT_FOUND ? err_fail(e, "there is no %s %.64s in account %s", is_role ? "role" : "user", name,
					    ENGINE_DEFAULT_ACCOUNT)
				  : e;
}

static void describe(const struct store_principal *row, struct engine_principal *ret)
{
	*ret = (struct engine_principal){
		.is_role = row->kind == STORE_ROLE, .max_session = row->max_session, .created = row->created};
	memcpy(ret->account, row->account, sizeof(ret->account));
	memcpy(ret->name, row->name, sizeof(ret->name));
	memcpy(ret->path, row->path, sizeof(ret->path));
	memcpy(ret->user_id, row->unique_id, sizeof(ret->user_id));
	principal_arn(row, ret->arn);
}

/* CloudTrail's name for the parameter that names a principal. */
static json_t *named(const char *who, int is_role)
{
	json_t *p = json_object();
	char text[ENGINE_ARN_SIZE];

	snprintf(text, sizeof(text), "%s", who);
	encode_utf8_repair(text);
	json_object_set_new(p, is_role ? "roleName" : "userName", json_string(text));
	return p;
}

static int names_role(const char *who)
{
	return names_starts_with(who, "role/") || strstr(who, ":role/") != NULL;
}

/* ---- Accounts ---- */

struct account_change {
	const char *id, *name;
};

static enum err create_account(struct engine *engine, void *context)
{
	const struct account_change *a = context;
	enum err e;

	TRY(check_account(a->id));
	TRY(check_name("an account's name", a->name));
	e = store_account_insert(engine->store, a->id, a->name, engine->clock->wall(engine->clock));
	return e == ERR_EXISTS ? err_fail(e, "account %s exists already", a->id) : e;
}

static enum err delete_account(struct engine *engine, void *context)
{
	const struct account_change *a = context;
	enum err e;

	TRY(check_account(a->id));
	if (strcmp(a->id, ENGINE_DEFAULT_ACCOUNT) == 0)
		return err_fail(ERR_USAGE, "account %s is the keystore owner's and stays", a->id);
	e = store_account_delete(engine->store, a->id);
	return e == ERR_NOT_FOUND ? err_fail(e, "there is no account %s", a->id) : e;
}

static enum err change_account(struct engine *engine, const char *event, struct account_change *a,
	enum err (*change)(struct engine *engine, void *context))
{
	json_t *parameters AUTO_JSON = named(a->id, 0);

	json_object_set_new(parameters, "accountId", json_incref(json_object_get(parameters, "userName")));
	json_object_del(parameters, "userName");
	return iam_change_recorded(
		engine, &(struct iam_change){.event = event, .parameters = parameters, .change = change, .context = a});
}

enum err engine_account_create(struct engine *engine, const char *id, const char *name)
{
	return change_account(engine, "CreateAccount", &(struct account_change){id, name}, create_account);
}

enum err engine_account_delete(struct engine *engine, const char *id)
{
	return change_account(engine, "CloseAccount", &(struct account_change){id, NULL}, delete_account);
}

enum err engine_account_list(struct engine *engine,
	enum err (*each)(void *context, const char *id, const char *name, uint64_t created), void *context)
{
	return store_account_list(engine->store, each, context);
}

/* ---- Making and deleting ---- */

static enum err put_trust(struct engine *engine, int64_t role, const char *text)
{
	char *ids AUTO_FREE = NULL;
	struct policy *policy;
	enum err e;

	TRY(policy_parse(POLICY_TRUST, text, &policy));
	e = identity_bind(engine, policy, "Invalid principal in policy", &ids);
	policy_free(policy);
	TRY(e);
	return store_principal_set_trust(engine->store, role, text, ids);
}

static void new_unique_id(const char *prefix, char ret[STORE_UNIQUE_ID_SIZE])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	memcpy(ret, prefix, 4);
	for (int i = 0; i < UNIQUE_RANDOM; i++)
		ret[4 + i] = alphabet[random_below(32)];
	ret[4 + UNIQUE_RANDOM] = '\0';
}

struct creation {
	const struct engine_principal_spec *spec;
	struct store_principal row;
	json_t *response;
};

static enum err check_spec(struct engine *engine, const struct engine_principal_spec *s, const char *account)
{
	enum err e;

	TRY(check_account(account));
	TRY(check_name("a name", s->name));
	TRY(check_path(s->path != NULL ? s->path : "/"));
	if (s->is_role == (s->trust == NULL))
		return err_fail(ERR_USAGE, "a role has a trust policy, and a user has none");
	if (s->max_session != 0 && (!s->is_role || s->max_session < SESSION_MIN || s->max_session > SESSION_MAX))
		return err_fail(
			ERR_USAGE, "a role's longest session is between %d and %d seconds", SESSION_MIN, SESSION_MAX);
	e = store_account_find(engine->store, account);
	return e == ERR_NOT_FOUND ? err_fail(e, "there is no account %s", account) : e;
}

static enum err create(struct engine *engine, void *context)
{
	struct creation *c = context;
	const struct engine_principal_spec *s = c->spec;
	const char *account = s->account != NULL ? s->account : ENGINE_DEFAULT_ACCOUNT,
		   *path = s->path != NULL ? s->path : "/";
	struct store_principal *row = &c->row;
	char arn[ENGINE_ARN_SIZE];
	enum err e;

	TRY(check_spec(engine, s, account));
	*row = (struct store_principal){.kind = s->is_role ? STORE_ROLE : STORE_USER,
		.max_session = s->is_role ? (s->max_session != 0 ? s->max_session : SESSION_MIN) : 0,
		.created = engine->clock->wall(engine->clock)};
	if (strlen(path) + strlen(s->name) + strlen("arn:aws:iam::123456789012:user") >= ENGINE_ARN_SIZE)
		return err_fail(ERR_USAGE, "path and name are too long together: an ARN has at most %d bytes",
			ENGINE_ARN_SIZE - 1);
	snprintf(row->account, sizeof(row->account), "%s", account);
	snprintf(row->name, sizeof(row->name), "%s", s->name);
	snprintf(row->path, sizeof(row->path), "%s", path);
	new_unique_id(s->is_role ? "AROA" : "AIDA", row->unique_id);
	e = store_principal_insert(engine->store, row, &row->row);
	if (e == ERR_EXISTS)
		return err_fail(e, "account %s has a %s %s already", account, s->is_role ? "role" : "user", s->name);
	TRY(e);
	if (s->is_role)
		TRY(put_trust(engine, row->row, s->trust));
	principal_arn(row, arn);
	json_object_set_new(c->response, s->is_role ? "role" : "user",
		json_pack("{s:s, s:s, s:s}", "arn", arn, s->is_role ? "roleId" : "userId", row->unique_id,
			s->is_role ? "roleName" : "userName", row->name));
	return ERR_OK;
}

enum err engine_principal_create(
	struct engine *engine, const struct engine_principal_spec *spec, struct engine_principal *ret)
{
	json_t *parameters AUTO_JSON = named(spec->name, spec->is_role);
	json_t *response AUTO_JSON = json_object();
	struct creation c = {.spec = spec, .response = response};

	TRY(iam_change_recorded(engine, &(struct iam_change){.event = spec->is_role ? "CreateRole" : "CreateUser",
						.parameters = parameters,
						.response = response,
						.change = create,
						.context = &c}));
	describe(&c.row, ret);
	return ERR_OK;
}

/* ---- Changing one ---- */

struct change {
	const char *who, *policy, *document;
	size_t count;
};

static enum err delete_principal(struct engine *engine, void *context)
{
	const struct change *c = context;
	struct store_principal row;

	TRY(find_row(engine, c->who, &row));
	return store_principal_delete(engine->store, row.row);
}

static enum err count_policy(void *context, const char *name, const char *document)
{
	struct change *c = context;

	(void)document;
	c->count += strcmp(name, c->policy) != 0;
	return ERR_OK;
}

static enum err attach(struct engine *engine, void *context)
{
	struct change *c = context;
	struct store_principal row;
	struct policy *policy;

	TRY(find_row(engine, c->who, &row));
	TRY(check_name("a policy's name", c->policy));
	TRY(policy_parse(POLICY_IDENTITY, c->document, &policy));
	policy_free(policy);
	TRY(store_principal_policy_list(engine->store, row.row, count_policy, c));
	if (c->count >= POLICIES_MAX)
		return err_fail(ERR_LIMIT, "at most %d policies can be attached to one principal", POLICIES_MAX);
	return store_principal_policy_put(engine->store, row.row, c->policy, c->document);
}

static enum err detach(struct engine *engine, void *context)
{
	const struct change *c = context;
	struct store_principal row;
	enum err e;

	TRY(find_row(engine, c->who, &row));
	e = store_principal_policy_delete(engine->store, row.row, c->policy);
	return e == ERR_NOT_FOUND ? err_fail(e, "%.64s has no policy %.64s", row.name, c->policy) : e;
}

static enum err set_trust(struct engine *engine, void *context)
{
	const struct change *c = context;
	struct store_principal row;

	TRY(find_row(engine, c->who, &row));
	if (row.kind != STORE_ROLE)
		return err_fail(ERR_USAGE, "%.64s is a user: only roles have a trust policy", row.name);
	return put_trust(engine, row.row, c->document);
}

static enum err change_principal(struct engine *engine, const char *user_event, const char *role_event,
	struct change *c, enum err (*change)(struct engine *engine, void *context))
{
	int is_role = names_role(c->who);
	json_t *parameters AUTO_JSON = named(c->who, is_role);
	char text[2 * ENGINE_NAME_SIZE];

	if (c->policy != NULL) {
		snprintf(text, sizeof(text), "%s", c->policy);
		encode_utf8_repair(text);
		json_object_set_new(parameters, "policyName", json_string(text));
	}
	if (c->document != NULL)
		json_object_set_new(parameters, "policyDocument", json_string(c->document));
	return iam_change_recorded(engine, &(struct iam_change){.event = is_role ? role_event : user_event,
						   .parameters = parameters,
						   .change = change,
						   .context = c});
}

enum err engine_principal_delete(struct engine *engine, const char *who)
{
	return change_principal(engine, "DeleteUser", "DeleteRole", &(struct change){.who = who}, delete_principal);
}

enum err engine_principal_attach(struct engine *engine, const char *who, const char *policy, const char *document)
{
	return change_principal(engine, "PutUserPolicy", "PutRolePolicy",
		&(struct change){.who = who, .policy = policy, .document = document}, attach);
}

enum err engine_principal_detach(struct engine *engine, const char *who, const char *policy)
{
	return change_principal(
		engine, "DeleteUserPolicy", "DeleteRolePolicy", &(struct change){.who = who, .policy = policy}, detach);
}

enum err engine_principal_set_trust(struct engine *engine, const char *who, const char *document)
{
	return change_principal(engine, "UpdateAssumeRolePolicy", "UpdateAssumeRolePolicy",
		&(struct change){.who = who, .document = document}, set_trust);
}

/* ---- Looking ---- */

enum err engine_principal_find(struct engine *engine, const char *who, struct engine_principal *ret)
{
	struct store_principal row;

	TRY(find_row(engine, who, &row));
	describe(&row, ret);
	return ERR_OK;
}

struct listing {
	engine_principal_fn each;
	void *context;
};

static enum err list_one(void *context, const struct store_principal *row)
{
	const struct listing *l = context;
	struct engine_principal p;

	describe(row, &p);
	return l->each(l->context, &p);
}

enum err engine_principal_list(struct engine *engine, const char *account, engine_principal_fn each, void *context)
{
	struct listing l = {each, context};

	return store_principal_list(engine->store, account, list_one, &l);
}

enum err engine_principal_policies(struct engine *engine, const char *who,
	enum err (*each)(void *context, const char *name, const char *document), void *context)
{
	struct store_principal row;

	TRY(find_row(engine, who, &row));
	return store_principal_policy_list(engine->store, row.row, each, context);
}

enum err engine_principal_trust(struct engine *engine, const char *who, char **ret)
{
	struct store_document document AUTO_DOCUMENT = {NULL, NULL};
	struct store_principal row;

	TRY(find_row(engine, who, &row));
	TRY(store_principal_trust(engine->store, row.row, &document));
	return identity_show(engine, &document, ret);
}

/* ---- User ids ---- */

struct uid_change {
	uint32_t uid;
	const char *who;
};

static enum err map_uid(struct engine *engine, void *context)
{
	const struct uid_change *c = context;
	struct store_principal row;
	enum err e;

	if (c->who == NULL) {
		e = store_uid_delete(engine->store, c->uid);
		return e == ERR_NOT_FOUND ? err_fail(e, "user id %u is nobody already", c->uid) : e;
	}
	if (c->uid == 0 || c->uid == store_owner_uid(engine->store))
		return err_fail(ERR_USAGE, "user id %u is the account's root: it owns the keystore or is root", c->uid);
	TRY(find_row(engine, c->who, &row));
	if (row.kind != STORE_USER)
		return err_fail(ERR_USAGE, "%.64s is a role; a user id is a user, which may assume roles", row.name);
	return store_uid_set(engine->store, c->uid, row.row);
}

enum err engine_uid_map(struct engine *engine, uint32_t uid, const char *who)
{
	json_t *parameters AUTO_JSON = named(who != NULL ? who : "", 0);
	struct uid_change c = {uid, who};

	json_object_set_new(parameters, "uid", json_integer(uid));
	return iam_change_recorded(engine, &(struct iam_change){.event = who != NULL ? "MapUserId" : "UnmapUserId",
						   .parameters = parameters,
						   .change = map_uid,
						   .context = &c});
}

struct uid_listing {
	size_t count;
	struct {
		uint32_t uid;
		int64_t principal;
	} * item;
};

static enum err take_uid(void *context, uint32_t uid, int64_t principal)
{
	struct uid_listing *l = context;
	void *grown = realloc(l->item, (l->count + 1) * sizeof(*l->item));

	if (grown == NULL)
		return ERR_NO_MEMORY;
	l->item = grown;
	l->item[l->count].uid = uid;
	l->item[l->count++].principal = principal;
	return ERR_OK;
}

static enum err pass_uids(struct engine *engine, const struct uid_listing *l,
	enum err (*each)(void *context, uint32_t uid, const char *arn), void *context)
{
	for (size_t i = 0; i < l->count; i++) {
		struct store_principal row;
		char arn[ENGINE_ARN_SIZE];

		TRY(store_principal_get(engine->store, l->item[i].principal, &row));
		principal_arn(&row, arn);
		TRY(each(context, l->item[i].uid, arn));
	}
	return ERR_OK;
}

enum err engine_uid_list(
	struct engine *engine, enum err (*each)(void *context, uint32_t uid, const char *arn), void *context)
{
	struct uid_listing l = {0};
	enum err e = store_uid_list(engine->store, take_uid, &l);

	if (e == ERR_OK)
		e = pass_uids(engine, &l, each, context);
	free(l.item);
	return e;
}
