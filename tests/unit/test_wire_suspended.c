/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may happen to a call between its work and its record. The test holds the keystore's write lock, so that a call stays where it
 * is for as long as it is held: its connection is suspended, and the server's only thread goes on with others.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "kms/engine/iam.h"
#include "kms/engine/names.h"
#include "kms/wire/server.h"
#include "tests/support/keystore.h"

struct place {
	struct keystore *k;
	char address[112], key_id[64];
	struct wire_server *server;
	struct store *held;
	int other; /* a connection that asks for /healthz */
	int busy;  /* one with half a request: a server with nothing else to do suspends nothing */
};

/* ---- A client that sees bytes ---- */

static int connect_raw(const struct place *p)
{
	const struct timeval patience = {.tv_sec = 30};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->address + strlen("unix:"));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_call(int fd, const char *operation, const char *body)
{
	dprintf(fd,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: "
		"TrentService.%s\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		operation, strlen(body), body);
}

static void generate(const struct place *p, int fd)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"KeyId\":\"%s\",\"KeySpec\":\"AES_256\"}", p->key_id);
	send_call(fd, "GenerateDataKey", body);
}

/* One whole answer. Returns its status. */
static int receive(int fd, char ret[8192])
{
	size_t got = 0;

	for (;;) {
		const char *end, *length;
		ssize_t n = recv(fd, ret + got, 8191 - got, 0);

		assert_true(n > 0);
		got += (size_t)n;
		ret[got] = '\0';
		end = strstr(ret, "\r\n\r\n");
		length = strstr(ret, "\r\nContent-Length:");
		if (end && length && got >= (size_t)(end + 4 - ret) + strtoul(length + 17, NULL, 10))
			return (int)strtoul(ret + strlen("HTTP/1.1 "), NULL, 10);
	}
}

static void ask_health(int fd)
{
	char text[8192];

	dprintf(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(receive(fd, text), 200);
}

/* ---- The place ---- */

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct wire_server_config config = {.threads = 1, .drain_seconds = 30};
	char arn[ENGINE_ARN_SIZE];
	struct listener l;

	assert_non_null(p);
	keystore_setup((void **)&p->k);
	keystore_new_key(p->k, p->key_id, arn);
	config.engine = p->k->engine;
	config.clock = &p->k->clock.clock;
	assert_int_equal(wire_server_new(&config, &p->server), ERR_OK);
	snprintf(p->address, sizeof(p->address), "unix:%s/s", p->k->dir);
	assert_int_equal(listener_open(p->address, 0600, &l), ERR_OK);
	assert_int_equal(wire_server_listen(p->server, &l, NULL), ERR_OK);
	p->held = keystore_store(p->k);
	p->other = connect_raw(p);
	p->busy = connect_raw(p);
	dprintf(p->busy, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{");
	*state = p;
	return 0;
}

static void stop(struct place *p)
{
	close(p->busy);
	wire_server_stop(p->server);
	p->server = NULL;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	close(p->other);
	if (p->server)
		stop(p);
	store_close(p->held);
	keystore_teardown((void **)&p->k);
	free(p);
	return 0;
}

/*
 * A connection whose call is suspended until the lock is let go. Both connections are known to the server's one thread: what was sent
 * before the first question is read in the round that answers it, or earlier, and that round is over when the second is answered.
 */
static int suspend(const struct place *p)
{
	int fd = connect_raw(p);

	ask_health(fd);
	ask_health(p->other);
	assert_int_equal(store_begin(p->held), ERR_OK);
	generate(p, fd);
	ask_health(p->other);
	ask_health(p->other);
	return fd;
}

static enum err count_one(void *context, const char *record)
{
	(void)record;
	++*(size_t *)context;
	return ERR_OK;
}

static size_t recorded(const struct place *p)
{
	const struct engine_audit_filter filter = {.operation = "GenerateDataKey"};
	size_t count = 0;

	assert_int_equal(engine_audit_list(p->k->engine, &filter, count_one, &count), ERR_OK);
	return count;
}

static void assert_key_in(const char *answer)
{
	assert_non_null(strstr(answer, "\"Plaintext\""));
	assert_non_null(strstr(answer, "\"CiphertextBlob\""));
}

static void assert_no_key_in(const char *answer)
{
	assert_null(strstr(answer, "Plaintext"));
	assert_null(strstr(answer, "CiphertextBlob"));
}

/* ---- The cases ---- */

static void test_no_answer_before_the_record(void **state)
{
	struct place *p = *state;
	char answer[8192];
	int fd = suspend(p);

	assert_int_equal(recv(fd, answer, 1, MSG_DONTWAIT), -1);
	assert_int_equal(recorded(p), 0);
	store_rollback(p->held);
	assert_int_equal(receive(fd, answer), 200);
	assert_key_in(answer);
	assert_int_equal(recorded(p), 1);
	close(fd);
}

/* Whether anybody else asks something or not: the same answer, and a record before it. */
static void test_alone_and_in_company(void **state)
{
	struct place *p = *state;
	char answer[8192];
	int fd = connect_raw(p);

	for (size_t i = 1; i <= 6; i++) {
		if (i == 4) { /* from here on alone */
			dprintf(p->busy, "}");
			assert_int_equal(receive(p->busy, answer), 400);
		}
		generate(p, fd);
		assert_int_equal(receive(fd, answer), 200);
		assert_key_in(answer);
		assert_int_equal(recorded(p), i);
	}
	close(fd);
}

/* The server meets the end of the line as soon as it resumes, or only when it answers, because there is another request to read before. */
static void test_a_client_that_hangs_up(void **state)
{
	struct place *p = *state;

	for (int more = 0; more < 2; more++) {
		int fd = suspend(p);

		if (more)
			dprintf(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
		close(fd);
		store_rollback(p->held);
		ask_health(p->other);
	}
	stop(p);
	assert_int_equal(recorded(p), 2);
}

/* The same once more, but that the call has to be made anew when nobody waits for it any more. */
static void test_a_client_that_hangs_up_on_a_stale_call(void **state)
{
	struct place *p = *state;
	int fd = suspend(p);
	struct store_key key;
	struct key_name name;

	close(fd);
	assert_int_equal(names_parse(p->key_id, &name), ERR_OK);
	assert_int_equal(store_key_find(p->held, KEYSTORE_REGION, name.id, &key), ERR_OK);
	assert_int_equal(store_key_update(p->held, &key), ERR_OK);
	assert_int_equal(store_commit(p->held), ERR_OK);
	stop(p);
	assert_int_equal(recorded(p), 1);
}

static void test_a_key_disabled_meanwhile(void **state)
{
	struct place *p = *state;
	char answer[8192];
	int fd = suspend(p);
	struct store_key key;
	struct key_name name;

	assert_int_equal(names_parse(p->key_id, &name), ERR_OK);
	assert_int_equal(store_key_find(p->held, KEYSTORE_REGION, name.id, &key), ERR_OK);
	key.state = KEY_DISABLED;
	assert_int_equal(store_key_update(p->held, &key), ERR_OK);
	assert_int_equal(store_commit(p->held), ERR_OK);
	assert_int_equal(receive(fd, answer), 400);
	assert_non_null(strstr(answer, "\"DisabledException\""));
	assert_no_key_in(answer);
	assert_int_equal(recorded(p), 1);
	close(fd);
}

static void test_a_record_that_cannot_be_written(void **state)
{
	struct place *p = *state;
	struct store_audit_head head;
	char answer[8192];
	int fd = suspend(p);

	assert_int_equal(store_audit_head_get(p->held, &head), ERR_OK);
	head.tag[0] ^= 1;
	assert_int_equal(store_audit_head_set(p->held, &head), ERR_OK);
	assert_int_equal(store_commit(p->held), ERR_OK);
	assert_int_equal(receive(fd, answer), 500);
	assert_non_null(strstr(answer, "\"KMSInternalException\""));
	assert_no_key_in(answer);
	assert_int_equal(recorded(p), 0);
	close(fd);
}

static void *stop_server(void *context)
{
	stop(context);
	return NULL;
}

static void test_stopping_lets_it_finish(void **state)
{
	struct place *p = *state;
	char answer[8192];
	int fd = suspend(p);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_server, p), 0);
	store_rollback(p->held);
	assert_int_equal(receive(fd, answer), 200);
	assert_key_in(answer);
	pthread_join(thread, NULL);
	assert_int_equal(recorded(p), 1);
	close(fd);
}

static void *reload_server(void *context)
{
	struct place *p = context;

	assert_int_equal(wire_server_replace_tls(p->server, NULL), ERR_OK);
	return NULL;
}

/* A reload has the committer finish; behind it calls are suspended as before. */
static void test_reloading_lets_it_finish(void **state)
{
	struct place *p = *state;
	char answer[8192];
	int fd = suspend(p);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, reload_server, p), 0);
	store_rollback(p->held);
	assert_int_equal(receive(fd, answer), 200);
	assert_key_in(answer);
	pthread_join(thread, NULL);
	close(fd);
	fd = suspend(p);
	store_rollback(p->held);
	assert_int_equal(receive(fd, answer), 200);
	assert_key_in(answer);
	assert_int_equal(recorded(p), 2);
	close(fd);
}

