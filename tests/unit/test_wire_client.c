/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS client against a server that misbehaves by script: what is retried, what never is, what is said in the end. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/base/json.h"
#include "kms/wire/client.h"
#include "kms/wire/http_client.h"
#include "kms/wire/sigv4.h"
#include "tests/support/script_server.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define WALL     (UINT64_C(1440938160) * CLOCK_SECOND) /* 2015-08-30T12:36:00Z */
#define SECRET   "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define OK_STEP                                                                                                        \
	{                                                                                                              \
		.status = 200, .body = "{\"Fine\":true}"                                                               \
	}

static struct clock_fake fake_clock;
static uint64_t started;

/* Of the fake clock, by the pauses between attempts. */
static uint64_t waited(void)
{
	return fake_clock.now - started;
}

static struct wire_client_config config_for(const struct script_server *s)
{
	clock_fake_init(&fake_clock, WALL);
	started = fake_clock.now;
	return (struct wire_client_config){
		.endpoint = script_server_endpoint(s),
		.access_key_id = "AKIDEXAMPLE",
		.secret_access_key = SECRET,
		.clock = &fake_clock.clock,
	};
}

static struct kms *connect_to(const struct script_server *s)
{
	struct wire_client_config config = config_for(s);
	struct kms *kms = NULL;

	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	return kms;
}

/* One ListKeys; the answer is dropped. */
static enum err call(struct kms *kms)
{
	json_t *request AUTO_JSON = json_object(), *response AUTO_JSON = NULL;
	enum err e = kms_call(kms, "ListKeys", request, &response);

	if (e == ERR_OK)
		assert_true(json_is_object(response));
	else
		assert_null(response);
	return e;
}

/* Play @steps to one call; returns its error, and how many requests it made. */
static enum err play(const struct script_step *steps, size_t count, unsigned *ret_requests)
{
	struct script_server *s = script_server_start(NULL, steps, count);
	struct kms *kms = connect_to(s);
	enum err e = call(kms);

	*ret_requests = script_server_requests(s);
	kms_close(kms);
	script_server_stop(s);
	return e;
}

/* ---- What is sent ---- */

/* Take a raw request apart in place, as a server would. */
static size_t parse_request(char *text, struct sigv4_header *headers, size_t max, char **ret_body)
{
	char *line = strstr(text, "\r\n") + 2;
	size_t n = 0;

	while (strncmp(line, "\r\n", 2) != 0) {
		char *colon = strchr(line, ':'), *end = strstr(line, "\r\n");

		assert_true(n < max && colon && end);
		*colon = *end = '\0';
		headers[n++] = (struct sigv4_header){line, colon + 1 + strspn(colon + 1, " ")};
		line = end + 2;
	}
	*ret_body = line + 2;
	return n;
}

static const char *find_header(const struct sigv4_header *headers, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(headers[i].name, name))
			return headers[i].value;
	return NULL;
}

static void check_sent(const char *raw, const char *token)
{
	struct sigv4_header headers[32];
	struct sigv4_claim claim;
	char *text = strdup(raw), *body;
	size_t n = parse_request(text, headers, COUNT(headers), &body);
	struct sigv4_request request = {"POST", "/", "", headers, n, body, strlen(body)};

	assert_memory_equal(text, "POST / HTTP/1.1\r\n", 17);
	assert_string_equal(body, "{\"KeyId\":\"alias/x\"}");
	assert_string_equal(find_header(headers, n, "X-Amz-Target"), "TrentService.DescribeKey");
	assert_string_equal(find_header(headers, n, "Content-Type"), "application/x-amz-json-1.1");
	assert_null(find_header(headers, n, "Expect"));
	assert_int_equal(sigv4_read_claim(&request, "kms", WALL, &claim), ERR_OK);
	assert_string_equal(claim.access_key_id, "AKIDEXAMPLE");
	assert_string_equal(claim.scope.region, "eu-central-1");
	assert_int_equal(sigv4_verify(&request, &claim, SECRET, NULL), ERR_OK);
	if (token)
		assert_string_equal(find_header(headers, n, "X-Amz-Security-Token"), token);
	else
		assert_null(find_header(headers, n, "X-Amz-Security-Token"));
	free(text);
}

