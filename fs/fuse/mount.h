/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_MOUNT_H
#define SIGNETFS_FUSE_MOUNT_H

/*
 * A mount's life: checked, mounted, served until somebody unmounts, torn down so that nothing is lost.
 *
 * The caller opens the vault before and closes it after. No thread exists before mount_start(), so a command may fork up to there.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/vault/vault.h"
#include "kms/base/err.h"
#include "kms/base/latency.h"
#include "kms/base/report.h"

struct mount;
struct adapter;

/* For a move to another CMK (fs/reencrypt): where that is. Borrowed for the call. */
struct mount_kms_request {
	const char *endpoint, *config; /* both NULL: the KMS that the vault has */
	int insecure_http;
};
/* Whoever mounts keeps all of it until the vault is closed. */
struct mount_kms {
	struct kms *both, *old; /* both: from two_kms_new() */
	int same;
	const char *endpoint, *region; /* for the descriptor; NULL: as before */
};

#define MOUNT_TYPE "fuse.signetfs" /* as /proc/mounts shows it, unless -o subtype= says otherwise */

struct mount_config {
	const char *vault_path;  /* absolute; /proc/mounts shows it as the source */
	const char *mount_point; /* absolute */
	const char *fsname;      /* NULL: vault_path */
	const char *options;     /* for mount(8): "nosuid,noatime,allow_other"; comma separated, may be "" */
	int read_only, allow_other;
	/*
	 * The kernel leaves permission checks out: for a mount that nobody but root may enter, who passes them all. It saves a
	 * request for every name made or removed, because the kernel forgets a directory's mode whenever its contents change.
	 */
	int unchecked;
	int acl;          /* POSIX ACLs: an extra request for each file listed; off unless asked for */
	int owner_only;   /* with allow_other: only the mounting user and root get in (allow_root) */
	unsigned idle;    /* seconds: unmount when unused for so long; 0: never */
	unsigned threads; /* 0: chosen */
	unsigned budget;  /* open descriptors; 0: from the limits */
	const struct reporter *reporter;
	/* May be NULL: then the vault cannot be moved while it is mounted. One call at a time. */
	enum err (*kms_for_move)(void *context, const struct mount_kms_request *request, struct mount_kms *ret);
	void *kms_context;
};

/**
 * Is the mount point usable, and FUSE there? ERR_MOUNT_POINT with what is wrong and what to do: missing, no directory, not
 * empty (unless @nonempty), a mount already, inside the vault or around it, no /dev/fuse, no fusermount3.
 */
enum err mount_check(const char *vault_path, const char *mount_point, int nonempty);

/** What is mounted, from /proc/self/mountinfo: the mount itself is not asked, so a dead one does no harm. */
struct mount_info {
	char type[64];     /* "fuse.signetfs" */
	char source[4096]; /* "/home/me/vault" */
	unsigned major, minor;
	uid_t owner; /* who mounted it (FUSE); 0 otherwise */
};
/** Is there a mount of ours that shows @source as where it comes from? */
int mount_is_shown(const char *source);
/** Which? ERR_NOT_FOUND. */
enum err mount_find_source(const char *source, struct mount_info *ret);
/** Every mount of ours. */
void mount_each(void (*each)(void *context, const struct mount_info *info), void *context);
/** What is mounted exactly there (on top). ERR_NOT_FOUND: nothing is. */
enum err mount_what(const char *mount_point, struct mount_info *ret);

/**
 * Block SIGTERM, SIGINT and SIGHUP in this and all later threads; the descriptor becomes readable when one arrives. SIGPIPE and SIGXFSZ are ignored.
 * A mount unmounts at the first and gives up waiting at the second.
 */
enum err mount_signals(int *ret_fd);

/** Mount and start serving. The vault stays the caller's. ERR_MOUNT_POINT when the kernel or fusermount3 refuses. */
enum err mount_start(const struct mount_config *config, struct vault *vault, struct mount **ret);

/** Wait until the mount answers and tune it (read-ahead, write-back; root only). Call once after mount_start(). */
enum err mount_settle(struct mount *m);

/** Serve until unmounted: by whomever, by a signal (@signal_fd from mount_signals()) or because nobody uses it (config.idle). */
void mount_serve(struct mount *m, int signal_fd);

/** After mount_serve() or a failed mount_settle(): end everything and close what the vault has open. */
void mount_end(struct mount *m);

/** Unmount from outside. @lazy: detach now, end when the last user is gone. ERR_BUSY: in use. ERR_NOT_FOUND: not a mount. */
enum err mount_unmount(const char *mount_point, int lazy);

/**
 * Change flags of a mount (root only): what @list, as behind -o, says of ro, nosuid, nodev, noexec, sync and atime; the rest stays as it
 * is, and other words are passed over: mount(8) repeats what /etc/fstab has. @read_only: the vault was opened so. The vault stays open
 * for writing under a mount that becomes read-only. ERR_BUSY: files are open for writing. ERR_USAGE: not root, or rw of a @read_only one.
 */
enum err mount_remount(const char *mount_point, const char *list, int read_only);

struct mount_stats {
	uint64_t nodes, descriptors, files_created, bytes_read, bytes_written, uptime; /* uptime: seconds */
};
/** Calls @each for every kind of request that came at least once. @latency: of those that have ended. */
void mount_requests(struct mount *m,
	void (*each)(void *context, const char *name, uint64_t count, const struct latency_summary *latency),
	void *context);
void mount_stats(struct mount *m, struct mount_stats *ret);
dev_t mount_device(const struct mount *m); /* after mount_settle() */
struct vault *mount_vault(struct mount *m);
struct adapter *mount_adapter(struct mount *m);
const struct mount_config *mount_configuration(const struct mount *m);

#endif