/* ---- The committer comes and goes ---- */

enum { CALLERS = 4, CALLS = 60 };

struct caller {
	struct keystore *k;
	size_t failed;
	atomic_size_t *done;
};

static void *call_often(void *context)
{
	struct caller *c = context;
	json_t *request = json_pack("{s:i}", "NumberOfBytes", 8);

	for (int i = 0; i < CALLS; i++) {
		struct engine_reply reply;

		engine_call(c->k->engine, &c->k->caller, "GenerateRandom", request, &reply);
		c->failed += reply.error != ERR_OK;
		json_decref(reply.body);
	}
	json_decref(request);
	atomic_fetch_add(c->done, 1);
	return NULL;
}

static void test_the_committer_comes_and_goes(void **state)
{
	const struct engine_audit_filter filter = {.operation = "GenerateRandom"};
	struct place *p = *state;
	struct caller callers[CALLERS];
	pthread_t threads[CALLERS];
	atomic_size_t done = 0;
	size_t count = 0;

	for (size_t i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){p->k, 0, &done};
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
	}
	while (atomic_load(&done) < CALLERS)
		assert_int_equal(wire_server_replace_tls(p->server, NULL), ERR_OK);
	for (size_t i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(callers[i].failed, 0);
	}
	assert_int_equal(engine_audit_list(p->k->engine, &filter, count_one, &count), ERR_OK);
	assert_int_equal(count, CALLERS * CALLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_answer_before_the_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_alone_and_in_company, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_client_that_hangs_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_client_that_hangs_up_on_a_stale_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_key_disabled_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_record_that_cannot_be_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopping_lets_it_finish, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reloading_lets_it_finish, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_committer_comes_and_goes, set_up, tear_down),
	};

	secret_install_json_allocator();
	return cmocka_run_group_tests_name("wire_suspended", tests, NULL, NULL);
}
