/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/audit_queue.h"
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

/* ---- Through the queue ---- */

enum err audit_prepare(const struct call *call, enum err error, const char *message, struct audit_entry *ret)
{
	*ret = (struct audit_entry){.generation = call->generation};
	return call_row(call, error, message, &ret->row, &ret->text);
}

enum err audit_outcome(struct audit_entry *entry)
{
	secret_heap_free(entry->text);
	entry->text = NULL;
	return entry->result == ERR_OK || entry->result == ERR_STALE
		       ? entry->result
		       : err_fail(entry->result, "the audit record could not be written, so the request was refused");
}

enum err audit_append(struct call *call, enum err error, const char *message)
{
	struct audit_entry entry;

	TRY(audit_prepare(call, error, message, &entry));
	audit_queue_wait(call->engine, &entry);
	return audit_outcome(&entry);
}
