/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/store/db.h"

/* Columns that key_read() takes: KEY_COLUMNS in sql.c. */
enum { KEY_COLUMN_COUNT = 22 };

static enum err key_read(struct query *q, struct store_key *ret)
{
	struct store_key k = {0};

	k.row = query_int(q, 0);
	TRY(query_exact(q, 1, k.id, sizeof(k.id)));
	k.multi_region = query_int(q, 2) != 0;
	TRY(query_text(q, 3, k.account, sizeof(k.account)));
	TRY(query_text(q, 4, k.region, sizeof(k.region)));
	if (query_int(q, 5) < 0 || query_int(q, 5) >= KEY_MANAGERS)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a key has an unknown manager");
	k.manager = (enum key_manager)query_int(q, 5);
	TRY(query_text(q, 6, k.spec, sizeof(k.spec)));
	TRY(query_text(q, 7, k.usage, sizeof(k.usage)));
	TRY(query_text(q, 8, k.origin, sizeof(k.origin)));
	if (query_int(q, 9) < 0 || query_int(q, 9) >= KEY_STATES)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a key has an unknown state");
	k.state = (enum key_state)query_int(q, 9);
	k.created = (uint64_t)query_int(q, 10);
	k.deletion_date = (uint64_t)query_int(q, 11);
	k.pending_days = (uint32_t)query_int(q, 12);
	k.rotation_enabled = query_int(q, 13) != 0;
	k.rotation_days = (uint32_t)query_int(q, 14);
	k.rotation_from = (uint64_t)query_int(q, 15);
	k.next_rotation = (uint64_t)query_int(q, 16);
	k.on_demand_rotations = (uint32_t)query_int(q, 17);
	TRY(query_exact(q, 18, k.current, sizeof(k.current)));
	k.policy = query_int(q, 19);
	TRY(query_text(q, 20, k.primary_region, sizeof(k.primary_region)));
	k.waiting_from = (uint64_t)query_int(q, 21);
	*ret = k;
	return ERR_OK;
}

/* The mutable fields, in the order in which both INSERT and UPDATE name them. */
static void key_bind_mutable(struct query *q, int i, const struct store_key *k)
{
	query_bind_int(q, i++, k->state);
	query_bind_time(q, i++, k->deletion_date);
	query_bind_int(q, i++, k->pending_days);
	query_bind_int(q, i++, k->rotation_enabled);
	query_bind_int(q, i++, k->rotation_days);
	query_bind_time(q, i++, k->rotation_from);
	query_bind_time(q, i++, k->next_rotation);
	query_bind_int(q, i++, k->on_demand_rotations);
	query_bind_blob(q, i++, k->current, sizeof(k->current));
	query_bind_text(q, i++, k->primary_region);
	query_bind_time(q, i, k->waiting_from);
}

enum err store_key_insert(struct store *store, const struct store_key *k, const char *description, int64_t *ret_row)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_INSERT, &q));
	query_bind_blob(&q, 0, k->id, sizeof(k->id));
	query_bind_int(&q, 1, k->multi_region);
	query_bind_text(&q, 2, k->account);
	query_bind_text(&q, 3, k->region);
	query_bind_int(&q, 4, k->manager);
	query_bind_text(&q, 5, k->spec);
	query_bind_text(&q, 6, k->usage);
	query_bind_text(&q, 7, k->origin);
	query_bind_time(&q, 8, k->created);
	query_bind_text(&q, 9, description);
	key_bind_mutable(&q, 10, k);
	TRY(query_run(&q, NULL));
	*ret_row = sqlite3_last_insert_rowid(q.db->handle);
	return store_key_made(store, *ret_row);
}

enum err store_key_find(struct store *store, const char *region, const uint8_t id[UUID_SIZE], struct store_key *ret)
{
	struct query q AUTO_QUERY = {0};
	struct memo_key memo;

	memo_key_init(
		store, SQL_KEY_FIND, (const void *[]){region, id}, (size_t[]){strlen(region), UUID_SIZE}, 2, &memo);
	if (memo_get(store, &memo, ret, sizeof(*ret)))
		return ERR_OK;
	TRY(query_begin(store, SQL_KEY_FIND, &q));
	query_bind_text(&q, 0, region);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	TRY(query_one(&q));
	TRY(key_read(&q, ret));
	memo_put(store, &memo, ret, sizeof(*ret));
	return ERR_OK;
}

enum err store_key_get(struct store *store, int64_t row, struct store_key *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_GET, &q));
	query_bind_int(&q, 0, row);
	TRY(query_one(&q));
	return key_read(&q, ret);
}

enum err store_key_update(struct store *store, const struct store_key *k)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_UPDATE, &q));
	key_bind_mutable(&q, 0, k);
	query_bind_int(&q, 11, k->row);
	return query_run_on_one(&q);
}

