/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_METRICS_H
#define SIGNETFS_WIRE_METRICS_H

/*
 * What the server counts, in Prometheus's text format (version 0.0.4). Label values are operations and exceptions that exist:
 * nobody can make the list grow by what they send. Threads: safe.
 */

#include <stdint.h>
#include "kms/base/err.h"
#include "kms/wire/text.h"

struct metrics;

struct metrics *metrics_new(void); /* NULL: no memory */
void metrics_free(struct metrics *m);

/** One answer: @operation is one of AWS's ("" before it was known which), and how long it took. */
void metrics_count(struct metrics *m, const char *operation, enum err outcome, uint64_t ns);

struct metrics_now {
	uint64_t connections; /* open */
	uint64_t active;      /* requests under way */
	uint64_t started;     /* wall clock ns */
};
void metrics_write(struct metrics *m, const struct metrics_now *now, struct text *out);

#endif
