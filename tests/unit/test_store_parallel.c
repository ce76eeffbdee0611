/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/support/keystore.h"
#include "tests/support/prng.h"

/* Several engines on one file at once: threads, processes, and processes that are killed. */

enum { THREADS = 4, CALLS = 25, KILLS = 100 };

static enum err call(struct engine *engine, const struct engine_caller *caller, const char *operation,
	const char *member, const char *value, const char *member2, const char *value2)
{
	json_t *request = json_object();
	struct engine_reply reply;

	if (member != NULL)
		json_object_set_new(request, member, json_string(value));
	if (member2 != NULL)
		json_object_set_new(request, member2, json_string(value2));
	engine_call(engine, caller, operation, request, &reply);
	json_decref(reply.body);
	json_decref(request);
	return reply.error;
}

struct worker {
	pthread_t thread;
	struct keystore *k;
	struct engine *engine;
	const char *key;
	int index, failures;
};

static void *rotate_and_alias(void *context)
{
	struct worker *w = context;

	for (int i = 0; i < CALLS; i++) {
		char alias[64];

		snprintf(alias, sizeof(alias), "alias/%d-%d", w->index, i);
		w->failures += call(w->engine, &w->k->caller, "CreateAlias", "AliasName", alias, "TargetKeyId",
				       w->key) != ERR_OK;
		w->failures += call(w->engine, &w->k->caller, "GenerateDataKey", "KeyId", alias, "KeySpec",
				       "AES_256") != ERR_OK;
		w->failures += call(w->engine, &w->k->caller, "DeleteAlias", "AliasName", alias, NULL, NULL) != ERR_OK;
		if (i < 6)
			w->failures += call(w->engine, &w->k->caller, "RotateKeyOnDemand", "KeyId", w->key, NULL,
					       NULL) != ERR_OK;
	}
	return NULL;
}

static enum err count_one(void *context, const char *record)
{
	(void)record;
	++*(size_t *)context;
	return ERR_OK;
}

/* 4 threads on 2 engines make 24 rotations of one key: a lost update would show as a lower count. */
static void threads_lose_no_update(void **state)
{
	struct keystore *k = *state;
	struct engine *other = keystore_another(k);
	struct worker w[THREADS];
	char id[64], arn[ENGINE_ARN_SIZE];
	size_t records = 0;
	json_t *body;

	keystore_new_key(k, id, arn);
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.k = k, .engine = i % 2 ? other : k->engine, .key = id, .index = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, rotate_and_alias, &w[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].failures, 0);
	}
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s'}", id);
	assert_int_equal(json_array_size(json_object_get(body, "Rotations")), 24);
	json_decref(body);
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_LIMIT_EXCEEDED, NULL, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	assert_int_equal(
		engine_audit_list(k->engine, &(const struct engine_audit_filter){.limit = 0}, count_one, &records),
		ERR_OK);
	assert_int_equal(records, 1 + THREADS * (3 * CALLS + 6) + 3);
	engine_close(other);
}

/* A new engine in a child process; the parent's connections are not used there. */
static struct engine *open_in_child(struct keystore *k)
{
	const struct engine_config config = {
		.keystore = k->path, .root_key = &k->root, .region = KEYSTORE_REGION, .clock = &k->clock.clock};
	struct engine *engine;

	return engine_open(&config, &engine) == ERR_OK ? engine : NULL;
}

static void processes_lose_no_update(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;
	pid_t pids[3];

	keystore_new_key(k, id, arn);
	engine_close(k->engine); /* SQLite connections must not cross a fork */
	k->engine = NULL;
	for (int p = 0; p < 3; p++) {
		pids[p] = fork();
		assert_true(pids[p] >= 0);
		if (pids[p] == 0) {
			struct worker w = {.k = k, .engine = open_in_child(k), .key = id, .index = p};

			if (w.engine == NULL)
				_exit(100);
			rotate_and_alias(&w);
			engine_close(w.engine);
			_exit(w.failures > 99 ? 99 : w.failures);
		}
	}
	for (int p = 0; p < 3; p++) {
		int status;

		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	keystore_reopen(k);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s'}", id);
	assert_int_equal(json_array_size(json_object_get(body, "Rotations")), 18);
	json_decref(body);
}

static void another_engine_sees_a_change_at_once(void **state)
{
	struct keystore *k = *state;
	struct engine *other = keystore_another(k);
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(call(other, &k->caller, "GenerateDataKey", "KeyId", id, "KeySpec", "AES_256"), ERR_OK);
		keystore_do(k, "DisableKey", "{'KeyId':'%s'}", id);
		assert_int_equal(call(other, &k->caller, "GenerateDataKey", "KeyId", id, "KeySpec", "AES_256"),
			ERR_KMS_DISABLED);
		keystore_do(k, "EnableKey", "{'KeyId':'%s'}", id);
	}
	engine_close(other);
}

