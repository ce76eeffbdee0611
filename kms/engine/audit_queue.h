/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUDIT_QUEUE_H
#define SIGNETFS_ENGINE_AUDIT_QUEUE_H

/*
 * Group commit of audit records: those that come while one commit is under way share the next. Who comes while nobody writes may write
 * by itself and for others, and the others wait. A server has a committer, a thread that does nothing else, so that its own
 * threads need not wait: they go on with other connections, and are told.
 */

#include <semaphore.h>
#include "kms/engine/audit.h"

struct audit_entry {
	struct store_audit row;
	char *text;          /* of the row; secret_heap_free() */
	uint64_t generation; /* the keystore's, when what the record says was looked up */
	/* Called by who wrote it, when @result is there. NULL: somebody waits on @woken. */
	void (*written)(void *context);
	void *context;
	enum err result; /* ERR_STALE: the keystore is of another generation now, and nothing was written */

	/* the queue's */
	struct audit_entry *next;
	sem_t woken; /* of its own: a thread that is woken contends with no other */
	int done;    /* otherwise it was woken to lead */
};

struct audit_queue *audit_queue_new(void);
void audit_queue_free(struct audit_queue *queue);

/** Write @entry, whoever does; @entry->result is there then. */
void audit_queue_wait(struct engine *engine, struct audit_entry *entry);
/** Give @entry to the committer, who calls @entry->written. 0: there is none, and nothing was done. */
int audit_queue_put(struct engine *engine, struct audit_entry *entry);

/** Have a committer; counted. ERR_SYSTEM: no thread. Start and stop: not at the same time. */
enum err audit_committer_start(struct engine *engine);
/** The last one ends it, when all that it was given is written and told. */
void audit_committer_stop(struct engine *engine);

#endif
