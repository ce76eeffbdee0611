/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as a real process. This program is its own agent: wire_agent_start() runs /proc/self/exe with "kms agent …",
 * which main() below hands to the command that the signetfs binary runs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "fs/cli/cli.h"
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/engine/engine.h"
#include "kms/rootkey/rootkey.h"
#include "kms/wire/client.h"

struct place {
	char dir[64];
	char keystore[96];
	char root_key[128], wrong_key[128]; /* "keyfile:…" */
};

static void write_key_file(const char *spec)
{
	uint8_t bytes[32];

	random_bytes(bytes, sizeof(bytes));
	assert_int_equal(io_replace_file(AT_FDCWD, spec + strlen("keyfile:"), bytes, sizeof(bytes), 0600), ERR_OK);
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	uint8_t stored[ROOTKEY_PARAMS_SIZE];
	struct rootkey_params params;
	struct rootkey_spec spec;
	struct root_key key AUTO_WIPE;

	assert_non_null(p);
	snprintf(p->dir, sizeof(p->dir), "/tmp/test_wire_agent.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->keystore, sizeof(p->keystore), "%s/kms.db", p->dir);
	snprintf(p->root_key, sizeof(p->root_key), "keyfile:%s/root.key", p->dir);
	snprintf(p->wrong_key, sizeof(p->wrong_key), "keyfile:%s/wrong.key", p->dir);
	write_key_file(p->root_key);
	write_key_file(p->wrong_key);
	assert_int_equal(rootkey_parse(p->root_key, &spec), ERR_OK);
	assert_int_equal(rootkey_create(&spec, p->keystore, NULL, &params, &key), ERR_OK);
	rootkey_params_encode(&params, stored);
	assert_int_equal(engine_create(p->keystore, &key, stored, sizeof(stored)), ERR_OK);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	DIR *dir = opendir(p->dir);
	const struct dirent *d;

	while ((d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static struct wire_agent_config config_of(const struct place *p)
{
	return (struct wire_agent_config){.keystore = p->keystore, .root_key = p->root_key};
}

/* Whether @pid is gone within ten seconds; a zombie counts as gone. */
static int ends(pid_t pid)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	char path[64], line[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 1000; i++) {
		FILE *f = fopen(path, "re");
		size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;

		if (f)
			fclose(f);
		line[n] = '\0';
		if (!f || strstr(line, ") Z "))
			return 1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void test_start_and_stop(void **state)
{
	struct wire_agent_config config = config_of(*state);
	struct wire_agent *agent = NULL;
	pid_t pid;

	assert_int_equal(wire_agent_start(&config, &agent), ERR_OK);
	pid = wire_agent_pid(agent);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(getsid(pid), pid); /* the terminal's signals are not for it */
	wire_agent_stop(agent);
	assert_int_equal(kill(pid, 0), -1); /* stopped means gone */
	assert_int_equal(errno, ESRCH);
}

/* Code and text come through as they arose in the agent. */
static void test_what_hinders_the_agent_is_told(void **state)
{
	const struct place *p = *state;
	const struct {
		const char *keystore, *root_key;
		enum err error;
		const char *text;
	} cases[] = {
		{p->keystore, p->wrong_key, ERR_ROOT_KEY, p->keystore},
		{"/nonexistent/kms.db", p->root_key, ERR_NOT_FOUND, "/nonexistent/kms.db"},
		{p->keystore, "keyfile:/nonexistent", ERR_NOT_FOUND, "/nonexistent"},
		{p->keystore, "nonsense", ERR_USAGE, "nonsense"},
		{"/etc/passwd", p->root_key, ERR_KEYSTORE, "/etc/passwd"},
	};
	struct wire_agent *agent = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_agent_config config = {.keystore = cases[i].keystore, .root_key = cases[i].root_key};

		print_message("%s %s\n", cases[i].keystore, cases[i].root_key);
		assert_int_equal(wire_agent_start(&config, &agent), cases[i].error);
		assert_non_null(strstr(err_text(cases[i].error), cases[i].text));
		assert_null(agent);
	}
}

static void test_agent_that_cannot_run(void **state)
{
	struct wire_agent_config config = config_of(*state);
	struct wire_agent *agent = NULL;

	config.exe = "/nonexistent/signetfs";
	assert_int_equal(wire_agent_start(&config, &agent), ERR_KMS_UNREACHABLE);
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), "could not be executed"));
	config.exe = "/bin/false";
	assert_int_equal(wire_agent_start(&config, &agent), ERR_KMS_UNREACHABLE);
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), "status 1"));
	assert_null(agent);
}

