/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_VAULT_H
#define SIGNETFS_VAULT_VAULT_H

/*
 * An encrypted tree, without FUSE: what a mount, fsck, restore, re-encryption and the tests drive.
 *
 * A vault is opened once per process and locked against others. Below it there are three kinds of things:
 *   struct vault_dir     an open directory: lower descriptor and directory id; reference counted
 *   struct vault_object  a way to name a thing: (directory, plaintext name), a directory itself, or a pinned inode
 *   struct vault_file    an open regular file: lower descriptor, keys, size
 *
 * Threads: every function may be called from many threads at once, on the same objects too. At most one vault_file exists per inode
 * at a time (the caller's node table sees to it): its lock is what orders readers and writers of one file.
 *
 * Errors carry an errno for the caller of a mount: err_to_errno(). ERR_SYSTEM is the lower tree's own errno (ENOENT, ENOSPC, …);
 * ERR_TAMPERED and ERR_FORMAT are damage (EIO), reported through the reporter once per file and reason a minute.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "fs/format/descriptor.h"
#include "fs/vault/lower.h"
#include "keycache/keycache.h"
#include "kms/base/clock.h"
#include "kms/base/err.h"
#include "kms/base/report.h"
#include "kms/kms.h"

struct vault;
struct vault_dir;
struct vault_file;

/* ---- Making and opening ---- */

struct vault_create_options {
	const char *key_id;   /* NULL: "alias/aws/signetfs", the service-managed key */
	const char *endpoint; /* remembered in the descriptor */
	const char *region;
	enum name_mode names;
	int bucket_keys;
	uint64_t lifetime_seconds, lifetime_files, cache_seconds; /* 0: defaults */
};

/**
 * Make a vault in @path: a directory that is missing (made) or empty. Two KMS calls: GenerateDataKey for the volume key and, with bucket
 * keys, one more to learn how long headers must be. Nothing is left behind on failure that was not there before.
 * ERR_EXISTS: it is a vault; ERR_USAGE: not empty, not a directory.
 */
enum err vault_create(
	const char *path, const struct vault_create_options *options, struct kms *kms, const struct clock *clock);

/** Read and parse a vault's descriptor without any key. ERR_NOT_FOUND / ERR_VAULT / ERR_UNSUPPORTED with advice. */
enum err vault_read_descriptor(const char *path, struct descriptor *ret);

struct vault_open_options {
	const char *path;
	int read_only;
	const char *holder;           /* who this is, for the lock: "mounted on /home/me/clear" */
	struct kms *kms;              /* borrowed */
	const struct lower *lower;    /* NULL: lower_system() */
	const struct aead_impl *aead; /* NULL: aead_best() */
	const struct clock *clock;
	const struct reporter *reporter;
	unsigned max_cached_bucket_keys; /* 0: default */
	unsigned patience;               /* seconds to wait for a holder that may be about to let go; 0: none */
	/* With read_only: open also beside a process that has the vault open for writing (rescue.h says what that means). */
	int beside;
	/* For fsck: a list of sessions that is missing or damaged is told by rescue_check_state() instead of failing; put aside where writing. */
	int forgiving;
};

/** One KMS call (the volume key). ERR_BUSY names the holder. Starts a session (durably) unless read-only. */
enum err vault_open(const struct vault_open_options *options, struct vault **ret);

/** Sync the lower tree and end the session cleanly, then free. All files and directories must be closed. The error is that of the sync; the vault is freed in any case. */
enum err vault_close(struct vault *v);

const struct descriptor *vault_descriptor(const struct vault *v);
struct bucket_cache *vault_bucket_cache(struct vault *v);
/**
 * Did an earlier session end in a crash? Then a lower size may promise bytes that recovery will not find, and who lets writers append
 * by it should open the file first.
 */
int vault_was_interrupted(const struct vault *v);
/** Wipe bucket keys whose cache time is over now, rather than with their next use. For a mount's clockwork. */
void vault_expire_keys(struct vault *v);

/* ---- Directories and names ---- */

/** The top; a new reference. */
struct vault_dir *vault_root(struct vault *v);
struct vault_dir *vault_dir_hold(struct vault_dir *d);
void vault_dir_release(struct vault_dir *d); /* NULL is fine; the last one closes the descriptor */

