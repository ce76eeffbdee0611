/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_DUE_H
#define SIGNETFS_ENGINE_DUE_H

/* Work that falls due by the clock. A key whose row is damaged is reported and passed over: it must not hold up the others. */

#include "kms/engine/internal.h"

/** Do @work on one key; in a transaction of its own, and after looking again whether it is still due. */
typedef enum err (*due_fn)(struct engine *engine, int64_t row, uint64_t now);

/** @run on every key with @work at @now. Fails only where the keystore as a whole does: busy, disk, memory. */
enum err due_each(struct engine *engine, enum key_work work, uint64_t now, due_fn run);

/** Report that @work failed on the key in @row. ERR_OK: go on with the next; otherwise @e. */
enum err due_pass_over(struct engine *engine, const char *work, int64_t row, enum err e);

#endif
