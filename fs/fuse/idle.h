/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_IDLE_H
#define SIGNETFS_FUSE_IDLE_H

/*
 * When has a mount been unused for long enough to be unmounted?
 *
 * Its users show as requests, but not always: what the kernel remembers it does not ask for again. So a mount that is to end when
 * idle tells the kernel to remember for a quarter of the time only (idle_memory()), and counts as unused after a quarter more without a
 * request: then no use, seen or unseen, was within the whole time. Whoever holds it without asking (open file, working directory, mapping)
 * is found by the attempt to unmount, which the kernel refuses: idle_used().
 *
 * Invariant: idle_look() returns 0 only when the last use lies at least the whole time back.
 */

#include <stdint.h>

struct idle {
	uint64_t limit_ms; /* 0: never idle */
	uint64_t requests; /* seen at the last look */
	uint64_t since_ms; /* no request has been seen since then */
};

void idle_begin(struct idle *i, unsigned seconds, uint64_t now_ms);
/** How many requests there have been: milliseconds until the next look is due; 0: unused for long enough; -1: never. */
int idle_look(struct idle *i, uint64_t requests, uint64_t now_ms);
/** It is in use, as the kernel says: the time begins anew. */
void idle_used(struct idle *i, uint64_t now_ms);
/** How long the kernel may remember names and attributes when the mount ends after @seconds; 0 seconds: for a day. */
double idle_memory(unsigned seconds);

#endif
