/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_CONTROL_H
#define SIGNETFS_FUSE_CONTROL_H

/*
 * A mount answers questions on a Unix socket of its own: one line of JSON in, one line of JSON out, then it hangs up.
 * {"op":"stats"} is one question; {"op":"reencrypt", …} starts a move, whose events are lines each (control_reencrypt.h). Only the owner of the mount and root are answered (mode 0600, SO_PEERCRED).
 *
 * The socket is named after the mount's device number, in /run/signetfs for root, else in $XDG_RUNTIME_DIR/signetfs or, where there
 * is none, /tmp/signetfs-UID.
 */

#include <jansson.h>
#include <sys/types.h>
#include "fs/fuse/mount.h"
#include "kms/base/err.h"

struct control;

/** Start answering, on a thread of its own. After mount_settle(). */
enum err control_start(struct mount *m, struct control **ret);
/** Before mount_end(). NULL is fine. */
void control_stop(struct control *c);

/** Ask the mount that mount_what() described, which may be mounted no more. ERR_CLOSED: its process does not answer. */
enum err control_ask_mount(const struct mount_info *info, const char *op, json_t **ret);
/**
 * A descriptor (pidfd) of the process that serves the mount, to wait for its end, and its number; -1 when it does not answer. Which process that is, the
 * kernel says of the socket's other end; what it tells about itself does not count, for the asker may be root.
 */
int control_server(const struct mount_info *info, pid_t *ret_pid);
/**
 * The mount that has this vault open, whatever /proc/mounts calls it (-o fsname): the one whose process the vault's lock names, or
 * one for reading only of the vault's owner or root: others could answer for it what they like. ERR_NOT_FOUND.
 */
enum err control_find_vault(const char *vault_path, struct mount_info *ret);
/** Ask the mount at @mount_point. ERR_NOT_FOUND: no signetfs mount there; ERR_CLOSED: its process does not answer. */
enum err control_ask(const char *mount_point, const char *op, json_t **ret);

/**
 * Ask with a whole request, and have each line of the answer told, until the mount hangs up. When @stop (may be NULL) becomes non-zero, or
 * a signal comes that sets it, the mount is told that nobody wants more. ERR_CLOSED as above.
 */
enum err control_follow(const struct mount_info *info, const json_t *request, const _Atomic int *stop,
	void (*each)(void *context, const json_t *line), void *context);

/** What "stats" answers: a new reference. */
json_t *control_stats(struct mount *m);

#endif
