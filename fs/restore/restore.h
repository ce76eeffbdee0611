/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_RESTORE_RESTORE_H
#define SIGNETFS_RESTORE_RESTORE_H

/*
 * A vault's plaintext, or that of a part of it, copied into a folder without FUSE.
 *
 * What it promises: every name in DEST is either whole, as the vault has it, or not there (a file is written under a temporary name,
 * ".signetfs-restore." and 16 hexadecimal digits, and renamed); nothing that is there is replaced unless asked for; no symbolic link in
 * DEST is ever followed, so nothing outside DEST is written, whatever the vault or others put into it meanwhile; the vault is not changed.
 * What cannot be restored is told, and the rest is restored all the same; only a full disk and a KMS that cannot be reached end it.
 *
 * Restored are contents (holes stay holes), hard links, symbolic links, FIFOs, sockets, devices, times to the nanosecond, modes,
 * owners (root only; otherwise everything belongs to who restores, and set-ID bits of what belonged to others go), extended attributes and ACLs.
 */

#include <stdint.h>
#include "fs/vault/vault.h"
#include "kms/base/err.h"

enum restore_event_kind {
	RESTORE_FAILED,    /* it is not in DEST */
	RESTORE_ATTRIBUTE, /* it is there, without the attribute, owner, … named */
	RESTORE_ZEROED,    /* it is there, with zeros in [off, off + len), which is damaged (options.partial) */
	RESTORE_IN_FLIGHT, /* it is there, as far as a session that did not end cleanly had written it: as a mount would show it */
};

struct restore_event {
	enum restore_event_kind kind;
	const char *path; /* plaintext */
	const char *why;
	uint64_t off, len; /* of RESTORE_ZEROED */
};

struct restore_options {
	struct vault *vault;
	const char *path; /* in the vault, plaintext; NULL: all of it */
	/*
	 * A folder; made if it is missing. What is in the directory @path comes into it; anything else than a directory comes into it under
	 * its own name.
	 */
	const char *dest;
	int overwrite; /* replace what is there, directories apart */
	int partial;   /* restore damaged files with zeros in place of what does not verify */
	int dry_run;   /* only count: DEST is not looked at, no file is opened */
	unsigned jobs; /* 0: one a processor */
	/* Called by one thread at a time. */
	void (*event)(void *context, const struct restore_event *e);
	void *context;
};

struct restore_counts {
	uint64_t directories, files, others; /* restored (dry_run: to restore) */
	uint64_t links;                      /* further names of files that were restored */
	uint64_t bytes;                      /* plaintext bytes written, holes left out */
	uint64_t failed, incomplete;         /* not in DEST; there, but not quite as in the vault (attributes, zeros) */
	uint64_t in_flight;
};

struct restore;
/** Start. ERR_USAGE: DEST lies in the vault, or is no folder; ERR_SYSTEM: it cannot be made, the path is not in the vault. */
enum err restore_start(const struct restore_options *options, struct restore **ret);
/** Wait at most @ms for the end; true when it has come. */
int restore_wait(struct restore *r, unsigned ms);
/** End soon. Any thread. */
void restore_stop(struct restore *r);
/** A snapshot; any thread. */
void restore_progress(const struct restore *r, struct restore_counts *ret);
/** Wait, make durable what was restored, free. The error is what ended it early; @ret_counts is filled in any case. */
enum err restore_finish(struct restore *r, struct restore_counts *ret_counts);

#endif
