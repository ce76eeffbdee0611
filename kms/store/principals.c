/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"
#include "kms/base/io.h"

static enum err principal_read(struct query *q, struct store_principal *ret)
{
	struct store_principal p = {.row = query_int(q, 0)};
	int64_t kind = query_int(q, 2);

	TRY(query_text(q, 1, p.account, sizeof(p.account)));
	if (kind != STORE_USER && kind != STORE_ROLE)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a principal is of an unknown kind");
	p.kind = (enum store_principal_kind)kind;
	TRY(query_text(q, 3, p.name, sizeof(p.name)));
	TRY(query_text(q, 4, p.path, sizeof(p.path)));
	TRY(query_text(q, 5, p.unique_id, sizeof(p.unique_id)));
	p.max_session = (uint32_t)query_int(q, 6);
	p.created = (uint64_t)query_int(q, 7);
	p.version = query_int(q, 8);
	*ret = p;
	return ERR_OK;
}

enum err store_principal_insert(struct store *store, const struct store_principal *p, int64_t *ret_row)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_INSERT, &q));
	query_bind_text(&q, 0, p->account);
	query_bind_int(&q, 1, p->kind);
	query_bind_text(&q, 2, p->name);
	query_bind_text(&q, 3, p->path);
	query_bind_text(&q, 4, p->unique_id);
	query_bind_int(&q, 5, p->max_session);
	query_bind_time(&q, 6, p->created);
	TRY(query_run(&q, NULL));
	*ret_row = sqlite3_last_insert_rowid(q.db->handle);
	return ERR_OK;
}

enum err store_principal_find(struct store *store, const char *account, enum store_principal_kind kind,
	const char *name, struct store_principal *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_FIND, &q));
	query_bind_text(&q, 0, account);
	query_bind_int(&q, 1, kind);
	query_bind_text(&q, 2, name);
	TRY(query_one(&q));
	return principal_read(&q, ret);
}

enum err store_principal_get(struct store *store, int64_t row, struct store_principal *ret)
{
	struct query q AUTO_QUERY = {0};
	struct memo_key memo;

	memo_key_init(store, SQL_PRINCIPAL_GET, (const void *[]){&row}, (size_t[]){sizeof(row)}, 1, &memo);
	if (memo_get(store, &memo, ret, sizeof(*ret)))
		return ERR_OK;
	TRY(query_begin(store, SQL_PRINCIPAL_GET, &q));
	query_bind_int(&q, 0, row);
	TRY(query_one(&q));
	TRY(principal_read(&q, ret));
	memo_put(store, &memo, ret, sizeof(*ret));
	return ERR_OK;
}

enum err store_principal_identify(struct store *store, const char *unique_id, struct store_principal *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_IDENTIFY, &q));
	query_bind_text(&q, 0, unique_id);
	TRY(query_one(&q));
	return principal_read(&q, ret);
}

enum err store_principal_list(struct store *store, const char *account,
	enum err (*each)(void *context, const struct store_principal *principal), void *context)
{
	struct query q AUTO_QUERY = {0};
	struct store_principal p;
	int row;

	TRY(query_begin(store, SQL_PRINCIPAL_LIST, &q));
	query_bind_text(&q, 0, account);
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(principal_read(&q, &p));
		TRY(each(context, &p));
	}
}

/* For statements whose one parameter is the principal's row, and which change it. */
static enum err run_on_row(struct store *store, enum sql which, int64_t row)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, which, &q));
	query_bind_int(&q, 0, row);
	return query_run_on_one(&q);
}

enum err store_principal_delete(struct store *store, int64_t row)
{
	return run_on_row(store, SQL_PRINCIPAL_DELETE, row);
}

enum err store_principal_trust(struct store *store, int64_t row, struct store_document *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_TRUST, &q));
	query_bind_int(&q, 0, row);
	TRY(query_one(&q));
	return query_document(&q, ret);
}

enum err store_principal_set_trust(struct store *store, int64_t row, const char *text, const char *principals)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_SET_TRUST, &q));
	query_bind_text(&q, 0, text);
	query_bind_text(&q, 1, principals);
	query_bind_int(&q, 2, row);
	return query_run_on_one(&q);
}

/* ---- What is attached ---- */

static enum err put(struct store *store, int64_t row, const char *name, const char *document)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_POLICY_PUT, &q));
	query_bind_int(&q, 0, row);
	query_bind_text(&q, 1, name);
	query_bind_text(&q, 2, document);
	return query_run(&q, NULL);
}

enum err store_principal_policy_put(struct store *store, int64_t row, const char *name, const char *document)
{
	TRY(put(store, row, name, document));
	return run_on_row(store, SQL_PRINCIPAL_TOUCH, row);
}

static enum err take(struct store *store, int64_t row, const char *name)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_PRINCIPAL_POLICY_DELETE, &q));
	query_bind_int(&q, 0, row);
	query_bind_text(&q, 1, name);
	return query_run_on_one(&q);
}

enum err store_principal_policy_delete(struct store *store, int64_t row, const char *name)
{
	TRY(take(store, row, name));
	return run_on_row(store, SQL_PRINCIPAL_TOUCH, row);
}

static enum err pass_on(
	struct query *q, enum err (*each)(void *context, const char *name, const char *document), void *context)
{
	char *name AUTO_FREE = NULL;
	char *document AUTO_FREE = NULL;

	TRY(query_strdup(q, 0, &name));
	TRY(query_strdup(q, 1, &document));
	return each(context, name, document);
}

enum err store_principal_policy_list(struct store *store, int64_t row,
	enum err (*each)(void *context, const char *name, const char *document), void *context)
{
	struct query q AUTO_QUERY = {0};
	int found;

	TRY(query_begin(store, SQL_PRINCIPAL_POLICY_LIST, &q));
	query_bind_int(&q, 0, row);
	for (;;) {
		TRY(query_next(&q, &found));
		if (!found)
			return ERR_OK;
		TRY(pass_on(&q, each, context));
	}
}

/* ---- User ids ---- */

enum err store_uid_set(struct store *store, uint32_t uid, int64_t principal)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_UID_SET, &q));
	query_bind_int(&q, 0, uid);
	query_bind_int(&q, 1, principal);
	return query_run(&q, NULL);
}

enum err store_uid_find(struct store *store, uint32_t uid, int64_t *ret_principal)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_UID_FIND, &q));
	query_bind_int(&q, 0, uid);
	TRY(query_one(&q));
	*ret_principal = query_int(&q, 0);
	return ERR_OK;
}

enum err store_uid_delete(struct store *store, uint32_t uid)
{
	return run_on_row(store, SQL_UID_DELETE, uid);
}

enum err store_uid_list(
	struct store *store, enum err (*each)(void *context, uint32_t uid, int64_t principal), void *context)
{
	struct query q AUTO_QUERY = {0};
	int row;

	TRY(query_begin(store, SQL_UID_LIST, &q));
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			return ERR_OK;
		TRY(each(context, (uint32_t)query_int(&q, 0), query_int(&q, 1)));
	}
}
