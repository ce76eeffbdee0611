/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_PERSON_H
#define SIGNETFS_DRILL_PERSON_H

/* Who asks a scratch KMS: the keystore's owner, or a user of another account with credentials of its own. */

#include "fs/drill/world.h"

struct person {
	char arn[WORLD_ARN], access_key[64], secret[144];
	char region[32]; /* "": the usual one */
};

/** A user in an account of @w's keystore that is made with it. It may do nothing yet. */
enum err person_make(struct world *w, const char *account, const char *name, const char *region, struct person *ret);
/** A policy of the person's own; what a key's policy says has to allow it, too. */
enum err person_allow(struct world *w, const struct person *p, const char *actions);
/** Children of @w are that person from now on; NULL: the keystore's owner again. */
void person_act(struct world *w, const struct person *p);
/** A configuration that makes whoever uses it that person at @w's service, in the scratch home. */
enum err person_configure(const struct world *w, const struct person *p, char ret_path[WORLD_PATH]);

#endif
