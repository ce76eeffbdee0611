/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_TREE_H
#define SIGNETFS_DRILL_TREE_H

/* What a tree holds, in one digest: names, kinds, modes, link targets and every byte; whether anything changed is then one comparison. */

#include <stdint.h>
#include "kms/base/err.h"

struct tree_sum {
	uint64_t files, others, bytes;
	uint8_t digest[32];
};

/** @whole: times, sizes of directories and owners, too. Without it ERR_INTERRUPTED after a signal. One at a time. */
enum err tree_digest(const char *path, int whole, struct tree_sum *ret);
int tree_same(const struct tree_sum *a, const struct tree_sum *b);

#endif