static struct kms *connect_to(const struct place *p)
{
	struct wire_client_config config = {.endpoint = "agent", .agent = config_of(p)};
	struct kms *kms = NULL;

	assert_int_equal(wire_client_connect(&config, &kms), ERR_OK);
	return kms;
}

/* The pid of the one child there is. */
static pid_t only_child(void)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	return (pid_t)strtol(text, NULL, 10);
}

static void test_keys_through_the_agent(void **state)
{
	struct kms_context context = {.count = 1, .pair = {{"signetfs:volume", "x"}}};
	struct kms *kms = connect_to(*state);
	struct kms_wrapped_key wrapped;
	uint8_t key[KEY_SIZE], again[KEY_SIZE];

	assert_int_equal(kms_generate_data_key(kms, "alias/aws/signetfs", &context, key, &wrapped), ERR_OK);
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &context, again), ERR_OK);
	assert_memory_equal(key, again, sizeof(key));
	context.pair[0].value[0] = 'y';
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &context, again), ERR_KMS_INVALID_CIPHERTEXT);
	kms_close(kms);
	/* Another agent, later, opens what the first one made. */
	kms = connect_to(*state);
	context.pair[0].value[0] = 'x';
	memset(again, 0, sizeof(again));
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &context, again), ERR_OK);
	assert_memory_equal(key, again, sizeof(key));
	kms_close(kms);
}

static void *generate_many(void *context)
{
	struct kms_context c = {.count = 0};
	uint8_t key[KEY_SIZE];
	struct kms_wrapped_key wrapped;
	uintptr_t failed = 0;

	for (int i = 0; i < 20; i++)
		failed += kms_generate_data_key(context, "alias/aws/signetfs", &c, key, &wrapped) != ERR_OK;
	return (void *)failed;
}

static void test_many_threads_at_once(void **state)
{
	struct kms *kms = connect_to(*state);
	pthread_t threads[8];

	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, generate_many, kms), 0);
	for (size_t i = 0; i < 8; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	kms_close(kms);
}

static void test_dead_agent_is_told_at_once(void **state)
{
	struct kms_context context = {.count = 0};
	struct kms *kms = connect_to(*state);
	struct kms_wrapped_key wrapped;
	uint8_t key[KEY_SIZE];
	pid_t pid = only_child();
	time_t start;

	assert_int_equal(kms_generate_data_key(kms, "alias/aws/signetfs", &context, key, &wrapped), ERR_OK);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(ends(pid));
	start = time(NULL);
	assert_int_equal(
		kms_generate_data_key(kms, "alias/aws/signetfs", &context, key, &wrapped), ERR_KMS_UNREACHABLE);
	assert_non_null(strstr(err_text(ERR_KMS_UNREACHABLE), "the agent has ended"));
	assert_true(time(NULL) - start <= 3);
	kms_close(kms);
}

/* A client that is killed closes nothing itself; the kernel does, and the agent must go with it. */
static void test_agent_ends_with_a_killed_client(void **state)
{
	int told[2];
	pid_t client, agent = 0;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	client = fork();
	assert_true(client >= 0);
	if (client == 0) {
		struct wire_agent_config config = config_of(*state);
		struct wire_agent *a = NULL;

		if (wire_agent_start(&config, &a) == ERR_OK)
			agent = wire_agent_pid(a);
		if (write(told[1], &agent, sizeof(agent)) == sizeof(agent))
			pause();
		_exit(1);
	}
	assert_int_equal(read(told[0], &agent, sizeof(agent)), sizeof(agent));
	assert_true(agent > 0);
	assert_int_equal(kill(agent, 0), 0);
	assert_int_equal(kill(client, SIGKILL), 0);
	assert_int_equal(waitpid(client, NULL, 0), client);
	assert_true(ends(agent));
	close(told[0]);
	close(told[1]);
}

