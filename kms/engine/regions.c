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
