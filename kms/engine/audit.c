/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/audit_record.h"
#include "kms/engine/internal.h"

/* ---- The record of a call ---- */

/* The row of a call; its text is *ret_text, free with secret_heap_free(). */
static enum err call_row(
	const struct call *call, enum err error, const char *message, struct store_audit *ret, char **ret_text)
{
	char *text = audit_record_of_call(call, error, message);

	if (text == NULL)
		return ERR_NO_MEMORY;
	*ret = (struct store_audit){.time = call->now,
		.account = call->caller->account,
		.key_arn = call->resource_count > 0 ? call->resource[0] : NULL,
		.operation = call->operation,
		.error = error != ERR_OK ? err_to_exception(error) : NULL,
		.record = text};
	*ret_text = text;
	return ERR_OK;
}

static void text_auto(char **text)
{
	secret_heap_free(*text);
}

enum err audit_write(struct call *call, enum err error, const char *message)
{
	char *text __attribute__((cleanup(text_auto))) = NULL;
	struct store_audit row;

	TRY(call_row(call, error, message, &row, &text));
	return audit_chain_append_one(call->engine, &row);
}

/* ---- What the service does of itself ---- */

static json_t *event_time(uint64_t now)
{
	char text[CLOCK_ISO8601_SIZE];

	clock_iso8601(now, text);
	return json_string(text);
}

static json_t *new_event_id(void)
{
	uint8_t id[UUID_SIZE];
	char text[UUID_TEXT + 1];

	random_uuid(id);
	encode_uuid(id, text);
	return json_string(text);
}

static json_t *resource_of(const struct store_key *key, const char *arn)
{
	return json_pack("{s:s, s:s, s:s}", "accountId", key->account, "type", "AWS::KMS::Key", "ARN", arn);
}

enum err audit_service_event(struct engine *engine, uint64_t now, const char *event, const struct store_key *key)
{
	char *text __attribute__((cleanup(text_auto))) = NULL;
	json_t *record AUTO_JSON = NULL;
	char arn[ENGINE_ARN_SIZE], key_id[NAMES_KEY_ID_SIZE];
	struct store_audit row;

	names_key_arn(key, arn);
	names_key_id(key->id, key->multi_region, key_id);
	record = json_pack(
		"{s:s, s:{s:s, s:s}, s:o?, s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:o?, s:b, s:[o?], s:s, s:s, s:{s:s}}",
		"eventVersion", "1.09", "userIdentity", "accountId", key->account, "invokedBy", "AWS Internal",
		"eventTime", event_time(now), "eventSource", AUDIT_EVENT_SOURCE, "eventName", event, "awsRegion",
		key->region, "sourceIPAddress", "AWS Internal", "userAgent", "AWS Internal", "requestParameters",
		"responseElements", "eventID", new_event_id(), "readOnly", 0, "resources", resource_of(key, arn),
		"eventType", "AwsServiceEvent", "recipientAccountId", key->account, "serviceEventDetails", "keyId",
		key_id);
	text = record != NULL ? json_text(record, &(size_t){0}) : NULL;
	if (text == NULL)
		return ERR_NO_MEMORY;
	row = (struct store_audit){
		.time = now, .account = key->account, .key_arn = arn, .operation = event, .record = text};
	return audit_chain_append_one(engine, &row);
}

/* What concerns no key and no account in particular, in a transaction. @details is taken over. */
static enum err service_record(struct engine *engine, const char *event, json_t *details)
{
	char *text __attribute__((cleanup(text_auto))) = NULL;
	json_t *record AUTO_JSON = NULL;
	struct store_audit row = {
		.time = engine->clock->wall(engine->clock), .account = ENGINE_DEFAULT_ACCOUNT, .operation = event};

	record = json_pack("{s:s, s:{s:s, s:s}, s:o?, s:s, s:s, s:s, s:s, s:n, s:n, s:o?, s:b, s:s, s:s, s:o?}",
		"eventVersion", "1.09", "userIdentity", "accountId", row.account, "invokedBy", "AWS Internal",
		"eventTime", event_time(row.time), "eventSource", AUDIT_EVENT_SOURCE, "eventName", event, "awsRegion",
		engine->region, "sourceIPAddress", "AWS Internal", "requestParameters", "responseElements", "eventID",
		new_event_id(), "readOnly", 0, "eventType", "AwsServiceEvent", "recipientAccountId", row.account,
		"serviceEventDetails", details);
	text = record != NULL ? json_text(record, &(size_t){0}) : NULL;
	if (text == NULL)
		return ERR_NO_MEMORY;
	row.record = text;
	return audit_chain_append_one(engine, &row);
}

