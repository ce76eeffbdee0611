/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/audit_iam.h"

static json_t *or_null(const json_t *value)
{
	return value != NULL ? json_deep_copy(value) : json_null();
}

static json_t *time_of(uint64_t now)
{
	char text[CLOCK_ISO8601_SIZE];

	clock_iso8601(now, text);
	return json_string(text);
}

static json_t *record_of(const struct audit_identity_event *what)
{
	char event_id[UUID_TEXT + 1], request_id[UUID_TEXT + 1];

	random_uuid_text(event_id);
	random_uuid_text(request_id);
	return json_pack(
		"{s:s, s:o?, s:o?, s:s, s:s, s:s, s:s, s:s*, s:s*, s:o?, s:o?, s:s, s:s, s:b, s:s, s:b, s:s, s:s}",
		"eventVersion", "1.09", "userIdentity", audit_identity(what->caller), "eventTime", time_of(what->now),
		"eventSource", what->source, "eventName", what->event, "awsRegion",
		what->caller->region[0] != '\0' ? what->caller->region : ENGINE_DEFAULT_REGION, "sourceIPAddress",
		what->caller->source_ip[0] != '\0' ? what->caller->source_ip : "local", "errorCode", what->exception,
		"errorMessage", what->message, "requestParameters", or_null(what->parameters), "responseElements",
		what->exception == NULL ? or_null(what->response) : json_null(), "requestID",
		what->request_id != NULL ? what->request_id : request_id, "eventID", event_id, "readOnly",
		what->read_only, "eventType", "AwsApiCall", "managementEvent", 1, "recipientAccountId",
		what->caller->account, "eventCategory", "Management");
}

enum err audit_identity_event(struct engine *engine, const struct audit_identity_event *what)
{
	json_t *record AUTO_JSON = record_of(what);
	char *text = record != NULL ? json_text(record, &(size_t){0}) : NULL;
	struct store_audit row = {.time = what->now,
		.account = what->caller->account,
		.operation = what->event,
		.error = what->exception,
		.record = text};
	enum err e = text != NULL ? audit_chain_append_one(engine, &row) : ERR_NO_MEMORY;

	secret_heap_free(text);
	return e;
}

/* ---- Changes ---- */

const char *audit_iam_exception(enum err e)
{
	static const struct {
		enum err e;
		const char *name;
	} names[] = {
		{ERR_NOT_FOUND, "NoSuchEntityException"},
		{ERR_EXISTS, "EntityAlreadyExistsException"},
		{ERR_USAGE, "ValidationException"},
		{ERR_LIMIT, "LimitExceededException"},
		{ERR_BUSY, "DeleteConflictException"},
		{ERR_KMS_LIMIT_EXCEEDED, "LimitExceededException"},
		{ERR_KMS_MALFORMED_POLICY, "MalformedPolicyDocumentException"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].e == e)
			return names[i].name;
	return "ServiceFailureException";
}

/* Who has the root key administers identities: the default account's root, on this machine. */
static enum err record_change(
	struct engine *engine, const struct iam_change *c, const char *exception, const char *message)
{
	struct audit_identity_event what = {.source = "iam.amazonaws.com",
		.event = c->event,
		.now = engine->clock->wall(engine->clock),
		.parameters = c->parameters,
		.response = json_object_size(c->response) > 0 ? c->response : NULL,
		.exception = exception,
		.message = message};
	struct engine_caller owner;

	TRY(engine_caller_for_uid(engine, 0, &owner));
	what.caller = &owner;
	/* IAM is in no region but one. */
	snprintf(owner.region, sizeof(owner.region), "%s", ENGINE_DEFAULT_REGION);
	return audit_identity_event(engine, &what);
}

static enum err refuse_recorded(struct engine *engine, const struct iam_change *c, enum err e)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	char message[256];

	snprintf(message, sizeof(message), "%s", err_text(e));
	encode_utf8_repair(message);
	if (store_txn_begin(engine->store, &txn) != ERR_OK ||
		record_change(engine, c, audit_iam_exception(e), message) != ERR_OK || store_txn_commit(&txn) != ERR_OK)
		report(engine->reporter, REPORT_ERROR, "KMS %s: a refused request went unrecorded", c->event);
	return err_fail(e, "%s", message);
}

static enum err change(struct engine *engine, const struct iam_change *c)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};

	TRY(store_txn_begin(engine->store, &txn));
	TRY(c->change(engine, c->context));
	TRY(record_change(engine, c, NULL, NULL));
	return store_txn_commit(&txn);
}

enum err iam_change_recorded(struct engine *engine, const struct iam_change *c)
{
	enum err e = change(engine, c);

	return e == ERR_OK ? ERR_OK : refuse_recorded(engine, c, e);
}
