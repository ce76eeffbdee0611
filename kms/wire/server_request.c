/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/server_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "kms/base/encode.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/base/secret.h"
#include "kms/wire/framing.h"
#include "kms/wire/sigv4.h"
#include "kms/wire/sts_query.h"

#define CONTENT_TYPE  "application/x-amz-json-1.1"
#define TARGET_PREFIX "TrentService."

/* Bodies over WIRE_BODY_MAX are read and dropped up to here, so that the client hears the answer; beyond, the line is cut. */
enum { DISCARD_MAX = 1024 * 1024, OPERATION_SIZE = 65 };

/* One request on its way in. */
struct request {
	struct text body; /* fails with ERR_LIMIT beyond WIRE_BODY_MAX */
	size_t received;
	/* While its record is being written the connection is suspended: */
	struct engine_pending *pending;
	uint64_t start;
	char operation[OPERATION_SIZE];
};

/* The same with its headers, while it is being answered. */
struct exchange {
	struct wire_server *server;
	struct MHD_Connection *connection;
	const struct peer *peer;
	struct request *request;
	struct sigv4_header headers[SIGV4_MAX_HEADERS];
	size_t header_count;
	int too_many_headers;
	char operation[OPERATION_SIZE];
	int is_sts; /* a form for STS instead of JSON for KMS */
	struct engine_caller caller;
};

static const struct peer *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* ---- Answers ---- */

