/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/store/db.h"

static enum err alias_read(struct query *q, struct store_alias *ret)
{
	struct store_alias a = {0};

	TRY(query_text(q, 0, a.account, sizeof(a.account)));
	TRY(query_text(q, 1, a.region, sizeof(a.region)));
	TRY(query_text(q, 2, a.name, sizeof(a.name)));
	a.key = query_int(q, 3);
	TRY(query_exact(q, 4, a.key_id, sizeof(a.key_id)));
	a.key_multi_region = query_int(q, 5) != 0;
	a.created = (uint64_t)query_int(q, 6);
	a.updated = (uint64_t)query_int(q, 7);
	*ret = a;
	return ERR_OK;
}

static void bind_name(struct query *q, int i, const char *account, const char *region, const char *name)
{
	query_bind_text(q, i, account);
	query_bind_text(q, i + 1, region);
	query_bind_text(q, i + 2, name);
}

enum err store_alias_insert(struct store *store, const struct store_alias *alias)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ALIAS_INSERT, &q));
	bind_name(&q, 0, alias->account, alias->region, alias->name);
	query_bind_int(&q, 3, alias->key);
	query_bind_time(&q, 4, alias->created);
	query_bind_time(&q, 5, alias->updated);
	return query_run(&q, NULL);
}

enum err store_alias_find(
	struct store *store, const char *account, const char *region, const char *name, struct store_alias *ret)
{
	struct query q AUTO_QUERY = {0};
	struct memo_key memo;

	memo_key_init(store, SQL_ALIAS_FIND, (const void *[]){account, region, name},
		(size_t[]){strlen(account), strlen(region), strlen(name)}, 3, &memo);
	if (memo_get(store, &memo, ret, sizeof(*ret)))
		return ERR_OK;
	TRY(query_begin(store, SQL_ALIAS_FIND, &q));
	bind_name(&q, 0, account, region, name);
	TRY(query_one(&q));
	TRY(alias_read(&q, ret));
	memo_put(store, &memo, ret, sizeof(*ret));
	return ERR_OK;
}

enum err store_alias_retarget(struct store *store, const struct store_alias *alias)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ALIAS_RETARGET, &q));
	query_bind_int(&q, 0, alias->key);
	query_bind_time(&q, 1, alias->updated);
	bind_name(&q, 2, alias->account, alias->region, alias->name);
	return query_run_on_one(&q);
}

enum err store_alias_delete(struct store *store, const struct store_alias *alias)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ALIAS_DELETE, &q));
	bind_name(&q, 0, alias->account, alias->region, alias->name);
	return query_run_on_one(&q);
}

enum err store_alias_list(struct store *store, const char *account, const char *region, int64_t key, const char *after,
	size_t limit, struct store_alias *ret, size_t *ret_count)
{
	struct query q AUTO_QUERY = {0};
	size_t n = 0;
	int row;

	TRY(query_begin(store, key != 0 ? SQL_ALIAS_LIST_OF_KEY : SQL_ALIAS_LIST, &q));
	bind_name(&q, 0, account, region, after);
	query_bind_int(&q, 3, (int64_t)limit);
	if (key != 0)
		query_bind_int(&q, 4, key);
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			break;
		TRY(alias_read(&q, &ret[n]));
		n++;
	}
	*ret_count = n;
	return ERR_OK;
}

enum err store_alias_count(struct store *store, int64_t key, size_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ALIAS_COUNT, &q));
	query_bind_int(&q, 0, key);
	TRY(query_one(&q));
	*ret = (size_t)query_int(&q, 0);
	return ERR_OK;
}
