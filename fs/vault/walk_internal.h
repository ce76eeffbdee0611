/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_WALK_INTERNAL_H
#define SIGNETFS_VAULT_WALK_INTERNAL_H

/*
 * walk.c        jobs and their queue
 * walk_dir.c    directories on the way: references, open descriptors, paths
 * walk_entry.c  entries: decoded, looked at, told
 */

#include "fs/vault/dirents.h"
#include "fs/vault/vault_internal.h"
#include "fs/vault/walk.h"

/* A directory that is being listed. The descriptor's position is the listing's: nobody else lists through it. */
struct walk_cursor {
	struct vault_dir *dir;
	struct dirents entries;
};

/*
 * A directory on the way. Invariants: 1. refs counts every child in memory, the queue, and each job that works on its entries; what the
 * queue and a child refer to stays in memory, so paths can be built. 2. A directory in the queue has something left to draw and belongs to
 * no job. 3. dir is set exactly while it is in the list of open ones.
 */
struct walk_dir {
	struct walk_dir *parent;        /* NULL: the top */
	struct walk_dir *prev, *next;   /* queue */
	struct walk_dir *newer, *older; /* open ones */
	struct vault_dir *dir;
	struct walk_cursor *cursor;
	unsigned refs, depth;
	int entered; /* entry() said yes, so leave() is due */
	_Atomic int whole;
	void *data;
	const char *lower; /* behind the plaintext name */
	size_t len;
	char name[];
};

struct walk_link; /* walk_entry.c */

struct walk {
	struct vault *v;
	struct walk_calls calls;
	void *context;
	unsigned flags;

	pthread_mutex_t lock;   /* guards what follows, and the linkage and references of directories */
	pthread_cond_t work;    /* the queue, or who works, changed */
	pthread_cond_t ended;   /* running is 0 */
	struct walk_dir *queue; /* the latest first */
	struct walk_dir *open;  /* the newest first; its `newer` is the oldest (utlist) */
	unsigned open_count, cursors, active, running;
	int cut; /* stopped before everything was told */
	struct walk_link *links;

	_Atomic int stopped;
	_Atomic uint64_t directories, others, faults, queued, most_queued;

	unsigned jobs;
	pthread_t thread[WALK_JOBS_MAX];
};

/* One entry as the lower tree lists it. */
struct walk_raw {
	unsigned char type;
	char name[NAME_LOWER_MAX + 1];
};

struct walk_job {
	struct walk *w;
	unsigned number;
	unsigned count;
	struct walk_raw raw[WALK_BATCH];
};

/* ---- walk_dir.c ---- */

/** One reference, the caller's; takes one of @parent. NULL: memory. */
struct walk_dir *walk_dir_new(struct walk *w, struct walk_dir *parent, const char *name, const char *lower);
void walk_dir_hold(struct walk *w, struct walk_dir *d);
/** The last one leaves the directory, and those above it that end with it. Without the lock. */
void walk_dir_release(struct walk *w, struct walk_dir *d, unsigned job);
/** Open, or open still: a reference for the caller. Reopens those above it where that is needed. */
enum err walk_dir_get(struct walk *w, struct walk_dir *d, struct vault_dir **ret);
/** Begin to list it. */
enum err walk_dir_begin(struct walk *w, struct walk_dir *d);
void walk_dir_end(struct walk *w, struct walk_dir *d);
/** As an entry: for faults and leave(). */
struct walk_entry walk_dir_entry(const struct walk_dir *d, unsigned job);
/** Sets e->object, if the way there is still open; release what comes back after use. */
struct vault_dir *walk_dir_name(struct walk *w, struct walk_dir *d, struct walk_entry *e);

/* ---- walk_entry.c ---- */

/** Tell entry @raw of @d, open as @dir. A directory to go into comes back as *ret_child (NULL otherwise), with one reference. */
void walk_tell(struct walk_job *j, struct walk_dir *d, struct vault_dir *dir, const struct walk_raw *raw,
	struct walk_dir **ret_child);
/** Tell where the walk begins. */
void walk_tell_start(struct walk *w, struct walk_entry *e, struct walk_dir *d);
void walk_fault(struct walk *w, const struct walk_entry *e, enum walk_fault what, enum err why);
void walk_links_free(struct walk *w);

#endif
