/* SPDX-License-Identifier: Apache-2.0 */
/* The server in this process, over a real engine and a clock of our own: what takes time, and what many do at once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/wire/client.h"
#include "kms/wire/server.h"

#define WALL (UINT64_C(1795300000) * CLOCK_SECOND)

struct place {
	char dir[64], keystore[96], unix_address[112], tcp_address[300];
	struct clock_fake clock;
	struct engine *engine;
	struct wire_server *server;
	char access_key[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE];
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct root_key key AUTO_WIPE;
	struct engine_config config = {.root_key = &key};

	assert_non_null(p);
	snprintf(p->dir, sizeof(p->dir), "/tmp/test_wire_server.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->keystore, sizeof(p->keystore), "%s/kms.db", p->dir);
	snprintf(p->unix_address, sizeof(p->unix_address), "unix:%s/kms.sock", p->dir);
	clock_fake_init(&p->clock, WALL);
	random_bytes(key.b, sizeof(key.b));
	assert_int_equal(engine_create(p->keystore, &key, "none", 4), ERR_OK);
	config.keystore = p->keystore;
	config.clock = &p->clock.clock;
	assert_int_equal(engine_open(&config, &p->engine), ERR_OK);
	assert_int_equal(engine_access_key_create(p->engine, NULL, NULL, p->access_key, p->secret), ERR_OK);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	const struct dirent *d;
	DIR *dir;

	wire_server_stop(p->server);
	engine_close(p->engine);
	dir = opendir(p->dir);
	while ((d = readdir(dir))) {
		assert_null(strstr(d->d_name, ".sock")); /* the server removes its own */
		unlinkat(dirfd(dir), d->d_name, 0);
	}
	closedir(dir);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static void serve(struct place *p, unsigned idle_seconds, unsigned stall_seconds)
{
	struct wire_server_config config = {.engine = p->engine,
		.clock = &p->clock.clock,
		.idle_seconds = idle_seconds,
		.stall_seconds = stall_seconds};
	struct listener l;

	assert_int_equal(wire_server_new(&config, &p->server), ERR_OK);
	assert_int_equal(listener_open(p->unix_address, 0600, &l), ERR_OK);
	assert_int_equal(wire_server_listen(p->server, &l, NULL), ERR_OK);
	assert_int_equal(listener_open("127.0.0.1:0", 0600, &l), ERR_OK);
	assert_true(l.loopback);
	snprintf(p->tcp_address, sizeof(p->tcp_address), "http://%s", l.address);
	assert_int_equal(wire_server_listen(p->server, &l, NULL), ERR_OK);
}

static struct kms *connect_to(const struct place *p, const char *endpoint, const char *region)
{
	struct wire_client_config config = {
		.endpoint = endpoint,
		.region = region,
		.access_key_id = p->access_key,
		.secret_access_key = p->secret,
		.clock = &p->clock.clock,
	};
	struct kms *kms = NULL;

	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	return kms;
}

/* A string at @path ("KeyMetadata", "Arn") of a new key's description. */
static void create_key(struct kms *kms, char ret_id[64], char ret_arn[256])
{
	json_t *request AUTO_JSON = json_object(), *response AUTO_JSON = NULL;
	const json_t *metadata;

	assert_int_equal(kms_call(kms, "CreateKey", request, &response), ERR_OK);
	metadata = json_object_get(response, "KeyMetadata");
	snprintf(ret_id, 64, "%s", json_string_value(json_object_get(metadata, "KeyId")));
	snprintf(ret_arn, 256, "%s", json_string_value(json_object_get(metadata, "Arn")));
}

static void test_region_of_a_local_caller(void **state)
{
	static const char *const regions[] = {NULL, "eu-west-1"};
	struct place *p = *state;

	serve(p, 0, 0);
	for (size_t i = 0; i < 2; i++) {
		struct kms *kms = connect_to(p, p->unix_address, regions[i]);
		char id[64], arn[256], expected[256];

		create_key(kms, id, arn);
		snprintf(expected, sizeof(expected), "arn:aws:kms:%s:000000000000:key/%s",
			regions[i] ? regions[i] : "us-east-1", id);
		assert_string_equal(arn, expected);
		kms_close(kms);
	}
}

struct worker {
	struct kms *kms;
	unsigned number, failed;
};