/* In a child: start an agent, tell its pid, fork a child that waits for @go to close, and exit as a daemon's parent does. */
static void daemonise_with_agent(const struct place *p, int told, int go)
{
	struct wire_agent_config config = config_of(p);
	struct wire_agent *a = NULL;
	pid_t agent = 0;
	char byte;

	if (wire_agent_start(&config, &a) == ERR_OK)
		agent = wire_agent_pid(a);
	if (fork() == 0)
		_exit(read(go, &byte, 1) == 0 ? 0 : 1);
	_exit(write(told, &agent, sizeof(agent)) == sizeof(agent) ? 0 : 1);
}

static void test_agent_stays_with_a_forked_client(void **state)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	int told[2], go[2], status = -1;
	pid_t starter, agent = 0;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	starter = fork();
	assert_true(starter >= 0);
	if (starter == 0) {
		close(go[1]);
		daemonise_with_agent(*state, told[1], go[0]);
	}
	assert_int_equal(waitpid(starter, &status, 0), starter);
	assert_int_equal(status, 0);
	assert_int_equal(read(told[0], &agent, sizeof(agent)), sizeof(agent));
	assert_true(agent > 0);
	nanosleep(&pause, NULL);
	assert_int_equal(kill(agent, 0), 0);
	close(go[1]);
	assert_true(ends(agent));
	close(go[0]);
	close(told[0]);
	close(told[1]);
}

static unsigned count_descriptors(const char *process)
{
	char path[64];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_nothing_leaks_into_or_out_of_it(void **state)
{
	unsigned before = count_descriptors("self");
	int first = open("/etc/passwd", O_RDONLY), stray = fcntl(first, F_DUPFD, 20); /* without FD_CLOEXEC */
	struct wire_agent_config config = config_of(*state);
	struct wire_agent *agent = NULL;
	char path[64], target[64], name[32];

	assert_true(stray >= 0);
	assert_int_equal(wire_agent_start(&config, &agent), ERR_OK);
	snprintf(name, sizeof(name), "%d", (int)wire_agent_pid(agent));
	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%s/fd/%d", name, fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		assert_string_not_equal(target, "/etc/passwd");
	}
	wire_agent_stop(agent);
	close(stray);
	close(first);
	assert_int_equal(count_descriptors("self"), before);
}

/* What a debugger of the same user would need is refused: /proc/PID/mem cannot be opened but by root. */
static void test_agent_is_not_dumpable(void **state)
{
	struct wire_agent_config config = config_of(*state);
	struct wire_agent *agent = NULL;
	struct stat st;
	char path[64], line[128];
	int core_forbidden = 0;
	FILE *f;

	assert_int_equal(wire_agent_start(&config, &agent), ERR_OK);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)wire_agent_pid(agent));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)wire_agent_pid(agent));
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		core_forbidden |= strncmp(line, "Max core file size        0                    0 ", 49) == 0;
	if (f)
		fclose(f);
	else
		core_forbidden = geteuid() != 0; /* not even that may be read */
	assert_true(core_forbidden);
	wire_agent_stop(agent);
}

/* A needle kept under a mask, so that the one we hold is not what is found. */
struct needle {
	uint8_t masked[64];
	size_t len;
};

enum { MASK = 0x5a };

static void needle_set(struct needle *n, const void *p, size_t len)
{
	assert_true(len <= sizeof(n->masked));
	n->len = len;
	for (size_t i = 0; i < len; i++)
		n->masked[i] = ((const uint8_t *)p)[i] ^ MASK;
}

static int needle_at(const struct needle *n, const uint8_t *p)
{
	for (size_t i = 0; i < n->len; i++)
		if ((p[i] ^ MASK) != n->masked[i])
			return 0;
	return 1;
}

