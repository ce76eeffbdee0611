/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_ELAPSED_H
#define SIGNETFS_ENGINE_ELAPSED_H

/*
 * Service time: how long this keystore has evidently existed, against a wall clock that jumps. Destroying a key cannot be undone,
 * so the waiting period has to be over by both.
 *
 * Between two sightings in one boot of the machine it advances with the machine's monotonic clock, which nobody sets. Across boots
 * there is only the wall clock to go by, and one gap counts for at most ELAPSED_GAP_MAX. So it never runs ahead of true time by
 * more than that a boot, and falls behind it while the machine is off for longer: a key then lives longer than announced.
 */

#include "kms/engine/internal.h"

#define ELAPSED_GAP_MAX (UINT64_C(86400) * CLOCK_SECOND)

/** Service time now, in nanoseconds; remembers the sighting. In a transaction. */
enum err elapsed_see(struct engine *engine, uint64_t *ret);

#endif
