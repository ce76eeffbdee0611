/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"
#include "kms/engine/audit.h"
#include "kms/engine/internal.h"
#include "kms/engine/refusals.h"

/* Kinds beyond the table are counted as the last one. */
struct counted {
	uint64_t total, from, to;
	struct {
		enum err error;
		uint64_t count;
	} kind[REFUSALS_KINDS];
};

struct refusals {
	pthread_mutex_t lock;
	double tokens;
	uint64_t filled; /* monotonic */
	struct counted counted;
};

struct refusals *refusals_new(void)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	r->tokens = REFUSALS_BURST;
	return r;
}

void refusals_free(struct refusals *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void count(struct counted *c, enum err error, uint64_t now)
{
	size_t i = 0;

	while (i < REFUSALS_KINDS - 1 && c->kind[i].count && c->kind[i].error != error)
		i++;
	c->kind[i].error = c->kind[i].count ? c->kind[i].error : error;
	c->kind[i].count++;
	c->from = c->total ? c->from : now;
	c->to = now;
	c->total++;
}

int refusals_admit(struct engine *engine, enum err error)
{
	struct refusals *r = engine->refusals;
	uint64_t now = engine->clock->monotonic(engine->clock);
	int admitted;

	pthread_mutex_lock(&r->lock);
	if (r->filled && now > r->filled)
		r->tokens += (double)(now - r->filled) / (double)CLOCK_SECOND * REFUSALS_RATE;
	if (r->tokens > REFUSALS_BURST)
		r->tokens = REFUSALS_BURST;
	r->filled = now;
	admitted = r->tokens >= 1;
	if (admitted)
		r->tokens -= 1;
	else
		count(&r->counted, error, engine->clock->wall(engine->clock));
	pthread_mutex_unlock(&r->lock);
	return admitted;
}

static json_t *errors_of(const struct counted *c)
{
	json_t *errors = json_object();

	for (size_t i = 0; i < REFUSALS_KINDS && c->kind[i].count; i++)
		json_object_set_new(
			errors, err_to_exception(c->kind[i].error), json_integer((json_int_t)c->kind[i].count));
	return errors;
}

enum err refusals_flush(struct engine *engine)
{
	struct refusals *r = engine->refusals;
	struct counted c;

	pthread_mutex_lock(&r->lock);
	c = r->counted;
	r->counted = (struct counted){0};
	pthread_mutex_unlock(&r->lock);
	return c.total ? audit_refusals_event(engine, c.total, c.from, c.to, errors_of(&c)) : ERR_OK;
}
