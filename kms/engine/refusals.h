/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_REFUSALS_H
#define SIGNETFS_ENGINE_REFUSALS_H

/*
 * Requests of nobody: refused before anyone had proven who they are. Whoever can reach the port can send them without end, so not each
 * may cost a record and a write to the disk. REFUSALS_BURST of them, and REFUSALS_RATE a second from then on, are recorded as
 * they are; the rest is counted by error, and each minute one record ("RefuseRequests", an AwsServiceEvent) tells how many there were.
 * Threads: safe.
 */

#include <stdint.h>
#include "kms/base/err.h"

enum { REFUSALS_RATE = 10, REFUSALS_BURST = 100, REFUSALS_KINDS = 8 };

struct engine;
struct refusals;

struct refusals *refusals_new(void); /* NULL: no memory */
void refusals_free(struct refusals *r);

/** Is this one to be recorded by itself? Otherwise it is counted. */
int refusals_admit(struct engine *engine, enum err error);
/** Record what was counted, if anything. */
enum err refusals_flush(struct engine *engine);

#endif
