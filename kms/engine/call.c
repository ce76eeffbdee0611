/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/access_keys.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_queue.h"
#include "kms/engine/authorize.h"
#include "kms/engine/grants.h"
#include "kms/engine/operations.h"
#include "kms/engine/prepare.h"
#include "kms/engine/quota.h"
#include "kms/engine/refusals.h"
#include "kms/engine/resolve.h"
#include "kms/engine/states.h"
#include "kms/engine/usage.h"

/* ---- What handlers use ---- */

static int is_known(const struct member *m, const char *name)
{
	while (m->name != NULL && strcmp(m->name, name) != 0)
		m++;
	return m->name != NULL;
}

const json_t *call_member(const struct call *call, const char *name)
{
	const json_t *value = json_object_get(call->request, name);

	return value == NULL || call->members == NULL || is_known(call->members, name) ? value : NULL;
}

const char *call_string(const struct call *call, const char *member)
{
	return json_string_value(call_member(call, member));
}

int64_t call_integer(const struct call *call, const char *member, int64_t fallback)
{
	const json_t *value = call_member(call, member);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

int call_true(const struct call *call, const char *member)
{
	return json_is_true(call_member(call, member));
}

void call_touch(struct call *call, const struct store_key *key)
{
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	for (size_t i = 0; i < call->resource_count; i++)
		if (strcmp(call->resource[i], arn) == 0)
			return;
	if (call->resource_count == CALL_RESOURCES_MAX)
		return;
	call->resource_row[call->resource_count] = key->row;
	snprintf(call->resource_account[call->resource_count], ENGINE_ACCOUNT_SIZE, "%s", key->account);
	memcpy(call->resource[call->resource_count++], arn, sizeof(arn));
}

enum err call_answer(struct call *call, json_t *body)
{
	assert(call->body == NULL);
	call->body = body;
	return body != NULL ? ERR_OK : ERR_NO_MEMORY;
}

enum err call_use_key(struct call *call, const struct store_key *key, const char *action)
{
	call_touch(call, key);
	if (key->manager == KEY_MANAGER_SERVICE) /* no account's, whatever a policy says */
		return authorize_unknown(call->caller, action, call->resource[0]);
	TRY(authorize(call, action, key));
	return states_check(call->op->name, key);
}

/* ---- The pipeline: resolve, authorise, check the state, act ---- */

static enum err find_key(struct call *call)
{
	const char *member = call->op->key_member;
	const char *text = member != NULL ? call_string(call, member) : NULL;

	if (text == NULL)
		return ERR_OK;
	TRY(resolve_key(call, text, &call->key));
	call->has_key = 1;
	if (call->op->flags & OP_OWN_KEYS)
		return ERR_OK;
	return call_use_key(call, &call->key, call->op->name);
}

/* Operations without the member ignore it, as AWS does, and act. */
static int is_dry_run(const struct call *call)
{
	for (const struct member *m = call->op->members; m->name != NULL; m++)
		if (strcmp(m->name, "DryRun") == 0)
			return call_true(call, "DryRun");
	return 0;
}

static enum err act(struct call *call)
{
	TRY(find_key(call));
	if (!call->has_key && !(call->op->flags & OP_OWN_KEYS))
		TRY(authorize(call, call->op->name, NULL));
	TRY(call->op->handle(call));
	if (is_dry_run(call))
		return err_fail(ERR_KMS_DRY_RUN, "The request would have succeeded, but the DryRun option is set.");
	return ERR_OK;
}

/* The change and its audit record are one transaction: neither exists without the other. */
static enum err act_in_transaction(struct call *call)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};

	TRY(store_txn_begin(call->engine->store, &txn));
	TRY(act(call));
	TRY(audit_write(call, ERR_OK, ""));
	return store_txn_commit(&txn);
}

static enum err admit(struct call *call)
{
	if (call->op == NULL)
		return err_fail(ERR_KMS_UNKNOWN_OPERATION, "Unknown operation");
	TRY(validate_request(call->op->members, call->request));
	if (call->op->handle == NULL)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "%s is not supported by this KMS.", call->op->name);
	return ERR_OK;
}

enum { ATTEMPTS_WITHOUT_LOCK = 3 };

/* The request's algorithm says of what kind the key must be, before the key is looked up. */
static const char *spec_of_request(const struct call *call)
{
	static const char *const members[] = {
		"EncryptionAlgorithm", "SourceEncryptionAlgorithm", "SigningAlgorithm", "KeyAgreementAlgorithm"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *text = call_string(call, members[i]);

		if (text != NULL)
			return names_starts_with(text, "EC") || names_starts_with(text, "ED") ? "ECC_" : text;
	}
	return "";
}

static enum err pay(struct call *call)
{
	struct engine *engine = call->engine;
	const char *pair = call_string(call, "KeyPairSpec");
	int class = quota_class(call->operation, pair != NULL ? pair : spec_of_request(call));

