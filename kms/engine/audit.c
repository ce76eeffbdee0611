/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/context.h"
#include "kms/engine/internal.h"
#include "kms/engine/operations.h"
#include "kms/policy/policy.h"

enum { AUDITED_TEXT_MAX = 8192, AUDITED_LIST_MAX = 64 };

#define EVENT_SOURCE "kms.amazonaws.com"

/* ---- The record ---- */

/* Whatever an operation accepts is recorded, with however many pairs. */
static int context_fits(const json_t *context)
{
	size_t bytes = 0;
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)context, name, value) {
		if (!json_is_string(value))
			return 0;
		bytes += strlen(name) + json_string_length(value);
	}
	return bytes <= CONTEXT_BYTES_MAX;
}

static int text_fits(const json_t *value)
{
	return json_is_string(value) && json_string_length(value) <= AUDITED_TEXT_MAX;
}

/* Tags, and words of all kinds. */
static int list_fits(const json_t *list)
{
	json_t *item, *value;
	const char *name;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > AUDITED_LIST_MAX)
		return 0;
	json_array_foreach ((json_t *)list, i, item) {
		if (!json_is_object(item) && !text_fits(item))
			return 0;
		json_object_foreach (item, name, value) {
			if (!text_fits(value))
				return 0;
		}
	}
	return 1;
}

/* The constraints of a grant: encryption contexts. */
static int structure_fits(const json_t *structure)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)structure, name, value) {
		if (!json_is_object(value) || !context_fits(value))
			return 0;
	}
	return json_is_object(structure) && json_object_size(structure) <= 2;
}

/* A request may be refused for a member of the wrong type or size: such a value is left out, whatever it holds. */
static int fits_record(const struct member *m, const json_t *value)
{
	switch (m->type) {
	case MEMBER_STRING:
		return text_fits(value);
	case MEMBER_INTEGER:
		return json_is_integer(value);
	case MEMBER_BOOLEAN:
		return json_is_boolean(value);
	case MEMBER_MAP:
		return json_is_object(value) && context_fits(value);
	case MEMBER_TIMESTAMP:
		return json_is_number(value);
	case MEMBER_LIST:
		return list_fits(value);
	case MEMBER_STRUCTURE:
		return structure_fits(value);
	default:
		return 0;
	}
}

static json_t *request_parameters(const struct call *call)
{
	json_t *parameters;

	if (call->op == NULL || call->op->members == NULL || !json_is_object(call->request))
		return json_null();
	parameters = json_object();
	for (const struct member *m = call->op->members; m->name != NULL; m++) {
		json_t *value = json_object_get(call->request, m->name);
		char name[VALIDATE_NAME_SIZE];

		if (!(m->flags & MEMBER_AUDITED) || value == NULL || !fits_record(m, value))
			continue;
		validate_lower_camel(m->name, name);
		json_object_set(parameters, name, value);
	}
	return parameters;
}

static json_t *lower_camel_object(const json_t *object)
{
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach ((json_t *)object, name, value) {
		char lower[VALIDATE_NAME_SIZE];

		validate_lower_camel(name, lower);
		json_object_set(out, lower, value);
	}
	return out;
}

/* Reads and cryptography answer nothing that belongs here; changes say which key they changed. */
static json_t *response_elements(const struct call *call, enum err error)
{
	const json_t *metadata = json_object_get(call->body, "KeyMetadata");

	if (error != ERR_OK || call->op == NULL || (call->op->flags & OP_READ_ONLY))
		return json_null();
	if (metadata != NULL)
		return json_pack("{s:o}", "keyMetadata", lower_camel_object(metadata));
	return call->resource_count > 0 ? json_pack("{s:s}", "keyId", call->resource[0]) : json_null();
}

static json_t *event_time(uint64_t now)
{
	char text[CLOCK_ISO8601_SIZE];

	clock_iso8601(now, text);
	return json_string(text);
}

static json_t *session_context(const struct engine_caller *caller)
{
	const char *name = strrchr(caller->role, '/'), *colon = strchr(caller->user_id, ':');

	return json_pack("{s:{s:s, s:s, s:s, s:s, s:s%}, s:{s:o?, s:s}}", "sessionIssuer", "type", "Role", "arn",
		caller->role, "accountId", caller->account, "userName", name != NULL ? name + 1 : "", "principalId",
		caller->user_id, colon != NULL ? (size_t)(colon - caller->user_id) : strlen(caller->user_id),
		"attributes", "creationDate", event_time(caller->token_issued), "mfaAuthenticated", "false");
}

json_t *audit_identity(const struct engine_caller *caller)
{
	static const char *const types[] = {[POLICY_CALLER_UNKNOWN] = "Unknown",
		[POLICY_CALLER_ROOT] = "Root",
		[POLICY_CALLER_USER] = "IAMUser",
		[POLICY_CALLER_ROLE_SESSION] = "AssumedRole",
		[POLICY_CALLER_FEDERATED_USER] = "FederatedUser",
		[POLICY_CALLER_SERVICE] = "AWSService"};
	enum policy_caller_kind kind = policy_caller_kind(caller->arn, caller->account);
	const char *last = strrchr(caller->arn, ':'), *id = last != NULL ? last + 1 : "";
	json_t *identity;

	if (caller->user_id[0] != '\0' || kind == POLICY_CALLER_ROOT)
		id = kind == POLICY_CALLER_ROOT ? caller->account : caller->user_id;
	identity = json_pack("{s:s, s:s, s:s, s:s}", "type", types[kind], "principalId", id, "arn", caller->arn,
		"accountId", caller->account);
	if (caller->access_key_id[0] != '\0')
		json_object_set_new(identity, "accessKeyId", json_string(caller->access_key_id));
	if (kind == POLICY_CALLER_USER)
		json_object_set_new(identity, "userName", json_string(strrchr(caller->arn, '/') + 1));
	if (caller->role[0] != '\0')
		json_object_set_new(identity, "sessionContext", session_context(caller));
	return identity;
}

