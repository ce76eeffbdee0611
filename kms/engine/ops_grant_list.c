/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/engine/authorize.h"
#include "kms/engine/grants.h"
#include "kms/engine/identity.h"
#include "kms/engine/marker.h"
#include "kms/engine/metadata.h"
#include "kms/engine/operations.h"

enum { PAGE_DEFAULT = 50 };

static json_t *constraints_of(const struct store_grant *g)
{
	json_t *pairs = NULL;

	if (g->constraint == STORE_CONSTRAINT_NONE ||
		json_parse(g->constraints, strlen(g->constraints), &pairs) != ERR_OK)
		return NULL;
	return json_pack("{s:o}",
		g->constraint == STORE_CONSTRAINT_EQUALS ? "EncryptionContextEquals" : "EncryptionContextSubset",
		pairs);
}

static enum err entry_of(struct engine *engine, const struct store_grant *g, json_t **ret)
{
	char id[GRANT_ID_TEXT_SIZE], arn[ENGINE_ARN_SIZE];
	const char *grantee, *retiring;
	struct store_key key;

	TRY(store_key_get(engine->store, g->key, &key));
	TRY(identity_show_grantee(engine, &g->grantee, &grantee));
	TRY(identity_show_grantee(engine, &g->retiring, &retiring));
	names_key_arn(&key, arn);
	encode_hex(g->id, sizeof(g->id), id);
	*ret = json_pack("{s:s, s:s, s:s*, s:o?, s:s, s:s*, s:s, s:o?, s:o*}", "KeyId", arn, "GrantId", id, "Name",
		g->name[0] != '\0' ? g->name : NULL, "CreationDate", metadata_time(g->created), "GranteePrincipal",
		grantee, "RetiringPrincipal", retiring[0] != '\0' ? retiring : NULL, "IssuingAccount", g->issuing,
		"Operations", grant_operations(g->operations), "Constraints", constraints_of(g));
	return *ret != NULL ? ERR_OK : ERR_NO_MEMORY;
}

/* Only collected at first: no query runs inside of another. */
struct page {
	size_t count, limit;
	int more;
	enum { OF_ALL, OF_GRANTEE, OF_ID, OF_NOBODY } wanted;
	struct store_grantee grantee; /* of OF_ID only the id: who bore the name is gone, and ListGrants shows the id */
	struct store_grant *grant;
};

static void page_free(struct page *p)
{
	for (size_t i = 0; p->grant != NULL && i < p->count; i++)
		store_grant_free(&p->grant[i]);
	free(p->grant);
}
#define AUTO_PAGE __attribute__((cleanup(page_free)))

static enum err page_new(struct call *call, struct page *ret)
{
	ret->limit = (size_t)call_integer(call, "Limit", PAGE_DEFAULT);
	ret->grant = calloc(ret->limit, sizeof(*ret->grant));
	return ret->grant != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static int is_wanted(const struct page *p, const struct store_grant *g)
{
	if (p->wanted == OF_ALL)
		return 1;
	return p->wanted != OF_NOBODY && strcmp(p->grantee.id, g->grantee.id) == 0 &&
	       (p->wanted == OF_ID || strcmp(p->grantee.arn, g->grantee.arn) == 0);
}

static enum err collect(void *context, const struct store_grant *g)
{
	struct page *p = context;

	if (!is_wanted(p, g))
		return ERR_OK;
	if (p->count == p->limit) {
		p->more = 1;
		return ERR_INTERRUPTED;
	}
	p->grant[p->count] = *g;
	p->grant[p->count].constraints = strdup(g->constraints);
	return p->grant[p->count++].constraints != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static enum err answer_page(struct call *call, const struct page *p)
{
	json_t *list AUTO_JSON = json_array(), *entry;

	for (size_t i = 0; i < p->count; i++) {
		TRY(entry_of(call->engine, &p->grant[i], &entry));
		json_array_append_new(list, entry);
	}
	return marker_answer_row(call, "Grants", STEAL(list), p->more, p->count > 0 ? p->grant[p->count - 1].row : 0);
}

/* An ARN, or the unique id of who is gone. Services have no grants here. */
static enum err read_filter(struct call *call, struct page *p)
{
	const char *text = call_string(call, "GranteePrincipal");
	enum err e;

	if (text == NULL)
		return ERR_OK;
	e = identity_read_grantee(call->engine, text, &p->grantee);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	p->wanted = e == ERR_OK ? OF_GRANTEE : OF_NOBODY;
	if (p->wanted == OF_NOBODY && strlen(text) == STORE_UNIQUE_ID_SIZE - 1 && !names_starts_with(text, "arn:")) {
		p->wanted = OF_ID;
		memcpy(p->grantee.id, text, STORE_UNIQUE_ID_SIZE);
	}
	return ERR_OK;
}

/* One grant by its id, if it is one of the key's. */
static enum err find_one(struct call *call, struct page *p, const char *grant_id)
{
	struct store_grant g AUTO_GRANT = {.row = 0};
	uint8_t id[STORE_GRANT_ID_SIZE];
	enum err e = grant_read_id(grant_id, id);

	if (e == ERR_OK)
		e = store_grant_find(call->engine->store, id, &g);
	if (e == ERR_OK && g.key == call->key.row)
		return collect(p, &g);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err find_all(struct call *call, struct page *p, int64_t after)
{
	int by_name = p->wanted == OF_GRANTEE;
	enum err e;

	if (p->wanted == OF_NOBODY)
		return ERR_OK;
	/* By id the store does not find them: all of the key's are looked at until the page is full. */
	e = store_grant_list(call->engine->store, call->key.row, by_name ? &p->grantee : NULL, 0, after,
		p->wanted == OF_ID ? 0 : p->limit + 1, collect, p);
	return e == ERR_INTERRUPTED ? ERR_OK : e;
}

enum err op_list_grants(struct call *call)
{
	struct page page AUTO_PAGE = {.count = 0};
	const char *id = call_string(call, "GrantId");
	int64_t after;

	TRY(marker_read_row(call, &after));
	TRY(page_new(call, &page));
	TRY(read_filter(call, &page));
	TRY(id != NULL ? find_one(call, &page, id) : find_all(call, &page, after));
	return answer_page(call, &page);
}

enum err op_list_retirable_grants(struct call *call)
{
	struct page page AUTO_PAGE = {.count = 0};
	const char *arn = call_string(call, "RetiringPrincipal");
	struct store_grantee retiring;
	char prefix[32];
	int64_t after;
	enum err e;

	/* Any principal of the caller's account, and no other, of which it is not even said whether it is there. */
	snprintf(prefix, sizeof(prefix), "::%s:", call->caller->account);
	if (names_starts_with(arn, "arn:aws:") && strstr(arn, prefix) == NULL)
		return authorize_deny(call->caller, "ListRetirableGrants", arn);
	e = names_starts_with(arn, "arn:aws:") ? identity_read_grantee(call->engine, arn, &retiring) : ERR_NOT_FOUND;
	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KMS_INVALID_ARN, "ARN does not refer to a valid principal: %.256s", arn);
	TRY(e);
	TRY(marker_read_row(call, &after));
	TRY(page_new(call, &page));
	e = store_grant_list_retirable(
		call->engine->store, call->region, &retiring, after, page.limit + 1, collect, &page);
	return e == ERR_OK || e == ERR_INTERRUPTED ? answer_page(call, &page) : e;
}
