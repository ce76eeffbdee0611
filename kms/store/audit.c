/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"

enum err store_audit_insert(struct store *store, const struct store_audit *record)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_AUDIT_INSERT, &q));
	query_bind_time(&q, 0, record->time);
	query_bind_text(&q, 1, record->account);
	query_bind_text(&q, 2, record->key_arn);
	query_bind_text(&q, 3, record->operation);
	query_bind_text(&q, 4, record->error);
	query_bind_text(&q, 5, record->record);
	return query_run(&q, NULL);
}

enum err store_audit_list(struct store *store, const struct store_audit_filter *filter,
	enum err (*each)(void *context, const char *record), void *context)
{
	struct query q AUTO_QUERY = {0};
	int row;

	TRY(query_begin(store, SQL_AUDIT_LIST, &q));
	query_bind_time(&q, 0, filter->from);
	query_bind_time(&q, 1, filter->to != 0 ? filter->to : UINT64_MAX);
	query_bind_text(&q, 2, filter->key_arn);
	query_bind_text(&q, 3, filter->operation);
	query_bind_text(&q, 4, filter->error);
	query_bind_int(&q, 5, filter->limit != 0 ? (int64_t)filter->limit : -1);
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