static void test_request_is_aws(void **state)
{
	static const struct script_step steps[] = {OK_STEP};
	static const char *const tokens[] = {NULL, "SESSION/TOKEN=="};

	(void)state;
	for (size_t i = 0; i < COUNT(tokens); i++) {
		struct script_server *s = script_server_start(NULL, steps, 1);
		struct wire_client_config config = config_for(s);
		json_t *request AUTO_JSON = json_pack("{s:s}", "KeyId", "alias/x"), *response AUTO_JSON = NULL;
		struct kms *kms = NULL;

		config.region = "eu-central-1";
		config.session_token = tokens[i];
		assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
		assert_int_equal(kms_call(kms, "DescribeKey", request, &response), ERR_OK);
		assert_true(json_is_true(json_object_get(response, "Fine")));
		check_sent(script_server_request(s, 0), tokens[i]);
		kms_close(kms);
		script_server_stop(s);
	}
}

static void test_unix_socket_is_not_signed(void **state)
{
	static const struct script_step steps[] = {{.status = 200}};
	char path[64];
	struct script_server *s;
	struct wire_client_config config = {.region = "eu-west-1"};
	struct kms *kms = NULL;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_wire_client.%d", (int)getpid());
	s = script_server_start(path, steps, 1);
	config.endpoint = script_server_endpoint(s);
	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	assert_int_equal(call(kms), ERR_OK); /* an empty body is an empty object */
	assert_null(strstr(script_server_request(s, 0), "Authorization"));
	assert_non_null(strstr(script_server_request(s, 0), "X-Signetfs-Region: eu-west-1\r\n"));
	kms_close(kms);
	script_server_stop(s);
}

static void test_connection_is_kept(void **state)
{
	static const struct script_step steps[] = {OK_STEP};
	struct script_server *s = script_server_start(NULL, steps, 1);
	struct kms *kms = connect_to(s);

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(call(kms), ERR_OK);
	assert_int_equal(script_server_requests(s), 20);
	assert_int_equal(script_server_connections(s), 1);
	kms_close(kms);
	script_server_stop(s);
}

static void *call_often(void *context)
{
	uintptr_t failed = 0;

	for (int i = 0; i < 25; i++)
		failed += call(context) != ERR_OK;
	return (void *)failed;
}

static void test_many_threads(void **state)
{
	static const struct script_step steps[] = {OK_STEP};
	struct script_server *s = script_server_start(NULL, steps, 1);
	struct kms *kms = connect_to(s);
	pthread_t threads[8];

	(void)state;
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, kms), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(script_server_requests(s), 25 * COUNT(threads));
	assert_true(script_server_connections(s) <= COUNT(threads));
	kms_close(kms);
	script_server_stop(s);
}

/* ---- What is asked again ---- */

#define THROTTLED                                                                                                      \
	{                                                                                                              \
		.status = 400, .body = "{\"__type\":\"ThrottlingException\",\"message\":\"Slow down\"}"                \
	}

