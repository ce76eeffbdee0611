/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/audit_iam.h"
#include "kms/engine/audit_record.h"

static void put_request(struct json_out *o, const struct audit_identity_event *what)
{
	const struct engine_caller *c = what->caller;

	json_out_text(o, "eventVersion", "1.09");
	audit_record_put_identity(o, c);
	audit_record_put_time(o, "eventTime", what->now);
	json_out_text(o, "eventSource", what->source);
	json_out_text(o, "eventName", what->event);
	json_out_text(o, "awsRegion", c->region[0] != '\0' ? c->region : ENGINE_DEFAULT_REGION);
	json_out_text(o, "sourceIPAddress", c->source_ip[0] != '\0' ? c->source_ip : "local");
	if (what->exception != NULL)
		json_out_text(o, "errorCode", what->exception);
	if (what->message != NULL)
		json_out_text(o, "errorMessage", what->message);
	json_out_value(o, "requestParameters", what->parameters);
	json_out_value(o, "responseElements", what->exception == NULL ? what->response : NULL);
}

static char *record_of(const struct audit_identity_event *what)
{
	char event_id[UUID_TEXT + 1], request_id[UUID_TEXT + 1];
	struct json_out o AUTO_JSON_OUT = {.p = NULL};

	random_uuid_text(event_id);
	random_uuid_text(request_id);
	json_out_init(&o);
	json_out_begin(&o, NULL, '{');
	put_request(&o, what);
	json_out_text(&o, "requestID", what->request_id != NULL ? what->request_id : request_id);
	json_out_text(&o, "eventID", event_id);
	json_out_bool(&o, "readOnly", what->read_only);
	json_out_text(&o, "eventType", "AwsApiCall");
	json_out_bool(&o, "managementEvent", 1);
	json_out_text(&o, "recipientAccountId", what->caller->account);
	json_out_text(&o, "eventCategory", "Management");
	json_out_end(&o, '}');
	return json_out_take(&o, NULL);
}

enum err audit_identity_event(struct engine *engine, const struct audit_identity_event *what)
{
	char *text = record_of(what);
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
