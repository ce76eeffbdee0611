/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/idle.h"

enum {
	MEMORY_PART = 4, /* the kernel remembers for this part of the time */
	LOOK_PART = 8,   /* how often is looked: requests are counted, their times are not kept */
	LOOK_MAX_MS = 60000,
	DAY = 86400,
};

void idle_begin(struct idle *i, unsigned seconds, uint64_t now_ms)
{
	*i = (struct idle){.limit_ms = 1000ULL * seconds, .since_ms = now_ms};
}

void idle_used(struct idle *i, uint64_t now_ms)
{
	i->since_ms = now_ms;
}

int idle_look(struct idle *i, uint64_t requests, uint64_t now_ms)
{
	if (!i->limit_ms)
		return -1;
	if (requests != i->requests) {
		i->requests = requests;
		idle_used(i, now_ms);
	}
	uint64_t due = i->since_ms + i->limit_ms + i->limit_ms / MEMORY_PART;
	if (now_ms >= due)
		return 0;
	uint64_t look = i->limit_ms / LOOK_PART < LOOK_MAX_MS ? i->limit_ms / LOOK_PART : LOOK_MAX_MS;
	return (int)(due - now_ms < look ? due - now_ms : look);
}

double idle_memory(unsigned seconds)
{
	return seconds ? (double)seconds / MEMORY_PART : DAY;
}
