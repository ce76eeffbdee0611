/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_BACKING_H
#define SIGNETFS_FUSE_BACKING_H

/* The kernel's own knobs for one mount, under /sys. Only root may turn them; everybody else keeps the defaults. */

#include <sys/types.h>

/**
 * Read-ahead of several requests, and a fair share of memory for pages to be written back: the defaults of a FUSE mount
 * (128 KiB, 1 % and strict) suit a slow device of an untrusted user.
 */
void backing_tune(dev_t dev);

/**
 * Cut the connection of the mount with this device number: programs that use it get ENOTCONN, and the workers end. For root and who
 * mounted it, where /sys/fs/fuse/connections is mounted; otherwise -1.
 */
int backing_abort(dev_t dev);

#endif
