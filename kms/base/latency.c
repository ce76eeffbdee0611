/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/latency.h"

#include <time.h>
#include "kms/base/clock.h"

enum { PART_BITS = 4 }; /* 2^4 = LATENCY_PARTS */

uint64_t latency_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * CLOCK_SECOND + (uint64_t)t.tv_nsec;
}

/* Below 16 ns a bucket is one wide, then 16 of them as wide as the power of two allows. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned exponent, index;

	if (ns < LATENCY_PARTS)
		return (unsigned)ns;
	exponent = 63 - (unsigned)__builtin_clzll(ns);
	index = (exponent - PART_BITS + 1) * LATENCY_PARTS +
		(unsigned)((ns >> (exponent - PART_BITS)) & (LATENCY_PARTS - 1));
	return index < LATENCY_BUCKETS ? index : LATENCY_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bound_of(unsigned index)
{
	unsigned row = index / LATENCY_PARTS, part = index % LATENCY_PARTS;

	if (row == 0)
		return part;
	return ((uint64_t)(LATENCY_PARTS + part + 1) << (row - 1)) - 1;
}

void latency_note(struct latency *l, uint64_t ns)
{
	uint64_t max = atomic_load_explicit(&l->max, memory_order_relaxed);

	while (ns > max &&
		!atomic_compare_exchange_weak_explicit(&l->max, &max, ns, memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&l->sum, ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->bucket[bucket_of(ns)], 1, memory_order_relaxed);
}

static void add_own(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static void raise_own(_Atomic uint64_t *max, uint64_t ns)
{
	if (ns > atomic_load_explicit(max, memory_order_relaxed))
		atomic_store_explicit(max, ns, memory_order_relaxed);
}

void latency_note_own(struct latency *l, uint64_t ns)
{
	raise_own(&l->max, ns);
	add_own(&l->sum, ns);
	add_own(&l->bucket[bucket_of(ns)], 1);
}

void latency_add(struct latency *into, const struct latency *from)
{
	raise_own(&into->max, atomic_load_explicit(&from->max, memory_order_relaxed));
	add_own(&into->sum, atomic_load_explicit(&from->sum, memory_order_relaxed));
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		add_own(&into->bucket[i], atomic_load_explicit(&from->bucket[i], memory_order_relaxed));
}

/* Nearest rank: the smallest value that at least so many of a hundred do not exceed. */
static uint64_t percentile(const uint64_t bucket[LATENCY_BUCKETS], uint64_t count, unsigned percent, uint64_t max)
{
	uint64_t rank = (count * percent + 99) / 100, seen = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS && count; i++) {
		seen += bucket[i];
		if (seen >= rank)
			return bound_of(i) < max && i + 1 < LATENCY_BUCKETS ? bound_of(i) : max;
	}
	return 0;
}

void latency_summarize(const struct latency *l, struct latency_summary *ret)
{
	struct latency_summary s = {.sum = atomic_load_explicit(&l->sum, memory_order_relaxed),
		.max = atomic_load_explicit(&l->max, memory_order_relaxed)};
	uint64_t bucket[LATENCY_BUCKETS];

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		bucket[i] = atomic_load_explicit(&l->bucket[i], memory_order_relaxed);
		s.count += bucket[i];
	}
	s.p50 = percentile(bucket, s.count, 50, s.max);
	s.p90 = percentile(bucket, s.count, 90, s.max);
	s.p99 = percentile(bucket, s.count, 99, s.max);
	*ret = s;
}