static void test_trouble_that_passes(void **state)
{
	static const struct {
		const char *name;
		struct script_step steps[3];
		size_t count;
	} cases[] = {
		{"throttled twice", {THROTTLED, THROTTLED, OK_STEP}, 3},
		{"429 without a word", {{.status = 429}, OK_STEP}, 2},
		{"internal error", {{.status = 500, .body = "{\"__type\":\"KMSInternalException\"}"}, OK_STEP}, 2},
		{"a proxy's page", {{.status = 502, .body = "<html>Bad gateway</html>"}, OK_STEP}, 2},
		{"503", {{.status = 503, .body = "{\"__type\":\"DependencyTimeoutException\"}"}, OK_STEP}, 2},
		{"no answer", {{.status = 0}, OK_STEP}, 2},
		{"answer cut short", {{.status = 200, .body = "{\"Fine\":true}", .cut = 5}, OK_STEP}, 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned requests;

		print_message("%s\n", cases[i].name);
		assert_int_equal(play(cases[i].steps, cases[i].count, &requests), ERR_OK);
		assert_int_equal(requests, cases[i].count);
	}
}

/* What was met on the way is counted, and a call's latency once, whatever it took. */
static void test_trouble_is_counted(void **state)
{
	/* The one without an answer comes first: on a connection that was kept, libcurl itself would ask again. */
	static const struct script_step steps[] = {{.status = 0}, THROTTLED, {.status = 429},
		{.status = 500, .body = "{\"__type\":\"KMSInternalException\"}"}, OK_STEP};
	struct script_server *s = script_server_start(NULL, steps, COUNT(steps));
	struct kms *kms = connect_to(s);
	struct kms_stats stats;

	(void)state;
	kms_stats(kms, &stats);
	assert_int_equal(stats.attempts + stats.latency.count, 0);
	assert_int_equal(call(kms), ERR_OK);
	kms_stats(kms, &stats);
	assert_int_equal(stats.attempts, 5);
	assert_int_equal(stats.throttled, 2);
	assert_int_equal(stats.failed, 2);
	assert_int_equal(stats.retries, 4);
	assert_int_equal(stats.given_up, 0);
	assert_int_equal(stats.latency.count, 1);
	kms_close(kms);
	script_server_stop(s);
}

static void test_slow_answer_is_asked_again(void **state)
{
	static const struct script_step steps[] = {{.status = 200, .delay_ms = 1500}, OK_STEP};
	struct script_server *s = script_server_start(NULL, steps, 2);
	struct wire_client_config config = config_for(s);
	struct kms *kms = NULL;

	(void)state;
	config.attempt_timeout = CLOCK_SECOND / 5;
	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	assert_int_equal(call(kms), ERR_OK);
	assert_int_equal(script_server_requests(s), 2);
	kms_close(kms);
	script_server_stop(s);
}

/* Every pause is within its exponential bound and the last attempt starts within the budget; the text says all one needs. */
static void test_budget_is_kept(void **state)
{
	static const struct script_step steps[] = {
		{.status = 500, .body = "{\"__type\":\"KMSInternalException\",\"message\":\"trouble\"}"}};
	struct script_server *s = script_server_start(NULL, steps, 1);
	struct kms *kms = connect_to(s);
	struct kms_stats stats;
	unsigned requests;
	char attempts[32];

	(void)state;
	assert_int_equal(call(kms), ERR_KMS_UNREACHABLE);
	requests = script_server_requests(s);
	/* With pauses of at most 2 s, and at most 50 ms · 2ⁿ, ten seconds hold at least ten attempts. */
	assert_true(requests >= 10);
	kms_stats(kms, &stats);
	assert_int_equal(stats.attempts, requests);
	assert_int_equal(stats.failed, requests);
	assert_int_equal(stats.given_up, 1);
	assert_true(waited() <= 10 * CLOCK_SECOND);
	assert_true(waited() > 3 * CLOCK_SECOND);
	snprintf(attempts, sizeof(attempts), "after %u attempts", requests);
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), attempts));
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), script_server_endpoint(s)));
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), "KMSInternalException: trouble"));
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), "ListKeys"));
	kms_close(kms);
	script_server_stop(s);
}

struct recording_clock {
	struct clock clock;
	uint64_t now, slept[64];
	size_t count;
};

static uint64_t recorded_time(const struct clock *c)
{
	return ((const struct recording_clock *)c)->now;
}

static void record_sleep(const struct clock *c, uint64_t ns)
{
	struct recording_clock *r = (struct recording_clock *)(uintptr_t)c;

	assert_true(r->count < COUNT(r->slept));
	r->slept[r->count++] = ns;
	r->now += ns;
}

static void test_backoff_is_exponential_with_full_jitter(void **state)
{
	static const struct script_step steps[] = {THROTTLED};
	struct script_server *s = script_server_start(NULL, steps, 1);
	unsigned below_half = 0, seen = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct recording_clock r = {{recorded_time, recorded_time, record_sleep, NULL}, WALL, {0}, 0};
		struct wire_client_config config = config_for(s);
		struct kms *kms = NULL;

		config.clock = &r.clock;
		config.retry_budget = CLOCK_SECOND;
		config.retry_base = 1000000;
		config.retry_cap = 100000000;
		assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
		assert_int_equal(call(kms), ERR_KMS_UNREACHABLE);
		for (size_t i = 0; i < r.count; i++, seen++) {
			uint64_t bound = i < 7 ? UINT64_C(1000000) << i : 100000000;

			assert_true(r.slept[i] <= bound);
			below_half += r.slept[i] <= bound / 2;
		}
		kms_close(kms);
	}
	/* Uniform over [0, bound]: about half lie below its half. Bounds are 10 standard deviations away. */
	assert_true(seen > 200);
	assert_in_range(below_half, seen * 3 / 20, seen * 17 / 20);
	script_server_stop(s);
}

