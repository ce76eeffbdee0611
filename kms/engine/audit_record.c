/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/engine/audit_record.h"
#include "kms/engine/context.h"
#include "kms/engine/operations.h"
#include "kms/policy/policy.h"

enum { AUDITED_TEXT_MAX = 8192, AUDITED_LIST_MAX = 64 };

/* ---- What fits ---- */

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

/* ---- Parts ---- */

static void put_request_parameters(struct json_out *o, const struct call *call)
{
	char name[VALIDATE_NAME_SIZE];

	if (call->op == NULL || call->op->members == NULL || !json_is_object(call->request)) {
		json_out_null(o, "requestParameters");
		return;
	}
	json_out_begin(o, "requestParameters", '{');
	for (const struct member *m = call->op->members; m->name != NULL; m++) {
		const json_t *value = m->flags & MEMBER_AUDITED ? json_object_get(call->request, m->name) : NULL;

		if (value == NULL || !fits_record(m, value))
			continue;
		validate_lower_camel(m->name, name);
		json_out_value(o, name, value);
	}
	json_out_end(o, '}');
}

static void put_key_metadata(struct json_out *o, const json_t *metadata)
{
	const char *name;
	json_t *value;

	json_out_begin(o, "keyMetadata", '{');
	json_object_foreach ((json_t *)metadata, name, value) {
		char lower[VALIDATE_NAME_SIZE];

		validate_lower_camel(name, lower);
		json_out_value(o, lower, value);
	}
	json_out_end(o, '}');
}

/* Reads and cryptography answer nothing that belongs here; changes say which key they changed. */
static void put_response_elements(struct json_out *o, const struct call *call, enum err error)
{
	const json_t *metadata = json_object_get(call->body, "KeyMetadata");
	int changed = error == ERR_OK && call->op != NULL && !(call->op->flags & OP_READ_ONLY);

	if (!changed || (metadata == NULL && call->resource_count == 0)) {
		json_out_null(o, "responseElements");
		return;
	}
	json_out_begin(o, "responseElements", '{');
	if (metadata != NULL)
		put_key_metadata(o, metadata);
	else
		json_out_text(o, "keyId", call->resource[0]);
	json_out_end(o, '}');
}

void audit_record_put_time(struct json_out *o, const char *name, uint64_t wall_ns)
{
	char text[CLOCK_ISO8601_SIZE];

	clock_iso8601(wall_ns, text);
	json_out_text(o, name, text);
}

/* The role's own id stands before the colon. */
static void put_issuer(struct json_out *o, const struct engine_caller *caller)
{
	const char *name = strrchr(caller->role, '/');
	char id[ENGINE_USER_ID_SIZE];

	memcpy(id, caller->user_id, sizeof(id));
	id[strcspn(id, ":")] = '\0';
	json_out_begin(o, "sessionIssuer", '{');
	json_out_text(o, "type", "Role");
	json_out_text(o, "arn", caller->role);
	json_out_text(o, "accountId", caller->account);
	json_out_text(o, "userName", name != NULL ? name + 1 : "");
	json_out_text(o, "principalId", id);
	json_out_end(o, '}');
}

static void put_session(struct json_out *o, const struct engine_caller *caller)
{
	json_out_begin(o, "sessionContext", '{');
	put_issuer(o, caller);
	json_out_begin(o, "attributes", '{');
	audit_record_put_time(o, "creationDate", caller->token_issued);
	json_out_text(o, "mfaAuthenticated", "false");
	json_out_end(o, '}');
	json_out_end(o, '}');
}

void audit_record_put_identity(struct json_out *o, const struct engine_caller *caller)
{
	static const char *const types[] = {[POLICY_CALLER_UNKNOWN] = "Unknown",
		[POLICY_CALLER_ROOT] = "Root",
		[POLICY_CALLER_USER] = "IAMUser",
		[POLICY_CALLER_ROLE_SESSION] = "AssumedRole",
		[POLICY_CALLER_FEDERATED_USER] = "FederatedUser",
		[POLICY_CALLER_SERVICE] = "AWSService"};
	enum policy_caller_kind kind = policy_caller_kind(caller->arn, caller->account);
	const char *last = strrchr(caller->arn, ':'), *id = last != NULL ? last + 1 : "";

	if (caller->user_id[0] != '\0' || kind == POLICY_CALLER_ROOT)
		id = kind == POLICY_CALLER_ROOT ? caller->account : caller->user_id;
	json_out_begin(o, "userIdentity", '{');
	json_out_text(o, "type", types[kind]);
	json_out_text(o, "principalId", id);
	json_out_text(o, "arn", caller->arn);
	json_out_text(o, "accountId", caller->account);
	if (caller->access_key_id[0] != '\0')
		json_out_text(o, "accessKeyId", caller->access_key_id);
	if (kind == POLICY_CALLER_USER)
		json_out_text(o, "userName", strrchr(caller->arn, '/') + 1);
	if (caller->role[0] != '\0')
		put_session(o, caller);
	json_out_end(o, '}');
}

static void put_resources(struct json_out *o, const struct call *call)
{
	json_out_begin(o, "resources", '[');
	for (size_t i = 0; i < call->resource_count; i++) {
		json_out_begin(o, NULL, '{');
		json_out_text(o, "accountId", call->resource_account[i]);
		json_out_text(o, "type", "AWS::KMS::Key");
		json_out_text(o, "ARN", call->resource[i]);
		json_out_end(o, '}');
	}
	json_out_end(o, ']');
}

static void put_error(struct json_out *o, enum err error, const char *message)
{
	if (error == ERR_OK)
		return;
	json_out_text(o, "errorCode", err_to_exception(error));
	if (message[0] != '\0')
		json_out_text(o, "errorMessage", message);
}

/* ---- The whole ---- */

static void put_request(struct json_out *o, const struct call *call)
{
	json_out_text(o, "eventVersion", "1.09");
	audit_record_put_identity(o, call->caller);
	audit_record_put_time(o, "eventTime", call->now);
	json_out_text(o, "eventSource", AUDIT_EVENT_SOURCE);
	json_out_text(o, "eventName", call->operation);
	json_out_text(o, "awsRegion", call->region);
	json_out_text(o, "sourceIPAddress", call->caller->source_ip[0] != '\0' ? call->caller->source_ip : "local");
	json_out_text(o, "userAgent", call->caller->user_agent);
}

static void put_outcome(struct json_out *o, const struct call *call, enum err error, const char *message)
{
	put_error(o, error, message);
	put_request_parameters(o, call);
	put_response_elements(o, call, error);
	if (call->additional != NULL && error == ERR_OK)
		json_out_value(o, "additionalEventData", call->additional);
	json_out_text(o, "requestID", call->request_id);
	json_out_text(o, "eventID", call->event_id);
	json_out_bool(o, "readOnly", call->op == NULL || (call->op->flags & OP_READ_ONLY) != 0);
	put_resources(o, call);
	json_out_text(o, "eventType", "AwsApiCall");
	json_out_bool(o, "managementEvent", 1);
	json_out_text(o, "recipientAccountId", call->caller->account);
	json_out_text(o, "eventCategory", "Management");
}

char *audit_record_of_call(const struct call *call, enum err error, const char *message)
{
	struct json_out o AUTO_JSON_OUT = {.p = NULL};

	json_out_init(&o);
	json_out_begin(&o, NULL, '{');
	put_request(&o, call);
	put_outcome(&o, call, error, message);
	json_out_end(&o, '}');
	return json_out_take(&o, NULL);
}
