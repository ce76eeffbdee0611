/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "kms/base/secret.h"

enum { NS_PER_MS = 1000000, MAX_IDLE_CONNECTIONS = 8 };

/* One easy handle keeps one connection alive. Owned by one exchange, or idle in the list. */
struct connection {
	CURL *curl;
	struct connection *next;
	char error[CURL_ERROR_SIZE];
};

/*
 * Invariants, under @lock: 1. @idle is a chain of @idle_count connections, none of which is in use.
 * 2. idle_count <= MAX_IDLE_CONNECTIONS.
 */
struct http_client {
	struct http_client_config config;
	char *ca_file;
	pthread_mutex_t lock;
	struct connection *idle;
	size_t idle_count;
};

static void install_curl(void)
{
	/* Request and response bodies carry plaintext keys: libcurl's blocks are wiped when freed. */
	curl_global_init_mem(CURL_GLOBAL_DEFAULT, secret_heap_malloc, secret_heap_free, secret_heap_realloc,
		secret_heap_strdup, secret_heap_calloc);
}

static size_t take_body(char *p, size_t size, size_t n, void *context)
{
	struct http_answer *a = context;

	text_add(&a->body, p, size * n);
	return text_end(&a->body) == ERR_OK ? size * n : 0;
}

static size_t take_header(char *p, size_t size, size_t n, void *context)
{
	static const char name[] = "x-amzn-errortype:";
	struct http_answer *a = context;
	size_t len = size * n, skip = sizeof(name) - 1;

	if (len <= skip || strncasecmp(p, name, skip) != 0)
		return len;
	while (skip < len && p[skip] == ' ')
		skip++;
	snprintf(a->error_type, sizeof(a->error_type), "%.*s", (int)strcspn(p + skip, "\r\n"), p + skip);
	return len;
}

static void set_transport(const struct http_client *c, CURL *curl)
{
	switch (c->config.endpoint.kind) {
	case ENDPOINT_UNIX:
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->config.endpoint.path);
		break;
	case ENDPOINT_AGENT:
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, wire_agent_socket(c->config.agent));
		break;
	case ENDPOINT_HTTPS:
		curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
		if (c->ca_file)
			curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
		break;
	case ENDPOINT_HTTP:
		break;
	}
}

static void set_fixed_options(const struct http_client *c, struct connection *n)
{
	CURL *curl = n->curl;

	curl_easy_setopt(curl, CURLOPT_URL, c->config.endpoint.url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(c->config.connect_timeout / NS_PER_MS));
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(c->config.total_timeout / NS_PER_MS));
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, n->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	set_transport(c, curl);
}

static void connection_free(struct connection *n)
{
	if (!n)
		return;
	curl_easy_cleanup(n->curl);
	free(n);
}

static struct connection *connection_take(struct http_client *c)
{
	struct connection *n;

	pthread_mutex_lock(&c->lock);
	n = c->idle;
	if (n) {
		c->idle = n->next;
		c->idle_count--;
	}
	pthread_mutex_unlock(&c->lock);
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->curl = curl_easy_init();
	if (!n->curl) {
		free(n);
		return NULL;
	}
	set_fixed_options(c, n);
	return n;
}

static void connection_give_back(struct http_client *c, struct connection *n)
{
	pthread_mutex_lock(&c->lock);
	assert(c->idle_count <= MAX_IDLE_CONNECTIONS);
	if (c->idle_count < MAX_IDLE_CONNECTIONS) {
		n->next = c->idle;
		c->idle = n;
		c->idle_count++;
		n = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	connection_free(n);
}

static enum http_outcome outcome_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_WRITE_ERROR: /* our own refusal of a body beyond HTTP_ANSWER_MAX */
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP_RETURNED_ERROR:
	case CURLE_BAD_CONTENT_ENCODING:
		return HTTP_UNUSABLE;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_URL_MALFORMAT:
		return HTTP_HOPELESS;
	default:
		return HTTP_TRANSPORT;
	}
}

static void explain(const struct http_client *c, const struct connection *n, CURLcode code, struct http_answer *answer)
{
	const char *text = n->error[0] ? n->error : curl_easy_strerror(code);

	answer->outcome = outcome_of(code);
	if (answer->outcome == HTTP_ANSWERED)
		return;
	if (code == CURLE_WRITE_ERROR)
		text = "the answer is larger than a KMS answers";
	if (code == CURLE_COULDNT_CONNECT && c->config.endpoint.kind == ENDPOINT_AGENT) {
		answer->outcome = HTTP_HOPELESS;
		text = "the agent has ended";
	}
	snprintf(answer->cause, sizeof(answer->cause), "%s", text);
}

static struct curl_slist *header_list(const struct sigv4_header *headers, size_t count)
{
	/* No Expect: our bodies are small, and waiting for "100 Continue" costs a round trip. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *longer = list;

	for (size_t i = 0; list && i < count; i++) {
		struct text line AUTO_TEXT;

		text_init(&line, 8192);
		text_puts(&line, headers[i].name);
		text_puts(&line, ": ");
		text_puts(&line, headers[i].value);
		longer = text_end(&line) == ERR_OK ? curl_slist_append(list, text_str(&line)) : NULL;
		if (!longer)
			break;
	}
	if (!longer) {
		curl_slist_free_all(list);
		return NULL;
	}
	return list;
}

static void perform(const struct http_client *c, struct connection *n, struct curl_slist *headers, const char *body,
	size_t body_len, struct http_answer *answer)
{
	CURLcode code;

	n->error[0] = '\0';
	curl_easy_setopt(n->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(n->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
	curl_easy_setopt(n->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(n->curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(n->curl, CURLOPT_HEADERDATA, answer);
	code = curl_easy_perform(n->curl);
	curl_easy_getinfo(n->curl, CURLINFO_RESPONSE_CODE, &answer->status);
	/* The body is the caller's and may hold a plaintext: leave no pointer to it behind. */
	curl_easy_setopt(n->curl, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(n->curl, CURLOPT_HTTPHEADER, NULL);
	explain(c, n, code, answer);
}

void http_client_post(struct http_client *c, const struct sigv4_header *headers, size_t header_count, const char *body,
	size_t body_len, struct http_answer *ret_answer)
{
	struct curl_slist *list = header_list(headers, header_count);
	struct connection *n = connection_take(c);

	*ret_answer = (struct http_answer){.outcome = HTTP_HOPELESS, .cause = "out of memory"};
	text_init(&ret_answer->body, HTTP_ANSWER_MAX);
	if (list && n)
		perform(c, n, list, body, body_len, ret_answer);
	curl_slist_free_all(list);
	if (n)
		connection_give_back(c, n);
}

enum err http_client_new(const struct http_client_config *config, struct http_client **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *c = calloc(1, sizeof(*c));

	pthread_once(&once, install_curl);
	if (!c)
		return err_fail(ERR_NO_MEMORY, "no memory for a KMS client");
	c->config = *config;
	pthread_mutex_init(&c->lock, NULL);
	if (config->ca_file) {
		c->ca_file = strdup(config->ca_file);
		if (!c->ca_file) {
			http_client_free(c);
			return err_fail(ERR_NO_MEMORY, "no memory for a KMS client");
		}
	}
	*ret = c;
	return ERR_OK;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	while (c->idle) {
		struct connection *n = c->idle;

		c->idle = n->next;
		connection_free(n);
	}
	pthread_mutex_destroy(&c->lock);
	free(c->ca_file);
	free(c);
}
