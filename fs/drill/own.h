/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_OWN_H
#define SIGNETFS_DRILL_OWN_H

/*
 * A vault of the person's own in a drill: it is read, never written, unless it is played for real (real.h). `signetfs restore`, as the person and with their KMS, decrypts it
 * straight into the mounted scratch vault, and the drill plays with what it holds under scratch keys. Its KMS is asked for Decrypt alone.
 */

#include "kms/base/err.h"

struct stage;

struct own_vault {
	const char *vault;          /* NULL: none */
	const char *const *options; /* for `signetfs restore`: which KMS; NULL behind the last */
	int mounted;                /* others may be writing to it */
	int for_real;               /* the event is played with the vault itself */
	const char *key, *region;   /* for real: the ARN of the key it is under, and where that is */
	const char *to;             /* for real: the key to move to; NULL: not said */
};

/** Before anything else: what its ciphertext is like. */
enum err own_begin(struct stage *s);
/** That it is still so: a check. */
void own_end(struct stage *s);
/** What it holds, into the scratch vault mounted at @point. */
enum err own_bring(struct stage *s, const char *point);
/** All of that is at @point: a check. */
void own_verify(struct stage *s, const char *point, const char *what);

#endif
