/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/base/prices.h"
#include "kms/engine/cost.h"
#include "kms/engine/internal.h"
#include "kms/engine/rotation.h"

enum { ROTATIONS_PRICED = 2 };

struct pricing {
	struct engine *engine;
	const struct cost_month *month;
	uint64_t now;
	void (*each)(void *context, const struct cost_line *line);
	void *context;
	struct cost_total total;
};

static double price_of(const char *operation, const char *spec)
{
	if (!strncmp(operation, "GenerateDataKeyPair", 19))
		return !strncmp(spec, "RSA", 3) ? PRICE_RSA_PAIR : PRICE_ECC_PAIR;
	if (!spec[0] || !strncmp(spec, "SYMMETRIC", 9) || !strncmp(spec, "HMAC", 4) || !strcmp(spec, "RSA_2048"))
		return PRICE_SYMMETRIC;
	return PRICE_ASYMMETRIC;
}

/* A key that was destroyed before its spec was remembered (schema 5) is priced as a symmetric one. */
static void spec_of(struct engine *engine, const char *arn, char ret[STORE_WORD_SIZE])
{
	struct store_key key;
	struct key_name name;

	ret[0] = '\0';
	if (!arn || names_parse(arn, &name) != ERR_OK)
		return;
	if (store_key_find(engine->store, name.region, name.id, &key) == ERR_OK)
		snprintf(ret, STORE_WORD_SIZE, "%s", key.spec);
	else
		(void)store_key_gone_spec(engine->store, name.region, name.id, ret);
}

static enum err price_requests(void *context, const struct store_audit_count *n)
{
	struct pricing *p = context;
	struct cost_line line = {
		.key_arn = n->key_arn ? n->key_arn : "", .operation = n->operation, .requests = n->count};
	char spec[STORE_WORD_SIZE];
	double price;

	spec_of(p->engine, n->key_arn, spec);
	price = price_of(n->operation, n->pair_spec ? n->pair_spec : spec);
	line.dollars = price * (double)n->count / PRICED_REQUESTS;
	if (price == PRICE_SYMMETRIC)
		p->total.free_candidates += n->count;
	p->total.requests += n->count;
	p->total.dollars += line.dollars;
	p->each(p->context, &line);
	return ERR_OK;
}

/* AWS asks nothing for a key that waits for its deletion. */
static uint64_t cost_until(const struct store_key *key, uint64_t now)
{
	uint64_t began = key->deletion_date - key->pending_days * ENGINE_DAY;

	return key->state == KEY_PENDING_DELETION && began < now ? began : now;
}

/* By the part of the month in which it was there. */
static enum err price_key(void *context, const struct store_key *key, uint32_t rotations)
{
	struct pricing *p = context;
	uint64_t from = key->created > p->month->from ? key->created : p->month->from;
	uint64_t until = cost_until(key, p->now), to = until < p->month->to ? until : p->month->to;
	struct cost_line line = {.operation = "key"};
	char arn[ENGINE_ARN_SIZE];

	if (from >= to)
		return ERR_OK;
	names_key_arn(key, arn);
	line.key_arn = arn;
	line.dollars = PRICE_KEY * (double)(1 + (rotations < ROTATIONS_PRICED ? rotations : ROTATIONS_PRICED)) *
		       (double)(to - from) / (double)(p->month->to - p->month->from);
	p->total.keys++;
	p->total.dollars += line.dollars;
	p->each(p->context, &line);
	return ERR_OK;
}

enum err engine_cost(struct engine *engine, const struct cost_month *month,
	void (*each)(void *context, const struct cost_line *line), void *context, struct cost_total *ret)
{
	struct pricing p = {.engine = engine,
		.month = month,
		.now = engine->clock->wall(engine->clock),
		.each = each,
		.context = context};
	uint64_t free_requests;

	TRY(store_key_each_customer(engine->store, price_key, &p));
	TRY(store_key_gone_each(engine->store, month->from, price_key, &p));
	TRY(store_audit_count(engine->store, month->from, month->to, price_requests, &p));
	free_requests = p.total.free_candidates < COST_FREE_REQUESTS ? p.total.free_candidates : COST_FREE_REQUESTS;
	p.total.free_dollars = PRICE_SYMMETRIC * (double)free_requests / PRICED_REQUESTS;
	p.total.dollars -= p.total.free_dollars;
	*ret = p.total;
	return ERR_OK;
}

double cost_of_requests(uint64_t requests)
{
	return PRICE_SYMMETRIC * (double)requests / PRICED_REQUESTS;
}