enum err audit_pruned_event(struct engine *engine, uint64_t before, size_t count)
{
	return service_record(engine, "DeleteAuditRecords",
		json_pack("{s:I, s:o?}", "count", (json_int_t)count, "olderThan", event_time(before)));
}

enum err audit_refusals_event(
	struct engine *engine, const char *account, uint64_t count, uint64_t from, uint64_t to, json_t *errors)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	json_t *details = json_pack("{s:I, s:s*, s:o?, s:o?, s:o?}", "count", (json_int_t)count, "accountId",
		account[0] != '\0' ? account : NULL, "from", event_time(from), "to", event_time(to), "errors", errors);
	enum err e = store_txn_begin(engine->store, &txn);

	if (e != ERR_OK) {
		json_decref(details);
		return e;
	}
	TRY(service_record(engine, "RefuseRequests", details));
	return store_txn_commit(&txn);
}

/* ---- Group commit ---- */

enum { BATCH_MAX = 256 };

struct waiting {
	struct store_audit *row;
	uint64_t generation;
	struct waiting *next;
	sem_t woken; /* of its own: a thread that is woken contends with no other */
	int done;    /* otherwise it was woken to lead */
	enum err result;
};

/* Invariant: `leading` exactly while one thread writes a batch or was woken to; every thread in `head` waits until its entry is done. */
struct audit_queue {
	pthread_mutex_t lock;
	struct waiting *head, **tail;
	size_t length;
	int leading;
};

struct audit_queue *audit_queue_new(void)
{
	struct audit_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return NULL;
	pthread_mutex_init(&queue->lock, NULL);
	queue->tail = &queue->head;
	return queue;
}

void audit_queue_free(struct audit_queue *queue)
{
	if (queue == NULL)
		return;
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* Under the keystore's write lock nothing can change between the look at the generation and the commit. */
static enum err write_batch(struct engine *engine, struct waiting *batch)
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
			TRY(audit_chain_append(&chain, batch->row));
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

static struct waiting *take_batch(struct audit_queue *queue)
{
	struct waiting *batch;

	pthread_mutex_lock(&queue->lock);
	gather(queue);
	batch = queue->head;
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->length = 0;
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

/* Who came meanwhile writes the next batch. */
static void hand_over(struct audit_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->leading = queue->head != NULL;
	if (queue->leading)
		sem_post(&queue->head->woken);
	pthread_mutex_unlock(&queue->lock);
}

static void lead(struct audit_queue *queue, struct engine *engine, const struct waiting *self)
{
	struct waiting *batch = take_batch(queue), *next;
	enum err e = write_batch(engine, batch);

	for (; batch != NULL; batch = next) {
		next = batch->next; /* its owner may return once it is woken */
		if (e != ERR_OK)
			batch->result = e;
		batch->done = 1;
		if (batch != self)
			sem_post(&batch->woken);
	}
	hand_over(queue);
}

static void wait_woken(sem_t *woken)
{
	while (sem_wait(woken) != 0)
		; /* a signal */
}

static enum err enqueue_and_wait(struct engine *engine, struct store_audit *row, uint64_t generation)
{
	struct waiting w = {.row = row, .generation = generation};
	struct audit_queue *queue = engine->audit;
	int leads;

	sem_init(&w.woken, 0, 0);
	pthread_mutex_lock(&queue->lock);
	/* Both addresses leave the queue before this function returns: it waits until the entry is done. */
	/* cppcheck-suppress autoVariables */
	*queue->tail = &w;
	/* cppcheck-suppress autoVariables */
	queue->tail = &w.next;
	queue->length++;
	leads = !queue->leading;
	queue->leading = 1;
	pthread_mutex_unlock(&queue->lock);
	if (!leads)
		wait_woken(&w.woken);
	if (!w.done)
		lead(queue, engine, &w);
	sem_destroy(&w.woken);
	return w.result == ERR_OK || w.result == ERR_STALE
		       ? w.result
		       : err_fail(w.result, "the audit record could not be written, so the request was refused");
}

enum err audit_append(struct call *call, enum err error, const char *message)
{
	char *text __attribute__((cleanup(text_auto))) = NULL;
	struct store_audit row;

	TRY(call_row(call, error, message, &row, &text));
	return enqueue_and_wait(call->engine, &row, call->generation);
}
