/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REENCRYPT_INTERNAL_H
#define SIGNETFS_REENCRYPT_INTERNAL_H

/*
 * The parts of a move:
 *   run.c      what happens in which order
 *   pass.c     one walk over what is asked for, and the survey
 *   choice.c   is a file to be moved, and is it done?
 *   journal.c  what --resume needs
 *   two_kms.c  both KMSs as one
 *   tally.c    files by key
 */

#include <pthread.h>
#include "fs/reencrypt/journal.h"
#include "fs/reencrypt/reencrypt.h"
#include "fs/reencrypt/tally.h"
#include "fs/vault/rekey.h"

struct move {
	const struct reencrypt_options *o;
	struct vault *v;
	struct journal *j;               /* what is asked for; guarded by lock where it grows */
	char from_arn[KMS_ARN_MAX + 1];  /* what j->from is, where it is a name */
	struct kms_wrapped_key target;   /* the first bucket key of the move */
	char backing[KMS_BACKING_SIZE];  /* the backing key that it is under; "": not told */
	pthread_mutex_t lock, tell_lock; /* tell_lock: one event at a time */
	struct kms_wrapped_key last;     /* the bucket key noted last */
	_Atomic int stuck;               /* enum err: no new bucket key is to be had */
	char why[1024];                  /* its explanation; in the end, that of the whole */

	_Atomic uint64_t moved, kept, empty, failed, bytes, blocking;
	uint64_t total;   /* files that the survey found to move; 0: not known */
	uint64_t started; /* monotonic */
	_Atomic uint64_t next_slot;
	struct tally *tally; /* while surveying */
	_Atomic uint64_t survey_files, survey_bytes;
};

/* ---- choice.c ---- */

/** For vault_file_rewrap() and its like; context is the struct move. */
struct vault_rekey_choice choice_of(struct move *m);
/** Is the file under what the move is from? */
int choice_is_from(const struct move *m, const struct kms_wrapped_key *wrapped);
/** As the choice's wants(). */
int choice_wants(void *context, const struct file_header *h);
/** Remember a bucket key that the move made, durably. */
enum err choice_note(void *context, const struct kms_wrapped_key *wrapped);

/* ---- pass.c ---- */

/** Go once over everything that is asked for. */
enum err pass_move(struct move *m);
/** Count what pass_move() would do; nothing is changed. */
enum err pass_survey(struct move *m);

/* ---- run.c ---- */

/** Takes @event. */
void move_tell(struct move *m, json_t *event);
int move_is_stopped(const struct move *m);

#endif
