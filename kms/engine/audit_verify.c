/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/secret.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/internal.h"

enum { PAGE = 1000, CHAIN_HEX = 2 * STORE_CHAIN_SIZE };

struct anchor {
	int64_t seq; /* 0: none */
	char chain[CHAIN_HEX + 1];
};

/* One walk along the trail. */
struct walk {
	struct engine *engine;
	void (*each)(void *context, enum engine_trail_fault fault, int64_t from, int64_t to);
	void *context;
	struct engine_trail *report;
	struct store_audit_head head;
	struct anchor anchor;
	int anchored; /* the anchor's record was met and is the right one */

	int64_t seq; /* of the record before */
	int known;   /* is the chain up to there known? */
	int headless, base_is_right;
	uint8_t stored[STORE_CHAIN_SIZE], computed[STORE_CHAIN_SIZE];
};

static void found(struct walk *w, enum engine_trail_fault fault, int64_t from, int64_t to)
{
	w->report->faults++;
	w->each(w->context, fault, from, to);
}

/* "number:chain" */
static enum err parse_anchor(const char *text, struct anchor *ret)
{
	int64_t seq = 0;
	int used = 0;

	if (sscanf(text, "%18" SCNd64 ":%n", &seq, &used) != 1 || !used || seq < 0 ||
		strlen(text + used) != CHAIN_HEX || strspn(text + used, "0123456789abcdef") != CHAIN_HEX)
		return err_fail(
			ERR_USAGE, "'%.100s' is no anchor: expected what signetfs kms audit anchor printed", text);
	ret->seq = seq;
	memcpy(ret->chain, text + used, CHAIN_HEX + 1);
	return ERR_OK;
}

static void put_anchor(const struct store_audit_head *head, char ret[ENGINE_ANCHOR_SIZE])
{
	char hex[CHAIN_HEX + 1];

	encode_hex(head->last_chain, STORE_CHAIN_SIZE, hex);
	snprintf(ret, ENGINE_ANCHOR_SIZE, "%" PRId64 ":%s", head->last_seq, hex);
}

static void meet_anchor(struct walk *w, int64_t seq, const uint8_t chain[STORE_CHAIN_SIZE])
{
	char hex[CHAIN_HEX + 1];

	encode_hex(chain, STORE_CHAIN_SIZE, hex);
	if (seq == w->anchor.seq && !strcmp(hex, w->anchor.chain))
		w->anchored = 1;
}

/*
 * Behind a record that was changed, the chain may go on from what is stored (its text was changed) or from what it should be
 * (its chain value was): one changed record is one fault.
 */
static enum err follows(struct walk *w, const struct store_audit *r, int *ret_good)
{
	uint8_t next[STORE_CHAIN_SIZE];

	TRY(audit_chain_next(w->engine, w->computed, r, next));
	*ret_good = secret_equal(next, r->chain, STORE_CHAIN_SIZE);
	if (!*ret_good && !secret_equal(w->computed, w->stored, STORE_CHAIN_SIZE)) {
		uint8_t other[STORE_CHAIN_SIZE];

		TRY(audit_chain_next(w->engine, w->stored, r, other));
		*ret_good = secret_equal(other, r->chain, STORE_CHAIN_SIZE);
	}
	memcpy(w->computed, *ret_good ? r->chain : next, STORE_CHAIN_SIZE);
	memcpy(w->stored, r->chain, STORE_CHAIN_SIZE);
	return ERR_OK;
}

static enum err look_at(void *context, const struct store_audit *r)
{
	struct walk *w = context;
	int good;

	if (r->seq > w->head.last_seq)
		return ERR_INTERRUPTED;
	/* Retention may have moved the base since the head was read. */
	if (r->seq > w->seq + 1 && w->seq == w->head.base_seq && !w->base_is_right)
		return ERR_STALE;
	if (r->seq > w->seq + 1 && !w->headless) {
		found(w, TRAIL_MISSING, w->seq + 1, r->seq - 1);
		w->known = 0;
	}
	w->seq = r->seq;
	if (!w->known) {
		found(w, TRAIL_UNCERTAIN, r->seq, r->seq);
		memcpy(w->computed, r->chain, STORE_CHAIN_SIZE);
		memcpy(w->stored, r->chain, STORE_CHAIN_SIZE);
		w->known = 1;
		return ERR_OK;
	}
	TRY(follows(w, r, &good));
	if (good)
		w->report->verified++;
	else
		found(w, TRAIL_CHANGED, r->seq, r->seq);
	meet_anchor(w, r->seq, r->chain);
	return ERR_OK;
}

