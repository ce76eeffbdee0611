/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/access_keys.h"
#include "kms/engine/audit_iam.h"
#include "kms/engine/authorize.h"
#include "kms/engine/identity.h"
#include "kms/engine/principals.h"
#include "kms/engine/quota.h"
#include "kms/engine/refusals.h"
#include "kms/engine/session.h"
#include "kms/engine/sts.h"

enum {
	DURATION_MIN = 900,
	DURATION_DEFAULT = 3600,
	DURATION_CHAINED = 3600,
	DURATION_USER_MAX = 129600,
	DURATION_USER = 43200
};

/* ---- Parameters ---- */

static enum err refuse_unsupported(const struct call *call)
{
	const char *name;
	json_t *value;
	static const char *const known[] = {"RoleArn", "RoleSessionName", "DurationSeconds", "Policy", "ExternalId",
		"Name", "Action", "Version", NULL};

	json_object_foreach ((json_t *)call->request, name, value) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, name) != 0)
			k++;
		/* Session tags, managed policies and MFA would be ignored, and so promise what is not done. */
		if (*k == NULL)
			return err_fail(ERR_KMS_VALIDATION, "The parameter %.64s is not supported here.", name);
	}
	return ERR_OK;
}

static enum err session_name(
	const struct call *call, const char *member, const char *shown, size_t most, const char **ret)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-";
	const char *name = call_string(call, member);

	if (name == NULL)
		return err_fail(ERR_KMS_VALIDATION,
			"1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not "
			"be null",
			shown);
	if (strlen(name) < 2)
		return err_fail(ERR_KMS_VALIDATION,
			"1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must "
			"have length "
			"greater than or equal to 2",
			name, shown);
	if (strlen(name) > most)
		return err_fail(ERR_KMS_VALIDATION,
			"1 validation error detected: Value '%.128s' at '%s' failed to satisfy constraint: Member must "
			"have length "
			"less than or equal to %zu",
			name, shown, most);
	if (strspn(name, allowed) != strlen(name))
		return err_fail(ERR_KMS_VALIDATION,
			"1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must "
			"satisfy "
			"regular expression pattern: [\\w+=,.@-]*",
			name, shown);
	*ret = name;
	return ERR_OK;
}

static enum err duration(const struct call *call, unsigned fallback, unsigned most, uint64_t *ret_ns)
{
	const char *text = call_string(call, "DurationSeconds");
	unsigned long seconds = fallback;

	if (text != NULL) {
		seconds = strlen(text) <= 9 && strspn(text, "0123456789") == strlen(text) ? strtoul(text, NULL, 10) : 0;
		if (seconds < DURATION_MIN)
			return err_fail(ERR_KMS_VALIDATION,
				"1 validation error detected: Value '%.32s' at 'durationSeconds' failed to satisfy "
				"constraint: "
				"Member must have value greater than or equal to %d",
				text, DURATION_MIN);
	}
	if (seconds > most)
		return err_fail(ERR_KMS_VALIDATION,
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
	*ret_ns = (uint64_t)seconds * CLOCK_SECOND;
	return ERR_OK;
}

static enum err session_policy(const struct call *call, struct session *s)
{
	const char *text = call_string(call, "Policy");
	struct policy *policy;

	if (text == NULL)
		return ERR_OK;
	TRY(policy_parse(POLICY_SESSION, text, &policy));
	policy_free(policy);
	snprintf(s->policy, sizeof(s->policy), "%s", text);
	return ERR_OK;
}

/* ---- Answers ---- */

static json_t *credentials(const struct session *s, const char *token)
{
	char expires[CLOCK_ISO8601_SIZE];

	clock_iso8601(s->expires, expires);
	return json_pack("{s:s, s:s, s:s, s:s}", "AccessKeyId", s->access_key_id, "SecretAccessKey", s->secret,
		"SessionToken", token, "Expiration", expires);
}

/* @member: what the action calls the identity that the credentials are of; NULL: it does not say. */
static enum err answer_session(struct call *call, struct session *s, const char *member, const char *id_member,
	const struct engine_caller *who)
{
	char *token AUTO_SECRET = secret_alloc(SESSION_TOKEN_SIZE);
	json_t *body = json_object();

	if (token == NULL || call_answer(call, body) != ERR_OK)
		return ERR_NO_MEMORY;
	TRY(session_issue(call->engine, s, token));
	json_object_set_new(body, "Credentials", credentials(s, token));
	if (member != NULL)
		json_object_set_new(body, member, json_pack("{s:s, s:s}", id_member, who->user_id, "Arn", who->arn));
	return ERR_OK;
}

static struct session *session_new(const struct call *call, enum session_kind kind)
{
	struct session *s = secret_alloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->kind = kind;
	s->issued = call->now;
	return s;
}

/* ---- Actions ---- */

static enum err get_caller_identity(struct call *call)
{
	const struct engine_caller *c = call->caller;

