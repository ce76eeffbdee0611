/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include "kms/store/db.h"

void store_document_free(struct store_document *d)
{
	free(d->text);
	free(d->principals);
	*d = (struct store_document){NULL, NULL};
}

static enum err insert(struct store *store, int64_t key, const char *text, const char *principals, int64_t *ret_version)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_POLICY_INSERT, &q));
	query_bind_int(&q, 0, key);
	query_bind_text(&q, 1, text);
	query_bind_text(&q, 2, principals);
	TRY(query_run(&q, NULL));
	*ret_version = sqlite3_last_insert_rowid(q.db->handle);
	return ERR_OK;
}

static enum err discard(struct store *store, int64_t key)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_POLICY_DELETE, &q));
	query_bind_int(&q, 0, key);
	return query_run(&q, NULL);
}

enum err store_key_policy_set(
	struct store *store, int64_t key, const char *text, const char *principals, int64_t *ret_version)
{
	struct query q AUTO_QUERY = {0};
	int64_t version;

	assert(store_in_transaction(store));
	TRY(discard(store, key));
	TRY(insert(store, key, text, principals, &version));
	TRY(query_begin(store, SQL_KEY_SET_POLICY, &q));
	query_bind_int(&q, 0, version);
	query_bind_int(&q, 1, key);
	TRY(query_run_on_one(&q));
	*ret_version = version;
	return ERR_OK;
}

enum err store_key_policy(struct store *store, int64_t version, struct store_document *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_POLICY_GET, &q));
	query_bind_int(&q, 0, version);
	TRY(query_one(&q));
	return query_document(&q, ret);
}
