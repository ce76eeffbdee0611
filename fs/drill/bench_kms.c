/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/bench_kms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/drill/drill.h"
#include "kms/base/json.h"

enum { FOLDER_FILES = 1000, FILE_SIZE = 200 };

struct bench {
	const struct bench_kms *wanted;
	struct story *record;
	struct world *world;
	const char *endpoint;
	char key[WORLD_ARN];
};

/* ---- The workload ---- */

static void path_of(const char *point, uint64_t number, int folder, char *out, size_t size)
{
	int n = snprintf(out, size, "%s/%04llu", point, (unsigned long long)(number / FOLDER_FILES));

	if (!folder && n > 0 && (size_t)n < size)
		snprintf(out + n, size - (size_t)n, "/%03llu", (unsigned long long)(number % FOLDER_FILES));
}

static enum err make_files(const char *point, uint64_t from, uint64_t to)
{
	char path[WORLD_PATH + 32], bytes[FILE_SIZE];

	for (uint64_t i = from; i < to; i++) {
		path_of(point, i, 1, path, sizeof path);
		if (i % FOLDER_FILES == 0 && mkdir(path, 0700))
			return err_system("mkdir %s", path);
		path_of(point, i, 0, path, sizeof path);
		memset(bytes, (int)('a' + i % 26), sizeof bytes);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ssize_t n = fd < 0 ? -1 : write(fd, bytes, sizeof bytes);
		if (n != FILE_SIZE || close(fd))
			return err_system("making %s", path);
	}
	return ERR_OK;
}

static enum err read_files(const char *point, uint64_t from, uint64_t to)
{
	char path[WORLD_PATH + 32], bytes[FILE_SIZE];

	for (uint64_t i = from; i < to; i++) {
		path_of(point, i, 0, path, sizeof path);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
		if (n != FILE_SIZE || close(fd))
			return err_system("reading %s", path);
		if (bytes[0] != (char)('a' + i % 26) || bytes[FILE_SIZE - 1] != bytes[0])
			return err_fail(ERR_TAMPERED, "%s has another content", path);
	}
	return ERR_OK;
}

/* ---- Counting ---- */

/* The calls of the mount so far, on top of those of the mounts before it. */
static enum err add_point(struct bench *b, const char *point, double seconds, uint64_t before, struct bench_kms_mode *m)
{
	json_t *s AUTO_JSON = NULL;

	TRY(world_stats(b->world, point, &s));
	m->at[m->points] = seconds;
	m->so_far[m->points++] = (double)(before + SCENE_NUMBER(s, "kms", "calls"));
	return ERR_OK;
}

static enum err add_stats(struct bench *b, const char *point, enum bench_kms_half half, struct bench_kms_mode *m)
{
	json_t *s AUTO_JSON = NULL;

	TRY(world_stats(b->world, point, &s));
	m->client_calls += SCENE_NUMBER(s, "kms", "calls");
	m->throttled += SCENE_NUMBER(s, "kms", "client", "throttled");
	m->retries += SCENE_NUMBER(s, "kms", "client", "retries");
	m->p50[half] = SCENE_NUMBER(s, "kms", "client", "latency", "p50_ns");
	m->p99[half] = SCENE_NUMBER(s, "kms", "client", "latency", "p99_ns");
	if (b->wanted->endpoint) {
		m->generated += SCENE_NUMBER(s, "kms", "GenerateDataKey", "ok");
		m->decrypted += SCENE_NUMBER(s, "kms", "Decrypt", "ok");
	}
	return ERR_OK;
}

/* What this key was used for since @before, as the KMS wrote it down itself. */
static enum err audit(struct bench *b, struct bench_kms_mode *m, int sign)
{
	uint64_t generated, decrypted;

	if (b->wanted->endpoint)
		return ERR_OK;
	TRY(world_audited(b->world, b->key, "GenerateDataKey", "", &generated));
	TRY(world_audited(b->world, b->key, "Decrypt", "", &decrypted));
	m->generated += sign * generated;
	m->decrypted += sign * decrypted;
	return ERR_OK;
}

/* Init makes the volume key, and the first bucket key where there are any. */
static enum err count_init(struct bench *b, struct bench_kms_mode *m)
{
	struct bench_kms_mode so_far = *m;

	TRY(audit(b, &so_far, 1));
	m->init_calls = so_far.generated + so_far.decrypted;
	return ERR_OK;
}

static const struct half {
	const char *name;
	enum err (*work)(const char *point, uint64_t from, uint64_t to);
} halves[] = {[BENCH_MADE] = {"make", make_files}, [BENCH_READ] = {"read", read_files}};

