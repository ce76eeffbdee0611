/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_STATS_H
#define SIGNETFS_CLI_STATS_H

/* What a mount answers to "stats" (fs/fuse/control.h), for people and for Prometheus. */

#include <jansson.h>
#include <stdio.h>

void stats_table(const json_t *stats, FILE *out);
/** The text format 0.0.4. Names begin with signetfs_mount_; every sample carries the mount point. */
void stats_prometheus(const json_t *stats, FILE *out);

#endif
