/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_CONTROL_REENCRYPT_H
#define SIGNETFS_FUSE_CONTROL_REENCRYPT_H

/*
 * {"op":"reencrypt", "to":KEY, …} on the control socket: the mount's process moves its vault, on a thread of its own, while it goes on
 * serving. The answer is one line of JSON for each event; the last has "event":"end". Who asked ends it early by closing its side.
 */

#include <jansson.h>
#include "fs/fuse/mount.h"
#include "kms/base/err.h"

struct control_job;

/**
 * Takes @fd and a reference of @request, on failure too; what is wrong is answered there. *job: the one before, which may be over
 * (NULL: none); one that still runs is left alone.
 */
void control_job_start(struct mount *m, int fd, json_t *request, struct control_job **job);
/** End it soon, and wait. NULL is fine. */
void control_job_stop(struct control_job *job);

#endif
