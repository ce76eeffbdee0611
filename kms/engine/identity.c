/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/engine/identity.h"
#include "kms/engine/principals.h"

const char *identity_of_caller(const struct engine_caller *c, char room[STORE_UNIQUE_ID_SIZE])
{
	enum policy_caller_kind kind = policy_caller_kind(c->arn, c->account);
	size_t len = strcspn(c->user_id, ":"); /* "AIDA…", "AROA…:session" */

	if ((kind != POLICY_CALLER_USER && kind != POLICY_CALLER_ROLE_SESSION) || len != STORE_UNIQUE_ID_SIZE - 1)
		return NULL;
	memcpy(room, c->user_id, len);
	room[len] = '\0';
	return room;
}

/* ---- New documents ---- */

struct binding {
	struct engine *engine;
	const char *complaint;
	json_t *ids;
};

static enum err bind_one(void *context, enum policy_named kind, const char *text)
{
	struct binding *b = context;
	char id[STORE_UNIQUE_ID_SIZE];
	enum err e = principal_check(b->engine, kind, text, id);

	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KMS_MALFORMED_POLICY, "%s: there is no %.256s.", b->complaint, text);
	TRY(e);
	if (id[0] != '\0' && json_object_set_new(b->ids, text, json_string(id)) != 0)
		return ERR_NO_MEMORY;
	return ERR_OK;
}

enum err identity_bind(struct engine *engine, struct policy *policy, const char *complaint, char **ret_ids)
{
	json_t *ids AUTO_JSON = json_object();
	struct binding b = {engine, complaint, ids};
	const size_t flags = JSON_COMPACT;
	char *text AUTO_FREE = NULL;
	size_t len;

	TRY(policy_each_principal(policy, bind_one, &b));
	policy_bind(policy, ids);
	len = json_dumpb(ids, NULL, 0, flags);
	text = malloc(len + 1); /* not json_dumps(): its memory is jansson's to free */
	if (text == NULL || len == 0 || json_dumpb(ids, text, len, flags) != len)
		return ERR_NO_MEMORY;
	text[len] = '\0';
	*ret_ids = STEAL(text);
	return ERR_OK;
}

/* ---- Stored documents ---- */

static enum err unreadable(void)
{
	return err_fail(ERR_KEYSTORE, "a stored policy cannot be read (%s), so nobody is let in", err_text(ERR_FORMAT));
}

enum err identity_parse(enum policy_kind kind, const struct store_document *document, struct policy **ret)
{
	json_t *ids AUTO_JSON = NULL;
	enum err e = json_parse(document->principals, strlen(document->principals), &ids);

	if (e == ERR_OK)
		e = policy_parse(kind, document->text, ret);
	if (e == ERR_FORMAT || e == ERR_KMS_MALFORMED_POLICY || e == ERR_KMS_LIMIT_EXCEEDED)
		return unreadable();
	TRY(e);
	policy_bind(*ret, ids);
	return ERR_OK;
}

/* Of @ids, those who are gone. */
static enum err find_gone(struct engine *engine, json_t *ids, json_t *gone)
{
	struct store_principal row;
	const char *arn;
	json_t *id;

	json_object_foreach (ids, arn, id) {
		enum err e = store_principal_identify(engine->store, json_string_value(id), &row);

		if (e == ERR_NOT_FOUND)
			json_object_set(gone, arn, id);
		else
			TRY(e);
	}
	return ERR_OK;
}

enum err identity_show(struct engine *engine, const struct store_document *document, char **ret)
{
	json_t *ids AUTO_JSON = NULL, *gone AUTO_JSON = json_object();

	if (json_parse(document->principals, strlen(document->principals), &ids) != ERR_OK)
		return unreadable();
	TRY(find_gone(engine, ids, gone));
	if (json_object_size(gone) > 0)
		return policy_rename_principals(document->text, gone, ret);
	*ret = strdup(document->text);
	return *ret != NULL ? ERR_OK : ERR_NO_MEMORY;
}

/* ---- Grants ---- */

enum err identity_read_grantee(struct engine *engine, const char *arn, struct store_grantee *ret)
{
	struct store_grantee g = {.id = ""};

	if (strlen(arn) >= sizeof(g.arn))
		return ERR_NOT_FOUND;
	TRY(principal_check_arn(engine, arn, g.id));
	snprintf(g.arn, sizeof(g.arn), "%s", arn);
	*ret = g;
	return ERR_OK;
}

int identity_is_caller(const struct store_grantee *g, const struct engine_caller *c)
{
	char room[STORE_UNIQUE_ID_SIZE];
	const char *id = identity_of_caller(c, room);

	if (g->arn[0] == '\0' || (strcmp(g->arn, c->arn) != 0 && strcmp(g->arn, c->role) != 0))
		return 0;
	return !policy_arn_is_bound(g->arn) || (id != NULL && strcmp(g->id, id) == 0);
}

enum err identity_show_grantee(struct engine *engine, const struct store_grantee *g, const char **ret)
{
	struct store_principal row;
	enum err e = g->id[0] != '\0' ? store_principal_identify(engine->store, g->id, &row) : ERR_OK;

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	*ret = e == ERR_OK ? g->arn : g->id;
	return ERR_OK;
}