/* In slices: how many calls there were is asked between them, and that time is not the work's. */
static enum err work(struct bench *b, const char *point, enum bench_kms_half half, struct bench_kms_mode *m)
{
	uint64_t files = b->wanted->files, before = m->client_calls;
	uint64_t slices = files / 25 < BENCH_SLICES ? files / 25 + 1 : BENCH_SLICES;
	double sofar = half == BENCH_READ ? m->seconds[BENCH_MADE] : 0, start;

	TRY(add_point(b, point, sofar, before, m));
	for (uint64_t i = 0; i < slices; i++) {
		if (world_interrupted())
			return err_fail(ERR_INTERRUPTED, "interrupted");
		start = story_now(b->record);
		TRY(halves[half].work(point, files * i / slices, files * (i + 1) / slices));
		m->seconds[half] += story_now(b->record) - start;
		TRY(add_point(b, point, sofar + m->seconds[half], before, m));
	}
	return ERR_OK;
}

static enum err one_mount(struct bench *b, const char *vault, enum bench_kms_half half, struct bench_kms_mode *m)
{
	char point[WORLD_PATH];

	TRY(world_mount(b->world, b->endpoint, vault, halves[half].name, point));
	TRY(work(b, point, half, m));
	TRY(add_stats(b, point, half, m));
	return world_umount(b->world, point);
}

static enum err run_mode(struct bench *b, int bucket_keys, struct bench_kms_mode *ret)
{
	const char *name = bucket_keys ? "with" : "without";
	struct bench_kms_mode m = {.points = 0};
	char vault[WORLD_PATH];

	world_path(b->world, name, vault);
	TRY(audit(b, &m, -1));
	TRY(WORLD_RUN(b->world, NULL, "init", "--kms", b->endpoint, "--key", b->key, "--bucket-key",
		bucket_keys ? "on" : "off", vault));
	TRY(count_init(b, &m));
	story_phase(b->record, REPORT_PLAIN, name, "make");
	TRY(one_mount(b, vault, BENCH_MADE, &m));
	story_event(b->record, REPORT_PLAIN, "%s bucket keys: %llu files made in %.1f s", name,
		(unsigned long long)b->wanted->files, m.seconds[BENCH_MADE]);
	story_phase(b->record, REPORT_PLAIN, name, "read");
	TRY(one_mount(b, vault, BENCH_READ, &m));
	story_event(b->record, REPORT_PLAIN, "%s bucket keys: after a new mount all read in %.1f s", name,
		m.seconds[BENCH_READ]);
	story_phase(b->record, REPORT_PLAIN, name, NULL);
	TRY(audit(b, &m, 1));
	*ret = m;
	return ERR_OK;
}

/* ---- The whole ---- */

static enum err find_key(struct bench *b)
{
	json_t *made AUTO_JSON = NULL;

	if (b->wanted->endpoint) {
		snprintf(b->key, sizeof b->key, "%s", b->wanted->key);
		return ERR_OK;
	}
	TRY(WORLD_ASK(b->world, &made, "kms", "create-key"));
	const char *arn = json_string_value(json_object_get(json_object_get(made, "KeyMetadata"), "Arn"));
	snprintf(b->key, sizeof b->key, "%s", arn ? arn : "");
	return ERR_OK;
}

static void take_credentials(struct bench *b)
{
	const struct bench_kms *w = b->wanted;

	snprintf(b->world->access_key, sizeof b->world->access_key, "%s", w->access_key_id ? w->access_key_id : "");
	snprintf(b->world->secret, sizeof b->world->secret, "%s", w->secret_access_key ? w->secret_access_key : "");
	snprintf(b->world->region, sizeof b->world->region, "%s", w->region ? w->region : "");
}

static enum err run(struct bench *b, struct bench_kms_result *x)
{
	TRY(world_open(b->world));
	if (b->wanted->endpoint)
		take_credentials(b);
	TRY(find_key(b));
	TRY(run_mode(b, 1, &x->with));
	TRY(run_mode(b, 0, &x->without));
	x->audited = !b->wanted->endpoint;
	return ERR_OK;
}

enum err bench_kms_run(const struct bench_kms *b, struct story *r, struct bench_kms_result *ret)
{
	struct world *world = calloc(1, sizeof *world);
	struct bench bench = {b, r, world, b->endpoint ? b->endpoint : "agent", ""};
	struct bench_kms_result x = {.audited = 0};

	if (!world)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	enum err e = run(&bench, &x);
	if (e == ERR_OK)
		bench_kms_tell(b, &x, r);
	else
		story_stopped(r, e);
	*ret = x;
	world_close(world);
	story_end(r);
	free(world);
	return e;
}
