/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_REMOUNT_H
#define SIGNETFS_CLI_REMOUNT_H

/* `signetfs mount -o remount,…`, mostly for mount(8): flags of a mount that is there are changed, no vault is opened. */

#include "fs/cli/cli.h"

int remount_asked(const struct cli_texts *lists);
/** Returns the exit code, after a message on failure. */
int remount_run(const struct cli_texts *lists, const char *point);

#endif
