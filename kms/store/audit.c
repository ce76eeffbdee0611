/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"

enum err store_audit_insert(struct store *store, const struct store_audit *record)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_AUDIT_INSERT, &q));
	query_bind_int(&q, 0, record->seq);
	query_bind_time(&q, 1, record->time);
	query_bind_text(&q, 2, record->account);
	query_bind_text(&q, 3, record->key_arn);
	query_bind_text(&q, 4, record->operation);
	query_bind_text(&q, 5, record->error);
	query_bind_text(&q, 6, record->record);
	query_bind_blob(&q, 7, record->chain, sizeof(record->chain));
	return query_run(&q, NULL);
}

enum err store_audit_drop(struct store *store, int64_t seq)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_AUDIT_DROP, &q));
	query_bind_int(&q, 0, seq);
	return query_run(&q, NULL);
}

enum err store_audit_last(struct store *store, int64_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_AUDIT_LAST, &q));
	TRY(query_one(&q));
	*ret = query_int(&q, 0);
	return ERR_OK;
}

enum err store_audit_head_get(struct store *store, struct store_audit_head *ret)
{
	struct query q AUTO_QUERY = {0};
	struct store_audit_head head;

	TRY(query_begin(store, SQL_AUDIT_HEAD_GET, &q));
	TRY(query_one(&q));
	head.base_seq = query_int(&q, 0);
	TRY(query_exact(&q, 1, head.base_chain, STORE_CHAIN_SIZE));
	head.last_seq = query_int(&q, 2);
	TRY(query_exact(&q, 3, head.last_chain, STORE_CHAIN_SIZE));
	TRY(query_exact(&q, 4, head.tag, STORE_CHAIN_SIZE));
	*ret = head;
	return ERR_OK;
}

enum err store_audit_head_set(struct store *store, const struct store_audit_head *head)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_AUDIT_HEAD_SET, &q));
	query_bind_int(&q, 0, head->base_seq);
	query_bind_blob(&q, 1, head->base_chain, STORE_CHAIN_SIZE);
	query_bind_int(&q, 2, head->last_seq);
	query_bind_blob(&q, 3, head->last_chain, STORE_CHAIN_SIZE);
	query_bind_blob(&q, 4, head->tag, STORE_CHAIN_SIZE);
	return query_run(&q, NULL);
}

/* ---- Reading ---- */

/* A text that a forger has put a NUL into is not what its length says, and does not verify. */
static const char *column_text(struct query *q, int i)
{
	return (const char *)sqlite3_column_text(q->statement, i);
}

static enum err audit_read(struct query *q, struct store_audit *ret)
{
	struct store_audit a = {.seq = query_int(q, 0), .time = (uint64_t)query_int(q, 1)};
	size_t len;

	a.account = column_text(q, 2);
	a.key_arn = column_text(q, 3);
	a.operation = column_text(q, 4);
	a.error = column_text(q, 5);
	a.record = column_text(q, 6);
	if (a.account == NULL || a.operation == NULL || a.record == NULL)
		return ERR_NO_MEMORY;
	if (query_blob(q, 7, a.chain, sizeof(a.chain), &len) == ERR_OK)
		a.chained = len == sizeof(a.chain);
	*ret = a;
	return ERR_OK;
}

enum err store_audit_walk(struct store *store, int64_t after, size_t limit,
	enum err (*each)(void *context, const struct store_audit *record), void *context, size_t *ret_count)
{
	struct query q AUTO_QUERY = {0};
	struct store_audit record;
	size_t n = 0;
	int row = 1;

	TRY(query_begin(store, SQL_AUDIT_WALK, &q));
	query_bind_int(&q, 0, after);
	query_bind_int(&q, 1, (int64_t)limit);
	for (; row; n += (size_t)row) {
		TRY(query_next(&q, &row));
		if (!row)
			break;
		TRY(audit_read(&q, &record));
		TRY(each(context, &record));
	}
	*ret_count = n;
	return ERR_OK;
}

enum err store_audit_list(struct store *store, const struct store_audit_filter *filter,
	enum err (*each)(void *context, const char *record), void *context)
{
	struct query q AUTO_QUERY = {0};
	int row;

	TRY(query_begin(store, filter->limit != 0 ? SQL_AUDIT_NEWEST : SQL_AUDIT_LIST, &q));
	query_bind_time(&q, 0, filter->from);
	query_bind_time(&q, 1, filter->to != 0 ? filter->to : UINT64_MAX);
	query_bind_text(&q, 2, filter->key_arn);
	query_bind_text(&q, 3, filter->operation);
	query_bind_text(&q, 4, filter->error);
	query_bind_text(&q, 5, filter->principal);
	if (filter->limit != 0)
		query_bind_int(&q, 6, (int64_t)filter->limit);
	for (;;) {
		const unsigned char *text;

		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		text = sqlite3_column_text(q.statement, 0);
		if (text == NULL)
			return ERR_NO_MEMORY;
		TRY(each(context, (const char *)text));
	}
}

enum err store_audit_count(struct store *store, uint64_t from, uint64_t to,
	enum err (*each)(void *context, const struct store_audit_count *n), void *context)
{
	struct query q AUTO_QUERY = {0};
	int row = 1;

	TRY(query_begin(store, SQL_AUDIT_COUNT, &q));
	query_bind_time(&q, 0, from);
	query_bind_time(&q, 1, to);
	for (;;) {
		struct store_audit_count n;

		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		n = (struct store_audit_count){
			column_text(&q, 0), column_text(&q, 1), column_text(&q, 2), (uint64_t)query_int(&q, 3)};
		if (n.operation == NULL)
			return ERR_NO_MEMORY;
		TRY(each(context, &n));
	}
}