/* A keystore that nobody has opened yet, opened by many at once, again and again. */
static void many_processes_open_and_close(void **state)
{
	struct keystore *k = *state;
	char fresh[160];
	pid_t pids[6];

	snprintf(fresh, sizeof(fresh), "%s/fresh.db", k->dir);
	assert_int_equal(engine_create(fresh, &k->root, "", 0), ERR_OK);
	for (int p = 0; p < 6; p++) {
		pids[p] = fork();
		assert_true(pids[p] >= 0);
		if (pids[p] == 0) {
			for (int i = 0; i < 15; i++) {
				struct keystore copy = *k;
				struct engine *engine;

				snprintf(copy.path, sizeof(copy.path), "%s/fresh.db", k->dir);
				engine = open_in_child(&copy);
				if (engine == NULL ||
					call(engine, &k->caller, "CreateKey", NULL, NULL, NULL, NULL) != ERR_OK)
					_exit(1);
				engine_close(engine);
			}
			_exit(0);
		}
	}
	for (int p = 0; p < 6; p++) {
		int status;

		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	unlink(fresh);
}

/*
 * The first to open a keystore gives its audit trail its chain, which changes the record that everybody else is reading at that
 * moment: it is sound before and after.
 */
enum { FIRST_OPENINGS = 60 };

struct opener {
	pthread_t thread;
	pthread_barrier_t *start;
	useconds_t late;
	const struct engine_config *config;
	enum err e;
};

static void *open_once(void *context)
{
	struct opener *o = context;
	struct engine *engine;

	pthread_barrier_wait(o->start);
	usleep(o->late); /* one meets another between its steps */
	o->e = engine_open(o->config, &engine);
	if (o->e == ERR_OK)
		engine_close(engine);
	return NULL;
}

static void many_open_it_for_the_first_time(void **state)
{
	struct keystore *k = *state;
	char fresh[160];
	struct engine_config config = {
		.keystore = fresh, .root_key = &k->root, .region = KEYSTORE_REGION, .clock = &k->clock.clock};
	struct opener o[THREADS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, THREADS);
	for (int round = 0; round < FIRST_OPENINGS; round++) {
		snprintf(fresh, sizeof(fresh), "%s/first-%d.db", k->dir, round);
		assert_int_equal(engine_create(fresh, &k->root, "", 0), ERR_OK);
		for (int i = 0; i < THREADS; i++) {
			o[i] = (struct opener){
				.start = &start, .late = (useconds_t)(i * round * 10), .config = &config};
			assert_int_equal(pthread_create(&o[i].thread, NULL, open_once, &o[i]), 0);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(o[i].thread, NULL);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(o[i].e, ERR_OK);
		unlink(fresh);
	}
	pthread_barrier_destroy(&start);
}

/* ---- kill -9 ---- */

/* Make keys and tell the parent each id only once the call has answered. */
static void acknowledge_until_killed(struct keystore *k, int out)
{
	struct engine *engine = open_in_child(k);
	json_t *request = json_object();

	if (engine == NULL)
		_exit(100);
	for (;;) {
		struct engine_reply reply;
		const char *id;

		engine_call(engine, &k->caller, "CreateKey", request, &reply);
		if (reply.error != ERR_OK)
			_exit(101);
		id = json_string_value(json_object_get(json_object_get(reply.body, "KeyMetadata"), "KeyId"));
		if (write(out, id, 36) != 36)
			_exit(102);
		json_decref(reply.body);
	}
}

static size_t check_acknowledged(struct keystore *k, int in)
{
	char id[37] = "";
	size_t n = 0;

	while (read(in, id, 36) == 36) {
		keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
		n++;
	}
	return n;
}

/* Every second child lives until its first answer at least, however slow the machine; the others may die while they open. */
static void let_live(int round, int acknowledged, uint64_t ns)
{
	struct timespec pause = {0, (long)ns};
	struct pollfd first = {.fd = acknowledged, .events = POLLIN};

	if (round % 2)
		assert_int_equal(poll(&first, 1, -1), 1);
	nanosleep(&pause, NULL);
}

static void kill_9_loses_no_acknowledged_change(void **state)
{
	struct keystore *k = *state;
	size_t acknowledged = 0;
	struct prng rng;

	prng_init(&rng);
	for (int i = 0; i < KILLS; i++) {
		int pipe_fds[2], status;
		pid_t pid;

		engine_close(k->engine);
		k->engine = NULL;
		assert_int_equal(pipe(pipe_fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(pipe_fds[0]);
			acknowledge_until_killed(k, pipe_fds[1]);
		}
		close(pipe_fds[1]);
		let_live(i, pipe_fds[0], 5000000 + prng_below(&rng, 60000000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		keystore_reopen(k);
		acknowledged += check_acknowledged(k, pipe_fds[0]);
		close(pipe_fds[0]);
	}
	assert_true(acknowledged >= KILLS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(threads_lose_no_update),
		TEST(processes_lose_no_update),
		TEST(another_engine_sees_a_change_at_once),
		TEST(many_processes_open_and_close),
		TEST(many_open_it_for_the_first_time),
		TEST(kill_9_loses_no_acknowledged_change),
	};

	return cmocka_run_group_tests_name("store_parallel", tests, NULL, NULL);
}