static void *wrap_and_unwrap(void *context)
{
	struct worker *w = context;
	struct kms_context c = {.count = 1, .pair = {{"worker", ""}}};

	snprintf(c.pair[0].value, sizeof(c.pair[0].value), "%u", w->number);
	for (int i = 0; i < 15; i++) {
		uint8_t key[KEY_SIZE], again[KEY_SIZE];
		struct kms_wrapped_key wrapped;

		if (kms_generate_data_key(w->kms, "alias/aws/signetfs", &c, key, &wrapped) != ERR_OK ||
			kms_decrypt_data_key(w->kms, &wrapped, &c, again) != ERR_OK ||
			memcmp(key, again, KEY_SIZE) != 0)
			w->failed++;
	}
	return NULL;
}

/* Nobody gets another's answer, whatever the transport. */
static void test_many_clients_at_once(void **state)
{
	struct place *p = *state;
	struct worker workers[12];
	pthread_t threads[12];
	struct kms *kms[2];

	serve(p, 0, 0);
	kms[0] = connect_to(p, p->unix_address, NULL);
	kms[1] = connect_to(p, p->tcp_address, NULL);
	for (unsigned i = 0; i < 12; i++) {
		workers[i] = (struct worker){kms[i % 2], i, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, wrap_and_unwrap, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 12; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].failed, 0);
	}
	kms_close(kms[0]);
	kms_close(kms[1]);
}

/* The server runs what is due, also what was scheduled after it started. */
static void test_due_deletion_happens(void **state)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	struct place *p = *state;
	json_t *request AUTO_JSON = NULL;
	enum err e = ERR_OK;
	struct kms *kms;
	char id[64], arn[256];

	serve(p, 0, 0);
	kms = connect_to(p, p->unix_address, NULL);
	create_key(kms, id, arn);
	request = json_pack("{s:s, s:i}", "KeyId", id, "PendingWindowInDays", 7);
	{
		json_t *response AUTO_JSON = NULL;

		assert_int_equal(kms_call(kms, "ScheduleKeyDeletion", request, &response), ERR_OK);
	}
	json_object_del(request, "PendingWindowInDays");
	clock_fake_advance(&p->clock, 8 * 86400 * CLOCK_SECOND);
	for (int i = 0; i < 150 && e == ERR_OK; i++) {
		json_t *response AUTO_JSON = NULL;

		e = kms_call(kms, "DescribeKey", request, &response);
		nanosleep(&pause, NULL);
	}
	assert_int_equal(e, ERR_KMS_NOT_FOUND);
	kms_close(kms);
}

static int connect_raw(const struct place *p)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->unix_address + strlen("unix:"));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Whether the server hangs up within @seconds while we send a byte of @text every fifth of a second. */
static int hangs_up(int fd, const char *text, int seconds)
{
	for (int i = 0; i < seconds * 5; i++) {
		struct pollfd poller = {.fd = fd, .events = POLLIN};
		char byte;

		if (*text && send(fd, text++, 1, MSG_NOSIGNAL) != 1)
			return 1;
		if (poll(&poller, 1, 200) == 1 && recv(fd, &byte, 1, 0) <= 0)
			return 1;
	}
	return 0;
}

/* Never idle, never done: a byte now and then, in the request line and in the body. */
static void test_stalled_connections_are_closed(void **state)
{
	struct place *p = *state;
	char path[200] = "POST /";
	int fd;

	serve(p, 60, 1);
	memset(path + 6, 'x', sizeof(path) - 7);
	fd = connect_raw(p);
	assert_true(hangs_up(fd, path, 12));
	close(fd);
	fd = connect_raw(p);
	dprintf(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
	assert_true(hangs_up(fd, path, 12));
	close(fd);
}

static void test_idle_connections_are_closed(void **state)
{
	struct place *p = *state;
	int fd;

	serve(p, 1, 60);
	fd = connect_raw(p);
	assert_true(hangs_up(fd, "", 8));
	close(fd);
}

/* From @host, a name of this machine; -1 when nobody answers the GET with 200. */
static int connect_from(const struct place *p, const char *host, const char *path)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[512] = "", request[128];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	inet_pton(AF_INET, host, &from.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	to.sin_port = htons((uint16_t)atoi(strrchr(p->tcp_address, ':') + 1));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
		recv(fd, answer, sizeof(answer) - 1, 0) > 0 && !strncmp(answer, "HTTP/1.1 200 ", 13))
		return fd;
	close(fd);
	return -1;
}

