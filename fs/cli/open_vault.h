/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_OPEN_VAULT_H
#define SIGNETFS_CLI_OPEN_VAULT_H

/* A vault opened by a command, without a mount: settings, KMS, vault; and how such a command is interrupted. */

#include "fs/cli/cli.h"
#include "fs/vault/vault.h"

struct opened_vault {
	struct cli_settings settings; /* zero-initialise; options from cli_parse() */
	struct kms *kms;
	struct vault *vault;
};

/** "/srv/vault/a/b" → the vault's folder and the path in it. Both malloc'd. ERR_VAULT: no part of it is a vault. */
enum err opened_vault_split(const char *operand, char **ret_vault, char **ret_inside);
/** @options: path, read_only, holder, beside, …; the rest is filled in. Hardens the process first. */
enum err opened_vault_open(struct opened_vault *o, struct vault_open_options *options);
/** Everything, in any state. The error is that of closing the vault. */
enum err opened_vault_close(struct opened_vault *o);

/** From now on the first Ctrl-C (SIGTERM, SIGHUP) is only remembered; the second ends the process. */
void opened_vault_catch_signals(void);
int opened_vault_was_interrupted(void);

#endif