	return quota_take(
		engine->quota, call->caller->account, call->region, class, engine->clock->monotonic(engine->clock));
}

/*
 * What changes nothing needs no transaction: it rests on rows that may be remembered, and its record is written only if they
 * still hold then. @locked: take the keystore's lock all the same, since they did not hold several times.
 */
static enum err run(struct call *call, int attempt, int *ret_audited)
{
	int locked = attempt >= ATTEMPTS_WITHOUT_LOCK;

	*ret_audited = 0;
	TRY(admit(call));
	if (attempt == 0)
		TRY(pay(call));
	call->begun = 1;
	/* Before any key is looked up: a bad token must not tell which keys there are. */
	TRY(grants_check_tokens(call));
	TRY(prepare_call(call));
	if (!(call->op->flags & OP_CHANGES) && !locked)
		return act(call);
	TRY(act_in_transaction(call));
	*ret_audited = 1;
	return ERR_OK;
}

/* ---- In and out ---- */

static int is_exception(enum err e)
{
	return e <= ERR_KMS_ACCESS_DENIED && e >= ERR_KMS_OTHER;
}

static int is_silent(enum err e)
{
	return e == ERR_KMS_INVALID_CIPHERTEXT || e == ERR_KMS_INVALID_SIGNATURE || e == ERR_KMS_INVALID_MAC;
}

/* Everything that is no exception of AWS's is a failure of ours: the text says what happened to the person who runs this. */
static void fail(struct call *call, enum err e, struct engine_reply *reply)
{
	snprintf(reply->message, sizeof(reply->message), "%s", is_silent(e) ? "" : err_text(e));
	encode_utf8_repair(reply->message);
	reply->error = is_exception(e) ? e : ERR_KMS_INTERNAL;
	if (!is_exception(e))
		report(call->engine->reporter, REPORT_ERROR, "KMS %s: %s", call->operation, reply->message);
	json_decref(call->body);
	call->body = NULL;
}

/* @a: what became of the record. No answer of cryptography without one; a refusal stays one, and that it went unrecorded is reported. */
static void settle(struct call *call, enum err a, struct engine_reply *reply)
{
	if (a != ERR_OK && reply->error == ERR_OK)
		fail(call, a, reply);
	else if (a != ERR_OK)
		report(call->engine->reporter, REPORT_ERROR, "KMS %s: %s", call->operation, err_text(a));
	if (reply->error == ERR_OK)
		usage_note(call);
	reply->body = STEAL(call->body);
}

/* Refused before it was an operation, and there are too many such: it is counted instead of recorded. */
static int is_only_counted(const struct call *call, const struct engine_reply *reply)
{
	return reply->error != ERR_OK && !call->begun &&
	       !refusals_admit(call->engine, call->caller->account, reply->error);
}

/* ERR_STALE: nothing of this attempt counts. */
static enum err finish(struct call *call, enum err e, int audited, struct engine_reply *reply)
{
	enum err a = ERR_OK;

	if (e != ERR_OK)
		fail(call, e, reply);
	if (is_only_counted(call, reply))
		return ERR_OK;
	if (!audited)
		a = audit_append(call, reply->error, reply->message);
	if (a == ERR_STALE)
		return a;
	settle(call, a, reply);
	return ERR_OK;
}

/* A caller must not be able to keep its call out of the audit trail by what it sends. */
static struct engine_caller fit_for_record(const struct engine_caller *caller)
{
	struct engine_caller fit = *caller;

	encode_utf8_repair(fit.arn);
	encode_utf8_repair(fit.access_key_id);
	encode_utf8_repair(fit.source_ip);
	encode_utf8_repair(fit.user_agent);
	return fit;
}

static struct call call_of(struct engine *engine, const struct engine_caller *caller, const char *operation)
{
	const struct operation *op = operations_find(operation);

	return (struct call){.engine = engine,
		.caller = caller,
		.region = caller->region[0] != '\0' ? caller->region : engine->region,
		.op = op,
		.members = op != NULL ? op->members : NULL,
		.operation = operation,
		.now = engine->clock->wall(engine->clock),
		.generation = store_generation(engine->store)};
}

static void begin(struct call *call, const json_t *request, struct engine_reply *reply)
{
	random_uuid_text(reply->request_id);
	random_uuid_text(call->event_id);
	call->request_id = reply->request_id;
	call->request = request;
}

static enum err attempt_call(struct engine *engine, const struct engine_caller *who, const char *operation,
	const json_t *request, int attempt, struct pkey_bytes *prepared, struct engine_reply *reply)
{
	struct call call = call_of(engine, who, operation);
	int audited = 0;
	enum err e = attempt > 0 ? access_key_stands(engine, who) : ERR_OK;

	begin(&call, request, reply);
	call.prepared = *prepared;
	if (attempt >= ATTEMPTS_WITHOUT_LOCK)
		call.generation = AUDIT_ANY_GENERATION;
	if (e == ERR_OK)
		e = run(&call, attempt, &audited);
	e = finish(&call, e, audited, reply);
	json_decref(call.body);
	json_decref(call.additional);
	*prepared = call.prepared; /* what took long to make is not made again */
	return e;
}

