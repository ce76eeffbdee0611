/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_FAILURES_H
#define SIGNETFS_FUSE_FAILURES_H

/*
 * Files whose data did not reach the disk. Once a write-back or an fsync failed, the kernels above and below may take the pages for
 * clean, and a later fsync would promise what is not so. So a failure is remembered with the node:
 *
 *   Every fsync, of any descriptor and by anybody, fails with the first errno from then on, for as long as a descriptor, a mapping or
 *   a working directory of somebody keeps the inode alive. When the last is gone, the failure is over, at the latest about a
 *   second later: whoever opens the file then has what is really stored. A new mount knows of no failure either.
 *
 * Closes are not told to us (open and release are left out), but an inode that nobody uses any more is: the kernel forgets it when its
 * names are dropped. So a thread takes the names of failed nodes from the kernel once a second, as long as there are such nodes;
 * who asks for them gets them again.
 */

#include "fs/fuse/node.h"
#include "kms/base/err.h"

struct failures;
struct fuse_session;

enum err failures_new(struct node_table *nodes, struct fuse_session *session, struct failures **ret);
/** End the thread, while the workers still serve: it may be waiting for them. NULL is fine. */
void failures_stop(struct failures *f);
/** Once no worker is left. NULL is fine. */
void failures_free(struct failures *f);

/** Data of @n is lost, or may be. @e: why. The first failure stands. Before the reply. */
void failures_note(struct failures *f, struct node *n, enum err e);
/** ERR_OK, or what failed, as an error of its own. */
enum err failures_check(const struct node *n);

#endif
