/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fs/drill/child.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/random.h"
#include "kms/wire/client.h"

enum { ENV_MAX = 12, ENV_SIZE = 640, LINE_SIZE = 64 * 1024 };

void world_path(const struct world *w, const char *name, char out[WORLD_PATH])
{
	snprintf(out, WORLD_PATH, "%s/%s", w->root, name);
}

void world_config(const struct world *w, char out[WORLD_PATH + 8])
{
	snprintf(out, WORLD_PATH + 8, "%s.ini", w->keystore);
}

/* ---- Interrupted ---- */

static volatile sig_atomic_t interrupted;

void world_interrupt(int signal)
{
	interrupted = signal;
}

int world_interrupted(void)
{
	return interrupted;
}

/* ---- Running programs ---- */

struct environment {
	char text[ENV_MAX][ENV_SIZE];
	const char *list[ENV_MAX + 1];
	size_t count;
};

static void put_env(struct environment *e, const char *name, const char *value)
{
	if (!value || !value[0] || e->count == ENV_MAX)
		return;
	snprintf(e->text[e->count], ENV_SIZE, "%s=%s", name, value);
	e->list[e->count] = e->text[e->count];
	e->list[++e->count] = NULL;
}

static void make_environment(const struct world *w, struct environment *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	static const char *const sanitizers[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};

	e->count = 0;
	put_env(e, "PATH", getenv("PATH"));
	put_env(e, "HOME", w->root);
	put_env(e, "LC_ALL", "C.UTF-8");
	put_env(e, "XDG_RUNTIME_DIR", runtime);
	put_env(e, "AWS_ACCESS_KEY_ID", w->access_key);
	put_env(e, "AWS_SECRET_ACCESS_KEY", w->secret);
	put_env(e, "AWS_REGION", w->region);
	for (size_t i = 0; i < sizeof sanitizers / sizeof sanitizers[0]; i++)
		put_env(e, sanitizers[i], getenv(sanitizers[i]));
}

/* "signetfs kms init", "tar": for messages. */
static const char *words(const struct world *w, const char *const *argv, char *out, size_t size)
{
	int ours = argv[0] == w->program && argv[1], group = ours && !strcmp(argv[1], "kms") && argv[2];

	snprintf(out, size, "%.400s%s%.40s%s%.40s", ours ? "signetfs" : argv[0], ours ? " " : "", ours ? argv[1] : "",
		group ? " " : "", group ? argv[2] : "");
	return out;
}

static enum err run_in(struct world *w, const char *const *env, enum child_how how, const char *const *argv,
	void (*each)(void *context, const char *line), void *context)
{
	struct child c;
	char shown[512];
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (interrupted && !w->closing)
		return err_fail(ERR_INTERRUPTED, "interrupted");
	TRY(child_start(argv, env, how, &c));
	while (c.out && (n = getline(&line, &size, c.out)) > 0) {
		line[n - (line[n - 1] == '\n')] = '\0';
		if (each)
			each(context, line);
	}
	free(line);
	/* A signal ended the reading. */
	int give_up = interrupted && !w->closing;
	if (give_up)
		kill(c.pid, SIGTERM);
	enum err e = child_end(&c, words(w, argv, shown, sizeof shown));
	return give_up ? err_fail(ERR_INTERRUPTED, "interrupted") : e;
}

static enum err run_lines(
	struct world *w, const char *const *argv, void (*each)(void *context, const char *line), void *context)
{
	struct environment env;

	make_environment(w, &env);
	return run_in(w, env.list, CHILD_PLAIN, argv, each, context);
}

static void with_program(const struct world *w, const char *const *args, const char *argv[WORLD_ARGS])
{
	size_t n = 0;

	argv[n++] = w->program;
	while (*args && n < WORLD_ARGS - 1)
		argv[n++] = *args++;
	argv[n] = NULL;
}

enum err world_lines(
	struct world *w, void (*each)(void *context, const char *line), void *context, const char *const *args)
{
	const char *argv[WORLD_ARGS];

	with_program(w, args, argv);
	return run_lines(w, argv, each, context);
}

enum err world_program(struct world *w, const char *const *args)
{
	return run_lines(w, args, NULL, NULL);
}

static void gather(void *context, const char *line)
{
	char **text = context, *longer = NULL;

	if (asprintf(&longer, "%s%s\n", *text ? *text : "", line) < 0)
		return;
	free(*text);
	*text = longer;
}

/* Its output, when that is wanted and it ended well. */
static enum err give_text(enum err e, char *text, char **ret_out)
{
	if (e != ERR_OK || !ret_out) {
		free(text);
		return e;
	}
	*ret_out = text ? text : strdup("");
	return *ret_out ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

enum err world_run(struct world *w, char **ret_out, const char *const *args)
{
	char *text = NULL;
	enum err e = world_lines(w, ret_out ? gather : NULL, &text, args);

	return give_text(e, text, ret_out);
}

enum err world_run_as_person(struct world *w, char **ret_out, const char *const *args)
{
	const char *argv[WORLD_ARGS];
	char *text = NULL;

