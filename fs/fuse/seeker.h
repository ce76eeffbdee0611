/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_SEEKER_H
#define SIGNETFS_FUSE_SEEKER_H

/*
 * SEEK_DATA and SEEK_HOLE with what the kernel has not written back yet. It asks without pushing its dirty pages down first, so the
 * vault's own answer may call a hole, or the end, what a program has just written: a copy would leave that out. So the kernel
 * is made to write back what lies in the hole that is about to be told, and the vault is asked again.
 *
 * That waits for WRITE requests, so it is done on threads beside the workers: another when all are busy, eight at most, so that a file whose
 * key is long in coming does not keep the others. The kernel holds the inode's lock meanwhile: nothing is
 * written to the hole but through mappings, and nothing is punched.
 *
 * Must never: tell a hole that was not looked at in this way; hold an open file while it waits (a WRITE may have to open it anew).
 */

#include <fuse_lowlevel.h>
#include <stdint.h>
#include "fs/fuse/handles.h"
#include "fs/fuse/node.h"
#include "kms/base/err.h"

struct seeker;

enum err seeker_new(struct fuse_session *session, struct handle_cache *handles, struct seeker **ret);
/** Finish what was asked, while the workers still serve, and end the threads; later questions are answered by the vault alone. NULL is fine. */
void seeker_stop(struct seeker *s);
/** NULL is fine. */
void seeker_free(struct seeker *s);

/** Reply to @req, an LSEEK of @n to SEEK_DATA or SEEK_HOLE: at once, or from a thread. On a worker thread. */
void seeker_reply(struct seeker *s, fuse_req_t req, struct node *n, uint64_t off, int whence);

#endif
