/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_COST_H
#define SIGNETFS_ENGINE_COST_H

/*
 * What AWS would ask for a month: customer keys by the time in which they were there and did not wait for their deletion, each of the first
 * two rotations as one more; and the trail's requests that succeeded, the first COST_FREE_REQUESTS of the cheapest class free. Records that
 * retention removed, and keys that were destroyed before schema 6, cannot be counted.
 */

#include <stdint.h>
#include "kms/engine/engine.h"

enum { COST_FREE_REQUESTS = 20000 };

struct cost_month {
	uint64_t from, to; /* wall-clock ns: from ≤ time < to */
};

struct cost_line {
	const char *key_arn;   /* "": about no key */
	const char *operation; /* "key": the key itself */
	uint64_t requests;
	double dollars;
};

struct cost_total {
	uint64_t keys, requests, free_candidates;
	double free_dollars; /* taken off already */
	double dollars;
};

/** The engine may be used from @each only for reading names. */
enum err engine_cost(struct engine *engine, const struct cost_month *month,
	void (*each)(void *context, const struct cost_line *line), void *context, struct cost_total *ret);

/** So many symmetric requests at AWS's published price, nothing free. */
double cost_of_requests(uint64_t requests);

#endif