	with_program(w, args, argv);
	enum err e = run_in(w, (const char *const *)environ, CHILD_AT_TERMINAL, argv, ret_out ? gather : NULL, &text);
	return give_text(e, text, ret_out);
}

enum err world_ask(struct world *w, json_t **ret, const char *const *args)
{
	char *text = NULL;

	TRY(world_run(w, &text, args));
	enum err e = json_parse(text, strlen(text), ret);
	free(text);
	return e;
}

/* ---- Opening and closing ---- */

static enum err write_text(const char *path, const void *text, size_t len)
{
	return io_replace_file(AT_FDCWD, path, text, len, 0600);
}

/* A key file, so that nobody is asked for a passphrase; the quotas are those of `kms serve`. */
static enum err configure(const struct world *w, const char *quotas)
{
	char path[WORLD_PATH + 8], text[3 * WORLD_PATH];

	world_config(w, path);
	snprintf(text, sizeof text, "[kms]\nkeystore = %s\nroot-key = keyfile:%s.key\nquotas = %s\n", w->keystore,
		w->keystore, quotas);
	TRY(write_text(path, text, strlen(text)));
	if (w->beside)
		return ERR_OK;
	world_path(w, ".config/signetfs/signetfs.ini", path);
	return write_text(path, text, strlen(text));
}

static enum err make_keystore(struct world *w)
{
	char path[WORLD_PATH + 16];
	uint8_t key[32];

	random_bytes(key, sizeof key);
	snprintf(path, sizeof path, "%s.key", w->keystore);
	TRY(write_text(path, key, sizeof key));
	snprintf(path, sizeof path, "%s.scratch", w->keystore);
	TRY(write_text(path, "made by a drill\n", 16));
	TRY(configure(w, "none"));
	snprintf(path, sizeof path, "%s.ini", w->keystore);
	return WORLD_RUN(w, NULL, "kms", "init", "--config", path);
}

static enum err find_program(struct world *w)
{
	ssize_t n = readlink("/proc/self/exe", w->program, sizeof w->program - 1);

	if (n <= 0)
		return err_system("/proc/self/exe");
	w->program[n] = '\0';
	return ERR_OK;
}

static void name_files(struct world *w, const char *name)
{
	snprintf(w->keystore, sizeof w->keystore, "%s/%s.db", w->root, name);
	snprintf(w->socket, sizeof w->socket, "%s/%s.sock", w->root, name);
	snprintf(w->endpoint, sizeof w->endpoint, "unix:%.500s", w->socket);
	w->service_out = -1;
}

enum err world_open(struct world *w)
{
	const char *tmp = getenv("TMPDIR");
	char config[WORLD_PATH];