static enum err walk_chain(struct walk *w)
{
	enum err e = ERR_OK;
	size_t n = PAGE;

	while (e == ERR_OK && n == PAGE)
		e = store_audit_walk(w->engine->store, w->seq, PAGE, look_at, w, &n);
	if (e != ERR_OK && e != ERR_INTERRUPTED)
		return e;
	if (w->headless)
		return ERR_OK;
	if (w->seq < w->head.last_seq)
		found(w, TRAIL_MISSING, w->seq + 1, w->head.last_seq);
	else if (memcmp(w->stored, w->head.last_chain, STORE_CHAIN_SIZE) != 0)
		found(w, TRAIL_CHANGED, w->seq, w->seq);
	return ERR_OK;
}

static enum err count_older(void *context, const struct store_audit *r)
{
	struct walk *w = context;

	if (r->seq > w->head.base_seq)
		return ERR_INTERRUPTED;
	w->report->before_chain++;
	w->seq = r->seq;
	return ERR_OK;
}

/* Records up to the base: from before there was a chain. Those that retention removed are not there any more. */
static enum err walk_older(struct walk *w)
{
	enum err e = ERR_OK;
	size_t n = PAGE;

	while (e == ERR_OK && n == PAGE)
		e = store_audit_walk(w->engine->store, w->seq, PAGE, count_older, w, &n);
	return e == ERR_INTERRUPTED ? ERR_OK : e;
}

/* The head is written with every record, so the end is asked for after it: what stands behind its end now is not ours. */
static enum err look_behind(struct walk *w)
{
	struct store_audit_head head;
	int64_t last = 0;

	TRY(store_audit_last(w->engine->store, &last));
	if (last > w->head.last_seq && audit_chain_head(w->engine, &head) == ERR_OK && last > head.last_seq)
		found(w, TRAIL_FOREIGN, head.last_seq + 1, last);
	return ERR_OK;
}

/* Without a head that verifies, what there is can still be verified between its first and its last record. */
static enum err read_head(struct walk *w)
{
	enum err e = audit_chain_head(w->engine, &w->head);

	w->known = e == ERR_OK;
	w->headless = !w->known;
	if (e == ERR_OK) {
		put_anchor(&w->head, w->report->anchor);
		meet_anchor(w, w->head.base_seq, w->head.base_chain);
		return ERR_OK;
	}
	if (e != ERR_KEYSTORE)
		return e;
	w->base_is_right = 1;
	found(w, TRAIL_HEAD, 0, 0);
	memset(&w->head, 0, sizeof(w->head));
	return store_audit_last(w->engine->store, &w->head.last_seq);
}

static enum err walk_all(struct walk *w)
{
	TRY(read_head(w));
	TRY(walk_older(w));
	w->seq = w->head.base_seq;
	memcpy(w->computed, w->head.base_chain, STORE_CHAIN_SIZE);
	memcpy(w->stored, w->head.base_chain, STORE_CHAIN_SIZE);
	return walk_chain(w);
}

enum err engine_audit_verify(struct engine *engine, const char *anchor,
	void (*each)(void *context, enum engine_trail_fault fault, int64_t from, int64_t to), void *context,
	struct engine_trail *ret)
{
	struct engine_trail report = {0};
	struct walk w = {.engine = engine, .each = each, .context = context, .report = &report};
	int64_t base;
	enum err e;

	if (anchor != NULL)
		TRY(parse_anchor(anchor, &w.anchor));
	e = walk_all(&w);
	while (e == ERR_STALE) {
		base = w.head.base_seq;
		report = (struct engine_trail){0};
		w.seq = 0;
		e = audit_chain_head(engine, &w.head);
		w.base_is_right = w.head.base_seq == base;
		if (e == ERR_OK)
			e = walk_all(&w);
	}
	TRY(e);
	TRY(look_behind(&w));
	if (anchor != NULL && !w.anchored)
		found(&w, TRAIL_NO_ANCHOR, w.anchor.seq, w.anchor.seq);
	report.first = w.head.base_seq + 1;
	report.last = w.head.last_seq;
	*ret = report;
	return ERR_OK;
}
