/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_INTERNAL_H
#define SIGNETFS_VAULT_INTERNAL_H

/*
 * What the files of fs/vault share. Nothing outside this room, its tests apart, includes it.
 *
 * Locks, in the order in which they are taken; none is held while a caller's code runs:
 *   vault_file.lock   readers and writers of one file
 *   vault.tree        shared: an entry comes, goes or moves; exclusive: a directory goes, or a name with a sidecar changes
 *   vault.state       the records under .signetfs/ and the list of directory ids that are not durable yet
 */

#include <pthread.h>
#include <stdatomic.h>
#include "fs/format/chunk.h"
#include "fs/format/file_header.h"
#include "fs/format/names.h"
#include "fs/format/sessions.h"
#include "fs/vault/vault.h"
#include "kms/base/aead.h"

#define STATE_LOCK_NAME "lock"
/*
 * A directory in the making or being removed, beside its place: so a new one inherits group, set-group-ID bit and default ACL, and
 * nobody needs permission on the directory itself. Left over after a crash it is invisible, and goes with its parent.
 */
#define TMP_DIR_PREFIX "signetfs.tmp."

enum { PENDING_IDS = 32, HEADERLESS_KEPT = 16, RANDOM_NAME_SIZE = sizeof(TMP_DIR_PREFIX) + 32, FD_PATH_SIZE = 32 };

/* Directory ids (signetfs.dir) written but not synced yet, as open descriptors, so that a rename of the directory does not matter. */
struct pending_ids {
	unsigned count;
	int overflow; /* more were made than are listed: only a sync of everything makes all durable */
	int fd[PENDING_IDS];
};

/* file_headerless.c. */
struct headerless_files {
	unsigned count;
	int overflow; /* there were more, or one whose state is unknown */
	struct vault_file *file[HEADERLESS_KEPT];
};

struct vault {
	const struct lower *lower;
	const struct aead_impl *aead;
	const struct clock *clock;
	const struct reporter *reporter;
	struct report_limiter *limiter;
	char *path;
	int read_only;
	int beside, held; /* open although another process writes; it does */
	int forgiving;
	struct timespec unclean_since; /* rescue_unclean_since() */
	char sessions_fault[256];      /* forgiving: what is wrong with the list of sessions; "": nothing */
	uid_t uid;                     /* whose process this is */
	gid_t gid;                     /* and in which group */
	int privileged;                /* the lower tree asks us for no permission */

	int top_fd, state_fd, lock_fd; /* -1: none */
	dev_t top_dev;
	ino_t top_ino;
	struct descriptor desc;  /* as it is stored; changed under state */
	_Atomic int bucket_keys; /* for new files; a vault that is being moved has them from the start */
	struct volume_key *key;  /* secret memory */
	struct name_keys *names;
	struct bucket_cache *cache;
	struct vault_dir *root;

	pthread_rwlock_t tree;
	pthread_mutex_t state;
	struct sessions sessions;
	uint64_t session;       /* 0: none (read-only) */
	_Atomic int headerless; /* a file of this session was left without a header: see file_headerless.c */
	struct headerless_files kept;
	_Atomic int unfinished; /* a crash left records of files on their way to other keys */
	_Atomic unsigned pending_any;
	struct pending_ids pending;
};

struct vault_dir {
	struct vault *v;
	atomic_uint refs;
	int fd;
	struct name_dir names;
};

/* ---- errors.c: short forms for what every file needs ---- */

/** ERR_SYSTEM with errno as it is and @what as the text: no strerror, for paths where failure is ordinary (ENOENT). */
enum err fail_errno(const char *what);
/** ERR_SYSTEM with this errno. */
enum err fail_with(int errnum, const char *what);
/** Report damage once a minute for each (@where, @what). Both are ciphertext-side texts. */
void report_damage(struct vault *v, const char *where, const char *what);

/* ---- object.c ---- */

