/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_KMS_ENGINE_H
#define SIGNETFS_CLI_KMS_ENGINE_H

/* Opening a keystore in this process: for the commands that are a KMS themselves (agent, serve, access keys). */

#include "kms/base/report.h"
#include "kms/engine/engine.h"

struct cli_engine_config {
	const char *keystore;     /* path */
	const char *root_key;     /* "passphrase", "passfile:PATH", … */
	const char *region;       /* default region; NULL: the engine's */
	uint64_t grant_delay;     /* ns until a new grant works without its token */
	uint64_t audit_retention; /* ns; 0: for ever */
	const struct reporter *reporter;
};

/**
 * Obtain the root key (which may ask a person) and open the keystore. Call secret_harden_process() first.
 * Errors are those of rootkey_obtain() and engine_open(). Close with engine_close().
 */
enum err cli_engine_open(const struct cli_engine_config *config, struct engine **ret);

/** Best effort: keep what this process touches out of swap, where that cannot make it fail later. */
void cli_lock_memory(void);

#endif
