/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_REFUSALS_H
#define SIGNETFS_ENGINE_REFUSALS_H

/*
 * Requests that were refused before they became an operation: of nobody, before anyone had proven who they are; of somebody, since they are no
 * valid request or beyond a quota. They cost the sender nothing and can be sent without end, so not each may cost a record and a write to
 * the disk. Of each account, and of nobody, REFUSALS_BURST of them and REFUSALS_RATE a second from then on are recorded as they are; the
 * rest is counted by error, and each minute one record for each account ("RefuseRequests", an AwsServiceEvent) tells how many there were.
 * Threads: safe. Bounded: accounts beyond REFUSALS_ACCOUNTS share one count.
 */

#include <stdint.h>
#include "kms/base/err.h"

enum { REFUSALS_RATE = 10, REFUSALS_BURST = 100, REFUSALS_KINDS = 8, REFUSALS_ACCOUNTS = 64 };

struct engine;
struct refusals;

struct refusals *refusals_new(void); /* NULL: no memory */
void refusals_free(struct refusals *r);

/** Is this one to be recorded by itself? Otherwise it is counted. @account "": nobody's. */
int refusals_admit(struct engine *engine, const char *account, enum err error);
/** Record what was counted, if anything. */
enum err refusals_flush(struct engine *engine);

#endif
