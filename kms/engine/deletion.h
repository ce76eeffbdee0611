/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_DELETION_H
#define SIGNETFS_ENGINE_DELETION_H

/* The end of a key: the waiting period, and the destruction of its material when that is over. */

#include "kms/engine/internal.h"

/** Begin the waiting period of @days in @key; the caller stores it. In a transaction. */
enum err deletion_wait(struct engine *engine, struct store_key *key, uint32_t days, uint64_t now);

/** Destroy every key whose waiting period is over, by the clock and by service time (kms/engine/elapsed.h). */
enum err deletion_run_due(struct engine *engine, uint64_t now);

#endif
