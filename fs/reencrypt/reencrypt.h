/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REENCRYPT_REENCRYPT_H
#define SIGNETFS_REENCRYPT_REENCRYPT_H

/*
 * A vault's files, its volume key and its new files moved to another CMK, or to the current backing key of the same one; with `data` also
 * to new data keys. doc/reencrypt.md says what it promises and in which order things happen.
 *
 * The same code works on a vault that nobody else has open and inside the process of a mount, whose node table sees to it that a
 * file is open once: the difference is struct reencrypt_host.
 */

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>
#include "fs/vault/vault.h"
#include "fs/vault/walk.h"

/** How one comes by a file of the vault that may be in use. */
struct reencrypt_host {
	/* Open for writing. ERR_SYSTEM/ENOENT: it went away, or was renamed. *ret_handle is for done(). */
	enum err (*open)(void *context, const struct walk_entry *e, struct vault_file **ret, void **ret_handle);
	/* The error is that of closing. */
	enum err (*done)(void *context, struct vault_file *f, void *handle);
	void *context;
	/* Others change the tree meanwhile: it is gone over until nothing is left. */
	int shared;
};
/** For a vault that only this process uses: files are opened and closed. */
const struct reencrypt_host *reencrypt_alone(void);

struct reencrypt_options {
	struct vault *vault;
	struct kms *kms;     /* from two_kms_new(); has to live as long as the vault */
	int same_kms;        /* both are one KMS: the volume key moves without leaving it */
	struct kms *old_kms; /* borrowed: where aliases behind --from are */

	/* What is asked for. With `resume` the journal has it, and these are left aside. */
	int resume;
	const char *to;   /* id, ARN or alias */
	const char *from; /* NULL: all. An ARN or id of a CMK, or a backing key as `signetfs keys` shows it */
	const char *endpoint, *region; /* for the descriptor; NULL: as before */
	int data;
	size_t only_count;
	const char *const *only; /* plaintext paths; none: everything */

	int dry_run;
	int survey;    /* count first: progress knows how much there is */
	unsigned jobs; /* 0: one a processor */
	uint64_t rate; /* files a second at most; 0: no limit */
	const struct reencrypt_host *host;
	const struct clock *clock;
	/* Told as JSON objects with a member "event": see doc/reencrypt.md. One call at a time. */
	void (*event)(void *context, const json_t *event);
	void *context;
	const _Atomic int *stop; /* becomes non-zero: end soon, in a good state. NULL: never */
};

struct reencrypt_result {
	uint64_t moved, kept, empty, failed, bytes;
};

/**
 * ERR_OK: everything that was asked for is done, but for *ret's failed files. ERR_INTERRUPTED: stopped, --resume goes on. ERR_NOT_FOUND:
 * nothing to resume. The KMS's errors, of the target: no more files were moved, all are readable as before; the vault's new
 * files are under the old CMK again.
 */
enum err reencrypt_run(const struct reencrypt_options *o, struct reencrypt_result *ret);

#endif
