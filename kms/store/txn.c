/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include "kms/store/db.h"

/* Only its address matters: it names the thread. */
static _Thread_local pthread_t this_thread;

/* ---- The generation ---- */

uint64_t store_generation(const struct store *store)
{
	return atomic_load(&store->generation);
}

/* Threads may come here in another order than their commits. */
static void generation_seen(struct store *store, uint64_t value)
{
	uint64_t known = atomic_load(&store->generation);

	while (known < value && !atomic_compare_exchange_weak(&store->generation, &known, value))
		;
}

static enum err generation_read(struct store *store, uint64_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GENERATION_GET, &q));
	TRY(query_one(&q));
	*ret = (uint64_t)query_int(&q, 0);
	return ERR_OK;
}

static enum err generation_raise(struct store *store, uint64_t *ret)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_GENERATION_RAISE, &q));
	TRY(query_run(&q, NULL));
	query_auto(&q);
	return generation_read(store, ret);
}

enum err store_generation_read(struct store *store, uint64_t *ret)
{
	uint64_t now = 0;

	TRY(generation_read(store, &now));
	generation_seen(store, now);
	*ret = now;
	return ERR_OK;
}

/* ---- Transactions ---- */

int store_in_transaction(const struct store *store)
{
	return atomic_load(&store->owner) == &this_thread;
}

static enum err run_prepared(struct store *store, enum sql which)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, which, &q));
	return query_run(&q, NULL);
}

enum err store_begin(struct store *store)
{
	enum err e;

	assert(!store_in_transaction(store));
	pthread_mutex_lock(&store->write.lock);
	e = run_prepared(store, SQL_BEGIN);
	if (e != ERR_OK) {
		pthread_mutex_unlock(&store->write.lock);
		return e;
	}
	store->changed = 0;
	atomic_store(&store->owner, &this_thread);
	return ERR_OK;
}

static void leave(struct store *store)
{
	atomic_store(&store->owner, NULL);
	pthread_mutex_unlock(&store->write.lock);
}

enum err store_commit(struct store *store)
{
	uint64_t generation = 0;
	enum err e;

	assert(store_in_transaction(store));
	/* SQLite has rolled back by itself after some I/O errors; committing nothing must not look like success. */
	if (sqlite3_get_autocommit(store->write.handle))
		e = err_fail(
			ERR_KEYSTORE, "the keystore's transaction was lost after an I/O error; nothing was changed");
	else
		e = store->changed ? generation_raise(store, &generation) : ERR_OK;
	if (e == ERR_OK)
		e = run_prepared(store, SQL_COMMIT);
	if (e != ERR_OK) {
		store_rollback(store);
		return e;
	}
	generation_seen(store, generation);
	leave(store);
	return ERR_OK;
}

void store_rollback(struct store *store)
{
	assert(store_in_transaction(store));
	if (!sqlite3_get_autocommit(store->write.handle))
		sqlite3_exec(store->write.handle, "ROLLBACK", NULL, NULL, NULL);
	leave(store);
}

enum err store_txn_begin(struct store *store, struct store_txn *ret)
{
	TRY(store_begin(store));
	ret->store = store;
	return ERR_OK;
}

enum err store_txn_commit(struct store_txn *txn)
{
	struct store *store = txn->store;

	txn->store = NULL;
	return store_commit(store);
}

void store_txn_auto(struct store_txn *txn)
{
	if (txn->store != NULL)
		store_rollback(txn->store);
	txn->store = NULL;
}

enum err store_checkpoint(struct store *store)
{
	int64_t busy;
	enum err e;

	assert(!store_in_transaction(store));
	pthread_mutex_lock(&store->write.lock);
	e = db_integer(&store->write, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
	pthread_mutex_unlock(&store->write.lock);
	TRY(e);
	return busy ? err_fail(ERR_BUSY, "the keystore's log is in use by another process") : ERR_OK;
}
