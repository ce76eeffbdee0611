/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_HANDLES_H
#define SIGNETFS_FUSE_HANDLES_H

/*
 * What is open in the lower tree, kept within a bound whatever the tree's size: directories, files and directory listings are
 * opened when a request needs them, stay open on their node, and the least recently used are closed when the bound is reached.
 * The kernel keeps no handles (open and opendir are answered ENOSYS), so everything here is found by node.
 *
 * What is unnamed (unlinked while the kernel holds it) cannot be opened again by path: its O_PATH descriptor, or for a removed
 * directory its vault_dir, stays until the node is disposed of.
 *
 * Threads: safe. Lock order: the table's names lock, then the one in here.
 */

#include <stddef.h>
#include "fs/fuse/node.h"
#include "fs/vault/vault.h"
#include "kms/base/report.h"

struct handle_cache;

struct handle_cache_config {
	struct vault *vault; /* borrowed, as all here */
	struct node_table *nodes;
	int read_only;   /* never open for writing */
	unsigned budget; /* descriptors kept open at most; 0: from RLIMIT_NOFILE */
	const struct reporter *reporter;
	/* A file could not be closed well: not all of it is stored. Called with a lock held: only takes note. May be NULL. */
	void (*close_failed)(void *context, struct node *n, enum err e);
	void *context;
};

/** Starts the thread that closes files which were created but not written, so that their headers reach the lower tree. */
enum err handle_cache_new(const struct handle_cache_config *config, struct handle_cache **ret);
/** Every node must be disposed of. */
void handle_cache_free(struct handle_cache *c);

/** Raise RLIMIT_NOFILE as far as allowed; returns how many descriptors a cache may keep under the limit that results. */
unsigned handle_cache_budget(void);

/** Descriptors held now. */
unsigned handle_cache_open(struct handle_cache *c);

/** A node as the vault wants it named. */
struct handle_object {
	struct vault_object o;
	struct vault_dir *held;
};
/** With the names lock held, and valid as long. ERR_SYSTEM/ESTALE: the lower tree was changed behind the mount. */
enum err handle_object(struct handle_cache *c, struct node *n, struct handle_object *ret);
void handle_object_done(struct handle_object *o);

/** The open directory; a reference for the caller. ERR_SYSTEM/ENOENT: it was removed. With the names lock held. */
enum err handle_dir(struct handle_cache *c, struct node *n, struct vault_dir **ret);

/**
 * The open file, for use until handle_file_done(). Opened for writing whenever the lower tree allows it, so that one descriptor
 * serves all; @writable makes that a condition. Without the names lock.
 */
enum err handle_file(struct handle_cache *c, struct node *n, int writable, struct vault_file **ret);
/** @wrote: the file is no longer fresh. */
void handle_file_done(struct handle_cache *c, struct node *n, int wrote);
/** As handle_file(), but only when it is open already: NULL otherwise. With or without the names lock. */
struct vault_file *handle_file_if_open(struct handle_cache *c, struct node *n);
/** A file just created becomes its node's; the cache owns it from here, and @pin of one that has no name (else -1). */
void handle_file_adopt(struct handle_cache *c, struct node *n, struct vault_file *file, int pin);
/** Close idle files whose keys' time is over, so that none is held past it. */
void handle_close_expired(struct handle_cache *c);

/** Where a listing stands: the cookie that continues it. */
struct listing {
	struct vault_list *list;
	uint64_t at;
};
/** Take the node's listing when it stands at @at, else open one there. One user at a time; give it back or close it. */
enum err handle_listing_take(
	struct handle_cache *c, struct node *n, struct vault_dir *dir, uint64_t at, struct listing **ret);
void handle_listing_give(struct handle_cache *c, struct node *n, struct listing *l);
void handle_listing_close(struct handle_cache *c, struct listing *l);

/**
 * Before a name goes away: keep the inode reachable without it. Does nothing and succeeds when that is so already. With the names lock
 * held exclusively. handle_unkeep() takes it back when the name stayed.
 */
enum err handle_keep(struct handle_cache *c, struct node *n);
void handle_unkeep(struct handle_cache *c, struct node *n);

/** The node found a name again: its O_PATH descriptor is needed no more. With the names lock held exclusively. */
void handle_named(struct handle_cache *c, struct node *n);

/** Close everything of nodes that left the table, and free them (list by `chain`). */
void handle_dispose_list(struct handle_cache *c, struct node *gone);
/** The same for one node, which the caller frees. */
void handle_dispose(struct handle_cache *c, struct node *n);

#endif
