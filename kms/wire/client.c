/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/client.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/wire/endpoint.h"
#include "kms/wire/http_client.h"
#include "kms/wire/sigv4.h"

#define CONTENT_TYPE   "application/x-amz-json-1.1"
#define TARGET_PREFIX  "TrentService."
#define DEFAULT_REGION "us-east-1"

enum { MAX_HEADERS = 8, BACKOFF_MAX_SHIFT = 20 };

struct credentials {
	char access_key_id[SIGV4_ACCESS_KEY_SIZE];
	char secret[129];
	char token[4096]; /* "" for none */
};

/* What has been seen: written by every thread that calls. */
struct seen {
	_Atomic uint64_t attempts, throttled, failed, retries, given_up;
	struct latency latency;
};

struct wire_client {
	struct kms kms; /* first: kms_call() hands us back this address */
	struct endpoint endpoint;
	char region[SIGV4_REGION_SIZE];
	struct credentials *credentials; /* secret memory; NULL on local transports */
	const struct clock *clock;
	uint64_t budget, base, cap;
	struct wire_agent *agent;
	struct http_client *http;
	struct seen *seen;
	char name[ENDPOINT_URL_SIZE]; /* of the endpoint, for people */
};

/* What one attempt came to. */
enum verdict { VERDICT_DONE, VERDICT_FINAL, VERDICT_AGAIN };

struct headers {
	struct sigv4_header list[MAX_HEADERS];
	size_t count;
	char date[SIGV4_DATE_SIZE];
	char target[sizeof(TARGET_PREFIX) + 64];
	struct text authorization;
};

static void add_header(struct headers *h, const char *name, const char *value)
{
	assert(h->count < MAX_HEADERS);
	h->list[h->count++] = (struct sigv4_header){name, value};
}

static enum err sign(const struct wire_client *c, struct headers *h, const char *body, size_t body_len)
{
	const struct credentials *k = c->credentials;
	const char *signed_headers = k->token[0] ? "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
						 : "content-type;host;x-amz-date;x-amz-target";
	struct sigv4_request request = {"POST", "/", "", NULL, 0, body, body_len};
	struct sigv4_scope scope = {.service = "kms"};
	char signature[SIGV4_SIGNATURE_SIZE];

	if (k->token[0])
		add_header(h, "X-Amz-Security-Token", k->token);
	request.headers = h->list;
	request.header_count = h->count;
	snprintf(scope.date, sizeof(scope.date), "%s", h->date);
	snprintf(scope.region, sizeof(scope.region), "%s", c->region);
	TRY(sigv4_sign(&request, signed_headers, &scope, k->secret, signature));
	sigv4_put_authorization(&h->authorization, k->access_key_id, &scope, signed_headers, signature);
	TRY(text_end(&h->authorization));
	add_header(h, "Authorization", text_str(&h->authorization));
	return ERR_OK;
}

static enum err make_headers(
	const struct wire_client *c, const char *operation, const char *body, size_t body_len, struct headers *h)
{
	h->count = 0;
	text_init(&h->authorization, 8192);
	sigv4_date(c->clock->wall(c->clock), h->date);
	if (strlen(operation) > 64)
		return err_fail(ERR_USAGE, "'%.64s…' is no KMS operation", operation);
	snprintf(h->target, sizeof(h->target), TARGET_PREFIX "%s", operation);
	add_header(h, "Host", c->endpoint.host);
	add_header(h, "Content-Type", CONTENT_TYPE);
	add_header(h, "User-Agent", "signetfs/" SIGNETFS_VERSION);
	add_header(h, "X-Amz-Date", h->date);
	add_header(h, "X-Amz-Target", h->target);
	if (c->credentials)
		return sign(c, h, body, body_len);
	add_header(h, "X-Signetfs-Region", c->region);
	return ERR_OK;
}

static enum err bad_answer(const struct wire_client *c, const char *operation, const char *why)
{
	return err_fail(ERR_KMS_PROTOCOL,
		"%s answered %s with what no KMS answers: %s; check that the endpoint is a KMS", c->name, operation,
		why);
}

static enum verdict judge_success(const struct wire_client *c, const char *operation, const struct http_answer *a,
	enum err *ret_error, json_t **ret)
{
	json_t *value = NULL;

	/* Some operations have an empty answer. */
	if (!a->body.len) {
		value = json_object();
	} else if (json_parse(text_str(&a->body), a->body.len, &value) != ERR_OK || !json_is_object(value)) {
		json_decref(value);
		*ret_error = bad_answer(c, operation, "not a JSON object");
		return VERDICT_FINAL;
	}
	*ret = value;
	return value ? VERDICT_DONE : VERDICT_AGAIN;
}

