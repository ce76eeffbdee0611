/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/store/db.h"

static enum err backing_read(struct query *q, struct store_backing *ret)
{
	struct store_backing b = {0};

	b.seq = query_int(q, 0);
	b.key = query_int(q, 1);
	TRY(query_exact(q, 2, b.id, sizeof(b.id)));
	TRY(query_text(q, 3, b.material_id, sizeof(b.material_id)));
	b.rotation = (enum backing_rotation)query_int(q, 4);
	b.created = (uint64_t)query_int(q, 5);
	*ret = b;
	return ERR_OK;
}

enum err store_backing_insert(
	struct store *store, const struct store_backing *backing, const void *sealed, size_t sealed_len)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_INSERT, &q));
	query_bind_int(&q, 0, backing->key);
	query_bind_blob(&q, 1, backing->id, sizeof(backing->id));
	query_bind_text(&q, 2, backing->material_id);
	query_bind_int(&q, 3, backing->rotation);
	query_bind_time(&q, 4, backing->created);
	query_bind_blob(&q, 5, sealed, sealed_len);
	return query_run(&q, NULL);
}

enum err store_backing_find(struct store *store, int64_t key, const uint8_t id[UUID_SIZE], struct store_backing *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_FIND, &q));
	query_bind_int(&q, 0, key);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	TRY(query_one(&q));
	return backing_read(&q, ret);
}

enum err store_backing_sealed(
	struct store *store, int64_t key, const uint8_t id[UUID_SIZE], void *buf, size_t size, size_t *ret_len)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_SEALED, &q));
	query_bind_int(&q, 0, key);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	TRY(query_one(&q));
	return query_blob(&q, 0, buf, size, ret_len);
}

enum err store_backing_list(struct store *store, int64_t key, int rotations_only, int64_t after, size_t limit,
	struct store_backing *ret, size_t *ret_count)
{
	struct query q AUTO_QUERY = {0};
	size_t n = 0;
	int row;

	TRY(query_begin(store, SQL_BACKING_LIST, &q));
	query_bind_int(&q, 0, key);
	query_bind_int(&q, 1, rotations_only ? BACKING_AUTOMATIC : BACKING_FIRST);
	query_bind_int(&q, 2, after);
	query_bind_int(&q, 3, (int64_t)limit);
	for (;;) {
		TRY(query_next(&q, &row));
		if (!row)
			break;
		TRY(backing_read(&q, &ret[n]));
		n++;
	}
	*ret_count = n;
	return ERR_OK;
}

enum err store_backing_exists(struct store *store, const uint8_t id[UUID_SIZE], int *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_EXISTS, &q));
	query_bind_blob(&q, 0, id, UUID_SIZE);
	TRY(query_one(&q));
	*ret = query_int(&q, 0) != 0;
	return ERR_OK;
}
