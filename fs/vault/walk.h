/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_WALK_H
#define SIGNETFS_VAULT_WALK_H

/*
 * A walk over a vault, or a part of it, by several threads: what fsck, restore, re-encryption and key reports have in common.
 *
 * What it promises:
 * - Every entry is told once, whatever the number of jobs, in no particular order; a directory before what is in it, and once more
 *   (leave) when everything below it was told. Entries of one large directory are told by several jobs at once.
 * - What is wrong with an entry, or with a directory, is told (fault) and ends nothing.
 * - Nothing in the vault is changed.
 * - Memory and descriptors do not grow with the number of files: a job holds WALK_BATCH entries of one directory, directories wait
 *   in a queue, the latest first, and at most WALK_OPEN_MAX of them are open besides those that jobs work on.
 *
 * What it does not promise: a snapshot. While others change the tree, an entry that goes away meanwhile is left out without a word,
 * and one that is renamed may be told twice or not at all. In a tree that stands still nothing of that happens.
 *
 * Threads: callbacks run on the jobs' threads, several at once, and may call everything of vault.h; no lock is held. They may call
 * walk_stop(), and not walk_finish().
 */

#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>
#include "fs/format/names.h"
#include "fs/vault/vault.h"
#include "kms/base/err.h"

enum { WALK_BATCH = 64, WALK_OPEN_MAX = 64, WALK_JOBS_MAX = 64, WALK_LINKS_MAX = 1 << 18 };

enum {
	WALK_STAT = 1 << 0, /* entries come with their stat */
	/*
	 * An inode with several names (directories aside) is told under one of them only. Up to WALK_LINKS_MAX inodes are remembered that
	 * have names still to come; of one beyond that more than one name is told.
	 */
	WALK_LINKS_ONCE = 1 << 1,
};

/* Borrowed, all of it, for the call. */
struct walk_entry {
	/*
	 * Names it for the calls of vault.h: (directory, name), or the directory itself for the vault's top. For what has no plaintext name
	 * (faults of WALK_NAME, ours) it is the directory that it lies in. In leave() object.dir is NULL when the way there is lost.
	 */
	struct vault_object object;
	const char *name;      /* plaintext, NUL-terminated; "" for the vault's top; NULL where there is none */
	const char *lower;     /* its name in the vault; "" for the vault's top */
	unsigned char type;    /* DT_…; in entry() never DT_UNKNOWN */
	unsigned depth;        /* 0: where the walk began */
	const struct stat *st; /* plaintext view; NULL unless WALK_STAT, or where it failed */
	unsigned job;          /* 0 … jobs - 1: whose thread this is */
	void *above; /* what entry() left in `data` for the directory that it lies in; NULL where the walk began */
	void *data;  /* of a directory: set by entry() (NULL before), found by leave() */
	int whole;   /* in leave(): everything below was looked at; 0: stopped, or a fault kept us out of a part */
	const struct walk_dir *in; /* for the paths below */
};

enum walk_fault {
	WALK_NAME, /* the lower name, or its sidecar, does not verify; entry() does not follow */
	WALK_LOOK, /* it could not be looked at (stat); entry() does not follow */
	WALK_OPEN, /* the directory could not be opened: what is in it is not told. Follows entry(), precedes leave() */
	WALK_LIST, /* its listing ended early, likewise */
};

struct walk_calls {
	/* Returns whether to go into it; for anything but a directory that means nothing. */
	int (*entry)(void *context, struct walk_entry *e);
	/* For every directory whose entry() said yes, exactly once, also after walk_stop(): whoever set `data` frees it here. May be NULL. */
	void (*leave)(void *context, const struct walk_entry *e);
	/* err_text(@why) explains. */
	void (*fault)(void *context, const struct walk_entry *e, enum walk_fault what, enum err why);
	/* An entry that belongs to the vault itself: signetfs.dir, .signetfs, a sidecar, … (@kind: NAME_OURS, NAME_LONG_SIDECAR). May be NULL. */
	void (*ours)(void *context, const struct walk_entry *e, enum name_kind kind);
};

struct walk_options {
	struct vault *vault; /* borrowed */
	/*
	 * Where to begin, in plaintext: "a/b", a directory or anything else; NULL, "" or "/": everything. Without "." and "..".
	 * What begins the walk is told like any entry.
	 */
	const char *path;
	unsigned flags;
	unsigned jobs; /* threads; 0: one a processor. At most WALK_JOBS_MAX */
	struct walk_calls calls;
	void *context;
};

struct walk;
/** Start. ERR_SYSTEM: ENOENT, ENOTDIR, … of the path; ERR_USAGE: "." or ".." in it; ERR_TAMPERED: a directory on the way is damaged. */
enum err walk_start(const struct walk_options *options, struct walk **ret);
/** Wait at most @ms for the end; true when it has come. For who draws progress meanwhile. */
int walk_wait(struct walk *w, unsigned ms);
/** End soon: jobs finish the callback they are in. Any thread, any number of times. */
void walk_stop(struct walk *w);
/** Wait for the end, and free. ERR_INTERRUPTED after walk_stop(), if it kept anything from being told. */
enum err walk_finish(struct walk *w);
/** All at once. */
enum err walk_run(const struct walk_options *options);

struct walk_progress {
	uint64_t directories, others; /* told to entry() */
	uint64_t faults;
	uint64_t queued, most_queued; /* directories waiting: now, and at most so far */
};
/** A snapshot; any thread. */
void walk_progress(const struct walk *w, struct walk_progress *ret);

/**
 * The path of an entry below the vault's top, without a leading slash, "" for the top: malloc'd, NULL when memory is out. Where an entry
 * has no plaintext name the plaintext path is that of its directory.
 */
char *walk_plain_path(const struct walk_entry *e);
char *walk_lower_path(const struct walk_entry *e);

#endif
