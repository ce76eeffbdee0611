/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_CONTROL_H
#define SIGNETFS_FUSE_CONTROL_H

/*
 * A mount answers questions on a Unix socket of its own: one line of JSON in, one line of JSON out, then it hangs up.
 * {"op":"stats"} is the only question. Only the owner of the mount and root are answered (mode 0600, SO_PEERCRED).
 *
 * The socket is named after the mount's device number, in /run/signetfs for root, else in $XDG_RUNTIME_DIR/signetfs or, where there
 * is none, /tmp/signetfs-UID.
 */

#include <jansson.h>
#include "fs/fuse/mount.h"
#include "kms/base/err.h"

struct control;

/** Start answering, on a thread of its own. After mount_settle(). */
enum err control_start(struct mount *m, struct control **ret);
/** Before mount_end(). NULL is fine. */
void control_stop(struct control *c);

/** Ask the mount that mount_what() described, which may be mounted no more. ERR_CLOSED: its process does not answer. */
enum err control_ask_mount(const struct mount_info *info, const char *op, json_t **ret);
/** Ask the mount at @mount_point. ERR_NOT_FOUND: no signetfs mount there; ERR_CLOSED: its process does not answer. */
enum err control_ask(const char *mount_point, const char *op, json_t **ret);

/** What "stats" answers: a new reference. */
json_t *control_stats(struct mount *m);

#endif
