/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/report.h"
#include "kms/base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_SIZE = 2048, KEYS = 1024 };
#define QUIET_TIME (60 * CLOCK_SECOND)

/* A ring in order of admission, so the slot to overwrite is always the oldest. A key may be in it twice, all but the newest expired. */
struct report_limiter {
	pthread_mutex_t lock;
	const struct clock *clock;
	unsigned next;
	struct {
		unsigned long long key;
		uint64_t until;
	} ring[KEYS];
};

void report(const struct reporter *r, enum report_level level, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	if (!r || !r->emit)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	r->emit(r->context, level, text);
}

struct report_limiter *report_limiter_new(const struct clock *clock)
{
	struct report_limiter *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	l->clock = clock;
	return l;
}

void report_limiter_free(struct report_limiter *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static int admit(struct report_limiter *l, unsigned long long key, uint64_t now)
{
	for (unsigned i = 0; i < KEYS; i++) {
		if (l->ring[i].key == key && now < l->ring[i].until)
			return 0;
	}
	l->ring[l->next].key = key;
	l->ring[l->next].until = now + QUIET_TIME;
	l->next = (l->next + 1) % KEYS;
	return 1;
}

int report_limiter_pass(struct report_limiter *l, unsigned long long key)
{
	int pass;

	pthread_mutex_lock(&l->lock);
	pass = admit(l, key, l->clock->monotonic(l->clock));
	pthread_mutex_unlock(&l->lock);
	return pass;
}
