/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/deletion.h"
#include "kms/engine/regions.h"

enum err regions_of(struct engine *engine, const struct store_key *key, struct regions **ret)
{
	struct regions *all AUTO_FREE = calloc(1, sizeof(*all));

	if (all == NULL)
		return ERR_NO_MEMORY;
	TRY(store_key_regions(engine->store, key->id, REGIONS_MAX, all->key, &all->count));
	*ret = STEAL(all);
	return ERR_OK;
}

int regions_is_primary(const struct store_key *key)
{
	return key->multi_region && strcmp(key->region, key->primary_region) == 0;
}

/* One material with its seal, which names key and backing key, and those are the same in all regions. */
static enum err copy_material(struct engine *engine, const struct store_key *from, const struct store_key *to,
	const struct store_backing *material)
{
	int waits = strcmp(from->origin, "EXTERNAL") == 0;
	struct store_backing copy = *material;
	uint8_t sealed[STORE_SEALED_MAX];
	size_t len = 0;

	if (!waits)
		TRY(store_backing_sealed(engine->store, from->row, material->id, sealed, sizeof(sealed), &len));
	copy.key = to->row;
	return store_backing_insert(engine->store, &copy, sealed, len);
}

enum { MATERIALS_MAX = 1024 };

enum err regions_copy_materials(struct engine *engine, const struct store_key *primary, struct store_key *replica)
{
	struct store_backing *all AUTO_FREE = calloc(MATERIALS_MAX, sizeof(*all));
	size_t n;

	if (all == NULL)
		return ERR_NO_MEMORY;
	TRY(store_backing_list(engine->store, primary->row, 0, 0, MATERIALS_MAX, all, &n));
	for (size_t i = 0; i < n; i++)
		TRY(copy_material(engine, primary, replica, &all[i]));
	memcpy(replica->current, primary->current, UUID_SIZE);
	return ERR_OK;
}

enum err regions_expect_material(struct engine *engine, struct store_key *replica, const struct store_backing *material)
{
	struct store_backing copy = *material;

	copy.key = replica->row;
	copy.valid_to = 0;
	TRY(store_backing_insert(engine->store, &copy, "", 0));
	if (material->rotation != BACKING_FIRST)
		return ERR_OK;
	memcpy(replica->current, material->id, UUID_SIZE);
	return store_key_update(engine->store, replica);
}

static enum err follow(struct engine *engine, const struct store_key *primary, struct store_key *replica)
{
	struct store_backing now, mine;
	enum err e;

	TRY(store_backing_find(engine->store, primary->row, primary->current, &now));
	e = store_backing_find(engine->store, replica->row, now.id, &mine);
	if (e == ERR_NOT_FOUND) {
		TRY(copy_material(engine, primary, replica, &now));
	} else {
		TRY(e);
		mine.rotation = now.rotation;
		mine.rotated = now.rotated;
		TRY(store_backing_update(engine->store, &mine));
	}
	memcpy(replica->current, now.id, UUID_SIZE);
	return store_key_update(engine->store, replica);
}

enum err regions_follow_rotation(struct engine *engine, const struct store_key *primary)
{
	struct regions *all AUTO_FREE = NULL;

	if (!primary->multi_region)
		return ERR_OK;
	TRY(regions_of(engine, primary, &all));
	for (size_t i = 0; i < all->count; i++)
		if (all->key[i].row != primary->row)
			TRY(follow(engine, primary, &all->key[i]));
	return ERR_OK;
}

enum err regions_replica_gone(struct engine *engine, const struct store_key *gone, uint64_t now)
{
	struct regions *all AUTO_FREE = NULL;
	struct store_key *last;

	if (!gone->multi_region || regions_is_primary(gone))
		return ERR_OK;
	TRY(regions_of(engine, gone, &all));
	last = &all->key[0];
	if (all->count != 1 || last->state != KEY_PENDING_REPLICA_DELETION)
		return ERR_OK;
	TRY(deletion_wait(engine, last, last->pending_days, now));
	return store_key_update(engine->store, last);
}
