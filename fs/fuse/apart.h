/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_APART_H
#define SIGNETFS_FUSE_APART_H

#include "kms/base/err.h"

/**
 * Run @work and wait for it, on a thread with a table of descriptors of its own that is empty: for what asks this very mount. If the process is
 * killed meanwhile, that thread may wait for an answer of the mount's, but it does not keep /dev/fuse open, so the kernel sees
 * the mount die and ends the waiting. (What must write to /dev/fuse and wait cannot be helped so: fs/fuse/guard.h.)
 */
enum err apart(void (*work)(void *context), void *context);

#endif