/**
 * How to name a thing. Exactly one form:
 *   dir, name, len     the entry @name in @dir
 *   dir, NULL, 0       the directory @dir itself
 *   NULL, NULL, 0, pin an inode that was pinned (it may have no name any more)
 * Borrowed pointers; nothing is copied.
 */
struct vault_object {
	struct vault_dir *dir;
	const char *name;
	size_t len;
	int pin; /* valid when dir is NULL */
};

/** Who gets what is made: owner of new entries. set = 0 leaves it to the lower tree (ordinary user). A set-group-ID parent's group wins. */
struct vault_owner {
	uid_t uid;
	gid_t gid;
	int set;
};

/** Open the directory that the object is. ERR_SYSTEM/ENOTDIR. A missing or damaged directory id is ERR_TAMPERED. */
enum err vault_dir_open(struct vault_object o, struct vault_dir **ret);

/** stat as the plaintext view has it: sizes are plaintext sizes; st_ino and st_dev are the lower tree's. st_nlink and st_blocks too. */
enum err vault_stat(struct vault_object o, struct stat *ret);

enum err vault_mkdir(struct vault_object o, mode_t mode, struct vault_owner owner, struct stat *ret);
enum err vault_mknod(struct vault_object o, mode_t mode, dev_t dev, struct vault_owner owner, struct stat *ret);
enum err vault_symlink(struct vault_object o, const char *target, struct vault_owner owner, struct stat *ret);
enum err vault_readlink(struct vault_object o, char *out, size_t size, size_t *ret_len);
enum err vault_link(struct vault_object from, struct vault_object to, struct stat *ret);
enum err vault_unlink(struct vault_object o);
enum err vault_rmdir(struct vault_object o); /* ENOTEMPTY as the plaintext view has it: our own files do not count */
/** @flags as renameat2: 0, RENAME_NOREPLACE, RENAME_EXCHANGE; others EINVAL. */
enum err vault_rename(struct vault_object from, struct vault_object to, unsigned flags);

enum {
	VAULT_SET_MODE = 1 << 0,
	VAULT_SET_UID = 1 << 1,
	VAULT_SET_GID = 1 << 2,
	VAULT_SET_ATIME = 1 << 3,
	VAULT_SET_MTIME = 1 << 4,
};
struct vault_attr {
	unsigned set;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime; /* UTIME_NOW allowed */
};
/** Everything but the size (vault_file_truncate). Nothing set: only the time of change moves. @file, when open, saves a path walk; may be NULL. */
enum err vault_setattr(struct vault_object o, struct vault_file *file, const struct vault_attr *attr, struct stat *ret);

/** "user." names and values are encrypted; "system.posix_acl_*", "security.*", "trusted.*" pass through. @size 0 asks for the length. ERR_SYSTEM: ENODATA, ERANGE, … */
enum err vault_getxattr(struct vault_object o, const char *name, void *value, size_t size, size_t *ret_len);
enum err vault_setxattr(struct vault_object o, const char *name, const void *value, size_t len, int flags);
enum err vault_listxattr(struct vault_object o, char *list, size_t size, size_t *ret_len);
enum err vault_removexattr(struct vault_object o, const char *name);

/** O_PATH descriptor of the inode, for objects whose name goes away while they are in use. Close with vault_unpin(). */
enum err vault_pin(struct vault_object o, int *ret_pin);
/** The same for an open file. */
enum err vault_file_pin(struct vault_file *f, int *ret_pin);
void vault_unpin(struct vault *v, int pin);

/** fsync of a directory: entries, and the ids of directories made in it since. */
enum err vault_dir_sync(struct vault_dir *d, int data_only);

enum err vault_statfs(struct vault *v, struct statvfs *ret);

/* ---- Listing ---- */

/** A position in one directory listing; one thread at a time. Its own lower descriptor. */
struct vault_list;
enum err vault_list_open(struct vault_dir *d, struct vault_list **ret);
void vault_list_close(struct vault_list *l);

