/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/clock.h"

enum { SERIES_MAX = 512, NAME_SIZE = 48, BUCKETS = 10, LINE_MAX_SIZE = 256 };

static const double bounds[BUCKETS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1};

struct series {
	char operation[NAME_SIZE];
	const char *outcome;
	uint64_t count;
};

struct metrics {
	pthread_mutex_t lock;
	size_t used;
	struct series series[SERIES_MAX];
	uint64_t bucket[BUCKETS];
	uint64_t count, sum_ns, uncounted;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m)
		pthread_mutex_init(&m->lock, NULL);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* The busiest were seen first, mostly; the list is short. */
static struct series *series_of(struct metrics *m, const char *operation, const char *outcome)
{
	struct series *s = m->series;

	for (; s < m->series + m->used; s++)
		if (s->outcome == outcome && !strcmp(s->operation, operation))
			return s;
	if (m->used == SERIES_MAX)
		return NULL;
	m->used++;
	snprintf(s->operation, sizeof(s->operation), "%s", operation);
	s->outcome = outcome;
	return s;
}

void metrics_count(struct metrics *m, const char *operation, enum err outcome, uint64_t ns)
{
	const char *name = outcome == ERR_OK ? "ok" : err_to_exception(outcome);
	struct series *s;

	pthread_mutex_lock(&m->lock);
	s = series_of(m, operation, name);
	if (s)
		s->count++;
	else
		m->uncounted++;
	m->count++;
	m->sum_ns += ns;
	for (size_t i = 0; i < BUCKETS; i++)
		m->bucket[i] += (double)ns / 1e9 <= bounds[i];
	pthread_mutex_unlock(&m->lock);
}

static void put_line(struct text *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_line(struct text *out, const char *format, ...)
{
	char line[LINE_MAX_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	text_puts(out, line);
	text_putc(out, '\n');
}

static void put_head(struct text *out, const char *name, const char *type, const char *help)
{
	put_line(out, "# HELP %s %s", name, help);
	put_line(out, "# TYPE %s %s", name, type);
}

static void put_histogram(const struct metrics *m, struct text *out)
{
	put_head(out, "signetfs_kms_request_seconds", "histogram", "How long answers took, audit record included.");
	for (size_t i = 0; i < BUCKETS; i++)
		put_line(out, "signetfs_kms_request_seconds_bucket{le=\"%g\"} %" PRIu64, bounds[i], m->bucket[i]);
	put_line(out, "signetfs_kms_request_seconds_bucket{le=\"+Inf\"} %" PRIu64, m->count);
	put_line(out, "signetfs_kms_request_seconds_sum %.9f", (double)m->sum_ns / 1e9);
	put_line(out, "signetfs_kms_request_seconds_count %" PRIu64, m->count);
}

void metrics_write(struct metrics *m, const struct metrics_now *now, struct text *out)
{
	pthread_mutex_lock(&m->lock);
	put_head(out, "signetfs_kms_requests_total", "counter", "Answers by operation and outcome.");
	for (const struct series *s = m->series; s < m->series + m->used; s++)
		put_line(out, "signetfs_kms_requests_total{operation=\"%s\",outcome=\"%s\"} %" PRIu64, s->operation,
			s->outcome, s->count);
	put_line(out, "signetfs_kms_requests_total{operation=\"other\",outcome=\"other\"} %" PRIu64, m->uncounted);
	put_histogram(m, out);
	pthread_mutex_unlock(&m->lock);
	put_head(out, "signetfs_kms_connections", "gauge", "Open connections.");
	put_line(out, "signetfs_kms_connections %" PRIu64, now->connections);
	put_head(out, "signetfs_kms_requests_active", "gauge", "Requests under way.");
	put_line(out, "signetfs_kms_requests_active %" PRIu64, now->active);
	put_head(out, "signetfs_kms_start_time_seconds", "gauge", "When the server started.");
	put_line(out, "signetfs_kms_start_time_seconds %" PRIu64, now->started / CLOCK_SECOND);
}
