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
#include "kms/base/prices.h"

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

static enum err make_files(const char *point, uint64_t files)
{
	char path[WORLD_PATH + 32], bytes[FILE_SIZE];

	for (uint64_t i = 0; i < files; i++) {
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

static enum err read_files(const char *point, uint64_t files)
{
	char path[WORLD_PATH + 32], bytes[FILE_SIZE];

	for (uint64_t i = 0; i < files; i++) {
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

static enum err add_stats(struct bench *b, const char *point, struct bench_kms_mode *m)
{
	json_t *s AUTO_JSON = NULL;

	TRY(world_stats(b->world, point, &s));
	m->client_calls += SCENE_NUMBER(s, "kms", "calls");
	m->throttled += SCENE_NUMBER(s, "kms", "client", "throttled");
	m->retries += SCENE_NUMBER(s, "kms", "client", "retries");
	m->p50 = SCENE_NUMBER(s, "kms", "client", "latency", "p50_ns");
	m->p99 = SCENE_NUMBER(s, "kms", "client", "latency", "p99_ns");
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

static enum err one_mount(struct bench *b, const char *vault, const char *name,
	enum err (*work)(const char *point, uint64_t files), struct bench_kms_mode *m, double *ret_seconds)
{
	char point[WORLD_PATH];
	double start;

	TRY(world_mount(b->world, b->endpoint, vault, name, point));
	start = story_now(b->record);
	TRY(work(point, b->wanted->files));
	*ret_seconds = story_now(b->record) - start;
	TRY(add_stats(b, point, m));
	return world_umount(b->world, point);
}

static enum err run_mode(struct bench *b, int bucket_keys, struct bench_kms_mode *ret)
{
	const char *name = bucket_keys ? "with" : "without";
	struct bench_kms_mode m = {.p50 = 0};
	char vault[WORLD_PATH];

	world_path(b->world, name, vault);
	TRY(audit(b, &m, -1));
	TRY(WORLD_RUN(b->world, NULL, "init", "--kms", b->endpoint, "--key", b->key, "--bucket-key",
		bucket_keys ? "on" : "off", vault));
	TRY(count_init(b, &m));
	story_phase(b->record, REPORT_PLAIN, name, "make");
	TRY(one_mount(b, vault, "make", make_files, &m, &m.create_seconds));
	story_event(b->record, REPORT_PLAIN, "%s bucket keys: %llu files made in %.1f s", name,
		(unsigned long long)b->wanted->files, m.create_seconds);
	story_phase(b->record, REPORT_PLAIN, name, "read");
	TRY(one_mount(b, vault, "read", read_files, &m, &m.read_seconds));
	story_event(
		b->record, REPORT_PLAIN, "%s bucket keys: after a new mount all read in %.1f s", name, m.read_seconds);
	story_phase(b->record, REPORT_PLAIN, name, NULL);
	TRY(audit(b, &m, 1));
	*ret = m;
	return ERR_OK;
}

/* ---- Telling ---- */

static double dollars(const struct bench_kms_mode *m, uint64_t files)
{
	return (double)(m->generated + m->decrypted) / (double)files * 1e6 * PRICE_SYMMETRIC / PRICED_REQUESTS;
}

static void put_bars(struct story *r, const char *title, const char *description, const char *label, int logarithmic,
	const char *const names[2], const double with[2], const double without[2])
{
	struct story_chart *c = story_chart(r, REPORT_BARS, title, description, label);

	if (!c)
		return;
	c->logarithmic = logarithmic;
	c->count = c->points[0] = c->points[1] = 2;
	strcpy(c->series[0], "with bucket keys");
	strcpy(c->series[1], "without bucket keys");
	for (size_t i = 0; i < 2; i++) {
		strcpy(c->category[i], names[i]);
		c->y[0][i] = with[i];
		c->y[1][i] = without[i];
	}
}

static void put_charts(struct story *r, const struct bench_kms_result *x)
{
	const struct bench_kms_mode *a = &x->with, *z = &x->without;

	put_bars(r, "KMS calls by operation",
		"With bucket keys a handful, without one for each file made and one for each read.", "KMS calls", 1,
		(const char *const[]){"GenerateDataKey", "Decrypt"},
		(const double[]){(double)a->generated, (double)a->decrypted},
		(const double[]){(double)z->generated, (double)z->decrypted});
	put_bars(r, "Time", "The same work, once with each.", "seconds", 0,
		(const char *const[]){"files made", "files read"}, (const double[]){a->create_seconds, a->read_seconds},
		(const double[]){z->create_seconds, z->read_seconds});
	put_bars(r, "Latency of a KMS call", "As the mount sees it, pauses and retries included.", "milliseconds", 1,
		(const char *const[]){"median", "99th percentile"},
		(const double[]){(double)a->p50 / 1e6, (double)a->p99 / 1e6},
		(const double[]){(double)z->p50 / 1e6, (double)z->p99 / 1e6});
}

static void put_figures(const struct bench_kms *b, struct story *r, const struct bench_kms_result *x)
{
	uint64_t with = x->with.generated + x->with.decrypted, without = x->without.generated + x->without.decrypted;
	char value[STORY_WORD], note[STORY_WORD];

	snprintf(value, sizeof value, "%.4f %%", x->reduction_percent);
	snprintf(note, sizeof note, "%llu instead of %llu", (unsigned long long)with, (unsigned long long)without);
	story_figure(r, value, "fewer KMS calls", note);
	snprintf(value, sizeof value, "%.5f", (double)with / (double)b->files);
	snprintf(note, sizeof note, "without bucket keys %.3f", (double)without / (double)b->files);
	story_figure(r, value, "calls for each file", note);
	snprintf(value, sizeof value, "$%.4f", dollars(&x->with, b->files));
	snprintf(note, sizeof note, "without bucket keys $%.2f", dollars(&x->without, b->files));
	story_figure(r, value, "a million files made and read", note);
	snprintf(value, sizeof value, "%llu", (unsigned long long)x->with.throttled);
	snprintf(note, sizeof note, "without bucket keys %llu", (unsigned long long)x->without.throttled);
	story_figure(r, value, "requests throttled", note);
}

static void put_checks(const struct bench_kms *b, struct story *r, const struct bench_kms_result *x)
{
	const struct bench_kms_mode *a = &x->with, *z = &x->without;

	story_check(r, a->generated + a->decrypted <= 6 + b->files / 100000,
		"With bucket keys the calls do not grow with the files", "%llu for %llu files",
		(unsigned long long)(a->generated + a->decrypted), (unsigned long long)b->files);
	story_check(r, z->generated + z->decrypted == 2 * b->files + 2 + z->init_calls,
		"Without them each file costs a call, and each read",
		"%llu GenerateDataKey, %llu Decrypt, the volume key's included", (unsigned long long)z->generated,
		(unsigned long long)z->decrypted);
	if (x->audited)
		story_check(r,
			a->client_calls + a->init_calls == a->generated + a->decrypted &&
				z->client_calls + z->init_calls == z->generated + z->decrypted,
			"The KMS's audit trail and the mounts' counters agree", "%llu and %llu calls, init's left out",
			(unsigned long long)a->client_calls, (unsigned long long)z->client_calls);
	else
		story_caution(r, "Counted by the mounts alone.", "The audit trail of that KMS was not looked at.");
	if (b->files >= 100000)
		story_check(r, x->reduction_percent > 99.99, "The reduction is above 99.99 %", "%.5f %%",
			x->reduction_percent);
}

static enum err find_key(struct bench *b)
{
	json_t *made AUTO_JSON = NULL;
	char *text = NULL;

	if (b->wanted->endpoint) {
		snprintf(b->key, sizeof b->key, "%s", b->wanted->key);
		return ERR_OK;
	}
	TRY(WORLD_RUN(b->world, &text, "kms", "create-key"));
	enum err e = json_parse(text, strlen(text), &made);
	free(text);
	TRY(e);
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
	uint64_t with = x->with.generated + x->with.decrypted, without = x->without.generated + x->without.decrypted;
	x->reduction_percent = without ? 100.0 * (1.0 - (double)with / (double)without) : 0;
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
	if (e == ERR_OK) {
		put_figures(b, r, &x);
		put_checks(b, r, &x);
		put_charts(r, &x);
		*ret = x;
	} else {
		story_stopped(r, e);
	}
	world_close(world);
	story_end(r);
	free(world);
	return e;
}
