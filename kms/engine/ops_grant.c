/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/authorize.h"
#include "kms/engine/context.h"
#include "kms/engine/grants.h"
#include "kms/engine/identity.h"
#include "kms/engine/operations.h"
#include "kms/engine/principals.h"
#include "kms/engine/resolve.h"

/* ---- CreateGrant ---- */

static enum err read_principal(struct call *call, const char *member, struct store_grantee *ret)
{
	const char *arn = call_string(call, member);
	enum err e;

	if (arn == NULL)
		return ERR_OK;
	e = identity_read_grantee(call->engine, arn, ret);
	return e == ERR_NOT_FOUND
		       ? err_fail(ERR_KMS_INVALID_ARN, "ARN does not refer to a valid principal: %.256s", arn)
		       : e;
}

static enum err read_operations(struct call *call, struct store_grant *g)
{
	const json_t *list = json_object_get(call->request, "Operations"), *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		uint32_t bit = grant_operation(json_string_value(item));

		if (bit == 0)
			return err_fail(
				ERR_KMS_VALIDATION, "Operation %.64s cannot be granted.", json_string_value(item));
		g->operations |= bit;
	}
	if (g->operations == 0)
		return err_fail(ERR_KMS_VALIDATION, "A grant needs at least one operation.");
	if (!grant_fits_key(g->operations, &call->key))
		return err_fail(ERR_KMS_VALIDATION,
			"Operations of the grant are not valid for a key of KeySpec %s and KeyUsage %s.",
			call->key.spec, call->key.usage);
	return ERR_OK;
}

/* The same pairs are the same text, in whatever order they came. */
static enum err canonical(const json_t *pairs, char **ret)
{
	const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
	size_t len = json_dumpb(pairs, NULL, 0, flags), encoded_len;
	char *text AUTO_FREE = malloc(len + 1); /* not json_dumps(): its memory is jansson's to free */
	uint8_t *encoded AUTO_FREE = NULL;

	TRY(context_encode(pairs, &encoded, &encoded_len)); /* not too long */
	if (text == NULL || json_dumpb(pairs, text, len, flags) != len)
		return ERR_NO_MEMORY;
	text[len] = '\0';
	*ret = STEAL(text);
	return ERR_OK;
}

static enum err read_constraints(struct call *call, struct store_grant *g)
{
	const json_t *constraints = json_object_get(call->request, "Constraints");
	const json_t *equals = json_object_get(constraints, "EncryptionContextEquals");
	const json_t *subset = json_object_get(constraints, "EncryptionContextSubset");

	if (equals != NULL && subset != NULL)
		return err_fail(ERR_KMS_VALIDATION,
			"A grant has EncryptionContextEquals or EncryptionContextSubset, not both.");
	if (equals == NULL && subset == NULL)
		return ERR_OK;
	if (strcmp(call->key.spec, "SYMMETRIC_DEFAULT") != 0)
		return err_fail(ERR_KMS_VALIDATION,
			"Encryption context constraints are for symmetric encryption keys; this one is %s.",
			call->key.spec);
	g->constraint = equals != NULL ? STORE_CONSTRAINT_EQUALS : STORE_CONSTRAINT_SUBSET;
	return canonical(equals != NULL ? equals : subset, &g->constraints);
}

struct twin {
	const struct store_grant *wanted;
	uint8_t id[STORE_GRANT_ID_SIZE];
	int found;
};

static enum err compare(void *context, const struct store_grant *g)
{
	struct twin *t = context;
	const struct store_grant *w = t->wanted;

	if (strcmp(g->name, w->name) != 0 || strcmp(g->retiring.arn, w->retiring.arn) != 0 ||
		strcmp(g->retiring.id, w->retiring.id) != 0 || g->operations != w->operations ||
		g->constraint != w->constraint ||
		strcmp(g->constraints, w->constraints != NULL ? w->constraints : "") != 0)
		return ERR_OK;
	memcpy(t->id, g->id, sizeof(t->id));
	t->found = 1;
	return ERR_INTERRUPTED;
}

/* A named grant that is asked for again is the one that is there: so that a retry makes no second one. */
static enum err find_twin(struct call *call, struct store_grant *g, int *ret_found)
{
	struct twin twin = {.wanted = g};
	enum err e;

	*ret_found = 0;
	if (g->name[0] == '\0')
		return ERR_OK;
	e = store_grant_list(call->engine->store, call->key.row, &g->grantee, 0, 0, 0, compare, &twin);
	if (e != ERR_OK && e != ERR_INTERRUPTED)
		return e;
	*ret_found = twin.found;
	if (twin.found)
		memcpy(g->id, twin.id, sizeof(g->id));
	return ERR_OK;
}

static enum err insert(struct call *call, struct store_grant *g)
{
	size_t count;

	TRY(store_grant_count(call->engine->store, call->key.row, &count));
	TRY(limits_allow(&call->engine->limits, LIMIT_GRANTS, count + 1));
	random_bytes(g->id, sizeof(g->id));
	return store_grant_insert(call->engine->store, g, &g->row);
}

static enum err read_grant(struct call *call, struct store_grant *g)
{
	const char *name = call_string(call, "Name");

	g->key = call->key.row;
	g->created = call->now;
	snprintf(g->name, sizeof(g->name), "%s", name != NULL ? name : "");
	principal_root_arn(call->caller->account, g->issuing);
	TRY(read_principal(call, "GranteePrincipal", &g->grantee));
	TRY(read_principal(call, "RetiringPrincipal", &g->retiring));
	TRY(read_operations(call, g));
	return read_constraints(call, g);
}

