/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_ROTATION_H
#define SIGNETFS_ENGINE_ROTATION_H

/* When a key's material is replaced. Older backing keys stay and decrypt what they encrypted. */

#include "kms/engine/internal.h"

enum { ROTATION_DAYS_DEFAULT = 365 };
#define ENGINE_DAY (UINT64_C(86400) * CLOCK_SECOND)

/** Set the schedule in @key: the first rotation @days after it was enabled, or after the last automatic one. */
void rotation_enable(struct store_key *key, uint32_t days, uint64_t now);

/** Make all rotations that are due. One rotation a key, however long the engine was away; the next date stays on schedule. */
enum err rotation_run_due(struct engine *engine, uint64_t now);

#endif