static unsigned needle_count(const struct needle *n, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	unsigned found = 0;

	while ((p = memchr(p, n->masked[0] ^ MASK, (size_t)(end - p))) && (size_t)(end - p) >= n->len) {
		found += needle_at(n, p);
		p++;
	}
	return found;
}

/* Over all writable memory of process @pid; -1 when it may not be read. */
static int memory_count(pid_t pid, const struct needle *needle)
{
	char path[64], line[512];
	unsigned long from, to;
	int found = 0, mem;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (mem < 0 || !maps)
		return -1;
	while (fgets(line, sizeof(line), maps)) {
		enum { PART = 1 << 20, OVERLAP = 64 };
		static uint8_t part[PART];

		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw") || to - from > 1UL << 30)
			continue; /* the largest ones are a sanitizer's shadow */
		for (; from < to; from += PART - OVERLAP) {
			ssize_t n = pread(mem, part, to - from < PART ? to - from : PART, (off_t)from);

			found += n > 0 ? (int)needle_count(needle, part, (size_t)n) : 0;
			memset(part, 0, sizeof(part));
			if (n <= 0)
				break;
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

/*
 * A data key that was generated, unwrapped and wiped by its owner is nowhere: neither as bytes nor as base64, neither here
 * (libcurl, jansson, our buffers) nor in the agent.
 */
static void test_no_copy_of_a_key_stays_behind(void **state)
{
	const struct place *p = *state;
	struct kms_context context = {.count = 0};
	struct kms *kms = connect_to(p);
	struct kms_wrapped_key wrapped;
	struct needle raw, text, path;
	char base64[BASE64_LEN(KEY_SIZE) + 1];
	uint8_t key[KEY_SIZE];
	pid_t agent = only_child();

	assert_int_equal(kms_generate_data_key(kms, "alias/aws/signetfs", &context, key, &wrapped), ERR_OK);
	assert_int_equal(kms_decrypt_data_key(kms, &wrapped, &context, key), ERR_OK);
	encode_base64(key, sizeof(key), base64);
	needle_set(&raw, key, sizeof(key));
	needle_set(&text, base64, strlen(base64) - 1);
	assert_true(memory_count(getpid(), &raw) >= 1); /* the search finds what is there */
	assert_true(memory_count(getpid(), &text) >= 1);
	secret_wipe(key, sizeof(key));
	secret_wipe(base64, sizeof(base64));
	assert_int_equal(memory_count(getpid(), &raw), 0);
	assert_int_equal(memory_count(getpid(), &text), 0);
	if (geteuid() == 0) {
		needle_set(&path, p->keystore, strlen(p->keystore));
		assert_true(memory_count(agent, &path) >= 1);
		assert_int_equal(memory_count(agent, &raw), 0);
		assert_int_equal(memory_count(agent, &text), 0);
	} else {
		assert_int_equal(memory_count(agent, &raw), -1);
	}
	kms_close(kms);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_stop),
		cmocka_unit_test(test_what_hinders_the_agent_is_told),
		cmocka_unit_test(test_agent_that_cannot_run),
		cmocka_unit_test(test_keys_through_the_agent),
		cmocka_unit_test(test_many_threads_at_once),
		cmocka_unit_test(test_dead_agent_is_told_at_once),
		cmocka_unit_test(test_agent_ends_with_a_killed_client),
		cmocka_unit_test(test_agent_stays_with_a_forked_client),
		cmocka_unit_test(test_nothing_leaks_into_or_out_of_it),
		cmocka_unit_test(test_agent_is_not_dumpable),
		cmocka_unit_test(test_no_copy_of_a_key_stays_behind),
	};

	signal(SIGPIPE, SIG_IGN);
	secret_install_json_allocator();
	if (argc > 2 && strcmp(argv[1], "kms") == 0 && strcmp(argv[2], "agent") == 0)
		return cli_kms_agent(argc - 2, argv + 2);
	return cmocka_run_group_tests_name("wire_agent", tests, set_up, tear_down);
}