	return call_answer(
		call, json_pack("{s:s, s:s, s:s}", "UserId", c->user_id, "Account", c->account, "Arn", c->arn));
}

static enum err deny_role(const struct call *call, const char *arn)
{
	return err_fail(ERR_KMS_ACCESS_DENIED,
		"User: %s is not authorized to perform: sts:AssumeRole on resource: %.256s", call->caller->arn, arn);
}

/* The role's trust, and the caller's own policies: as with keys, across accounts both. */
static enum err check_trust(struct call *call, const struct store_principal *role, const char *arn)
{
	struct authorize_question question = {.action = "sts:AssumeRole", .resource = arn, .owner = role->account};
	struct store_document document AUTO_DOCUMENT = {NULL, NULL};
	struct policy *trust;
	enum policy_why why;
	enum err e;

	TRY(store_principal_trust(call->engine->store, role->row, &document));
	TRY(identity_parse(POLICY_TRUST, &document, &trust));
	question.instead = trust;
	e = authorize_decide(call, &question, &why);
	policy_free(trust);
	TRY(e);
	return policy_is_allowed(why) ? ERR_OK : deny_role(call, arn);
}

/* A federated session stays as narrow as it was made: of STS it may only ask who it is. */
static enum err check_may_assume(const struct engine_caller *c)
{
	enum policy_caller_kind kind = policy_caller_kind(c->arn, c->account);

	if (kind == POLICY_CALLER_ROOT)
		return err_fail(ERR_KMS_ACCESS_DENIED, "Roles may not be assumed by root accounts.");
	if (kind == POLICY_CALLER_FEDERATED_USER)
		return err_fail(ERR_KMS_ACCESS_DENIED, "Cannot call AssumeRole with federation token credentials");
	return ERR_OK;
}

static enum err assume_role(struct call *call)
{
	struct session *s AUTO_SECRET = session_new(call, SESSION_OF_ROLE);
	const char *arn = call_string(call, "RoleArn"), *name;
	struct engine_caller who = {.principal = 0};
	struct store_principal role;
	uint64_t length;
	unsigned most;
	enum err e;

	if (s == NULL)
		return ERR_NO_MEMORY;
	TRY(session_name(call, "RoleSessionName", "roleSessionName", 64, &name));
	if (arn == NULL || !names_starts_with(arn, "arn:aws:iam::") || strstr(arn, ":role/") == NULL)
		return err_fail(ERR_KMS_VALIDATION, "%.256s is invalid", arn != NULL ? arn : "RoleArn");
	TRY(check_may_assume(call->caller));
	e = principal_find(call->engine, arn, &role);
	if (e == ERR_NOT_FOUND) /* the same as for one that does not let the caller in */
		return deny_role(call, arn);
	TRY(e);
	TRY(check_trust(call, &role, arn));
	most = call->caller->role[0] != '\0' ? DURATION_CHAINED : role.max_session;
	TRY(duration(call, DURATION_DEFAULT, most, &length));
	TRY(session_policy(call, s));
	s->principal = role.row;
	s->expires = s->issued + length;
	snprintf(s->name, sizeof(s->name), "%s", name);
	principal_describe_session(&role, name, &who);
	return answer_session(call, s, "AssumedRoleUser", "AssumedRoleId", &who);
}

/* Only a user with a lasting access key (or a user id of this machine) can make sessions of itself. */
static enum err calling_user(struct call *call, struct store_principal *ret)
{
	const struct engine_caller *c = call->caller;

