/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_WORKLOAD_H
#define SIGNETFS_DRILL_WORKLOAD_H

/*
 * Programs at work in a mount while a drill plays: one that makes files, one that reads them all, over and over, and compares every byte. What a
 * file holds follows from its number, so everything that was ever acknowledged can be verified at any time.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include "fs/drill/story.h"
#include "fs/drill/world.h"

enum { WORKLOAD_SLOTS = 1200 }; /* tenths of a second */

struct workload {
	char point[WORLD_PATH], folder[WORLD_PATH];
	const struct story *record; /* whose time it is */
	int writes;                 /* does it write? */
	pthread_t reader, writer;
	int started;
	_Atomic int stop;
	_Atomic uint64_t files; /* files 0 … files-1 are there, durable */
	_Atomic uint64_t reads, writes_done, read_errors, write_errors, wrong, last_errno;
	_Atomic uint64_t good[WORKLOAD_SLOTS], bad[WORKLOAD_SLOTS];
};

/** @files of them, in a folder of @point that is made. */
enum err workload_make(struct workload *w, const struct story *record, const char *point, uint64_t files);
/** The folder is another now: after a mount elsewhere. */
void workload_move(struct workload *w, const char *point);
enum err workload_start(struct workload *w, int writes);
void workload_stop(struct workload *w);

/** Every file, every byte. How many are good; *ret_errno is of the last that was not, 0: wrong content. */
uint64_t workload_verify(struct workload *w, int *ret_errno);

/** Seconds for which something that has to come is waited for (scene.c). */
unsigned workload_patience(void);
/** Wait until @counter has grown by @by. ERR_STALE: it did not. */
enum err workload_wait(const _Atomic uint64_t *counter, uint64_t by, const char *what);

/** The chart of operations over time, and the figures. */
void workload_tell(const struct workload *w, struct story *r);

#endif
