/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_ADAPTER_H
#define SIGNETFS_FUSE_ADAPTER_H

/*
 * From FUSE requests to calls of the vault. An operation decodes, makes one call (or few), and replies exactly once on
 * every path; it never ends the connection: an error inside is logged below and answered as an errno.
 */

#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdint.h>
#include "fs/fuse/failures.h"
#include "fs/fuse/handles.h"
#include "fs/fuse/node.h"
#include "fs/fuse/page_expiry.h"
#include "fs/fuse/seeker.h"
#include "fs/vault/vault.h"

struct adapter_counters {
	_Atomic uint64_t created, bytes_read, bytes_written;
};

enum { PROBE_NAME_SIZE = 2 * 16 + 1 };

struct adapter {
	struct vault *vault;
	struct node_table *nodes;
	struct handle_cache *handles;
	struct failures *failures;
	struct page_expiry *expiry; /* NULL: keys do not expire */
	struct seeker *seeker;
	int read_only;
	int acl;        /* POSIX ACLs are on: the umask is ours to apply */
	int set_owner;  /* the daemon is root: what is made belongs to the caller */
	int doubtful;   /* an earlier session did not end cleanly: sizes are looked at before they are told */
	int owner_only; /* nobody else but root gets past the top directory: it is shown without their rights */
	double memory; /* seconds that the kernel may remember names and attributes: the mount is the only writer, so they stay true */
	/* Written by the worker that serves INIT. */
	_Atomic int no_open;    /* the kernel takes ENOSYS for open as "never ask" */
	_Atomic int no_opendir; /* the same for opendir */
	struct adapter_counters counters;
	/*
	 * The kernel learns that open need not be asked from the answer to the first open; until then every file made costs a
	 * RELEASE. So the mount opens a file that is not there: a random name in the root, known while `probing`, and this node.
	 */
	_Atomic int probing;
	char probe_name[PROBE_NAME_SIZE];
	struct node probe_node; /* in no table; forgets of it are ignored */
};

/** Make the kernel stop asking to open files. Once, when the mount answers. */
void adapter_probe(struct adapter *a, const char *mount_point);

/** The table for fuse_session_new(); userdata is the struct adapter. */
const struct fuse_lowlevel_ops *adapter_ops(void);

/* ---- For the operations ---- */

static inline struct adapter *adapter_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct node *adapter_node(struct adapter *a, fuse_ino_t ino);
void adapter_fail(fuse_req_t req, enum err e);
/** ERR_OK or a failure as the whole answer. */
void adapter_done(fuse_req_t req, enum err e);
/** What @n is like, as the whole answer. */
void adapter_reply_attr(fuse_req_t req, const struct node *n, const struct stat *st);
/** The directory, for as long as the caller keeps it. Takes and leaves the names lock. */
enum err adapter_dir(struct adapter *a, fuse_ino_t ino, struct vault_dir **ret);
struct vault_owner adapter_owner(fuse_req_t req);
/** A name was noted: what lived by its descriptor alone lives by that again. Without the names lock. */
void adapter_reachable(struct adapter *a, struct node *n);
/** node_enter() and adapter_reachable() for a name that cannot go meanwhile: the kernel has locked the directory. NULL when memory is out. */
struct node *adapter_enter(struct adapter *a, struct node *parent, const char *name, size_t len, const struct stat *st);

/** What the kernel is told of a node: it keeps that until it is told otherwise. */
struct fuse_entry_param adapter_entry(const struct adapter *a, const struct node *n, const struct stat *st);

/**
 * Look at a file before its size is told. One of no size always: the kernel never asks a byte of it, so nobody would notice that it was
 * cut to nothing; a damaged one is shown with one byte, which cannot be read. Any file of a vault that an earlier session
 * left in a crash: a writer would append behind what recovery is going to cut off, and leave a gap of zeros.
 */
void adapter_check_size(struct adapter *a, struct node *n, struct fuse_entry_param *entry);

/* ops_name.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(
	fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname, unsigned flags);
/** Reply with a name that was looked up or made. */
void adapter_reply_entry(fuse_req_t req, struct node *parent, const char *name, const struct stat *st);

/* ops_make.c */
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);

/* ops_attr.c */
void op_access(fuse_req_t req, fuse_ino_t ino, int mask);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
/** Clear the set-id bits as write(2) by an unprivileged process does. */
enum err adapter_kill_privileges(fuse_req_t req, struct node *n, struct vault_file *file);

/* ops_io.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);

/* ops_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi);

/* ops_xattr.c */
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
/** The mode for a new entry: the umask applied unless the parent's default ACL takes its place. */
mode_t adapter_masked(fuse_req_t req, struct node *parent, struct vault_dir *dir, mode_t mode);

#endif