enum err store_key_set_description(struct store *store, int64_t row, const char *description)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_SET_DESCRIPTION, &q));
	query_bind_text(&q, 0, description);
	query_bind_int(&q, 1, row);
	return query_run_on_one(&q);
}

enum err store_key_description(struct store *store, int64_t row, char **ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_DESCRIPTION, &q));
	query_bind_int(&q, 0, row);
	TRY(query_one(&q));
	return query_strdup(&q, 0, ret);
}

enum err store_key_destroy(struct store *store, int64_t row)
{
	struct query q AUTO_QUERY = {0};

	TRY(store_key_goes(store, row));
	TRY(store_materials_wipe(store, row));
	TRY(query_begin(store, SQL_KEY_DELETE, &q));
	query_bind_int(&q, 0, row);
	return query_run_on_one(&q);
}

/* All rows of a query, at most as many as it was told. */
static enum err read_all(struct query *q, struct store_key *ret, size_t *ret_count)
{
	size_t n = 0;
	int row;

	for (;;) {
		TRY(query_next(q, &row));
		if (!row)
			break;
		TRY(key_read(q, &ret[n]));
		n++;
	}
	*ret_count = n;
	return ERR_OK;
}

enum err store_key_list(struct store *store, const char *account, const char *region, int64_t after, size_t limit,
	struct store_key *ret, size_t *ret_count)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_LIST, &q));
	query_bind_text(&q, 0, account);
	query_bind_text(&q, 1, region);
	query_bind_int(&q, 2, after);
	query_bind_int(&q, 3, (int64_t)limit);
	return read_all(&q, ret, ret_count);
}

enum err store_key_regions(
	struct store *store, const uint8_t id[UUID_SIZE], size_t limit, struct store_key *ret, size_t *ret_count)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_REGIONS, &q));
	query_bind_blob(&q, 0, id, UUID_SIZE);
	query_bind_int(&q, 1, (int64_t)limit);
	return read_all(&q, ret, ret_count);
}

enum err store_key_due(struct store *store, enum key_work work, uint64_t now, struct store_due *at)
{
	static const enum sql which[] = {[KEY_WORK_ROTATION] = SQL_KEY_DUE_ROTATION,
		[KEY_WORK_DELETION] = SQL_KEY_DUE_DELETION,
		[KEY_WORK_EXPIRY] = SQL_KEY_DUE_EXPIRY};
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, which[work], &q));
	query_bind_time(&q, 0, now);
	query_bind_time(&q, 1, at->time);
	query_bind_int(&q, 2, at->tie);
	TRY(query_one(&q));
	*at = (struct store_due){query_int(&q, 0), (uint64_t)query_int(&q, 1), query_int(&q, 2)};
	return ERR_OK;
}

enum err store_key_next_due(struct store *store, uint64_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_NEXT_DUE, &q));
	TRY(query_one(&q));
	*ret = sqlite3_column_type(q.statement, 0) == SQLITE_NULL ? UINT64_MAX : (uint64_t)query_int(&q, 0);
	return ERR_OK;
}

enum err store_key_waiting(struct store *store, size_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_KEY_WAITING, &q));
	TRY(query_one(&q));
	*ret = (size_t)query_int(&q, 0);
	return ERR_OK;
}

/* ---- Last use ---- */

enum err store_usage_set(struct store *store, int64_t key, const struct store_usage *usage)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_USAGE_SET, &q));
	query_bind_int(&q, 0, key);
	query_bind_time(&q, 1, usage->time);
	query_bind_text(&q, 2, usage->operation);
	query_bind_text(&q, 3, usage->event_id);
	query_bind_text(&q, 4, usage->request_id);
	return query_run(&q, NULL);
}

enum err store_usage_get(struct store *store, int64_t key, struct store_usage *ret)
{
	struct query q AUTO_QUERY = {0};
	struct store_usage u = {0};

	TRY(query_begin(store, SQL_USAGE_GET, &q));
	query_bind_int(&q, 0, key);
	TRY(query_one(&q));
	u.time = (uint64_t)query_int(&q, 0);
	TRY(query_text(&q, 1, u.operation, sizeof(u.operation)));
	TRY(query_text(&q, 2, u.event_id, sizeof(u.event_id)));
	TRY(query_text(&q, 3, u.request_id, sizeof(u.request_id)));
	*ret = u;
	return ERR_OK;
}

enum err store_key_each_customer(struct store *store,
	enum err (*each)(void *context, const struct store_key *key, uint32_t rotations), void *context)
{
	struct query q AUTO_QUERY = {0};
	struct store_key key;
	int row = 1;

	TRY(query_begin(store, SQL_KEY_CUSTOMERS, &q));
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(key_read(&q, &key));
		TRY(each(context, &key, (uint32_t)query_int(&q, KEY_COLUMN_COUNT)));
	}
}
