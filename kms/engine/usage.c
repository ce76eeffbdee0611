/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "kms/engine/operations.h"
#include "kms/engine/usage.h"

static const char *const tracked[] = {"Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey",
	"GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac",
	"ReEncrypt", "Sign", "Verify", "VerifyMac"};

struct noted {
	int64_t key;
	struct store_usage usage;
	UT_hash_handle hh;
};

struct usage_log {
	pthread_mutex_t lock;
	struct noted *all; /* since the last flush */
};

struct usage_log *usage_log_new(void)
{
	struct usage_log *log = calloc(1, sizeof(*log));

	if (log != NULL)
		pthread_mutex_init(&log->lock, NULL);
	return log;
}

static void drop(struct noted **all)
{
	struct noted *n, *next;

	HASH_ITER (hh, *all, n, next) {
		HASH_DEL(*all, n);
		free(n);
	}
}

void usage_log_free(struct usage_log *log)
{
	if (log == NULL)
		return;
	drop(&log->all);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

static int is_tracked(const char *operation)
{
	for (size_t i = 0; i < sizeof(tracked) / sizeof(tracked[0]); i++)
		if (strcmp(tracked[i], operation) == 0)
			return 1;
	return 0;
}

/* Without memory it goes unnoted: the call itself must not fail for that. */
static void note(struct usage_log *log, int64_t key, const struct store_usage *usage)
{
	struct noted *n;

	pthread_mutex_lock(&log->lock);
	HASH_FIND(hh, log->all, &key, sizeof(key), n);
	if (n == NULL && (n = calloc(1, sizeof(*n))) != NULL) {
		n->key = key;
		HASH_ADD(hh, log->all, key, sizeof(n->key), n);
	}
	if (n != NULL && usage->time >= n->usage.time)
		n->usage = *usage;
	pthread_mutex_unlock(&log->lock);
}

void usage_note(const struct call *call)
{
	struct store_usage usage = {.time = call->now};

	if (call->op == NULL || !is_tracked(call->op->name))
		return;
	snprintf(usage.operation, sizeof(usage.operation), "%s", call->op->name);
	snprintf(usage.event_id, sizeof(usage.event_id), "%s", call->event_id);
	snprintf(usage.request_id, sizeof(usage.request_id), "%s", call->request_id);
	for (size_t i = 0; i < call->resource_count; i++)
		note(call->engine->usage, call->resource_row[i], &usage);
}

enum err usage_last(struct engine *engine, int64_t key, struct store_usage *ret)
{
	struct usage_log *log = engine->usage;
	struct store_usage stored = {.time = 0};
	enum err e = store_usage_get(engine->store, key, &stored);
	struct noted *n;

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	pthread_mutex_lock(&log->lock);
	HASH_FIND(hh, log->all, &key, sizeof(key), n);
	if (n != NULL && n->usage.time >= stored.time) {
		stored = n->usage;
		e = ERR_OK;
	}
	pthread_mutex_unlock(&log->lock);
	if (e == ERR_OK)
		*ret = stored;
	return e;
}

static enum err write_all(struct store *store, struct noted *all)
{
	struct store_txn txn AUTO_ROLLBACK = {NULL};

	TRY(store_txn_begin(store, &txn));
	for (struct noted *n = all; n != NULL; n = n->hh.next)
		TRY(store_usage_set(store, n->key, &n->usage));
	return store_txn_commit(&txn);
}

enum err usage_flush(struct engine *engine)
{
	struct usage_log *log = engine->usage;
	struct noted *all;
	enum err e;

	pthread_mutex_lock(&log->lock);
	all = log->all;
	log->all = NULL;
	pthread_mutex_unlock(&log->lock);
	if (all == NULL)
		return ERR_OK;
	e = write_all(engine->store, all);
	for (struct noted *n = all; e != ERR_OK && n != NULL; n = n->hh.next)
		note(log, n->key, &n->usage);
	drop(&all);
	return e;
}
