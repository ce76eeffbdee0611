/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_MOUNT_OPTIONS_H
#define SIGNETFS_CLI_MOUNT_OPTIONS_H

/* What follows -o, as people know it from mount(8) and FUSE. */

#include <stddef.h>
#include "fs/cli/cli.h"

struct mount_options {
	int read_only, nonempty, acl, default_permissions, allow_other, allow_root;
	unsigned idle; /* seconds; 0: never */
	unsigned threads;
	const char *fsname;
	char pass[512]; /* for the kernel and libfuse: "nosuid,noatime" */
	size_t pass_len;
};

/**
 * One comma-separated list; later ones win. @text is cut up and must outlive what is set. Settings of the KMS (kms=, keystore=,
 * root-key=, …) go to @settings unless an option named them; NULL refuses them. ERR_USAGE names an unknown option.
 */
enum err mount_options_parse(struct mount_options *o, struct cli_settings *settings, char *text);

/** --idle and idle=: 0 (never) to 30 days. ERR_USAGE. */
enum err mount_options_idle(uint64_t seconds, unsigned *ret);

/** Lines for --help. */
extern const char mount_options_help[];

#endif