struct vault_entry {
	char name[256]; /* plaintext, NUL-terminated */
	size_t len;
	ino_t ino;
	unsigned char type; /* DT_… */
	uint64_t next;      /* cookie: vault_list_seek() to it continues behind this entry; never 0 */
};
/** Next entry, "." and ".." left out, our own files and what does not verify left out (the latter reported). ERR_CLOSED at the end. */
enum err vault_list_next(struct vault_list *l, struct vault_entry *ret);
/** Step back so that the entry returned last comes again. */
void vault_list_unread(struct vault_list *l);
/** 0 is the start. */
enum err vault_list_seek(struct vault_list *l, uint64_t cookie);
/** vault_stat of the entry last returned: one fstatat with the lower name at hand, no encryption. */
enum err vault_list_stat(struct vault_list *l, struct stat *ret);

/* ---- Files ---- */

/**
 * Open a regular file. Costs one lower open: the header is read and the data key unwrapped with the first use, so that a header and
 * small file are one read. @writable asks for O_RDWR; ERR_READ_ONLY on a read-only vault. The caller may ask for
 * writable although a program opened read-only: one descriptor serves all.
 */
enum err vault_file_open(struct vault *v, struct vault_object o, int writable, struct vault_file **ret);

/** Create and open (exclusively): ERR_SYSTEM/EEXIST. In the form of a directory itself, a file without a name (O_TMPFILE) in it, which vault_link() of its pin can name: ERR_SYSTEM/EOPNOTSUPP where the lower tree has no such. A bucket key is acquired here, so a KMS refusal is create's error; the header goes out with the first write or with the close. */
enum err vault_file_create(
	struct vault_object o, mode_t mode, struct vault_owner owner, struct vault_file **ret, struct stat *ret_stat);

int vault_file_writable(const struct vault_file *f);

/** Up to @len bytes at @off into @buf; *ret_len is less only at end of file. Nothing is handed out before it verified; a bad chunk fails the whole call (EIO). */
enum err vault_file_read(struct vault_file *f, uint64_t off, size_t len, void *buf, size_t *ret_len);

/**
 * All of it or an error. After an error (ENOSPC) behind the file's end the file is as it was; inside it each chunk holds what it held or
 * what was to be written, whole: a hole that the rest of a write found no room for stays one. The header's size is brought up to
 * date by the same call. A gap before @off is a hole.
 */
enum err vault_file_write(struct vault_file *f, uint64_t off, const void *buf, size_t len);

/**
 * For a writer that keeps the time of modification itself and tells it later, if at all (a kernel with a write-back cache): from here on
 * changes of the contents leave that time as it was. vault_file_stat() says so; sync and close see to the lower file. vault_setattr()
 * with @file sets another. Before each change.
 */
void vault_file_hold_mtime(struct vault_file *f);

enum err vault_file_truncate(struct vault_file *f, uint64_t size);
/** Modes of fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE (with KEEP_SIZE or without); others EOPNOTSUPP. */
enum err vault_file_allocate(struct vault_file *f, int mode, uint64_t off, uint64_t len);
/** SEEK_DATA, SEEK_HOLE in chunk granularity. */
enum err vault_file_seek(struct vault_file *f, uint64_t off, int whence, uint64_t *ret_off);
enum err vault_file_sync(struct vault_file *f, int data_only);
enum err vault_file_stat(struct vault_file *f, struct stat *ret);

/**
 * Until when (the vault's clock, monotonic, ns) the keys that the file was read or written with last may be used: whoever
 * caches its plaintext drops it then. 0: not at all; UINT64_MAX: it has no keys, or they do not expire.
 */
uint64_t vault_file_live_until(struct vault_file *f);

/**
 * The size that vault_stat() gave of the file while it contradicted its header, when recovery found less (0 otherwise). Told
 * once. Who knows that size must not take what is missing for zeros.
 */
uint64_t vault_file_shown(struct vault_file *f);

/** Writes the header of a file that was created and never written; wipes keys; closes. The error is the header's. */
enum err vault_file_close(struct vault_file *f);

/** What `signetfs info FILE` and fsck want to know. */
struct file_header;
enum err vault_file_header(struct vault_file *f, struct file_header *ret);

/** Scratch that a thread uses for chunks (cipher contexts, buffers) is made on first use and freed with the thread; this frees the calling thread's now. */
void vault_thread_cleanup(void);

#endif
