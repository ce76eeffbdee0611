/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_METADATA_H
#define SIGNETFS_ENGINE_METADATA_H

#include "kms/engine/internal.h"

/** AWS's timestamps: seconds since 1970 with milliseconds. */
json_t *metadata_time(uint64_t wall_ns);

/** The KeyMetadata structure of a key; a new reference. */
enum err metadata_of_key(struct engine *engine, const struct store_key *key, json_t **ret);

#endif
