/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_KMS_DEPENDENTS_H
#define SIGNETFS_CLI_KMS_DEPENDENTS_H

/*
 * Which vaults would be lost with a key. A vault is known to a KMS by its use of keys: the encryption context of each of its calls has the
 * vault's id, and the audit trail keeps it.
 */

#include <jansson.h>
#include "fs/cli/cli.h"

/** After ScheduleKeyDeletion, which answered @response: warnings on stderr. The local keystore's trail names vaults; another KMS says when the key was used last. */
void cli_warn_of_dependents(const struct cli_settings *s, struct kms *kms, const json_t *response);

#endif