static void test_nobody_there(void **state)
{
	static const struct script_step steps[] = {OK_STEP};
	struct script_server *s = script_server_start(NULL, steps, 1);
	struct wire_client_config config = config_for(s);
	char endpoint[64];
	struct kms *kms = NULL;

	(void)state;
	snprintf(endpoint, sizeof(endpoint), "%s", script_server_endpoint(s));
	script_server_stop(s);
	config.endpoint = endpoint;
	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	assert_int_equal(call(kms), ERR_KMS_UNREACHABLE);
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), endpoint));
	assert_true(waited() <= 10 * CLOCK_SECOND);
	kms_close(kms);
}

/* ---- What never is asked again ---- */

static void test_final_errors_are_final(void **state)
{
	static const struct {
		struct script_step step;
		enum err error;
		const char *text;
	} cases[] = {
		{{.status = 400, .body = "{\"__type\":\"NotFoundException\",\"message\":\"Key 'x' does not exist\"}"},
			ERR_KMS_NOT_FOUND, "Key 'x' does not exist"},
		{{.status = 400,
			 .body = "{\"__type\":\"com.amazonaws.kms#DisabledException\",\"message\":\"x is disabled.\"}"},
			ERR_KMS_DISABLED, "x is disabled."},
		{{.status = 400, .body = "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}"},
			ERR_KMS_ACCESS_DENIED, "no"},
		{{.status = 400, .body = "{\"__type\":\"InvalidCiphertextException\"}"}, ERR_KMS_INVALID_CIPHERTEXT,
			"InvalidCiphertextException"},
		{{.status = 403,
			 .headers = "x-amzn-ErrorType: UnrecognizedClientException:http://x/\r\n",
			 .body = "{}"},
			ERR_KMS_UNRECOGNIZED_CLIENT, "UnrecognizedClientException"},
		{{.status = 400, .body = "{\"__type\":\"TeapotException\",\"message\":\"short and stout\"}"},
			ERR_KMS_OTHER, "TeapotException: short and stout"},
		{{.status = 400, .body = "<html>no</html>"}, ERR_KMS_PROTOCOL, "HTTP status 400"},
		{{.status = 404}, ERR_KMS_PROTOCOL, "HTTP status 404"},
		{{.status = 302, .headers = "Location: http://127.0.0.1:1/\r\n"}, ERR_KMS_PROTOCOL, "HTTP status 302"},
		{{.status = 204}, ERR_KMS_PROTOCOL, "HTTP status 204"},
		{{.status = 200, .body = "<html>welcome</html>"}, ERR_KMS_PROTOCOL, "not a JSON object"},
		{{.status = 200, .body = "[]"}, ERR_KMS_PROTOCOL, "not a JSON object"},
		{{.status = 200, .body = "{\"a\":1,\"a\":2}"}, ERR_KMS_PROTOCOL, "not a JSON object"},
		{{.status = 200, .body = "{} {}"}, ERR_KMS_PROTOCOL, "not a JSON object"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned requests;

		print_message("%d %s\n", cases[i].step.status, cases[i].step.body ? cases[i].step.body : "");
		assert_int_equal(play(&cases[i].step, 1, &requests), cases[i].error);
		assert_int_equal(requests, 1);
		assert_non_null(strstr(err_text(cases[i].error), cases[i].text));
		assert_int_equal(waited(), 0);
	}
}

static void test_answer_is_bounded(void **state)
{
	size_t len = HTTP_ANSWER_MAX + 1;
	char *big = malloc(len);
	struct script_step step = {.status = 200, .body = big, .body_len = len};
	unsigned requests;

	(void)state;
	assert_non_null(big);
	memset(big, ' ', len);
	assert_int_equal(play(&step, 1, &requests), ERR_KMS_PROTOCOL);
	assert_int_equal(requests, 1);
	free(big);
}

static void test_other_keys_answer(void **state)
{
	static const struct script_step steps[] = {{.status = 200,
		.body = "{\"KeyId\":\"arn:aws:kms:us-east-1:000000000000:key/other\",\"Plaintext\":"
			"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"}};
	struct script_server *s = script_server_start(NULL, steps, 1);
	struct kms *kms = connect_to(s);
	struct kms_wrapped_key wrapped = {.key_arn = "arn:aws:kms:us-east-1:000000000000:key/mine", .blob_len = 3};
	struct kms_context context = {.count = 0};
	uint8_t key[KEY_SIZE] = {1};

	(void)state;
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &context, key), ERR_KMS_WRONG_ANSWER);
	assert_int_equal(key[0], 1);
	assert_int_equal(script_server_requests(s), 1);
	kms_close(kms);
	script_server_stop(s);
}