/* @text is secret_heap memory and is given away. */
static enum MHD_Result respond(
	const struct exchange *x, unsigned status, const char *request_id, char *text, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer_with_free_callback(len, text, secret_heap_free);
	enum MHD_Result result;

	if (!r) {
		secret_heap_free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", x->is_sts ? "text/xml" : CONTENT_TYPE);
	MHD_add_response_header(r, "x-amzn-RequestId", request_id);
	if (atomic_load(&x->server->draining))
		MHD_add_response_header(r, "Connection", "close");
	result = MHD_queue_response(x->connection, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result respond_json(
	const struct exchange *x, unsigned status, const char *request_id, const json_t *body)
{
	size_t len = 0;
	char *text = body ? json_text(body, &len) : secret_heap_strdup("");

	return text ? respond(x, status, request_id, text, len) : MHD_NO;
}

static enum MHD_Result respond_exception(const struct exchange *x, unsigned status, const char *request_id,
	const char *type, const char *member, const char *message)
{
	json_t *body AUTO_JSON = json_pack("{s:s}", "__type", type);

	if (!body || (message[0] && json_object_set_new(body, member, json_string(message)) != 0))
		return MHD_NO;
	return respond_json(x, status, request_id, body);
}

static enum MHD_Result respond_sts(const struct exchange *x, const struct engine_sts_reply *reply)
{
	struct text xml AUTO_TEXT;
	char *copy;

	text_init(&xml, WIRE_BODY_MAX);
	sts_query_answer(x->operation, reply, &xml);
	copy = text_end(&xml) == ERR_OK ? secret_heap_strdup(text_str(&xml)) : NULL;
	return copy ? respond(x, reply->status, reply->request_id, copy, strlen(copy)) : MHD_NO;
}

static enum MHD_Result respond_sts_error(
	const struct exchange *x, enum err e, const char *message, const char *request_id)
{
	struct engine_sts_reply reply = {.status = 500};

	reply.code = engine_sts_code(e, &reply.status);
	snprintf(reply.message, sizeof(reply.message), "%s", message);
	snprintf(reply.request_id, sizeof(reply.request_id), "%s", request_id);
	return respond_sts(x, &reply);
}

static enum MHD_Result respond_error(const struct exchange *x, enum err e, const char *message, const char *request_id)
{
	const char *member = e == ERR_KMS_ACCESS_DENIED ? "Message" : "message";

	return respond_exception(x, (unsigned)err_to_http_status(e), request_id, err_to_exception(e), member, message);
}

/* Refused before an operation began. Who it was is as far as we know: over TCP nothing is proven yet. */
static enum MHD_Result refuse(struct exchange *x, enum err e, const char *message)
{
	char id[UUID_TEXT + 1], text[1024];

	/* The engine may fail on its way and leave a text of its own. */
	snprintf(text, sizeof(text), "%s", message);
	encode_utf8_repair(text); /* it may quote a header */
	random_uuid_text(id);
	metrics_count(x->server->metrics, "", e, 0);
	engine_audit_refusal(x->server->config.engine, &x->caller, x->operation, e, text, id);
	return x->is_sts ? respond_sts_error(x, e, text, id) : respond_error(x, e, text, id);
}

static enum MHD_Result respond_outside(const struct exchange *x, unsigned status, const char *type)
{
	char id[UUID_TEXT + 1];

	random_uuid_text(id);
	return respond_exception(x, status, id, type, "message", "");
}

/* How busy the service is, and with what, is for those who run it: they are on this machine. */
static int is_near(const struct peer *p)
{
	return p->local || !strncmp(p->address, "127.", 4) || !strcmp(p->address, "::1");
}

/* ---- The request's parts ---- */

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct exchange *x = context;

	(void)kind;
	if (x->header_count == SIGV4_MAX_HEADERS) {
		x->too_many_headers = 1;
		return MHD_NO;
	}
	x->headers[x->header_count++] = (struct sigv4_header){name, value ? value : ""};
	return MHD_YES;
}

static const char *header(const struct exchange *x, const char *name)
{
	for (size_t i = 0; i < x->header_count; i++)
		if (!strcasecmp(x->headers[i].name, name))
			return x->headers[i].value;
	return "";
}

/* "TrentService.Decrypt"; anything else leaves the operation empty. The name's form keeps the audit trail clean. */
static void read_operation(struct exchange *x)
{
	const char *target = header(x, "X-Amz-Target");
	size_t prefix = strlen(TARGET_PREFIX), len;

	if (strncmp(target, TARGET_PREFIX, prefix) != 0)
		return;
	len = strspn(target + prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
	if (target[prefix + len] || len >= sizeof(x->operation))
		return;
	memcpy(x->operation, target + prefix, len + 1);
}

static int is_amazon_json(const char *content_type)
{
	size_t len = strlen(CONTENT_TYPE);

	return !strncasecmp(content_type, CONTENT_TYPE, len) && (!content_type[len] || strchr("; ", content_type[len]));
}

/* ---- Who calls ---- */

static void describe_caller(struct exchange *x)
{
	snprintf(x->caller.source_ip, sizeof(x->caller.source_ip), "%s", x->peer->address);
	snprintf(x->caller.user_agent, sizeof(x->caller.user_agent), "%s", header(x, "User-Agent"));
	x->caller.secure =
		x->peer->local || MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) != NULL;
}

/* Our own client names its region in a header of its own: there is no signature to carry it. */
static enum err identify_local(struct exchange *x)
{
	const char *region = header(x, "X-Signetfs-Region");

	TRY(engine_caller_for_uid(x->server->config.engine, x->peer->uid, &x->caller));
	describe_caller(x);
	if (strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region) ||
		strlen(region) >= sizeof(x->caller.region))
		return err_fail(ERR_KMS_VALIDATION, "X-Signetfs-Region is no region name");
	if (region[0])
		snprintf(x->caller.region, sizeof(x->caller.region), "%s", region);
	return ERR_OK;
}

/* The rest of the caller is of the request. */
static void take_identity(struct exchange *x, const struct engine_caller *who)
{
	struct engine_caller *c = &x->caller;

	memcpy(c->account, who->account, sizeof(c->account));
	memcpy(c->arn, who->arn, sizeof(c->arn));
	memcpy(c->role, who->role, sizeof(c->role));
	memcpy(c->user_id, who->user_id, sizeof(c->user_id));
	memcpy(c->session_policy, who->session_policy, sizeof(c->session_policy));
	c->principal = who->principal;
	c->token_issued = who->token_issued;
}

static enum err check_signature(struct exchange *x, const struct sigv4_request *request,
	const struct sigv4_claim *claim, struct engine_access_key *key)
{
	TRY(engine_find_access_key(
		x->server->config.engine, claim->access_key_id, header(x, "X-Amz-Security-Token"), key));
	TRY(sigv4_verify(request, claim, key->secret, x->server->keys));
	take_identity(x, &key->who);
	return ERR_OK;
}

static enum err identify_signed(struct exchange *x)
{
	const struct clock *clock = x->server->clock;
	struct sigv4_request request = {
		"POST", "/", "", x->headers, x->header_count, text_str(&x->request->body), x->request->body.len};
	struct engine_access_key key = {.secret = ""};
	struct sigv4_claim claim;
	enum err e;

	describe_caller(x);
	TRY(sigv4_read_claim(&request, x->is_sts ? "sts" : "kms", clock->wall(clock), &claim));
	_Static_assert(sizeof(claim.access_key_id) <= sizeof(x->caller.access_key_id), "an access key id fits");
	_Static_assert(sizeof(claim.scope.region) <= sizeof(x->caller.region), "a region fits");
	memcpy(x->caller.access_key_id, claim.access_key_id, sizeof(claim.access_key_id));
	memcpy(x->caller.region, claim.scope.region, sizeof(claim.scope.region));
	e = check_signature(x, &request, &claim, &key);
	secret_wipe(&key, sizeof(key));
	if (e == ERR_KMS_UNRECOGNIZED_CLIENT)
		return err_fail(e, "The security token included in the request is invalid.");
	return e;
}

/* ---- One request ---- */

static enum MHD_Result respond_reply(const struct exchange *x, uint64_t start, struct engine_reply *reply)
{
	enum MHD_Result result;

	metrics_count(x->server->metrics, reply->error == ERR_KMS_UNKNOWN_OPERATION ? "" : x->operation, reply->error,
		clock_system()->monotonic(clock_system()) - start);
	if (reply->error == ERR_OK)
		result = respond_json(x, MHD_HTTP_OK, reply->request_id, reply->body);
	else
		result = respond_error(x, reply->error, reply->message, reply->request_id);
	json_decref(reply->body);
	return result;
}

static void resume(void *connection)
{
	MHD_resume_connection(connection);
}

/* The reply is there once the record is written, or could not be. */
static enum MHD_Result answer_pending(const struct exchange *x, struct request *r)
{
	struct engine_reply reply = {.error = ERR_KMS_INTERNAL};

	engine_call_end(STEAL(r->pending), &reply);
	return respond_reply(x, r->start, &reply);
}

/*
 * This thread goes on with other connections until the record is written; then the request comes to answer_resumed(). Where no other
 * request is under way, waking two threads would take longer than writing it here.
 */
static enum MHD_Result call_engine(struct exchange *x, json_t *arguments)
{
	struct engine_reply reply = {.error = ERR_KMS_INTERNAL};
	struct request *r = x->request;

	r->start = clock_system()->monotonic(clock_system());
	r->pending = engine_call_begin(x->server->config.engine, &x->caller, x->operation, arguments, &reply);
	if (!r->pending)
		return respond_reply(x, r->start, &reply);
	if (atomic_load(&x->server->active) == 1) {
		engine_call_commit(r->pending, NULL, NULL);
		return answer_pending(x, r);
	}
	memcpy(r->operation, x->operation, sizeof(r->operation));
	MHD_suspend_connection(x->connection); /* before it may be resumed */
	if (!engine_call_commit(r->pending, resume, x->connection))
		resume(x->connection);
	return MHD_YES;
}

static enum MHD_Result answer_resumed(struct wire_server *s, struct MHD_Connection *connection, struct request *r)
{
	struct exchange x = {.server = s, .connection = connection};

	memcpy(x.operation, r->operation, sizeof(x.operation));
	return answer_pending(&x, r);
}

/* The client hung up while its record was written: nobody hears the answer, and the call is on the trail all the same. */
static void drop_pending(struct request *r)
{
	struct engine_reply reply = {.error = ERR_KMS_INTERNAL};

	if (!r->pending)
		return;
	engine_call_end(STEAL(r->pending), &reply);
	json_decref(reply.body);
}

/* STS is asked with a form that names the action itself, and without X-Amz-Target. */
static enum err read_form(struct exchange *x, json_t **ret)
{
	json_t *form AUTO_JSON = NULL;
	const char *action;

	TRY(sts_query_parse(text_str(&x->request->body), x->request->body.len, &form));
	action = json_string_value(json_object_get(form, "Action"));
	if (!action || !action[0] || strlen(action) >= sizeof(x->operation) ||
		strspn(action, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != strlen(action))
		return err_fail(ERR_KMS_UNKNOWN_OPERATION, "The request names no action.");
	memcpy(x->operation, action, strlen(action) + 1);
	*ret = STEAL(form);
	return ERR_OK;
}

static enum MHD_Result answer_sts(struct exchange *x)
{
	struct engine_sts_reply reply = {.status = 500};
	json_t *form AUTO_JSON = NULL;
	enum MHD_Result result;
	enum err e;

	x->is_sts = 1;
	e = read_form(x, &form);
	if (e == ERR_OK)
		e = x->peer->local ? identify_local(x) : identify_signed(x);
	if (e != ERR_OK)
		return refuse(x, e, err_to_http_status(e) == 500 ? "" : err_text(e));
	engine_sts_call(x->server->config.engine, &x->caller, x->operation, form, &reply);
	result = respond_sts(x, &reply);
	json_decref(reply.result);
	return result;
}

static int is_form(const struct exchange *x)
{
	return !strncasecmp(header(x, "Content-Type"), STS_QUERY_CONTENT_TYPE, strlen(STS_QUERY_CONTENT_TYPE)) &&
	       !header(x, "X-Amz-Target")[0];
}

static enum MHD_Result answer_operation(struct exchange *x)
{
	json_t *arguments AUTO_JSON = NULL;
	enum err e = x->peer->local ? identify_local(x) : identify_signed(x);

	if (e != ERR_OK && err_to_http_status(e) == 500) {
		report(x->server->config.reporter, REPORT_ERROR, "cannot tell who calls: %s", err_text(e));
		return refuse(x, ERR_KMS_INTERNAL, "");
	}
	if (e != ERR_OK)
		return refuse(x, e, err_text(e));
	if (!x->operation[0] || !is_amazon_json(header(x, "Content-Type")))
		return refuse(x, ERR_KMS_UNKNOWN_OPERATION, "");
	/* The parser's own text may quote the body, and a body may hold a plaintext. */
	e = json_parse(text_str(&x->request->body), x->request->body.len, &arguments);
	if (e != ERR_OK || !json_is_object(arguments))
		return refuse(x, ERR_KMS_SERIALIZATION, "The request body is not one well-formed JSON object.");
	return call_engine(x, arguments);
}

static int has_query(struct MHD_Connection *connection)
{
	return MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0;
}

static enum MHD_Result answer(struct wire_server *s, struct MHD_Connection *connection, const char *url,
	const char *method, struct request *r)
{
	struct exchange x = {.server = s, .connection = connection, .peer = peer_of(connection), .request = r};

	assert(x.peer);
	if (!strcmp(url, "/healthz") && (!strcmp(method, "GET") || !strcmp(method, "HEAD")))
		return server_health(connection);
	if (!strcmp(url, "/metrics") && !strcmp(method, "GET") && is_near(x.peer))
		return server_metrics(x.server, connection);
	if (strcmp(url, "/") != 0 || strcmp(method, "POST") != 0 || has_query(connection))
		return respond_outside(&x, MHD_HTTP_NOT_FOUND, "UnknownOperationException");
	if (r->received > WIRE_BODY_MAX)
		return respond_outside(&x, MHD_HTTP_CONTENT_TOO_LARGE, "RequestEntityTooLargeException");
	MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &x);
	if (x.too_many_headers)
		return respond_outside(
			&x, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestHeaderSectionTooLargeException");
	if (is_form(&x))
		return answer_sts(&x);
	read_operation(&x);
	return answer_operation(&x);
}

static enum MHD_Result begin(struct wire_server *s, struct MHD_Connection *connection, void **ret)
{
	struct request *r;

	if (!peer_of(connection))
		return MHD_NO;
	/* Answered before the body is read: the library closes the connection behind it. */
	if (!framing_is_sound(connection)) {
		const struct exchange x = {.server = s, .connection = connection};

		return respond_outside(&x, MHD_HTTP_BAD_REQUEST, "MalformedHttpRequestException");
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return MHD_NO;
	text_init(&r->body, WIRE_BODY_MAX);
	atomic_fetch_add(&s->active, 1);
	*ret = r;
	return MHD_YES;
}

enum MHD_Result server_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_len, void **request)
{
	struct request *r = *request;

	(void)version;
	if (!r)
		return begin(context, connection, request);
	if (!*upload_len)
		return r->pending ? answer_resumed(context, connection, r)
				  : answer(context, connection, url, method, r);
	r->received += *upload_len;
	if (r->received > DISCARD_MAX)
		return MHD_NO;
	text_add(&r->body, upload, *upload_len);
	*upload_len = 0;
	return MHD_YES;
}

void server_request_completed(
	void *context, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode how)
{
	const struct peer *p = peer_of(connection);
	struct wire_server *s = context;
	struct request *r = *request;

	(void)how;
	if (!r)
		return;
	*request = NULL;
	drop_pending(r);
	text_free(&r->body);
	free(r);
	atomic_fetch_sub(&s->active, 1);
	if (!p)
		return;
	pthread_mutex_lock(&s->lock);
	((struct peer *)(uintptr_t)p)->last_done = clock_system()->monotonic(clock_system());
	pthread_mutex_unlock(&s->lock);
}