enum err op_create_grant(struct call *call)
{
	struct store_grant g AUTO_GRANT = {.row = 0};
	char token[GRANT_TOKEN_SIZE], id[GRANT_ID_TEXT_SIZE];
	int found;

	TRY(read_grant(call, &g));
	TRY(find_twin(call, &g, &found));
	if (!found)
		TRY(insert(call, &g));
	TRY(grant_token_make(call->engine, g.id, token));
	encode_hex(g.id, sizeof(g.id), id);
	return call_answer(call, json_pack("{s:s, s:s}", "GrantToken", token, "GrantId", id));
}

/* ---- Ending a grant ---- */

static enum err grant_missing(const struct store_key *key, const char *id)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	return err_fail(ERR_KMS_NOT_FOUND, "Grant %.128s of key %s does not exist.", id, arn);
}

enum err op_revoke_grant(struct call *call)
{
	struct store_grant g AUTO_GRANT = {.row = 0};
	const char *text = call_string(call, "GrantId");
	uint8_t id[STORE_GRANT_ID_SIZE];
	enum err e;

	TRY(grant_read_id(text, id));
	e = store_grant_find(call->engine->store, id, &g);
	if (e == ERR_NOT_FOUND || (e == ERR_OK && g.key != call->key.row))
		return grant_missing(&call->key, text);
	TRY(e);
	return store_grant_delete(call->engine->store, g.row);
}

/* A grant is of its Region, as its key is. */
static enum err find_by_token(struct call *call, const char *token, struct store_grant *g, struct store_key *key)
{
	uint8_t id[STORE_GRANT_ID_SIZE];
	enum err e;

	TRY(grant_token_read(call->engine, token, id));
	e = store_grant_find(call->engine->store, id, g);
	if (e == ERR_OK)
		e = store_key_get(call->engine->store, g->key, key);
	if (e == ERR_NOT_FOUND || (e == ERR_OK && strcmp(key->region, call->region) != 0))
		return err_fail(ERR_KMS_NOT_FOUND, "The grant of this token does not exist any more.");
	return e;
}

static enum err find_by_id(struct call *call, const char *text, struct store_grant *g, struct store_key *key)
{
	uint8_t id[STORE_GRANT_ID_SIZE];
	char arn[ENGINE_ARN_SIZE];
	enum err e;

	TRY(grant_read_id(text, id));
	TRY(resolve_key(call, call_string(call, "KeyId"), key));
	e = store_grant_find(call->engine->store, id, g);
	if (e != ERR_NOT_FOUND && (e != ERR_OK || g->key == key->row))
		return e;
	if (strcmp(key->account, call->caller->account) == 0)
		return grant_missing(key, text);
	/* The same as for a key that is not there, and for a grant that is not the caller's to retire. */
	names_key_arn(key, arn);
	return authorize_unknown(call->caller, "RetireGrant", arn);
}

/* By its token, or by its key and id. */
static enum err find_to_retire(struct call *call, struct store_grant *g, struct store_key *key)
{
	const char *token = call_string(call, "GrantToken"), *id = call_string(call, "GrantId");

	if ((token == NULL) == (id == NULL) || (id == NULL) != (call_string(call, "KeyId") == NULL))
		return err_fail(ERR_KMS_VALIDATION, "A grant is named by GrantToken, or by KeyId and GrantId.");
	return token != NULL ? find_by_token(call, token, g, key) : find_by_id(call, id, g, key);
}

/* The key's account, the retiring principal, a grantee that may retire. The very session: it was named itself, not only its role. */
static enum authorize_granted may_retire(const struct engine_caller *c, const struct store_grant *g, const char *root)
{
	const struct store_grantee *as = NULL;

	if (strcmp(c->arn, root) == 0)
		return AUTHORIZE_GRANTED;
	if (identity_is_caller(&g->retiring, c))
		as = &g->retiring;
	else if (identity_is_caller(&g->grantee, c) && g->operations & grant_operation("RetireGrant"))
		as = &g->grantee;
	if (as == NULL)
		return AUTHORIZE_NOT_GRANTED;
	return c->role[0] != '\0' && strcmp(as->arn, c->arn) == 0 ? AUTHORIZE_GRANTED_TO_SESSION : AUTHORIZE_GRANTED;
}

/* The grant itself says who may; policies can only deny it, and a session's own policy narrows it as everything else. */
static enum err authorize_retiring(struct call *call, const struct store_grant *g, const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE], root[ENGINE_ARN_SIZE];
	struct authorize_question question = {.action = "RetireGrant", .key = key, .resource = arn};

	names_key_arn(key, arn);
	principal_root_arn(key->account, root);
	question.granted = may_retire(call->caller, g, root);
	if (question.granted == AUTHORIZE_NOT_GRANTED && strcmp(key->account, call->caller->account) != 0)
		return authorize_unknown(call->caller, "RetireGrant", arn);
	if (question.granted == AUTHORIZE_NOT_GRANTED)
		return authorize_deny(call->caller, "RetireGrant", arn);
	return authorize_ask(call, &question);
}

enum err op_retire_grant(struct call *call)
{
	struct store_grant g AUTO_GRANT = {.row = 0};
	struct store_key key;

	TRY(find_to_retire(call, &g, &key));
	call_touch(call, &key);
	TRY(authorize_retiring(call, &g, &key));
	return store_grant_delete(call->engine->store, g.row);
}
