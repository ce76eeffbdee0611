/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_DRILL_REAL_H
#define SIGNETFS_CLI_DRILL_REAL_H

/* `signetfs drill --for-real`: which drills, and that the person means it. */

#include "fs/drill/drill.h"
#include "fs/format/descriptor.h"

struct drill_real {
	int wanted, yes;
	const char *to;
	struct descriptor descriptor;
};

/** Do the options fit? -1: go on; else the exit code, after a message. */
int drill_real_check(const struct drill_real *r, const char *name, const char *vault);
/** Say what will be done to which vault and key, and ask. Nothing was touched so far. Fills in the rest of @own. -1: go on. */
int drill_real_begin(struct drill_real *r, const struct drill *d, struct own_vault *own);

#endif
