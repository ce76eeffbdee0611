/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"

enum err store_account_insert(struct store *store, const char *id, const char *name, uint64_t now)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ACCOUNT_INSERT, &q));
	query_bind_text(&q, 0, id);
	query_bind_text(&q, 1, name);
	query_bind_time(&q, 2, now);
	return query_run(&q, NULL);
}

enum err store_account_find(struct store *store, const char *id)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ACCOUNT_FIND, &q));
	query_bind_text(&q, 0, id);
	return query_one(&q);
}

enum err store_account_list(struct store *store, store_account_fn each, void *context)
{
	struct query q AUTO_QUERY = {0};
	char id[STORE_ACCOUNT_SIZE], name[STORE_NAME_SIZE];
	int row;

	TRY(query_begin(store, SQL_ACCOUNT_LIST, &q));
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(query_text(&q, 0, id, sizeof(id)));
		TRY(query_text(&q, 1, name, sizeof(name)));
		TRY(each(context, id, name, (uint64_t)query_int(&q, 2)));
	}
}

static enum err check_unused(struct store *store, const char *id)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ACCOUNT_USES, &q));
	query_bind_text(&q, 0, id);
	TRY(query_one(&q));
	if (query_int(&q, 0) != 0)
		return err_fail(ERR_BUSY, "account %s still has principals, keys or access keys", id);
	return ERR_OK;
}

enum err store_account_delete(struct store *store, const char *id)
{
	struct query q AUTO_QUERY = {0};

	TRY(check_unused(store, id));
	TRY(query_begin(store, SQL_ACCOUNT_DELETE, &q));
	query_bind_text(&q, 0, id);
	return query_run_on_one(&q);
}
