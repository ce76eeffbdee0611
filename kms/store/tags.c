/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"

enum err store_tag_set(struct store *store, int64_t key, const char *name, const char *value)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_TAG_INSERT, &q));
	query_bind_int(&q, 0, key);
	query_bind_text(&q, 1, name);
	query_bind_text(&q, 2, value);
	return query_run(&q, NULL);
}

enum err store_tag_delete(struct store *store, int64_t key, const char *name)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_TAG_DELETE, &q));
	query_bind_int(&q, 0, key);
	query_bind_text(&q, 1, name);
	return query_run(&q, NULL);
}

enum err store_tag_list(
	struct store *store, int64_t key, const char *after, size_t limit, struct store_tag *ret, size_t *ret_count)
{
	struct query q AUTO_QUERY = {0};
	size_t n = 0;
	int row;

	TRY(query_begin(store, SQL_TAG_LIST, &q));
	query_bind_int(&q, 0, key);
	query_bind_text(&q, 1, after);
	query_bind_int(&q, 2, (int64_t)limit);
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			break;
		TRY(query_text(&q, 0, ret[n].name, sizeof(ret[n].name)));
		TRY(query_text(&q, 1, ret[n].value, sizeof(ret[n].value)));
		n++;
	}
	*ret_count = n;
	return ERR_OK;
}

enum err store_tag_count(struct store *store, int64_t key, size_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_TAG_COUNT, &q));
	query_bind_int(&q, 0, key);
	TRY(query_one(&q));
	*ret = (size_t)query_int(&q, 0);
	return ERR_OK;
}
