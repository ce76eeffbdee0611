/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_LIMITS_H
#define SIGNETFS_ENGINE_LIMITS_H

/*
 * Resource quotas: how much of something there may be. AWS's numbers; those that AWS adjusts can be adjusted here, too. What is there
 * already when a number is lowered stays. Threads: safe.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum limit {
	LIMIT_KEYS,    /* customer keys of an account in a Region */
	LIMIT_ALIASES, /* of a key; also the following */
	LIMIT_GRANTS,
	LIMIT_TAGS,
	LIMIT_ROTATIONS, /* on demand */
	LIMIT_POLICY,    /* bytes of the key policy; kms/policy enforces it */
	LIMITS
};

struct limits {
	_Atomic uint32_t most[LIMITS];
};

void limits_init(struct limits *limits);
/** "NAME=NUMBER …", with spaces or commas between, in the place of all that was said before; "": AWS's numbers. ERR_CONFIG, and nothing is changed. */
enum err limits_configure(struct limits *limits, const char *text);
/** Would limits_configure() take it? */
enum err limits_check_text(const char *text);

const char *limit_name(enum limit which); /* "aliases-per-key" */
/** May there be @count of it? ERR_KMS_LIMIT_EXCEEDED. */
enum err limits_allow(const struct limits *limits, enum limit which, size_t count);

#endif
