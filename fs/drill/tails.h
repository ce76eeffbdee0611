/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_TAILS_H
#define SIGNETFS_DRILL_TAILS_H

/* Does a vault's ciphertext end as in a copy from before, file by file? Then it is under the same data key still. */

#include <stdint.h>
#include "kms/base/err.h"

struct tails {
	uint64_t files, same; /* looked at; as before, or not there */
};

enum err tails_compare(const char *copy, const char *vault, struct tails *ret);

#endif
