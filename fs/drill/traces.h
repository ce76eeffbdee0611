/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_TRACES_H
#define SIGNETFS_DRILL_TRACES_H

/* The sealed material of a key, looked for byte by byte in the files of its keystore: deleted rows can stay in a database's file and log. */

#include <stddef.h>
#include <stdint.h>
#include "fs/drill/story.h"
#include "kms/base/err.h"

enum { TRACES_MAX = 8, TRACES_SEALED = 512, TRACES_PIECE = 24 };

struct traces {
	size_t count; /* backing keys */
	size_t len[TRACES_MAX];
	uint8_t sealed[TRACES_MAX][TRACES_SEALED];
};

struct traces_found {
	uint64_t files, bytes;  /* looked through */
	uint64_t pieces;        /* of TRACES_PIECE bytes, found */
	char where[STORY_WORD]; /* the files with some */
};

/** What the keystore has for the key with this ARN now. ERR_LIMIT: more than there is room for. */
enum err traces_remember(const char *keystore, const char *arn, struct traces *ret);
/** In the keystore's file and all beside it whose name begins with its name (log, journal, shared memory). */
enum err traces_search(const struct traces *t, const char *keystore, struct traces_found *ret);

#endif
