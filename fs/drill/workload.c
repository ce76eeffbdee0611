/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/clock.h"
#include "kms/base/io.h"
#include "kms/base/latency.h"

enum { FOLDER_NAME = 8, SIZE_MIN = 100, SIZE_SPREAD = 12000, PAUSE_MS = 2 };

/* splitmix64: what file @number holds. */
static size_t content(uint64_t number, uint8_t *out)
{
	uint64_t state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	size_t size = SIZE_MIN + (size_t)(number * 7919 % SIZE_SPREAD);

	for (size_t i = 0; i < size; i++) {
		state += UINT64_C(0x9e3779b97f4a7c15);
		uint64_t z = (state ^ (state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		out[i] = (uint8_t)(z >> 33);
	}
	return size;
}

static void path_of(const struct workload *w, uint64_t number, char *out, size_t size)
{
	snprintf(out, size, "%s/file-%06llu", w->folder, (unsigned long long)number);
}

/* Made, written, durable, closed: only then it counts. 0 or an errno. */
static int make_file(const struct workload *w, uint64_t number)
{
	uint8_t bytes[SIZE_MIN + SIZE_SPREAD];
	size_t size = content(number, bytes);
	char path[WORLD_PATH + 32];

	path_of(w, number, path, sizeof path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	ssize_t n = write(fd, bytes, size);
	int failed = n < 0 || fsync(fd) ? errno : (size_t)n != size ? EIO : 0;
	if (close(fd) && !failed)
		failed = errno;
	return failed;
}

/* 0: as it was written; -1: other content; else an errno. */
static int check_file(const struct workload *w, uint64_t number)
{
	uint8_t want[SIZE_MIN + SIZE_SPREAD], got[SIZE_MIN + SIZE_SPREAD + 1];
	size_t size = content(number, want), len = 0;
	char path[WORLD_PATH + 32];

	path_of(w, number, path, sizeof path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	enum err e = io_read_up_to(fd, path, got, sizeof got, &len);
	int failed = e == ERR_OK ? 0 : err_errno();
	close(fd);
	if (failed)
		return failed;
	return len == size && memcmp(got, want, size) == 0 ? 0 : -1;
}

static void count(struct workload *w, int failed, _Atomic uint64_t *good, _Atomic uint64_t *bad)
{
	size_t slot = (size_t)(story_now(w->record) * 10);

	if (slot < WORKLOAD_SLOTS)
		atomic_fetch_add(failed ? &w->bad[slot] : &w->good[slot], 1);
	if (failed < 0)
		atomic_fetch_add(&w->wrong, 1);
	if (failed > 0)
		atomic_store(&w->last_errno, (uint64_t)failed);
	atomic_fetch_add(failed ? bad : good, 1);
}

static void pause_a_moment(void)
{
	clock_system()->sleep(clock_system(), PAUSE_MS * CLOCK_SECOND / 1000);
}

static void *read_on(void *context)
{
	struct workload *w = context;

	for (uint64_t number = 0; !w->stop; number++) {
		uint64_t files = w->files;

		count(w, check_file(w, files ? number % files : 0), &w->reads, &w->read_errors);
		pause_a_moment();
	}
	return NULL;
}

static void *write_on(void *context)
{
	struct workload *w = context;

	while (!w->stop) {
		int failed = make_file(w, w->files);

		if (!failed)
			atomic_fetch_add(&w->files, 1);
		count(w, failed, &w->writes_done, &w->write_errors);
		pause_a_moment();
	}
	return NULL;
}

void workload_move(struct workload *w, const char *point)
{
	snprintf(w->point, sizeof w->point, "%s", point);
	snprintf(w->folder, sizeof w->folder, "%.*s/files", WORLD_PATH - FOLDER_NAME, point);
}

enum err workload_make(struct workload *w, const struct story *record, const char *point, uint64_t files)
{
	memset(w, 0, sizeof *w);
	w->record = record;
	workload_move(w, point);
	if (mkdir(w->folder, 0700))
		return err_system("mkdir %s", w->folder);
	for (; w->files < files; w->files++) {
		if (world_interrupted())
			return err_fail(ERR_INTERRUPTED, "interrupted");
		int failed = make_file(w, w->files);

		if (failed) {
			errno = failed;
			return err_system("making file %llu in %s", (unsigned long long)w->files, w->folder);
		}
	}
	return ERR_OK;
}

static int start_threads(struct workload *w)
{
	int rc = pthread_create(&w->reader, NULL, read_on, w);

	if (rc == 0 && w->writes && (rc = pthread_create(&w->writer, NULL, write_on, w)) != 0) {
		w->stop = 1;
		pthread_join(w->reader, NULL);
	}
	return rc;
}

/* Signals are for the thread that waits: an operation in the mount they would interrupt. */
enum err workload_start(struct workload *w, int writes)
{
	sigset_t all, before;

	w->stop = 0;
	w->writes = writes;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = start_threads(w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		errno = rc;
		return err_system("cannot start a thread");
	}
	w->started = 1;
	return ERR_OK;
}

void workload_stop(struct workload *w)
{
	if (!w->started)
		return;
	w->stop = 1;
	pthread_join(w->reader, NULL);
	if (w->writes)
		pthread_join(w->writer, NULL);
	w->started = 0;
}

uint64_t workload_verify(struct workload *w, int *ret_errno)
{
	uint64_t good = 0;

	*ret_errno = 0;
	for (uint64_t i = 0; i < w->files; i++) {
		int failed = check_file(w, i);

		good += failed == 0;
		if (failed > 0)
			*ret_errno = failed;
	}
	return good;
}

enum err workload_wait(const _Atomic uint64_t *counter, uint64_t by, const char *what)
{
	uint64_t want = *counter + by, start = latency_now();

	while (*counter < want) {
		if (world_interrupted())
			return err_fail(ERR_INTERRUPTED, "interrupted");
		if (latency_now() - start > workload_patience() * CLOCK_SECOND)
			return err_fail(ERR_STALE, "%s: not within %u seconds", what, workload_patience());
		pause_a_moment();
	}
	return ERR_OK;
}

static void fill_slots(struct story_chart *c, size_t series, const _Atomic uint64_t *slots, size_t used)
{
	for (size_t i = 0; i < used; i++) {
		c->x[series][i] = (double)i / 10;
		c->y[series][i] = (double)slots[i] * 10;
	}
	c->points[series] = used;
}

void workload_tell(const struct workload *w, struct story *r)
{
	char value[STORY_WORD], note[STORY_WORD];
	size_t used = (size_t)(story_now(r) * 10) + 1;
	struct story_chart *c = story_chart(r, REPORT_LINES, "Operations of the workload",
		"Files read and files made, with every byte compared. A gap is the KMS not letting it go on.",
		"operations a second");

	report_number((double)(w->reads + w->writes_done), value);
	snprintf(note, sizeof note, "%llu failed, %llu wrong", (unsigned long long)(w->read_errors + w->write_errors),
		(unsigned long long)w->wrong);
	story_figure(r, value, "operations of the workload", note);
	if (!c)
		return;
	c->count = 2;
	strcpy(c->series[0], "succeeded");
	strcpy(c->series[1], "failed");
	used = used < WORKLOAD_SLOTS ? used : WORKLOAD_SLOTS;
	fill_slots(c, 0, w->good, used);
	fill_slots(c, 1, w->bad, used);
}
