/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_CLOCK_H
#define SIGNETFS_BASE_CLOCK_H

/* Time behind an interface, so that tests and drills can move it. All values are nanoseconds. Threads: safe. */

#include <stdint.h>
#include <stddef.h>

struct clock {
	uint64_t (*monotonic)(const struct clock *c); /* never goes back; counts suspend (CLOCK_BOOTTIME) */
	uint64_t (*wall)(const struct clock *c);      /* since 1970-01-01 UTC */
	void (*sleep)(const struct clock *c, uint64_t ns);
	void (*boot)(const struct clock *c, uint8_t ret[16]); /* which run of the machine `monotonic` counts in */
};
enum { CLOCK_BOOT_SIZE = 16 };

#define CLOCK_SECOND UINT64_C(1000000000)

/** The machine's clock. */
const struct clock *clock_system(void);

struct clock_fake {
	struct clock clock; /* pass &fake.clock */
	_Atomic uint64_t now;
	_Atomic uint64_t epoch; /* wall = epoch + now; change it and the wall clock jumps */
	_Atomic uint8_t boots;  /* count it up and the machine has been started anew */
};

/** A clock that moves only when told; sleep() advances it. */
void clock_fake_init(struct clock_fake *fake, uint64_t wall_ns);
void clock_fake_advance(struct clock_fake *fake, uint64_t ns);

/** A clock that is @ns ahead of @base, for rehearsals: deletions and rotations that are days away come now. */
struct clock_ahead {
	struct clock clock; /* pass &ahead.clock */
	const struct clock *base;
	uint64_t ns;
};
void clock_ahead_init(struct clock_ahead *ahead, const struct clock *base, uint64_t ns);

/** "2026-11-21T22:44:43Z" into a buffer of 21 bytes. */
enum { CLOCK_ISO8601_SIZE = 21 };
void clock_iso8601(uint64_t wall_ns, char out[CLOCK_ISO8601_SIZE]);

#endif