/* One address cannot take all connections: the others find room. */
static void test_one_peer_does_not_shut_out_the_others(void **state)
{
	struct place *p = *state;
	struct wire_server_config config = {
		.engine = p->engine, .clock = &p->clock.clock, .threads = 1, .max_connections = 8};
	struct listener l;
	int greedy[6], other[2];

	assert_int_equal(wire_server_new(&config, &p->server), ERR_OK);
	assert_int_equal(listener_open("127.0.0.1:0", 0600, &l), ERR_OK);
	snprintf(p->tcp_address, sizeof(p->tcp_address), "http://%s", l.address);
	assert_int_equal(wire_server_listen(p->server, &l, NULL), ERR_OK);
	for (int i = 0; i < 6; i++) {
		greedy[i] = connect_from(p, "127.0.0.1", "/healthz");
		assert_true(greedy[i] >= 0);
	}
	assert_int_equal(connect_from(p, "127.0.0.1", "/healthz"), -1);
	for (int i = 0; i < 2; i++) {
		other[i] = connect_from(p, "127.0.0.2", "/healthz");
		assert_true(other[i] >= 0);
	}
	for (int i = 0; i < 6; i++)
		close(greedy[i]);
	for (int i = 0; i < 2; i++)
		close(other[i]);
}

/* On a socket of both families an IPv4 peer is who it is: near, for one, and one peer with itself. */
static void test_ipv4_on_a_socket_of_both_families(void **state)
{
	struct place *p = *state;
	struct wire_server_config config = {
		.engine = p->engine, .clock = &p->clock.clock, .threads = 1, .max_connections = 8};
	struct listener l;
	int fd[6], other;

	assert_int_equal(wire_server_new(&config, &p->server), ERR_OK);
	if (listener_open("[::]:0", 0600, &l) != ERR_OK) {
		print_message("SKIPPED: no IPv6 here\n");
		skip();
	}
	snprintf(p->tcp_address, sizeof(p->tcp_address), "http://%s", l.address);
	assert_int_equal(wire_server_listen(p->server, &l, NULL), ERR_OK);
	for (int i = 0; i < 6; i++) {
		fd[i] = connect_from(p, "127.0.0.1", "/metrics");
		assert_true(fd[i] >= 0);
	}
	assert_int_equal(connect_from(p, "127.0.0.1", "/healthz"), -1);
	other = connect_from(p, "127.0.0.2", "/healthz");
	assert_true(other >= 0);
	close(other);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

/* The clock that a signature is checked against is the server's. */
static void test_stale_signature(void **state)
{
	struct place *p = *state;
	struct clock_fake late;
	struct wire_client_config config = {
		.access_key_id = p->access_key, .secret_access_key = p->secret, .clock = &late.clock};
	json_t *request AUTO_JSON = json_object(), *response AUTO_JSON = NULL;
	struct kms *kms = NULL;

	serve(p, 0, 0);
	clock_fake_init(&late, WALL - 301 * CLOCK_SECOND);
	config.endpoint = p->tcp_address;
	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	assert_int_equal(kms_call(kms, "ListKeys", request, &response), ERR_KMS_SIGNATURE_MISMATCH);
	assert_non_null(strstr(err_text(ERR_KMS_SIGNATURE_MISMATCH), "Signature expired: "));
	kms_close(kms);
}

static void test_listeners(void **state)
{
	static const char *const bad[] = {
		"", "nonsense", ":", "127.0.0.1:", "127.0.0.1:99999", "unix:", "[::1:80", "no such host:1"};
	struct place *p = *state;
	struct listener l = {.fd = -1}, again = {.fd = -1};
	char file[112];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("'%s'\n", bad[i]);
		assert_int_equal(listener_open(bad[i], 0600, &l), ERR_USAGE);
		assert_int_equal(l.fd, -1);
	}
	assert_int_equal(listener_open("*:0", 0600, &l), ERR_OK);
	assert_false(l.loopback);
	listener_close(&l);
	assert_int_equal(listener_open(p->unix_address, 0600, &l), ERR_OK);
	assert_int_equal(listener_open(p->unix_address, 0600, &again), ERR_BUSY);
	/* As a killed server leaves it: the file without anybody behind it. */
	close(l.fd);
	assert_int_equal(listener_open(p->unix_address, 0600, &again), ERR_OK);
	l.fd = -1;
	listener_close(&l); /* the path is another's now and stays */
	assert_int_equal(access(p->unix_address + strlen("unix:"), F_OK), 0);
	listener_close(&again);
	assert_int_equal(access(p->unix_address + strlen("unix:"), F_OK), -1);
	snprintf(file, sizeof(file), "unix:%s", p->keystore);
	assert_int_equal(listener_open(file, 0600, &l), ERR_EXISTS);
	assert_int_equal(listener_from_fd(0, &l), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_region_of_a_local_caller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_clients_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_due_deletion_happens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stalled_connections_are_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle_connections_are_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_peer_does_not_shut_out_the_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ipv4_on_a_socket_of_both_families, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale_signature, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_listeners, set_up, tear_down),
	};

	secret_install_json_allocator();
	return cmocka_run_group_tests_name("wire_server", tests, NULL, NULL);
}
