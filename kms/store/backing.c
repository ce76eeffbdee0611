/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
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
	b.rotated = (uint64_t)query_int(q, 6);
	b.valid_to = (uint64_t)query_int(q, 7);
	b.present = query_int(q, 8) != 0;
	TRY(query_text(q, 9, b.description, sizeof(b.description)));
	*ret = b;
	return ERR_OK;
}

static void bind_mutable(struct query *q, int i, const struct store_backing *b)
{
	query_bind_int(q, i, b->rotation);
	query_bind_time(q, i + 1, b->rotated);
	query_bind_time(q, i + 2, b->valid_to);
	query_bind_text(q, i + 3, b->description);
}

/* ---- Material, which never moves ---- */

/* At the end of the table. 0: none. */
static enum err material_insert(struct store *store, const void *sealed, size_t sealed_len, int64_t *ret_place)
{
	struct query q AUTO_QUERY = {0};

	*ret_place = 0;
	if (sealed_len == 0)
		return ERR_OK;
	TRY(query_begin(store, SQL_MATERIAL_INSERT, &q));
	query_bind_blob(&q, 0, sealed, sealed_len);
	TRY(query_run(&q, NULL));
	*ret_place = sqlite3_last_insert_rowid(q.db->handle);
	return ERR_OK;
}

static enum err material_wipe(struct store *store, int64_t key, const uint8_t id[UUID_SIZE])
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_MATERIAL_WIPE, &q));
	query_bind_int(&q, 0, key);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	return query_run(&q, NULL);
}

enum err store_materials_wipe(struct store *store, int64_t key)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_MATERIAL_WIPE_ALL, &q));
	query_bind_int(&q, 0, key);
	return query_run(&q, NULL);
}

/* ---- Backing keys ---- */

enum err store_backing_insert(
	struct store *store, const struct store_backing *backing, const void *sealed, size_t sealed_len)
{
	struct query q AUTO_QUERY = {0};
	int64_t place;

	TRY(material_insert(store, sealed, sealed_len, &place));
	TRY(query_begin(store, SQL_BACKING_INSERT, &q));
	query_bind_int(&q, 0, backing->key);
	query_bind_blob(&q, 1, backing->id, sizeof(backing->id));
	query_bind_text(&q, 2, backing->material_id);
	query_bind_time(&q, 3, backing->created);
	bind_mutable(&q, 4, backing);
	query_bind_int(&q, 8, place);
	return query_run(&q, NULL);
}

enum err store_backing_update(struct store *store, const struct store_backing *backing)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_UPDATE, &q));
	bind_mutable(&q, 0, backing);
	query_bind_int(&q, 4, backing->key);
	query_bind_blob(&q, 5, backing->id, sizeof(backing->id));
	return query_run_on_one(&q);
}

enum err store_backing_set_sealed(
	struct store *store, int64_t key, const uint8_t id[UUID_SIZE], const void *sealed, size_t sealed_len)
{
	struct query q AUTO_QUERY = {0};
	int64_t place;

	TRY(material_wipe(store, key, id));
	TRY(material_insert(store, sealed, sealed_len, &place));
	TRY(query_begin(store, SQL_BACKING_SET_PLACE, &q));
	query_bind_int(&q, 0, place);
	query_bind_int(&q, 1, key);
	query_bind_blob(&q, 2, id, UUID_SIZE);
	return query_run_on_one(&q);
}

enum err store_backing_delete(struct store *store, int64_t key, const uint8_t id[UUID_SIZE])
{
	struct query q AUTO_QUERY = {0};

	TRY(material_wipe(store, key, id));
	TRY(query_begin(store, SQL_BACKING_DELETE, &q));
	query_bind_int(&q, 0, key);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	return query_run_on_one(&q);
}

enum err store_backing_pending(struct store *store, int64_t key, struct store_backing *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_PENDING, &q));
	query_bind_int(&q, 0, key);
	TRY(query_one(&q));
	return backing_read(&q, ret);
}

enum err store_backing_count(struct store *store, int64_t key, size_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_COUNT, &q));
	query_bind_int(&q, 0, key);
	TRY(query_one(&q));
	*ret = (size_t)query_int(&q, 0);
	return ERR_OK;
}

enum err store_backing_by_material(struct store *store, int64_t key, const char *material_id, struct store_backing *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_BACKING_BY_MATERIAL, &q));
	query_bind_int(&q, 0, key);
	query_bind_text(&q, 1, material_id);
	TRY(query_one(&q));
	return backing_read(&q, ret);
}

enum err store_backing_find(struct store *store, int64_t key, const uint8_t id[UUID_SIZE], struct store_backing *ret)
{
	struct query q AUTO_QUERY = {0};
	struct memo_key memo;

	memo_key_init(
		store, SQL_BACKING_FIND, (const void *[]){&key, id}, (size_t[]){sizeof(key), UUID_SIZE}, 2, &memo);
	if (memo_get(store, &memo, ret, sizeof(*ret)))
		return ERR_OK;
	TRY(query_begin(store, SQL_BACKING_FIND, &q));
	query_bind_int(&q, 0, key);
	query_bind_blob(&q, 1, id, UUID_SIZE);
	TRY(query_one(&q));
	TRY(backing_read(&q, ret));
	memo_put(store, &memo, ret, sizeof(*ret));
	return ERR_OK;
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
	query_bind_int(&q, 1, rotations_only ? BACKING_AUTOMATIC : BACKING_PENDING);
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

/* ---- Wrapping keys of imports ---- */

enum err store_wrapping_insert(struct store *store, int64_t key, const struct store_wrapping *wrapping)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_WRAPPING_INSERT, &q));
	query_bind_blob(&q, 0, wrapping->id, UUID_SIZE);
	query_bind_int(&q, 1, key);
	query_bind_text(&q, 2, wrapping->algorithm);
	query_bind_time(&q, 3, wrapping->expires);
	query_bind_blob(&q, 4, wrapping->sealed, wrapping->sealed_len);
	return query_run(&q, NULL);
}

enum err store_wrapping_find(struct store *store, int64_t key, const uint8_t id[UUID_SIZE], struct store_wrapping *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_WRAPPING_FIND, &q));
	query_bind_blob(&q, 0, id, UUID_SIZE);
	query_bind_int(&q, 1, key);
	TRY(query_one(&q));
	memcpy(ret->id, id, UUID_SIZE);
	TRY(query_text(&q, 0, ret->algorithm, sizeof(ret->algorithm)));
	ret->expires = (uint64_t)query_int(&q, 1);
	return query_blob(&q, 2, ret->sealed, sizeof(ret->sealed), &ret->sealed_len);
}

enum err store_wrapping_expire(struct store *store, uint64_t now, int *ret_count)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_WRAPPING_EXPIRE, &q));
	query_bind_time(&q, 0, now);
	return query_run(&q, ret_count);
}
