/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_USAGE_H
#define SIGNETFS_ENGINE_USAGE_H

/*
 * When each key was last used for cryptography. Noted in memory with every call and brought into the keystore once a minute and when the
 * engine closes, so that no call pays for it; what a kill loses of it is in the audit trail. Threads: safe.
 */

#include "kms/engine/internal.h"

struct usage_log;
struct usage_log *usage_log_new(void);
void usage_log_free(struct usage_log *log);

/** A call succeeded: note its keys if it was a cryptographic operation. */
void usage_note(const struct call *call);
/** ERR_NOT_FOUND: never used, as far as this process knows. */
enum err usage_last(struct engine *engine, int64_t key, struct store_usage *ret);
/** Bring what was noted into the keystore. On failure it stays noted. */
enum err usage_flush(struct engine *engine);

#endif
