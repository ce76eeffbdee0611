/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_PROGRESS_H
#define SIGNETFS_CLI_PROGRESS_H

/*
 * How far a command is: a line on stderr that is drawn over on a terminal, a plain line every ten seconds elsewhere, a JSON object a
 * second on stdout for programs. Messages go through progress_clear() first. One thread.
 */

#include <stdint.h>

enum { PROGRESS_TICK_MS = 200 };

struct progress {
	int json, quiet;
	int drawn;          /* there is a line to be drawn over */
	uint64_t begun, at; /* ns, monotonic: the beginning, the last line */
};

struct progress_now {
	const char *doing; /* "restored" */
	uint64_t files, bytes;
	uint64_t of_files, of_bytes; /* 0: not known */
	uint64_t troubles;
};

void progress_begin(struct progress *p, int json);
/** Called every PROGRESS_TICK_MS or so; draws when it is time to. */
void progress_tick(struct progress *p, const struct progress_now *now);
/** Before anything else is printed, and at the end. */
void progress_clear(struct progress *p);
double progress_seconds(const struct progress *p);

#endif
