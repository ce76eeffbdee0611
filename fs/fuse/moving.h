/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_MOVING_H
#define SIGNETFS_FUSE_MOVING_H

/*
 * A mounted vault's files for fs/reencrypt: opened through the node table, so that a file is open once, whoever uses it. The nodes on the
 * way to a file are held as if the kernel had looked them up, and given back afterwards.
 */

#include "fs/fuse/adapter.h"
#include "fs/reencrypt/reencrypt.h"

/** The adapter has to live as long. */
struct reencrypt_host moving_host(struct adapter *a);

#endif