/* Throttling, and what the service itself says is its own trouble. */
static int may_go_better(long status, enum err e)
{
	return status == 429 || status >= 500 || e == ERR_KMS_THROTTLING || e == ERR_KMS_INTERNAL ||
	       e == ERR_KMS_KEY_UNAVAILABLE || e == ERR_KMS_DEPENDENCY_TIMEOUT;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static enum verdict judge_error(
	const struct wire_client *c, const char *operation, struct http_answer *a, enum err *ret_error)
{
	json_t *value AUTO_JSON = NULL;
	const char *type = NULL, *message = NULL;
	char status[48];
	enum err e;

	if (a->body.len && json_parse(text_str(&a->body), a->body.len, &value) == ERR_OK) {
		type = json_string_value(json_object_get(value, "__type"));
		message = json_string_value(json_object_get(value, "message"));
		if (!message)
			message = json_string_value(json_object_get(value, "Message"));
	}
	if (!type && a->error_type[0])
		type = a->error_type;
	snprintf(status, sizeof(status), "HTTP status %ld", a->status);
	e = type ? err_from_exception(type) : ERR_KMS_OTHER;
	if (may_go_better(a->status, e)) {
		count(e == ERR_KMS_THROTTLING || a->status == 429 ? &c->seen->throttled : &c->seen->failed);
		snprintf(a->cause, sizeof(a->cause), "%s%s%s", type ? type : status, message ? ": " : "",
			message ? message : "");
		return VERDICT_AGAIN;
	}
	if (!type)
		*ret_error = bad_answer(c, operation, status);
	else if (e == ERR_KMS_OTHER)
		*ret_error = err_fail(e, "%s%s%s", type, message ? ": " : "", message ? message : "");
	else
		*ret_error = err_fail(e, "%s", message ? message : err_to_exception(e));
	return VERDICT_FINAL;
}

static enum verdict judge(
	const struct wire_client *c, const char *operation, struct http_answer *a, enum err *ret_error, json_t **ret)
{
	switch (a->outcome) {
	case HTTP_TRANSPORT:
		count(&c->seen->failed);
		return VERDICT_AGAIN;
	case HTTP_UNUSABLE:
		*ret_error = bad_answer(c, operation, a->cause);
		return VERDICT_FINAL;
	case HTTP_HOPELESS:
		*ret_error = err_fail(
			ERR_KMS_UNREACHABLE, "cannot ask the KMS at %s for %s: %s", c->name, operation, a->cause);
		return VERDICT_FINAL;
	case HTTP_ANSWERED:
		break;
	}
	if (a->status == 200)
		return judge_success(c, operation, a, ret_error, ret);
	return judge_error(c, operation, a, ret_error);
}

/* Full jitter: anywhere between at once and the exponential bound, so that many clients do not come back together. */
static uint64_t backoff(const struct wire_client *c, unsigned attempt)
{
	uint64_t bound = c->base << (attempt < BACKOFF_MAX_SHIFT ? attempt : BACKOFF_MAX_SHIFT);

	return random_below((bound < c->cap ? bound : c->cap) + 1);
}

static const char *advice(const struct wire_client *c)
{
	switch (c->endpoint.kind) {
	case ENDPOINT_AGENT:
		return "the agent may be overloaded; look for its messages in the system log";
	case ENDPOINT_UNIX:
		return "check that `signetfs kms serve` listens on that socket and that you may open it";
	case ENDPOINT_HTTP:
	case ENDPOINT_HTTPS:
		break;
	}
	return "check the address, the network and that the service runs";
}

static enum err give_up(
	const struct wire_client *c, const char *operation, unsigned attempts, uint64_t spent, const char *cause)
{
	return err_fail(ERR_KMS_UNREACHABLE,
		"no usable answer to %s from the KMS at %s after %u attempts in %.1f s (%s); %s", operation, c->name,
		attempts, (double)spent / (double)CLOCK_SECOND, cause, advice(c));
}

static enum verdict attempt_once(const struct wire_client *c, const char *operation, const char *body, size_t body_len,
	struct http_answer *answer, enum err *ret_error, json_t **ret)
{
	struct headers h;
	enum verdict verdict = VERDICT_FINAL;
	enum err e = make_headers(c, operation, body, body_len, &h);

	if (e == ERR_OK) {
		count(&c->seen->attempts);
		http_client_post(c->http, h.list, h.count, body, body_len, answer);
		verdict = judge(c, operation, answer, ret_error, ret);
		text_free(&answer->body);
	} else {
		*ret_error = e;
	}
	text_free(&h.authorization);
	return verdict;
}

static enum err call_with_retries(
	const struct wire_client *c, const char *operation, const char *body, size_t body_len, json_t **ret)
{
	uint64_t start = c->clock->monotonic(c->clock);
	struct http_answer answer;

	for (unsigned attempt = 0;; attempt++) {
		enum err e = ERR_KMS_PROTOCOL;
		uint64_t pause, spent;

		switch (attempt_once(c, operation, body, body_len, &answer, &e, ret)) {
		case VERDICT_DONE:
			return ERR_OK;
		case VERDICT_FINAL:
			return e;
		case VERDICT_AGAIN:
			break;
		}
		pause = backoff(c, attempt);
		spent = c->clock->monotonic(c->clock) - start;
		if (spent + pause > c->budget) {
			count(&c->seen->given_up);
			return give_up(c, operation, attempt + 1, spent, answer.cause);
		}
		c->clock->sleep(c->clock, pause);
		count(&c->seen->retries);
	}
}

static enum err client_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	const struct wire_client *c = (const struct wire_client *)kms;
	size_t len;
	char *body = json_text(request, &len);
	enum err e;

	if (!body)
		return err_fail(ERR_NO_MEMORY, "no memory for a KMS request");
	uint64_t start = latency_now();
	e = call_with_retries(c, operation, body, len, ret_response);
	latency_note(&c->seen->latency, latency_now() - start);
	secret_heap_free(body);
	return e;
}

