/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_FAULTY_LOWER_H
#define SIGNETFS_TESTS_FAULTY_LOWER_H

/*
 * A lower table over the system's that counts calls and, once armed, fails the nth: with an errno, with a short write, or for
 * good, as if the power were gone. Descriptors are always really closed. One thread at a time.
 */

#include <stdint.h>
#include "fs/vault/lower.h"

enum fault_kind {
	FAULT_NONE,
	FAULT_ANY,    /* the nth call of any kind fails once with @errnum, without effect */
	FAULT_CHANGE, /* the nth call that changes something does */
	FAULT_SHORT,  /* the nth write writes a part and says so; what follows works */
	FAULT_SHORT_FULL, /* the nth write writes a part, and every write that needs new room fails with @errnum from then on */
	FAULT_FULL, /* as above, and so does everything else that changes something: copying on write, even a cut takes room */
	FAULT_SHORT_FAIL, /* the nth write writes a part, the next call fails with @errnum, what follows works */
	FAULT_POWER,      /* the nth changing call and every call after it fail with EIO, without effect */
	FAULT_POWER_TORN, /* as above, but the nth, if a write, writes a part first */
};

struct faulty_lower {
	struct lower lower; /* pass &faulty.lower */
	const struct lower *real;
	enum fault_kind kind;
	unsigned at; /* 1: the next call that counts */
	int errnum;
	unsigned seen;     /* calls that counted since armed */
	unsigned injected; /* faults since armed */
	int dead;          /* FAULT_POWER struck */
	char what[64];     /* the call that was struck */
	unsigned calls;    /* of any kind, ever */
};

void faulty_lower_init(struct faulty_lower *f);
void faulty_lower_arm(struct faulty_lower *f, enum fault_kind kind, unsigned at, int errnum);
/** Everything works again. */
void faulty_lower_disarm(struct faulty_lower *f);

#endif