static json_t *resource_of(const char *arn, const char *fallback_account)
{
	struct key_name name;
	const char *account = names_parse(arn, &name) == ERR_OK ? name.account : fallback_account;

	return json_pack("{s:s, s:s, s:s}", "accountId", account, "type", "AWS::KMS::Key", "ARN", arn);
}

static json_t *resources(const struct call *call)
{
	json_t *list = json_array();

	for (size_t i = 0; i < call->resource_count; i++)
		json_array_append_new(list, resource_of(call->resource[i], call->caller->account));
	return list;
}

static json_t *new_event_id(void)
{
	uint8_t id[UUID_SIZE];
	char text[UUID_TEXT + 1];

	random_uuid(id);
	encode_uuid(id, text);
	return json_string(text);
}

/* json_pack's "o?" takes ownership, also when the packing fails. */
static json_t *call_record(const struct call *call, enum err error, const char *message)
{
	json_t *record = json_pack("{s:s, s:o?, s:o?, s:s, s:s, s:s, s:s, s:s}", "eventVersion", "1.09", "userIdentity",
		audit_identity(call->caller), "eventTime", event_time(call->now), "eventSource", EVENT_SOURCE,
		"eventName", call->operation, "awsRegion", call->region, "sourceIPAddress",
		call->caller->source_ip[0] != '\0' ? call->caller->source_ip : "local", "userAgent",
		call->caller->user_agent);

	if (error != ERR_OK) {
		json_object_set_new(record, "errorCode", json_string(err_to_exception(error)));
		if (message[0] != '\0')
			json_object_set_new(record, "errorMessage", json_string(message));
	}
	json_object_set_new(record, "requestParameters", request_parameters(call));
	json_object_set_new(record, "responseElements", response_elements(call, error));
	if (call->additional != NULL && error == ERR_OK)
		json_object_set(record, "additionalEventData", call->additional);
	json_object_set_new(record, "requestID", json_string(call->request_id));
	json_object_set_new(record, "eventID", json_string(call->event_id));
	json_object_set_new(
		record, "readOnly", json_boolean(call->op == NULL || (call->op->flags & OP_READ_ONLY) != 0));
	json_object_set_new(record, "resources", resources(call));
	json_object_set_new(record, "eventType", json_string("AwsApiCall"));
	json_object_set_new(record, "managementEvent", json_true());
	json_object_set_new(record, "recipientAccountId", json_string(call->caller->account));
	json_object_set_new(record, "eventCategory", json_string("Management"));
	return record;
}

/* The row of a call; its text is *ret_text, free with secret_heap_free(). */
static enum err call_row(
	const struct call *call, enum err error, const char *message, struct store_audit *ret, char **ret_text)
{
	json_t *record AUTO_JSON = call_record(call, error, message);
	char *text = record != NULL ? json_text(record, &(size_t){0}) : NULL;

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
		"eventTime", event_time(now), "eventSource", EVENT_SOURCE, "eventName", event, "awsRegion", key->region,
		"sourceIPAddress", "AWS Internal", "userAgent", "AWS Internal", "requestParameters", "responseElements",
		"eventID", new_event_id(), "readOnly", 0, "resources", resource_of(arn, key->account), "eventType",
		"AwsServiceEvent", "recipientAccountId", key->account, "serviceEventDetails", "keyId", key_id);
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
		"eventTime", event_time(row.time), "eventSource", EVENT_SOURCE, "eventName", event, "awsRegion",
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

enum err audit_refusals_event(struct engine *engine, uint64_t count, uint64_t from, uint64_t to, json_t *errors)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	json_t *details = json_pack("{s:I, s:o?, s:o?, s:o?}", "count", (json_int_t)count, "from", event_time(from),
		"to", event_time(to), "errors", errors);
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
	int done;
	enum err result;
};

/* Invariant: `leading` exactly while one thread writes a batch; every thread in `head` waits until its entry is done. */
struct audit_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
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
	pthread_cond_init(&queue->changed, NULL);
	queue->tail = &queue->head;
	return queue;
}

void audit_queue_free(struct audit_queue *queue)
{
	if (queue == NULL)
		return;
	pthread_cond_destroy(&queue->changed);
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

/* Called and left with the lock held. */
static void lead(struct audit_queue *queue, struct engine *engine)
{
	struct waiting *batch, *next;
	enum err e;

	queue->leading = 1;
	gather(queue);
	batch = queue->head;
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->length = 0;
	pthread_mutex_unlock(&queue->lock);
	e = write_batch(engine, batch);
	pthread_mutex_lock(&queue->lock);
	queue->leading = 0;
	for (; batch != NULL; batch = next) {
		next = batch->next; /* its owner may return once it is done */
		if (e != ERR_OK)
			batch->result = e;
		batch->done = 1;
	}
	pthread_cond_broadcast(&queue->changed);
}

static enum err enqueue_and_wait(struct engine *engine, struct store_audit *row, uint64_t generation)
{
	struct waiting w = {.row = row, .generation = generation};
	struct audit_queue *queue = engine->audit;

	pthread_mutex_lock(&queue->lock);
	/* Both addresses leave the queue before this function returns: it waits until the entry is done. */
	/* cppcheck-suppress autoVariables */
	*queue->tail = &w;
	/* cppcheck-suppress autoVariables */
	queue->tail = &w.next;
	queue->length++;
	while (!w.done) {
		if (queue->leading)
			pthread_cond_wait(&queue->changed, &queue->lock);
		else
			lead(queue, engine);
	}
	pthread_mutex_unlock(&queue->lock);
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