/* A vault_object as the lower tree knows it. */
struct target {
	struct vault *v;
	const struct lower *l;
	int fd;
	const char *name; /* "": what @fd is */
	int at;           /* AT_SYMLINK_NOFOLLOW, or AT_EMPTY_PATH when @name is "" */
	struct lower_name lower;
};

enum target_use { TARGET_FIND, TARGET_MAKE };

/** Any form. ERR_SYSTEM: ENAMETOOLONG; for a name that is ours ENOENT (find) or EPERM (make). */
enum err target_of(struct vault_object o, enum target_use use, struct target *t);
/** A named entry; ERR_SYSTEM/EBUSY for the other forms (the top, something without a name). */
enum err target_entry(struct vault_object o, enum target_use use, struct target *t);
/** As target_entry() for changes: ERR_READ_ONLY as well. */
enum err target_change(struct vault_object o, enum target_use use, struct target *t);
/** fstatat of it, translated to the plaintext view. */
enum err target_stat(const struct target *t, struct stat *ret);
/** "/proc/self/fd/N" or "/proc/self/fd/N/NAME". */
enum { TARGET_PATH_SIZE = FD_PATH_SIZE + NAME_LOWER_MAX + 1 };
void target_path(const struct target *t, char out[TARGET_PATH_SIZE]);
void fd_path(int fd, char out[FD_PATH_SIZE]);
/** Sizes of the lower tree become sizes of the plaintext, and the top loses the link that only we have. */
void stat_to_plain(const struct vault *v, struct stat *st);
/** Give what was just made in directory @dir to its owner. @mode: to put back set-ID bits that a change of owner clears. */
enum err target_own(const struct target *t, int dir, struct vault_owner owner, mode_t mode);

static inline int target_is_long(const struct target *t)
{
	return *t->name && t->lower.full_len > 0;
}

enum err writable_vault(const struct vault *v);

/* ---- tree lock ---- */
void tree_shared(struct vault *v);
void tree_exclusive(struct vault *v);
void tree_unlock(struct vault *v);

/* ---- access.c: what an ordinary user owns but may not open ---- */

/**
 * After EACCES: where the entry is ours and we are not privileged, give its owner the bits @need and say so in *ret_mode, the
 * mode to give back. False when that cannot help. errno is EACCES then.
 */
int access_widen(struct vault *v, int dirfd, const char *name, mode_t need, mode_t *ret_mode);
void access_restore(struct vault *v, int dirfd, const char *name, mode_t mode);
/** openat that tries so. errno as openat. */
int access_openat(struct vault *v, int dirfd, const char *name, int flags, mode_t need);

/* ---- long_name.c. Changes with the tree lock held exclusively, so that nobody sees an entry without its sidecar. ---- */

/** Before an entry is made: *ret_made says whether the sidecar is new. Does nothing for short names. */
enum err long_name_prepare(const struct target *t, int *ret_made);
/** After the entry is gone, or was not made. */
void long_name_remove(const struct target *t);
/** The plaintext name of a long entry; ERR_NOT_FOUND when it went away meanwhile. Takes the tree lock. */
enum err long_name_decode(
	struct vault_dir *d, const char *lower, size_t len, char ret_plain[NAME_PLAIN_MAX + 1], size_t *ret_len);

/* ---- dir.c, empty_dir.c ---- */

enum err dir_new(struct vault *v, int fd, struct vault_dir **ret); /* takes @fd, on failure too */
/** Write a new signetfs.dir at @path below @dirfd; *ret_fd stays open until it is synced. */
enum err dir_write_id(struct vault *v, int dirfd, const char *path, int *ret_fd);
void random_name(char out[RANDOM_NAME_SIZE]);
/** Remember that this id is not durable; takes @fd. */
void pending_add(struct vault *v, int fd);
/** Make every remembered id durable. */
enum err pending_sync(struct vault *v);
void pending_free(struct vault *v);

