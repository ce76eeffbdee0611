/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_LATENCY_H
#define SIGNETFS_BASE_LATENCY_H

/*
 * How long things took, as a log-linear histogram: sixteen buckets for each power of two of nanoseconds, so that a percentile is at
 * most a sixteenth too high. Fixed memory, no lock. latency_note() from any thread; latency_note_own() where one thread alone writes,
 * which needs no locked instruction. Reading meanwhile gives a state that was, or nearly was, there.
 */

#include <stdatomic.h>
#include <stdint.h>

enum { LATENCY_PARTS = 16, LATENCY_BUCKETS = 36 * LATENCY_PARTS }; /* up to nine minutes; longer counts as that */

struct latency {
	_Atomic uint64_t sum, max;
	_Atomic uint64_t bucket[LATENCY_BUCKETS];
};

/* Nanoseconds. */
struct latency_summary {
	uint64_t count, sum, max, p50, p90, p99;
};

/** A monotonic clock for differences. */
uint64_t latency_now(void);
void latency_note(struct latency *l, uint64_t ns);
void latency_note_own(struct latency *l, uint64_t ns);
/** Count @from in @into, too, which nobody else writes. */
void latency_add(struct latency *into, const struct latency *from);
void latency_summarize(const struct latency *l, struct latency_summary *ret);

#endif
