/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/prng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void prng_init(struct prng *r)
{
	const char *wish = getenv("SIGNETFS_SEED");

	if (wish)
		r->state = strtoull(wish, NULL, 0);
	else if (getrandom(&r->state, sizeof(r->state), 0) != sizeof(r->state))
		abort();
	fprintf(stderr, "  seed: SIGNETFS_SEED=%" PRIu64 "\n", r->state);
}

/* splitmix64 */
uint64_t prng_next(struct prng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t prng_below(struct prng *r, uint64_t bound)
{
	return prng_next(r) % bound;
}

void prng_fill(struct prng *r, void *out, size_t len)
{
	uint8_t *p = out;

	while (len--)
		*p++ = (uint8_t)prng_next(r);
}
