/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_REGIONS_H
#define SIGNETFS_ENGINE_REGIONS_H

/*
 * Multi-Region keys: one key id with a row in each of its regions. One of them is the primary; the rows share id, spec, usage, origin,
 * material and rotation, and have their own state, policy, tags, aliases and description.
 */

#include "kms/engine/internal.h"

enum { REGIONS_MAX = 64 };

struct regions {
	size_t count;
	struct store_key key[REGIONS_MAX];
};

/** All rows of a multi-Region key. Free with free(). */
enum err regions_of(struct engine *engine, const struct store_key *key, struct regions **ret);

int regions_is_primary(const struct store_key *key);

/** Give a new replica all materials of its primary; imported ones as rows that wait for the same material. Sets @replica's current one. */
enum err regions_copy_materials(struct engine *engine, const struct store_key *primary, struct store_key *replica);

/** A replica learns of material that was imported into its primary, and has to be imported into it as well. Stores @replica. */
enum err regions_expect_material(
	struct engine *engine, struct store_key *replica, const struct store_backing *material);

/** The primary has rotated to its current material: its replicas do too, in the same transaction. */
enum err regions_follow_rotation(struct engine *engine, const struct store_key *primary);

/** A key was destroyed: a primary that waited for its last replica begins its own waiting period. In a transaction. */
enum err regions_replica_gone(struct engine *engine, const struct store_key *gone, uint64_t now);

#endif
