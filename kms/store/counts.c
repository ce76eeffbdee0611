/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"

static enum err count(struct store *store, enum sql which, int64_t row)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, which, &q));
	query_bind_int(&q, 0, row);
	return query_run(&q, NULL);
}

enum err store_key_made(struct store *store, int64_t row)
{
	return count(store, SQL_KEY_COUNT_UP, row);
}

enum err store_key_goes(struct store *store, int64_t row)
{
	TRY(count(store, SQL_KEY_REMEMBER, row));
	return count(store, SQL_KEY_COUNT_DOWN, row);
}

enum err store_key_count(struct store *store, const char *account, const char *region, size_t *ret)
{
	struct query q AUTO_QUERY = {0};
	enum err e;

	TRY(query_begin(store, SQL_KEY_COUNT, &q));
	query_bind_text(&q, 0, account);
	query_bind_text(&q, 1, region);
	e = query_one(&q);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	*ret = e == ERR_OK ? (size_t)query_int(&q, 0) : 0;
	return ERR_OK;
}

enum err store_key_count_each(struct store *store,
	enum err (*each)(void *context, const char *account, const char *region, size_t count), void *context)
{
	struct query q AUTO_QUERY = {0};
	char account[STORE_ACCOUNT_SIZE], region[STORE_REGION_SIZE];
	int row;

	TRY(query_begin(store, SQL_KEY_COUNT_EACH, &q));
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(query_text(&q, 0, account, sizeof(account)));
		TRY(query_text(&q, 1, region, sizeof(region)));
		TRY(each(context, account, region, (size_t)query_int(&q, 2)));
	}
}

enum err store_key_fullest(struct store *store, enum store_most which, int64_t *ret_key, size_t *ret_count)
{
	static const enum sql statements[STORE_MOSTS] = {
		[STORE_MOST_ALIASES] = SQL_MOST_ALIASES,
		[STORE_MOST_GRANTS] = SQL_MOST_GRANTS,
		[STORE_MOST_TAGS] = SQL_MOST_TAGS,
		[STORE_MOST_ROTATIONS] = SQL_MOST_ROTATIONS,
		[STORE_MOST_POLICY] = SQL_MOST_POLICY,
	};
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, statements[which], &q));
	TRY(query_one(&q));
	*ret_key = query_int(&q, 0);
	*ret_count = (size_t)query_int(&q, 1);
	return ERR_OK;
}

/* ---- Keys that are gone ---- */

static enum err gone_read(struct query *q, struct store_key *ret)
{
	struct store_key key = {.manager = KEY_MANAGER_CUSTOMER, .state = KEY_PENDING_DELETION};

	TRY(query_text(q, 0, key.region, sizeof(key.region)));
	TRY(query_exact(q, 1, key.id, sizeof(key.id)));
	key.multi_region = query_int(q, 2) != 0;
	TRY(query_text(q, 3, key.account, sizeof(key.account)));
	TRY(query_text(q, 4, key.spec, sizeof(key.spec)));
	key.created = (uint64_t)query_int(q, 5);
	key.deletion_date = (uint64_t)query_int(q, 6);
	*ret = key;
	return ERR_OK;
}

enum err store_key_gone_each(struct store *store, uint64_t since,
	enum err (*each)(void *context, const struct store_key *key, uint32_t rotations), void *context)
{
	struct query q AUTO_QUERY = {0};
	struct store_key key;
	int row;

	TRY(query_begin(store, SQL_KEY_GONE_EACH, &q));
	query_bind_time(&q, 0, since);
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(gone_read(&q, &key));
		TRY(each(context, &key, (uint32_t)query_int(&q, 7)));
	}
}

enum err store_key_gone_spec(
	struct store *store, const char *region, const uint8_t id[UUID_SIZE], char ret[STORE_WORD_SIZE])
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_GONE_SPEC, &q));
	query_bind_text(&q, 0, region);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	TRY(query_one(&q));
	return query_text(&q, 0, ret, STORE_WORD_SIZE);
}
