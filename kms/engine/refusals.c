/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
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

/* The last is everybody's who came when there was no other any more. */
struct refused {
	char account[ENGINE_ACCOUNT_SIZE]; /* "": nobody */
	double tokens;
	uint64_t filled; /* monotonic */
	struct counted counted;
};

struct refusals {
	pthread_mutex_t lock;
	size_t used;
	struct refused by[REFUSALS_ACCOUNTS];
};

struct refusals *refusals_new(void)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
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

static struct refused *refused_of(struct refusals *r, const char *account)
{
	struct refused *b = r->by;

	while (b < r->by + r->used && strcmp(b->account, account) != 0)
		b++;
	if (b < r->by + r->used)
		return b;
	if (r->used == REFUSALS_ACCOUNTS)
		return &r->by[REFUSALS_ACCOUNTS - 1];
	r->used++;
	b->tokens = REFUSALS_BURST;
	snprintf(b->account, sizeof(b->account), "%s", r->used < REFUSALS_ACCOUNTS ? account : "others");
	return b;
}

static int take_token(struct refused *b, uint64_t now)
{
	if (b->filled && now > b->filled)
		b->tokens += (double)(now - b->filled) / (double)CLOCK_SECOND * REFUSALS_RATE;
	if (b->tokens > REFUSALS_BURST)
		b->tokens = REFUSALS_BURST;
	b->filled = now;
	if (b->tokens < 1)
		return 0;
	b->tokens -= 1;
	return 1;
}

int refusals_admit(struct engine *engine, const char *account, enum err error)
{
	struct refusals *r = engine->refusals;
	uint64_t now = engine->clock->monotonic(engine->clock);
	struct refused *b;
	int admitted;

	pthread_mutex_lock(&r->lock);
	b = refused_of(r, account);
	admitted = take_token(b, now);
	if (!admitted)
		count(&b->counted, error, engine->clock->wall(engine->clock));
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

static enum err flush_one(struct engine *engine, size_t i)
{
	struct refusals *r = engine->refusals;
	char account[ENGINE_ACCOUNT_SIZE];
	struct counted c;

	pthread_mutex_lock(&r->lock);
	c = r->by[i].counted;
	memcpy(account, r->by[i].account, sizeof(account));
	r->by[i].counted = (struct counted){0};
	pthread_mutex_unlock(&r->lock);
	if (!c.total)
		return ERR_OK;
	return audit_refusals_event(engine, account, c.total, c.from, c.to, errors_of(&c));
}

enum err refusals_flush(struct engine *engine)
{
	for (size_t i = 0; i < REFUSALS_ACCOUNTS; i++)
		TRY(flush_one(engine, i));
	return ERR_OK;
}
