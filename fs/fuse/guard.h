/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_GUARD_H
#define SIGNETFS_FUSE_GUARD_H

/*
 * A mount must be able to die. Now and then one of its threads asks the kernel for something that the mount's own workers have to answer
 * first (pages to be taken back, of which some are dirty). When the process is killed in that moment, the thread
 * waits for workers that are gone, cannot be killed, and keeps /dev/fuse open; so the kernel never finds the connection dead, and every
 * program that uses the mount hangs with it. Such a connection can only be cut from outside: by a small process that holds
 * nothing but the mount's number and sleeps until its parent dies.
 */

#include <sys/types.h>
#include "kms/base/err.h"

struct guard;

/**
 * Fork the guard of what will be mounted at @mount_point with @source. From the thread that lives as long as the process does (its death is
 * the signal, so it must ask the mount nothing itself), before any other exists. Both strings must outlive the guard.
 */
enum err guard_start(const char *mount_point, const char *source, struct guard **ret);

/** It is mounted, with this device number: from now on the guard acts. NULL is fine. */
void guard_watch(struct guard *g, dev_t device);

/** Nothing more to guard. NULL is fine. */
void guard_stop(struct guard *g);

#endif
