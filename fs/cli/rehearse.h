/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_REHEARSE_H
#define SIGNETFS_CLI_REHEARSE_H

/* What `signetfs drill` and `signetfs bench` share: scratch mounts, which a signal has to end as well, and a line for what happens. */

#include "fs/drill/world.h"

/** Can it mount? From here on SIGINT, SIGTERM and SIGHUP end what plays, tidily. -1: go on; else the exit code, after a message. */
int rehearse_begin(const char *what_mounts);
/** The exit code after a signal, and a word about it. */
int rehearse_interrupted(void);
/** For struct story: a line on stdout, at once. */
void rehearse_say(void *context, const char *line);

#endif
