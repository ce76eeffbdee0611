/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/store/db.h"

static enum err access_read(struct query *q, struct store_access_key *ret)
{
	struct store_access_key k = {0};

	TRY(query_text(q, 0, k.id, sizeof(k.id)));
	TRY(query_text(q, 1, k.account, sizeof(k.account)));
	TRY(query_text(q, 2, k.arn, sizeof(k.arn)));
	k.created = (uint64_t)query_int(q, 3);
	TRY(query_blob(q, 4, k.sealed, sizeof(k.sealed), &k.sealed_len));
	k.principal = query_int(q, 5);
	*ret = k;
	return ERR_OK;
}

enum err store_access_key_insert(struct store *store, const struct store_access_key *key)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ACCESS_INSERT, &q));
	query_bind_text(&q, 0, key->id);
	query_bind_text(&q, 1, key->account);
	query_bind_text(&q, 2, key->arn);
	query_bind_time(&q, 3, key->created);
	query_bind_blob(&q, 4, key->sealed, key->sealed_len);
	query_bind_int(&q, 5, key->principal);
	return query_run(&q, NULL);
}

enum err store_access_key_find(struct store *store, const char *id, struct store_access_key *ret)
{
	struct query q AUTO_QUERY = {0};
	struct memo_key memo;

	memo_key_init(store, SQL_ACCESS_FIND, (const void *[]){id}, (size_t[]){strlen(id)}, 1, &memo);
	if (memo_get(store, &memo, ret, sizeof(*ret)))
		return ERR_OK;
	TRY(query_begin(store, SQL_ACCESS_FIND, &q));
	query_bind_text(&q, 0, id);
	TRY(query_one(&q));
	TRY(access_read(&q, ret));
	memo_put(store, &memo, ret, sizeof(*ret));
	return ERR_OK;
}

enum err store_access_key_count(struct store *store, int64_t principal, size_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_ACCESS_COUNT, &q));
	query_bind_int(&q, 0, principal);
	TRY(query_one(&q));
	*ret = (size_t)query_int(&q, 0);
	return ERR_OK;
}

enum err store_access_key_list(
	struct store *store, enum err (*each)(void *context, const struct store_access_key *key), void *context)
{
	struct query q AUTO_QUERY = {0};
	struct store_access_key key;
	int row;

	TRY(query_begin(store, SQL_ACCESS_LIST, &q));
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(access_read(&q, &key));
		TRY(each(context, &key));
	}
}

enum err store_access_key_delete(struct store *store, const char *id)
{
	struct query q AUTO_QUERY = {0};
	int changes;

	TRY(query_begin(store, SQL_ACCESS_DELETE, &q));
	query_bind_text(&q, 0, id);
	TRY(query_run(&q, &changes));
	return changes == 1 ? ERR_OK : err_fail(ERR_NOT_FOUND, "there is no access key %s", id);
}