	if (policy_caller_kind(c->arn, c->account) != POLICY_CALLER_USER || c->token_issued != 0)
		return err_fail(
			ERR_KMS_ACCESS_DENIED, "Cannot call %s with session or root credentials", call->operation);
	return store_principal_get(call->engine->store, c->principal, ret);
}

static enum err get_federation_token(struct call *call)
{
	struct authorize_question question = {.action = "sts:GetFederationToken"};
	struct session *s AUTO_SECRET = session_new(call, SESSION_FEDERATED);
	struct engine_caller who = {.principal = 0};
	char arn[ENGINE_ARN_SIZE];
	struct store_principal user;
	enum policy_why why;
	uint64_t length;
	const char *name;

	if (s == NULL)
		return ERR_NO_MEMORY;
	TRY(session_name(call, "Name", "name", 32, &name));
	TRY(calling_user(call, &user));
	principal_describe_federated(&user, name, &who);
	memcpy(arn, who.arn, sizeof(arn));
	question.resource = arn;
	TRY(authorize_decide(call, &question, &why));
	if (!policy_is_allowed(why))
		return err_fail(ERR_KMS_ACCESS_DENIED,
			"User: %s is not authorized to perform: sts:GetFederationToken on resource: %s",
			call->caller->arn, arn);
	TRY(duration(call, DURATION_USER, DURATION_USER_MAX, &length));
	TRY(session_policy(call, s));
	/* Without a policy of its own a federated user may only what resource policies and grants give its name. */
	if (s->policy[0] == '\0')
		snprintf(s->policy, sizeof(s->policy),
			"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"sts:GetCallerIdentity\",\"Resource\":\"*\"}"
			"}");
	s->principal = user.row;
	s->expires = s->issued + length;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return answer_session(call, s, "FederatedUser", "FederatedUserId", &who);
}

static enum err get_session_token(struct call *call)
{
	struct session *s AUTO_SECRET = session_new(call, SESSION_OF_USER);
	struct store_principal user;
	uint64_t length;

	if (s == NULL)
		return ERR_NO_MEMORY;
	TRY(calling_user(call, &user));
	TRY(duration(call, DURATION_USER, DURATION_USER_MAX, &length));
	s->principal = user.row;
	s->expires = s->issued + length;
	return answer_session(call, s, NULL, NULL, NULL);
}

static const struct {
	const char *name;
	enum err (*act)(struct call *call);
	int read_only;
} actions[] = {
	{"GetCallerIdentity", get_caller_identity, 1},
	{"AssumeRole", assume_role, 1},
	{"GetFederationToken", get_federation_token, 1},
	{"GetSessionToken", get_session_token, 1},
};

static enum err act(struct call *call)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, call->operation) != 0)
			continue;
		TRY(refuse_unsupported(call));
		return actions[i].act(call);
	}
	return err_fail(
		ERR_KMS_UNKNOWN_OPERATION, "Could not find operation %.64s for version 2011-06-15", call->operation);
}

/* ---- In and out ---- */

const char *engine_sts_code(enum err e, unsigned *ret_status)
{
	static const struct {
		enum err e;
		unsigned status;
		const char *code;
	} codes[] = {
		{ERR_KMS_ACCESS_DENIED, 403, "AccessDenied"},
		{ERR_KMS_EXPIRED_TOKEN, 403, "ExpiredToken"},
		{ERR_KMS_INCOMPLETE_SIGNATURE, 400, "IncompleteSignature"},
		{ERR_KMS_LIMIT_EXCEEDED, 400, "PackedPolicyTooLarge"},
		{ERR_KMS_MALFORMED_POLICY, 400, "MalformedPolicyDocument"},
		{ERR_KMS_MISSING_AUTHENTICATION, 403, "MissingAuthenticationToken"},
		{ERR_KMS_SERIALIZATION, 400, "MalformedInput"},
		{ERR_KMS_SIGNATURE_MISMATCH, 403, "SignatureDoesNotMatch"},
		{ERR_KMS_THROTTLING, 400, "Throttling"},
		{ERR_KMS_UNKNOWN_OPERATION, 400, "InvalidAction"},
		{ERR_KMS_UNRECOGNIZED_CLIENT, 403, "InvalidClientTokenId"},
		{ERR_KMS_VALIDATION, 400, "ValidationError"},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].e != e)
			continue;
		*ret_status = codes[i].status;
		return codes[i].code;
	}
	*ret_status = 500;
	return "InternalFailure";
}

