/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_KEYSTORE_H
#define SIGNETFS_CLI_KEYSTORE_H

/* Commands that work on the local keystore itself rather than through a KMS's wire. */

#include "fs/cli/cli.h"
#include "kms/engine/engine.h"

/**
 * Load the settings, open the keystore that they name (the root key may be asked for), call @fn, close. Returns the exit code; a
 * failure is reported as "WHAT: …".
 */
int cli_with_keystore(
	struct cli_settings *s, const char *what, enum err (*fn)(void *context, struct engine *engine), void *context);

#endif