/* ---- Configuration ---- */

static void test_endpoints(void **state)
{
	static const struct {
		const char *text;
		enum endpoint_kind kind;
		const char *host, *url;
		int loopback;
	} good[] = {
		{"agent", ENDPOINT_AGENT, "localhost", "http://127.0.0.1/", 1},
		{"unix:/run/kms.sock", ENDPOINT_UNIX, "localhost", "http://127.0.0.1/", 1},
		{"http://127.0.0.1:8080", ENDPOINT_HTTP, "127.0.0.1:8080", "http://127.0.0.1:8080/", 1},
		{"http://localhost:80/", ENDPOINT_HTTP, "localhost", "http://localhost/", 1},
		{"HTTPS://[::1]:8443", ENDPOINT_HTTPS, "[::1]:8443", "https://[::1]:8443/", 1},
		{"https://kms.eu-west-1.amazonaws.com", ENDPOINT_HTTPS, "kms.eu-west-1.amazonaws.com",
			"https://kms.eu-west-1.amazonaws.com/", 0},
		{"https://kms.example:443", ENDPOINT_HTTPS, "kms.example", "https://kms.example/", 0},
		{"http://127.0.0.1.example:1", ENDPOINT_HTTP, "127.0.0.1.example:1", "http://127.0.0.1.example:1/", 0},
	};
	static const char *const bad[] = {"", "Agent", "unix:", "tcp://x:1", "http://", "http://:80",
		"http://h:", "http://h:x", "http://h:65536", "http://h:123456", "http://h:-1", "http://h/path",
		"http://user@h:1", "http://[::1", "http://[]:1", "http://[::1]x", "http://h h:1", "http://h:80?x",
		"127.0.0.1:80"};
	char path[160] = "unix:/";
	struct endpoint e;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		print_message("%s\n", good[i].text);
		assert_int_equal(endpoint_parse(good[i].text, &e), ERR_OK);
		assert_int_equal(e.kind, good[i].kind);
		assert_string_equal(e.host, good[i].host);
		assert_string_equal(e.url, good[i].url);
		assert_int_equal(e.loopback, good[i].loopback);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		print_message("'%s'\n", bad[i]);
		assert_int_equal(endpoint_parse(bad[i], &e), ERR_USAGE);
	}
	memset(path + 6, 'x', 107);
	assert_int_equal(endpoint_parse(path, &e), ERR_USAGE);
	path[strlen("unix:") + 107] = '\0';
	assert_int_equal(endpoint_parse(path, &e), ERR_OK);
}

static void test_refused_configurations(void **state)
{
	static const struct {
		struct wire_client_config config;
		enum err error;
	} cases[] = {
		{{.endpoint = "nonsense"}, ERR_USAGE},
		{{.endpoint = "http://127.0.0.1:1"}, ERR_CONFIG},
		{{.endpoint = "http://127.0.0.1:1", .access_key_id = "A"}, ERR_CONFIG},
		{{.endpoint = "http://kms.example:1", .access_key_id = "A", .secret_access_key = "S"}, ERR_CONFIG},
		{{.endpoint = "https://kms.example", .access_key_id = "A", .secret_access_key = "S", .region = "EU/1"},
			ERR_CONFIG},
	};
	struct wire_client_config insecure = {
		.endpoint = "http://kms.example:1", .access_key_id = "A", .secret_access_key = "S", .insecure_http = 1};
	struct kms *kms = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(wire_client_connect(&cases[i].config, &kms), cases[i].error);
		assert_null(kms);
	}
	assert_int_equal(wire_client_connect(&insecure, &kms), ERR_OK);
	kms_close(kms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_is_aws),
		cmocka_unit_test(test_unix_socket_is_not_signed),
		cmocka_unit_test(test_connection_is_kept),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_trouble_that_passes),
		cmocka_unit_test(test_trouble_is_counted),
		cmocka_unit_test(test_slow_answer_is_asked_again),
		cmocka_unit_test(test_budget_is_kept),
		cmocka_unit_test(test_backoff_is_exponential_with_full_jitter),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_final_errors_are_final),
		cmocka_unit_test(test_answer_is_bounded),
		cmocka_unit_test(test_other_keys_answer),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_refused_configurations),
	};

	return cmocka_run_group_tests_name("wire_client", tests, NULL, NULL);
}
