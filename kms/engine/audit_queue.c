/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/audit_queue.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include "kms/engine/audit_chain.h"
#include "kms/engine/internal.h"

enum { BATCH_MAX = 256 };

/*
 * Invariants, under @lock: 1. @leading exactly while one thread writes a batch, or was woken to. 2. Every entry between @head and
 * @tail waits, and while there is one somebody leads, or is on its way to. 3. While there is no committer, nobody's entry has @written.
 */
struct audit_queue {
	pthread_mutex_t lock;
	struct audit_entry *head, **tail;
	size_t length;
	int leading;
	/* The thread that does nothing else. */
	pthread_cond_t work;
	pthread_t committer;
	size_t users; /* of the committer; 0: there is none */
	int stopping;
};

struct audit_queue *audit_queue_new(void)
{
	struct audit_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return NULL;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->work, NULL);
	queue->tail = &queue->head;
	return queue;
}

void audit_queue_free(struct audit_queue *queue)
{
	if (queue == NULL)
		return;
	pthread_cond_destroy(&queue->work);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* ---- A batch ---- */

/* Under the keystore's write lock nothing can change between the look at the generation and the commit. */
static enum err write_batch(struct engine *engine, struct audit_entry *batch)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	struct audit_chain chain;
	uint64_t generation;

	TRY(store_txn_begin(engine->store, &txn));
	TRY(store_generation_read(engine->store, &generation));
	TRY(audit_chain_open(engine, &chain));
	for (; batch != NULL; batch = batch->next) {
		batch->result = batch->generation == generation || batch->generation == AUDIT_ANY_GENERATION
					? ERR_OK
					: ERR_STALE;
		if (batch->result == ERR_OK)
			TRY(audit_chain_append(&chain, &batch->row));
	}
	TRY(audit_chain_close(&chain));
	return store_txn_commit(&txn);
}

/*
 * A commit costs more than a call: let the threads that are ready to run come here first, as long as some do. Alone, this is one
 * system call. Called and left with the lock held.
 */
static void gather(struct audit_queue *queue)
{
	size_t before;

	do {
		before = queue->length;
		pthread_mutex_unlock(&queue->lock);
		sched_yield();
		pthread_mutex_lock(&queue->lock);
	} while (queue->length > before && queue->length < BATCH_MAX);
}

static struct audit_entry *take_batch(struct audit_queue *queue)
{
	struct audit_entry *batch;

	pthread_mutex_lock(&queue->lock);
	gather(queue);
	batch = queue->head;
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->length = 0;
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

/* @self: who leads, and needs not be told; NULL: the committer. */
static void write_and_tell(struct engine *engine, const struct audit_entry *self)
{
	struct audit_entry *batch = take_batch(engine->audit), *next;
	enum err e = write_batch(engine, batch);

	for (; batch != NULL; batch = next) {
		next = batch->next; /* its owner may go on once it is told */
		if (e != ERR_OK)
			batch->result = e;
		batch->done = 1;
		if (batch->written != NULL)
			batch->written(batch->context);
		else if (batch != self)
			sem_post(&batch->woken);
	}
}

/* Who came meanwhile writes the next batch, if there is no committer to do it. */
static void hand_over(struct audit_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->leading = queue->head != NULL && queue->users == 0;
	if (queue->leading)
		sem_post(&queue->head->woken);
	pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->lock);
}

/* ---- Coming in ---- */

/* With the lock held. */
static void put(struct audit_queue *queue, struct audit_entry *entry)
{
	entry->next = NULL;
	*queue->tail = entry;
	queue->tail = &entry->next;
	queue->length++;
}

static void wait_woken(sem_t *woken)
{
	while (sem_wait(woken) != 0)
		; /* a signal */
}

void audit_queue_wait(struct engine *engine, struct audit_entry *entry)
{
	struct audit_queue *queue = engine->audit;
	int leads;

	sem_init(&entry->woken, 0, 0);
	pthread_mutex_lock(&queue->lock);
	put(queue, entry);
	leads = !queue->leading;
	queue->leading = 1;
	pthread_mutex_unlock(&queue->lock);
	if (!leads)
		wait_woken(&entry->woken);
	if (!entry->done) {
		write_and_tell(engine, entry);
		hand_over(queue);
	}
	sem_destroy(&entry->woken);
}

int audit_queue_put(struct engine *engine, struct audit_entry *entry)
{
	struct audit_queue *queue = engine->audit;
	int taken;

	pthread_mutex_lock(&queue->lock);
	taken = queue->users > 0 && !queue->stopping;
	if (taken)
		put(queue, entry);
	if (taken && !queue->leading) /* who leads looks again before it goes */
		pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->lock);
	return taken;
}

/* ---- The committer ---- */

/* Nothing waits, and nobody is about to tell. */
static int is_done(const struct audit_queue *queue)
{
	return queue->stopping && queue->head == NULL && !queue->leading;
}

static void *commit(void *context)
{
	struct engine *engine = context;
	struct audit_queue *queue = engine->audit;

	pthread_mutex_lock(&queue->lock);
	while (!is_done(queue)) {
		if (queue->head == NULL || queue->leading) {
			pthread_cond_wait(&queue->work, &queue->lock);
			continue;
		}
		queue->leading = 1;
		pthread_mutex_unlock(&queue->lock);
		write_and_tell(engine, NULL);
		pthread_mutex_lock(&queue->lock);
		queue->leading = 0;
	}
	queue->users = 0;
	queue->stopping = 0;
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

enum err audit_committer_start(struct engine *engine)
{
	struct audit_queue *queue = engine->audit;
	int failed = 0;

	pthread_mutex_lock(&queue->lock);
	if (queue->users == 0)
		failed = pthread_create(&queue->committer, NULL, commit, engine);
	if (!failed)
		queue->users++;
	pthread_mutex_unlock(&queue->lock);
	errno = failed;
	return failed ? err_system("cannot start the thread that writes audit records") : ERR_OK;
}

void audit_committer_stop(struct engine *engine)
{
	struct audit_queue *queue = engine->audit;
	int last;

	pthread_mutex_lock(&queue->lock);
	last = queue->users == 1;
	if (last)
		queue->stopping = 1;
	else
		queue->users--;
	pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->lock);
	if (last)
		pthread_join(queue->committer, NULL);
}
