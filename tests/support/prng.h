/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_PRNG_H
#define SIGNETFS_TESTS_PRNG_H

/* Repeatable random numbers: the seed is printed, and SIGNETFS_SEED=N in the environment repeats a run. */

#include <stddef.h>
#include <stdint.h>

struct prng {
	uint64_t state;
};

void prng_init(struct prng *r); /* prints the seed */
uint64_t prng_next(struct prng *r);
uint64_t prng_below(struct prng *r, uint64_t bound);
void prng_fill(struct prng *r, void *out, size_t len);

#endif
