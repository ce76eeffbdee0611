/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_KMS_ENGINE_H
#define SIGNETFS_CLI_KMS_ENGINE_H

/* Opening a keystore in this process: for the commands that are a KMS themselves (agent, serve, access keys). */

#include "fs/cli/cli.h"
#include "kms/base/report.h"
#include "kms/engine/engine.h"

struct cli_engine_config {
	const char *keystore;        /* path */
	const char *root_key;        /* "passphrase", "passfile:PATH", … */
	const char *region;          /* default region; NULL: the engine's */
	const char *grant_delay;     /* "5m"; NULL: a new grant works without its token at once */
	const char *resource_quotas; /* NULL: AWS's numbers */
	uint64_t audit_retention;    /* ns; 0: for ever */
	const struct clock *clock;   /* NULL: the system's */
	const struct reporter *reporter;
};

/**
 * Obtain the root key (which may ask a person) and open the keystore. Call secret_harden_process() first.
 * Errors are those of rootkey_obtain() and engine_open(). Close with engine_close().
 */
enum err cli_engine_open(const struct cli_engine_config *config, struct engine **ret);

/** What the settings say of it, but for audit_retention. */
struct cli_engine_config cli_engine_settings(const struct cli_settings *settings);
/** "5m" (NULL: 0) → ns. ERR_CONFIG. */
enum err cli_grant_delay(const char *text, uint64_t *ret_ns);

/** Best effort: keep what this process touches out of swap, where that cannot make it fail later. */
void cli_lock_memory(void);

#endif