/* Again and again until it rests on a keystore that is as it was. */
static void call_from(struct engine *engine, const struct engine_caller *who, const char *operation,
	const json_t *request, int attempt, struct pkey_bytes *prepared, struct engine_reply *ret_reply)
{
	enum err e = ERR_STALE;

	for (; e == ERR_STALE; attempt++) {
		struct engine_reply reply = {.error = ERR_OK};

		e = attempt_call(engine, who, operation, request, attempt, prepared, &reply);
		*ret_reply = reply;
	}
}

void engine_call(struct engine *engine, const struct engine_caller *caller, const char *operation,
	const json_t *request, struct engine_reply *ret_reply)
{
	const struct engine_caller who = fit_for_record(caller);
	struct pkey_bytes prepared AUTO_PKEY_BYTES = {NULL, 0};

	call_from(engine, &who, operation, request, 0, &prepared, ret_reply);
}

/* ---- In two halves ---- */

struct engine_pending {
	struct engine_caller who;
	struct call call;
	struct engine_reply reply;
	struct audit_entry record;
	json_t *request;
};

static void pending_free(struct engine_pending *p)
{
	pkey_bytes_auto(&p->call.prepared);
	json_decref(p->call.body);
	json_decref(p->call.additional);
	json_decref(p->request);
	secret_wipe(p, sizeof(*p));
	free(p);
}

/* A change writes its record itself, in its own transaction. */
static int can_wait(const struct operation *op)
{
	return op != NULL && !(op->flags & OP_CHANGES);
}

/* 1: its record is to be written. 0: that was all, without one. */
static int run_pending(struct engine_pending *p)
{
	int audited;
	enum err e;

	begin(&p->call, p->request, &p->reply);
	e = run(&p->call, 0, &audited);
	if (e != ERR_OK)
		fail(&p->call, e, &p->reply);
	if (is_only_counted(&p->call, &p->reply))
		return 0;
	e = audit_prepare(&p->call, p->reply.error, p->reply.message, &p->record);
	if (e == ERR_OK)
		return 1;
	settle(&p->call, e, &p->reply);
	return 0;
}

struct engine_pending *engine_call_begin(struct engine *engine, const struct engine_caller *caller,
	const char *operation, json_t *request, struct engine_reply *ret_reply)
{
	const struct operation *op = operations_find(operation);
	struct engine_pending *p = can_wait(op) ? calloc(1, sizeof(*p)) : NULL;

	if (p == NULL) {
		engine_call(engine, caller, operation, request, ret_reply);
		return NULL;
	}
	p->who = fit_for_record(caller);
	p->request = json_incref(request);
	p->call = call_of(engine, &p->who, op->name);
	if (run_pending(p))
		return p;
	*ret_reply = p->reply;
	pending_free(p);
	return NULL;
}

int engine_call_commit(struct engine_pending *p, void (*written)(void *context), void *context)
{
	p->record.written = written;
	p->record.context = context;
	if (written != NULL && audit_queue_put(p->call.engine, &p->record))
		return 1;
	p->record.written = NULL;
	audit_queue_wait(p->call.engine, &p->record);
	return 0;
}

void engine_call_end(struct engine_pending *p, struct engine_reply *ret_reply)
{
	enum err a = audit_outcome(&p->record);

	if (a != ERR_STALE) {
		settle(&p->call, a, &p->reply);
		*ret_reply = p->reply;
	} else {
		call_from(p->call.engine, &p->who, p->call.operation, p->request, 1, &p->call.prepared, ret_reply);
	}
	pending_free(p);
}

enum err engine_committer_start(struct engine *engine)
{
	return audit_committer_start(engine);
}

void engine_committer_stop(struct engine *engine)
{
	audit_committer_stop(engine);
}

void engine_audit_refusal(struct engine *engine, const struct engine_caller *caller, const char *operation,
	enum err error, const char *message, const char *request_id)
{
	const struct engine_caller who = fit_for_record(caller);
	struct call call = call_of(engine, &who, operation);
	char text[sizeof(((struct engine_reply *)0)->message)];

	snprintf(text, sizeof(text), "%s", message);
	encode_utf8_repair(text);
	call.request_id = request_id;
	random_uuid_text(call.event_id);
	call.generation = AUDIT_ANY_GENERATION;
	if (!refusals_admit(engine, who.arn[0] != '\0' ? who.account : "", error))
		return;
	if (audit_append(&call, error, text) != ERR_OK)
		report(engine->reporter, REPORT_ERROR, "KMS %s: a refused request went unrecorded", operation);
}