/* What the trail keeps of an answer: whose credentials, never their secret. */
static json_t *response_of(const json_t *body)
{
	json_t *copy = json_deep_copy(body), *given = json_object_get(copy, "Credentials");

	if (given == NULL) {
		json_decref(copy);
		return NULL;
	}
	json_object_del(given, "SecretAccessKey");
	json_object_del(given, "SessionToken");
	return copy;
}

static enum err record(struct call *call, const struct engine_sts_reply *reply)
{
	json_t *response AUTO_JSON = reply->code == NULL ? response_of(call->body) : NULL;
	const struct audit_identity_event what = {.source = "sts.amazonaws.com",
		.event = call->operation,
		.caller = call->caller,
		.now = call->now,
		.request_id = call->request_id,
		.read_only = 1,
		.parameters = call->request,
		.response = response,
		.exception = reply->code,
		.message = reply->code != NULL ? reply->message : NULL};

	return audit_identity_event(call->engine, &what);
}

static void fail(struct call *call, enum err e, struct engine_sts_reply *reply)
{
	reply->code = engine_sts_code(e, &reply->status);
	snprintf(reply->message, sizeof(reply->message), "%s", err_text(e));
	encode_utf8_repair(reply->message);
	if (reply->status != 500)
		return;
	report(call->engine->reporter, REPORT_ERROR, "STS %s: %s", call->operation, reply->message);
	reply->message[0] = '\0';
}

/* No request of STS, or too many of them: of those not each is recorded (refusals.h). */
static int is_recorded(struct call *call, enum err e)
{
	if (e != ERR_KMS_VALIDATION && e != ERR_KMS_UNKNOWN_OPERATION && e != ERR_KMS_THROTTLING)
		return 1;
	return refusals_admit(call->engine, call->caller->account, e);
}

static enum err pay(struct call *call)
{
	struct engine *engine = call->engine;

	return quota_take(engine->quota, call->caller->account, call->region, quota_class(QUOTA_STS, ""),
		engine->clock->monotonic(engine->clock));
}

/*
 * Under the keystore's lock from the first look to the record: what is remembered may have been changed by another process, and
 * credentials outlive what they were given for by hours.
 */
static enum err act_and_record(struct call *call, struct engine_sts_reply *reply)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	enum err e = pay(call);

	if (e != ERR_OK && !is_recorded(call, e)) {
		fail(call, e, reply);
		return ERR_OK;
	}
	TRY(store_txn_begin(call->engine->store, &txn));
	if (e == ERR_OK)
		e = access_key_stands(call->engine, call->caller);
	if (e == ERR_OK) {
		e = act(call);
		if (e != ERR_OK && !is_recorded(call, e)) {
			fail(call, e, reply);
			return ERR_OK;
		}
	}
	if (e != ERR_OK)
		fail(call, e, reply);
	TRY(record(call, reply));
	return store_txn_commit(&txn);
}

void engine_sts_call(struct engine *engine, const struct engine_caller *caller, const char *action,
	const json_t *parameters, struct engine_sts_reply *ret_reply)
{
	struct engine_sts_reply reply = {.code = NULL, .status = 200};
	struct engine_caller who = *caller;
	struct call call = {.engine = engine,
		.caller = &who,
		.region = caller->region[0] != '\0' ? caller->region : engine->region,
		.operation = action,
		.request = parameters,
		.now = engine->clock->wall(engine->clock),
		.request_id = reply.request_id};
	enum err e;

	encode_utf8_repair(who.source_ip);
	encode_utf8_repair(who.user_agent);
	random_uuid_text(reply.request_id);
	e = act_and_record(&call, &reply);
	/* No credentials without a record. */
	if (e != ERR_OK)
		fail(&call, e, &reply);
	if (reply.code == NULL)
		reply.result = STEAL(call.body);
	json_decref(call.body);
	*ret_reply = reply;
}
