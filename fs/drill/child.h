/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_CHILD_H
#define SIGNETFS_DRILL_CHILD_H

/* Programs run as a person would, with an environment that is given whole. */

#include <stdio.h>
#include <sys/types.h>
#include "kms/base/err.h"

struct child {
	pid_t pid;
	FILE *out;    /* its standard output */
	FILE *errors; /* a temporary file with what it said */
};

enum child_how {
	CHILD_PLAIN,
	CHILD_DIES_WITH_US, /* killed when this thread ends */
	CHILD_AT_TERMINAL,  /* may ask the person for a passphrase */
};

/** @argv and @env with NULL behind the last. */
enum err child_start(const char *const *argv, const char *const *env, enum child_how how, struct child *ret);
/** Wait; what is left of the output is passed over. ERR_CLOSED with what it said unless it ends with 0. */
enum err child_end(struct child *c, const char *what);

#endif
