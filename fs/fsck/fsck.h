/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FSCK_FSCK_H
#define SIGNETFS_FSCK_FSCK_H

/*
 * Everything in a vault checked, and what can be repaired without losing anything repaired.
 *
 * Checked are the records of the vault, every directory id, name, sidecar, link target, extended attribute, file header and size, and
 * with read_data every chunk. What cannot be noticed is what the format does not notice (doc/format.md, "What the format does not do").
 *
 * Damage, what a crash or a copy of a mounted vault explains (in flight), and leftovers that do no harm are told apart. A repair deletes
 * nothing but leftovers that are provably empty; what is damaged goes to .signetfs/lost+found, beside a note.
 */

#include <stdint.h>
#include "fs/vault/vault.h"
#include "kms/base/err.h"

enum fsck_kind {
	FSCK_SESSIONS,   /* the list of sessions is missing or damaged */
	FSCK_BUCKET,     /* a bucket record is damaged */
	FSCK_STATE_REST, /* a record that was being replaced */
	FSCK_NAME,       /* a lower name, or its sidecar, does not verify */
	FSCK_DIRECTORY,  /* a directory's id is missing or damaged */
	FSCK_LISTING,    /* a directory cannot be read to its end */
	FSCK_UNREADABLE, /* the lower tree refuses (EACCES, EIO, …) */
	FSCK_LINK,       /* a symbolic link's target does not verify */
	FSCK_ATTRIBUTE,  /* an extended attribute does not verify */
	FSCK_HEADER,     /* a file's header does not verify, or is of another vault */
	FSCK_NO_HEADER,  /* a file is shorter than a header */
	FSCK_SHORTER,    /* a file is shorter than its header says */
	FSCK_LONGER,     /* longer */
	FSCK_CHUNK,      /* chunks that do not verify */
	FSCK_KEY,        /* the KMS did not give the key: nothing is known of the file */
	FSCK_SIDECAR,    /* a sidecar without its entry */
	FSCK_TEMPORARY,  /* the rest of an interrupted mkdir or rmdir */
	FSCK_STRANGER,   /* a name that begins with "signetfs." and is none that this version knows */
	FSCK_KINDS,
};

enum fsck_state {
	FSCK_DAMAGED,
	FSCK_IN_FLIGHT, /* a session that did not end cleanly, or one that goes on, explains it */
	FSCK_LEFTOVER,  /* does no harm */
	FSCK_UNCHECKED, /* nothing is known of it */
	FSCK_STATES,
};

enum fsck_repair {
	FSCK_LEFT,      /* not asked for, not possible, or it failed (finding.why says so) */
	FSCK_MOVED,     /* to .signetfs/lost+found, under finding.moved_to */
	FSCK_REMOVED,   /* a leftover that held nothing */
	FSCK_SETTLED,   /* the header was brought up to date, as opening the file would have done */
	FSCK_REWRITTEN, /* a record was made anew */
};

struct fsck_finding {
	enum fsck_kind kind;
	enum fsck_state state;
	enum fsck_repair repair;
	const char *plain; /* plaintext path; that of its directory where its name is lost; "" for the top */
	const char *lower; /* path in the vault */
	const char *why;
	const char *moved_to;     /* FSCK_MOVED */
	const char *not_repaired; /* why a repair failed; NULL: none was tried, or it worked */
	uint64_t off, len;        /* FSCK_CHUNK: plaintext bytes that are lost, from the first to the last of them */
	uint64_t chunks;          /* FSCK_CHUNK: how many */
};

/** "header", …: the kind's stable name, for programs. */
const char *fsck_kind_name(enum fsck_kind kind);
const char *fsck_state_name(enum fsck_state state);
/** What the person can do about it, a sentence. */
const char *fsck_advice(const struct fsck_finding *f);

struct fsck_options {
	struct vault *vault; /* opened `forgiving`; read-only unless @repair */
	int read_data, repair;
	unsigned jobs; /* 0: one a processor */
	/* Called by one thread at a time. */
	void (*finding)(void *context, const struct fsck_finding *f);
	void *context;
};

struct fsck_counts {
	uint64_t directories, files, others, bytes; /* bytes: plaintext read, or, without read_data, that there are */
	uint64_t found[FSCK_STATES];                /* findings by state */
	uint64_t left[FSCK_STATES];                 /* those of them that were not repaired */
	uint64_t lost;                              /* of those in flight: files that cannot be read whole */
	int forgot_sessions;                        /* the list of unclean sessions was cleared */
};

struct fsck;
enum err fsck_start(const struct fsck_options *options, struct fsck **ret);
int fsck_wait(struct fsck *f, unsigned ms);
void fsck_stop(struct fsck *f);
void fsck_progress(const struct fsck *f, struct fsck_counts *ret);
/** Wait, check what could only be checked last, clear the list of unclean sessions if everything was checked and repaired; free. */
enum err fsck_finish(struct fsck *f, struct fsck_counts *ret_counts);

#endif