static void client_close(struct kms *kms)
{
	struct wire_client *c = (struct wire_client *)kms;

	http_client_free(c->http);
	wire_agent_stop(c->agent);
	secret_free(c->credentials);
	free(c->seen);
	free(c);
}

static void client_stats(struct kms *kms, struct kms_stats *ret)
{
	const struct seen *seen = ((const struct wire_client *)kms)->seen;

	*ret = (struct kms_stats){.attempts = seen->attempts,
		.throttled = seen->throttled,
		.failed = seen->failed,
		.retries = seen->retries,
		.given_up = seen->given_up};
	latency_summarize(&seen->latency, &ret->latency);
}

static const struct kms_ops client_ops = {.call = client_call, .close = client_close, .stats = client_stats};

static enum err copy_credentials(const struct wire_client_config *config, struct credentials *k)
{
	const char *token = config->session_token ? config->session_token : "";

	if (strlen(config->access_key_id) >= sizeof(k->access_key_id) ||
		strlen(config->secret_access_key) >= sizeof(k->secret) || strlen(token) >= sizeof(k->token))
		return err_fail(ERR_CONFIG, "the access key for the KMS is longer than any access key");
	snprintf(k->access_key_id, sizeof(k->access_key_id), "%s", config->access_key_id);
	snprintf(k->secret, sizeof(k->secret), "%s", config->secret_access_key);
	snprintf(k->token, sizeof(k->token), "%s", token);
	return ERR_OK;
}

static enum err set_credentials(struct wire_client *c, const struct wire_client_config *config)
{
	if (c->endpoint.kind == ENDPOINT_AGENT || c->endpoint.kind == ENDPOINT_UNIX)
		return ERR_OK;
	if (c->endpoint.kind == ENDPOINT_HTTP && !c->endpoint.loopback && !config->insecure_http)
		return err_fail(ERR_CONFIG,
			"%s would carry keys over the network in the clear: use https://, or permit it with "
			"insecure-http",
			c->name);
	if (!config->access_key_id || !config->access_key_id[0] || !config->secret_access_key)
		return err_fail(ERR_CONFIG,
			"the KMS at %s needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
			"(`signetfs kms create-access-key` makes a pair for a service of our own)",
			c->name);
	c->credentials = secret_alloc(sizeof(*c->credentials));
	if (!c->credentials)
		return err_fail(ERR_NO_MEMORY, "no locked memory for the KMS's credentials");
	return copy_credentials(config, c->credentials);
}

static uint64_t or_default(uint64_t value, uint64_t standard)
{
	return value ? value : standard;
}

static enum err client_setup(struct wire_client *c, const struct wire_client_config *config)
{
	struct http_client_config http = {
		.ca_file = config->ca_file,
		.connect_timeout = or_default(config->connect_timeout, 3 * CLOCK_SECOND),
		.total_timeout = or_default(config->attempt_timeout, 10 * CLOCK_SECOND),
	};
	const char *region = config->region && config->region[0] ? config->region : DEFAULT_REGION;

	c->clock = config->clock ? config->clock : clock_system();
	c->budget = or_default(config->retry_budget, 10 * CLOCK_SECOND);
	c->base = or_default(config->retry_base, CLOCK_SECOND / 20);
	c->cap = or_default(config->retry_cap, 2 * CLOCK_SECOND);
	TRY(endpoint_parse(config->endpoint, &c->endpoint));
	snprintf(c->name, sizeof(c->name), "%s", config->endpoint);
	if (strlen(region) >= sizeof(c->region) ||
		strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
		return err_fail(ERR_CONFIG, "'%s' is no region name", region);
	snprintf(c->region, sizeof(c->region), "%s", region);
	TRY(set_credentials(c, config));
	if (c->endpoint.kind == ENDPOINT_AGENT)
		TRY(wire_agent_start(&config->agent, &c->agent));
	http.endpoint = c->endpoint;
	http.agent = c->agent;
	return http_client_new(&http, &c->http);
}

enum err wire_client_connect(const struct wire_client_config *config, struct kms **ret)
{
	struct wire_client *c = calloc(1, sizeof(*c));
	enum err e;

	if (!c)
		return err_fail(ERR_NO_MEMORY, "no memory for a KMS client");
	c->kms.ops = &client_ops;
	c->seen = calloc(1, sizeof(*c->seen));
	e = c->seen ? client_setup(c, config) : err_fail(ERR_NO_MEMORY, "no memory for a KMS client");
	if (e != ERR_OK) {
		client_close(&c->kms);
		return e;
	}
	*ret = &c->kms;
	return ERR_OK;
}
