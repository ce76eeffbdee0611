/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "kms/store/db.h"

static enum err grant_read(struct query *q, struct store_grant *ret)
{
	struct store_grant g = {.row = query_int(q, 0), .key = query_int(q, 2)};
	int64_t kind = query_int(q, 8);

	TRY(query_exact(q, 1, g.id, sizeof(g.id)));
	TRY(query_text(q, 3, g.name, sizeof(g.name)));
	TRY(query_text(q, 4, g.grantee.arn, sizeof(g.grantee.arn)));
	TRY(query_text(q, 5, g.retiring.arn, sizeof(g.retiring.arn)));
	TRY(query_text(q, 11, g.grantee.id, sizeof(g.grantee.id)));
	TRY(query_text(q, 12, g.retiring.id, sizeof(g.retiring.id)));
	TRY(query_text(q, 6, g.issuing, sizeof(g.issuing)));
	g.operations = (uint32_t)query_int(q, 7);
	if (kind < STORE_CONSTRAINT_NONE || kind > STORE_CONSTRAINT_SUBSET)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a grant has an unknown constraint");
	g.constraint = (enum store_constraint)kind;
	g.created = (uint64_t)query_int(q, 10);
	TRY(query_strdup(q, 9, &g.constraints));
	*ret = g;
	return ERR_OK;
}

void store_grant_free(struct store_grant *grant)
{
	free(grant->constraints);
	grant->constraints = NULL;
}

enum err store_grant_insert(struct store *store, const struct store_grant *g, int64_t *ret_row)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GRANT_INSERT, &q));
	query_bind_blob(&q, 0, g->id, sizeof(g->id));
	query_bind_int(&q, 1, g->key);
	query_bind_text(&q, 2, g->name);
	query_bind_text(&q, 3, g->grantee.arn);
	query_bind_text(&q, 4, g->retiring.arn);
	query_bind_text(&q, 5, g->issuing);
	query_bind_int(&q, 6, g->operations);
	query_bind_int(&q, 7, g->constraint);
	query_bind_text(&q, 8, g->constraints != NULL ? g->constraints : "");
	query_bind_time(&q, 9, g->created);
	query_bind_text(&q, 10, g->grantee.id);
	query_bind_text(&q, 11, g->retiring.id);
	TRY(query_run(&q, NULL));
	*ret_row = sqlite3_last_insert_rowid(q.db->handle);
	return ERR_OK;
}

enum err store_grant_find(struct store *store, const uint8_t id[STORE_GRANT_ID_SIZE], struct store_grant *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GRANT_FIND, &q));
	query_bind_blob(&q, 0, id, STORE_GRANT_ID_SIZE);
	TRY(query_one(&q));
	return grant_read(&q, ret);
}

enum err store_grant_delete(struct store *store, int64_t row)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GRANT_DELETE, &q));
	query_bind_int(&q, 0, row);
	return query_run_on_one(&q);
}

enum err store_grant_count(struct store *store, int64_t key, size_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GRANT_COUNT, &q));
	query_bind_int(&q, 0, key);
	TRY(query_one(&q));
	*ret = (size_t)query_int(&q, 0);
	return ERR_OK;
}

static enum err pass_on(struct query *q, store_grant_fn each, void *context)
{
	struct store_grant g;
	enum err e;

	TRY(grant_read(q, &g));
	e = each(context, &g);
	store_grant_free(&g);
	return e;
}

static enum err pass_all(struct query *q, store_grant_fn each, void *context)
{
	int row;

	for (;;) {
		TRY(query_next(q, &row));
		if (!row)
			return ERR_OK;
		TRY(pass_on(q, each, context));
	}
}

/* SQLite's LIMIT -1 is none. */
static int64_t limit_of(size_t limit)
{
	return limit > 0 ? (int64_t)limit : -1;
}

enum err store_grant_list(struct store *store, int64_t key, const struct store_grantee *grantee, uint32_t operations,
	int64_t after, size_t limit, store_grant_fn each, void *context)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, grantee != NULL ? SQL_GRANT_LIST_OF_GRANTEE : SQL_GRANT_LIST, &q));
	query_bind_int(&q, 0, key);
	query_bind_int(&q, 1, after);
	query_bind_int(&q, 2, operations);
	query_bind_int(&q, 3, limit_of(limit));
	if (grantee != NULL) {
		query_bind_text(&q, 4, grantee->arn);
		query_bind_text(&q, 5, grantee->id);
	}
	return pass_all(&q, each, context);
}

enum err store_grant_list_retirable(struct store *store, const char *region, const struct store_grantee *retiring,
	int64_t after, size_t limit, store_grant_fn each, void *context)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GRANT_LIST_RETIRABLE, &q));
	query_bind_text(&q, 0, retiring->arn);
	query_bind_text(&q, 1, retiring->id);
	query_bind_int(&q, 2, after);
	query_bind_text(&q, 3, region);
	query_bind_int(&q, 4, limit_of(limit));
	return pass_all(&q, each, context);
}
