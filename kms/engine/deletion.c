/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/audit.h"
#include "kms/engine/deletion.h"
#include "kms/engine/due.h"
#include "kms/engine/elapsed.h"
#include "kms/engine/regions.h"
#include "kms/engine/rotation.h"

enum { BATCH = 1000 };

enum err deletion_wait(struct engine *engine, struct store_key *key, uint32_t days, uint64_t now)
{
	TRY(elapsed_see(engine, &key->waiting_from));
	key->pending_days = days;
	key->deletion_date = now + days * ENGINE_DAY;
	key->state = KEY_PENDING_DELETION;
	return ERR_OK;
}

static int is_over(const struct store_key *key, uint64_t now, uint64_t elapsed)
{
	return key->state == KEY_PENDING_DELETION && key->deletion_date <= now &&
	       elapsed - key->waiting_from >= key->pending_days * ENGINE_DAY;
}

/* One pass over the keys that are due. */
struct pass {
	uint64_t now, elapsed;
	struct store_due at; /* the last one looked at */
	size_t gone, held;   /* destroyed in this transaction; due by the clock alone */
};

static enum err destroy(struct engine *engine, const struct store_key *key, struct pass *p)
{
	TRY(store_key_destroy(engine->store, key->row));
	TRY(regions_replica_gone(engine, key, p->now));
	TRY(audit_service_event(engine, p->now, "DeleteKey", key));
	p->gone++;
	return ERR_OK;
}

static enum err destroy_if_over(struct engine *engine, struct pass *p)
{
	struct store_key key;
	enum err e = store_key_get(engine->store, p->at.key, &key);

	if (e != ERR_OK)
		return due_pass_over(engine, "deleted", p->at.key, e);
	if (is_over(&key, p->now, p->elapsed))
		return destroy(engine, &key, p);
	p->held++;
	return ERR_OK;
}

/* Many in one transaction, for they share its commit. ERR_NOT_FOUND: that was the last. */
static enum err destroy_batch(struct engine *engine, struct pass *p)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	enum err e = ERR_OK;

	p->gone = 0;
	TRY(store_txn_begin(engine->store, &txn));
	while (p->gone < BATCH && (e = store_key_due(engine->store, KEY_WORK_DELETION, p->now, &p->at)) == ERR_OK)
		TRY(destroy_if_over(engine, p));
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	if (p->gone > 0) {
		TRY(store_txn_commit(&txn));
		engine->checkpoint_owed = 1;
	}
	return e;
}

/* Once for every change in how many there are. */
static void tell_held(struct engine *engine, size_t held)
{
	if (held != engine->deletions_held && held > 0)
		report(engine->reporter, REPORT_WARNING,
			"the clock says that the waiting period of %zu key%s is over, but this keystore has not seen "
			"that much "
			"time pass (the clock was set forward, or the machine was off); nothing is destroyed until it "
			"has",
			held, held == 1 ? "" : "s");
	engine->deletions_held = held;
}

static enum err see_in_transaction(struct engine *engine, uint64_t *ret)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};

	TRY(store_txn_begin(engine->store, &txn));
	TRY(elapsed_see(engine, ret));
	return store_txn_commit(&txn);
}

enum err deletion_run_due(struct engine *engine, uint64_t now)
{
	struct pass p = {.now = now};
	enum err e;
	size_t waiting;

	TRY(store_key_waiting(engine->store, &waiting));
	if (waiting == 0)
		return ERR_OK;
	TRY(see_in_transaction(engine, &p.elapsed));
	do {
		e = destroy_batch(engine, &p);
	} while (e == ERR_OK);
	if (e != ERR_NOT_FOUND)
		return e;
	tell_held(engine, p.held);
	return ERR_OK;
}