	*w = (struct world){.service = 0};
	TRY(find_program(w));
	if (snprintf(w->root, sizeof w->root, "%s/signetfs-drill-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp") >=
		(int)sizeof w->root)
		strcpy(w->root, "/tmp/signetfs-drill-XXXXXX"); /* a socket's path must be short */
	if (!mkdtemp(w->root)) {
		enum err e = err_system("cannot make the scratch folder %s", w->root);
		w->root[0] = '\0';
		return e;
	}
	name_files(w, "kms");
	world_path(w, ".config/signetfs", config);
	TRY(io_make_dirs(config, 0700));
	return make_keystore(w);
}

enum err world_open_beside(struct world *w, const struct world *of, const char *name)
{
	*w = (struct world){.beside = of};
	strcpy(w->program, of->program);
	strcpy(w->root, of->root);
	name_files(w, name);
	return make_keystore(w);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void world_close(struct world *w)
{
	w->closing = 1;
	w->access_key[0] = w->secret[0] = '\0';
	while (w->mounts)
		if (world_umount(w, w->mount[w->mounts - 1]) != ERR_OK) {
			const char *argv[] = {"fusermount3", "-u", "-z", w->mount[w->mounts - 1], NULL};
			world_program(w, argv);
			w->mounts--;
		}
	world_stop(w, SIGTERM);
	/*
	 * FTW_MOUNT: what is still mounted, if anything, is not entered. Nor may the person's vault be mounted while we are at it, by a
	 * daemon that comes late: so its folder goes first, and where that cannot be, all of it stays.
	 */
	int held = w->own_point[0] && rmdir(w->own_point) && errno != ENOENT;
	if (w->root[0] && !w->beside && !held)
		nftw(w->root, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	w->root[0] = '\0';
}

/* ---- The service ---- */

static enum err read_address(struct world *w, FILE *out)
{
	char line[256];

	for (int i = 0; i < 2; i++) {
		if (!fgets(line, sizeof line, out))
			return err_fail(ERR_CLOSED, "kms serve did not start");
		char *http = strstr(line, "http://");
		if (http)
			snprintf(w->url, sizeof w->url, "%.*s", (int)strcspn(http, " \n"), http);
	}
	return ERR_OK;
}

enum err world_serve(struct world *w, const char *quotas, const char *const *options)
{
	char config[WORLD_PATH + 8];
	const char *args[WORLD_ARGS] = {
		"kms", "serve", "--config", config, "--listen", w->endpoint, "--listen", "127.0.0.1:0"};
	const char *argv[WORLD_ARGS];
	struct environment env;
	struct child c;
	size_t n = 8;

	world_config(w, config);
	TRY(configure(w, quotas));
	for (; options && *options && n < WORLD_ARGS - 2; options++)
		args[n++] = *options;
	with_program(w, args, argv);
	make_environment(w, &env);
	TRY(child_start(argv, env.list, CHILD_DIES_WITH_US, &c));
	enum err e = c.out ? read_address(w, c.out) : err_system("pipe");
	if (e != ERR_OK) {
		kill(c.pid, SIGKILL);
		enum err why = child_end(&c, "kms serve");
		return why == ERR_OK ? e : why;
	}
	w->service = c.pid;
	w->service_out = dup(fileno(c.out));
	fclose(c.out);
	fclose(c.errors);
	const struct wire_client_config client = {.endpoint = w->endpoint};
	return w->kms ? ERR_OK : wire_client_connect(&client, &w->kms);
}

void world_stop(struct world *w, int how)
{
	if (w->service > 0) {
		kill(w->service, how);
		while (waitpid(w->service, NULL, 0) < 0 && errno == EINTR)
			;
		close(w->service_out);
	}
	w->service = 0;
	if (how == SIGTERM) {
		kms_close(w->kms);
		w->kms = NULL;
	}
}

enum err world_kms(struct world *w, const char *operation, json_t *request, json_t **ret)
{
	json_t *answer = NULL;
	enum err e = kms_call(w->kms, operation, request, &answer);

	json_decref(request);
	if (e == ERR_OK && ret)
		*ret = answer;
	else
		json_decref(answer);
	return err_wrap(e, "%s", operation);
}

enum err world_make_key(struct world *w, const char *description, char ret_arn[WORLD_ARN])
{
	json_t *answer AUTO_JSON = NULL;

	TRY(world_kms(w, "CreateKey", json_pack("{s:s}", "Description", description), &answer));
	const char *arn = json_string_value(json_object_get(json_object_get(answer, "KeyMetadata"), "Arn"));
	if (!arn || strlen(arn) >= WORLD_ARN)
		return err_fail(ERR_KMS_PROTOCOL, "CreateKey answered without an ARN");
	strcpy(ret_arn, arn);
	return ERR_OK;
}

/* ---- Mounts ---- */

static enum err make_point(const struct world *w, const char *name, char point[WORLD_PATH])
{
	if (w->mounts == WORLD_MOUNTS)
		return err_fail(ERR_LIMIT, "more than %d mounts", WORLD_MOUNTS);
	world_path(w, name, point);
	return io_make_dirs(point, 0700);
}

enum err world_mount(
	struct world *w, const char *endpoint, const char *vault, const char *name, char ret_point[WORLD_PATH])
{
	char point[WORLD_PATH];

	TRY(make_point(w, name, point));
	TRY(WORLD_RUN(w, NULL, "mount", "--kms", endpoint, vault, point));
	strcpy(w->mount[w->mounts++], point);
	strcpy(ret_point, point);
	return ERR_OK;
}

enum err world_mount_as_person(struct world *w, const char *const *args, const char *name, char ret_point[WORLD_PATH])
{
	const char *all[WORLD_ARGS];
	size_t n = 0;

	TRY(make_point(w, name, ret_point));
	while (*args && n < WORLD_ARGS - 2)
		all[n++] = *args++;
	all[n++] = ret_point;
	all[n] = NULL;
	/* Known before it is mounted: given up in between, it may be all the same. */
	strcpy(w->own_point, ret_point);
	strcpy(w->mount[w->mounts++], ret_point);
	return world_run_as_person(w, NULL, all);
}

enum err world_umount(struct world *w, const char *point)
{
	TRY(WORLD_RUN(w, NULL, "umount", point));
	for (size_t i = 0; i < w->mounts; i++)
		if (strcmp(w->mount[i], point) == 0)
			memmove(w->mount[i], w->mount[w->mounts - 1], sizeof w->mount[i]);
	w->mounts--;
	return ERR_OK;
}

enum err world_stats(struct world *w, const char *point, json_t **ret)
{
	return WORLD_ASK(w, ret, "stats", "--json", point);
}

/* ---- The audit trail ---- */

static void count_line(void *context, const char *line)
{
	++*(uint64_t *)context;
	(void)line;
}

enum err world_audited(struct world *w, const char *key, const char *operation, const char *error, uint64_t *ret)
{
	char config[WORLD_PATH + 8];
	const char *args[WORLD_ARGS] = {"kms", "audit", "--json-lines", "--config", config};
	size_t n = 5;
	uint64_t count = 0;

	world_config(w, config);
	if (key) {
		args[n++] = "--key";
		args[n++] = key;
	}
	if (operation) {
		args[n++] = "--operation";
		args[n++] = operation;
	}
	if (error) {
		args[n++] = "--error";
		args[n++] = error[0] ? error : "none";
	}
	TRY(world_lines(w, count_line, &count, args));
	*ret = count;
	return ERR_OK;
}