/**
 * Removing a directory, with the tree lock held exclusively. First: is it empty in the plaintext view? Sweeps what interrupted
 * operations left in it. ERR_SYSTEM: ENOTEMPTY, ENOTDIR.
 */
enum err empty_dir_check(const struct target *t);
/** Take it out of the tree in one step: it is @ret_name beside its old place then. */
enum err empty_dir_move_aside(const struct target *t, char ret_name[RANDOM_NAME_SIZE]);
/** Delete what was moved aside. A failure leaves something invisible and is reported only. */
void empty_dir_delete(struct vault *v, int dirfd, const char *name);

/** Is this lower name one of a directory in the making or being removed? */
int empty_dir_is_tmp(const char *name);
/** Delete what an interrupted mkdir or rmdir left in @d, so that its link count is right again. */
void empty_dir_sweep(struct vault_dir *d);

/* ---- xattr.c ---- */

/** The value of an attribute as the lower tree has it: malloc'd. ERR_SYSTEM. */
enum err xattr_read_lower(
	const struct target *t, const char *path, const char *lower, uint8_t **ret_value, size_t *ret_len);

/* ---- state.c ---- */

/** Replace @name below @dirfd atomically and durably. */
enum err state_replace(struct vault *v, int dirfd, const char *name, const void *buf, size_t len);
/** Read a file of at most @size bytes below @dirfd. ERR_NOT_FOUND; ERR_TAMPERED: it is no file; ERR_SYSTEM. */
enum err state_read(const struct lower *l, int dirfd, const char *name, void *buf, size_t size, size_t *ret_len);
enum err state_lock(struct vault *v, const char *holder, unsigned patience);
enum err state_load_sessions(struct vault *v);
enum err state_save_sessions(struct vault *v);
enum err state_begin_session(struct vault *v);
enum err state_end_session(struct vault *v);

/* ---- reserve.c ---- */

/** Set room aside for the end of the session, where that is needed. */
void reserve_make(struct vault *v);
/** Something failed with @errnum: give up what was set aside, if that helps. True: try again. */
int reserve_give(struct vault *v, int errnum);

/* ---- file_headerless.c ---- */

/** True when no file of this session lacks a header, now that it ends. */
int headerless_settle(struct vault *v);
void headerless_free(struct vault *v);
/** Note what a crash left of files on their way to other keys (file_finish.c); remove what was never in force. */
enum err state_find_unfinished(struct vault *v);

/* ---- record.c: .signetfs/bucket ---- */

enum { RECORD_MAX = 2048 };
void record_store(struct vault *v, struct bucket_store *ret);
enum err record_encode(const struct bucket_record *r, const struct bucket_id *id, const struct volume_key *key,
	const uint8_t volume_id[VOLUME_ID_SIZE], uint8_t out[RECORD_MAX], size_t *ret_len);
/** Is the record of this name ("bucket", "bucket.HEX") sound? ERR_FORMAT, ERR_TAMPERED. */
enum err record_check(struct vault *v, const char *name);
void record_name(const struct bucket_id *id, char out[64]);

/* ---- vault_create.c, vault_open.c ---- */

/** vault_create() on another lower table. */
enum err vault_create_on(const struct lower *l, const char *path, const struct vault_create_options *options,
	struct kms *kms, const struct clock *clock);
/** A vault with nothing in it but its locks and the path. */
enum err vault_new(const struct lower *l, const char *path, const struct clock *clock, struct vault **ret);
/** Everything that is there, in any state of construction; the session is not touched. */
void vault_free(struct vault *v);
enum err vault_new_cache(struct vault *v, struct kms *kms, unsigned max_entries);
void volume_context(const uint8_t volume_id[VOLUME_ID_SIZE], struct kms_context *ret);
/** pwrite of all of it; errno on failure, *ret_done bytes are out by then. */
int write_all(const struct lower *l, int fd, const void *buf, size_t len, uint64_t off, size_t *ret_done);

#endif
