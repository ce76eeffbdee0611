/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FSCK_INTERNAL_H
#define SIGNETFS_FSCK_INTERNAL_H

/*
 * fsck.c    the walk, progress, the end
 * kinds.c   what each kind of finding means and what to do about it
 * finding.c telling, and the repair that belongs to it
 * file.c    a file's header, size and chunks
 * names.c   directories' own entries, links, attributes
 */

#include <pthread.h>
#include <stdatomic.h>
#include "fs/fsck/fsck.h"
#include "fs/vault/rescue.h"
#include "fs/vault/walk.h"

struct bad_inode;

struct fsck {
	struct fsck_options o;
	struct walk *walk;
	struct timespec unclean_since; /* when the first session that did not end began, as far as that is known */
	pthread_mutex_t telling;
	pthread_mutex_t lock;  /* bad */
	struct bad_inode *bad; /* damaged inodes with more names than the one that was looked at */
	uint8_t *buffer[WALK_JOBS_MAX];
	_Atomic uint64_t directories, files, others, bytes, lost;
	_Atomic uint64_t found[FSCK_STATES], left[FSCK_STATES];
};

/* ---- finding.c ---- */

/* Where a finding is: an entry of the walk, or one of the vault's records (@e NULL). */
struct site {
	struct fsck *f;
	const struct walk_entry *e;
	const char *record; /* below .signetfs */
	const char *xattr;  /* of an attribute: its lower name */
};
/** Fill in the paths, repair if asked to, count, tell. */
void finding_tell(const struct site *s, struct fsck_finding *finding);

/* ---- kinds.c ---- */

enum repair_way { REPAIR_NONE, REPAIR_MOVE, REPAIR_SETTLE, REPAIR_REMOVE, REPAIR_XATTR, REPAIR_RECORD };
enum repair_way kind_repair(const struct fsck_finding *f);
/** In flight, and opening does not mend it: it cannot be read, or not whole. */
int kind_is_lost(const struct fsck_finding *f);

/* ---- file.c ---- */
void file_check(struct fsck *f, struct walk_entry *e);
/** The other names of damaged inodes: a walk of its own, only when there are any. */
enum err file_other_names(struct fsck *f);
void file_forget_bad(struct fsck *f);

/* ---- names.c ---- */
void names_check_entry(struct fsck *f, struct walk_entry *e);
void names_check_ours(struct fsck *f, const struct walk_entry *e, enum name_kind kind);
void names_fault(struct fsck *f, const struct walk_entry *e, enum walk_fault what, enum err why);
enum err names_check_state(struct fsck *f);

/** Does a session that did not end explain a change of this file? By its time of modification, which a copy keeps. */
int fsck_in_flight(const struct fsck *f, const struct stat *st);

#endif
