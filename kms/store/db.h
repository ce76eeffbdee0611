/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_STORE_DB_H
#define SIGNETFS_STORE_DB_H

/*
 * Inside of the room: two connections to one file (one that writes, one that reads beside it), each under its own lock, and
 * prepared statements kept for the connection's life.
 *
 * Invariants
 *  1. A transaction is open on the writing connection exactly while `owner` is set, and its lock is held by that thread.
 *  2. A thread inside a transaction reads through the writing connection, so it sees its own changes.
 *  3. A statement is reset before its connection's lock is released (query_auto).
 *  4. What changes the keystore runs in a transaction, so that it raises the generation.
 */

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "kms/store/store.h"
#include "kms/store/memo.h"
#include "kms/store/sql.h"

struct db {
	sqlite3 *handle;
	pthread_mutex_t lock; /* recursive */
	sqlite3_stmt *statement[SQL_COUNT];
};

struct store {
	struct db write, read;
	_Atomic(pthread_t *) owner; /* of the transaction: &txn_thread of the thread, or NULL */
	int changed;                /* the transaction has changed something: the generation is to be raised */
	_Atomic uint64_t generation;
	struct memo *memo;
	char *path;
	uid_t owner_uid;
	mode_t mode;
};

/** Open a connection with our pragmas; WAL when @wal. */
enum err db_open(const char *path, int wal, struct db *ret);
void db_close(struct db *db);
/** Run constant SQL without results. */
enum err db_exec(struct db *db, const char *sql);
/** A single integer, as of a PRAGMA. */
enum err db_integer(struct db *db, const char *sql, int64_t *ret);
/** Translate an SQLite result into ours, with a text that says what to do. */
enum err db_error(sqlite3 *handle, int rc);

/* What is counted and kept of keys (counts.c): behind the insertion of a row, and before its removal. Triggers are off. */
enum err store_key_made(struct store *store, int64_t row);
enum err store_key_goes(struct store *store, int64_t row);

/** Overwrite all material of a key (backing.c). */
enum err store_materials_wipe(struct store *store, int64_t key);

/** Version check and migrations. */
enum err schema_check(struct db *db, const char *path);
enum err schema_migrate(struct db *db);
enum { SCHEMA_APPLICATION_ID = 0x53674b53 }; /* "SgKS" */

/* One use of a prepared statement. Columns and parameters count from 0 here. */
struct query {
	struct db *db;
	sqlite3_stmt *statement;
	int rc; /* first binding error */
};
#define AUTO_QUERY __attribute__((cleanup(query_auto)))

enum err query_begin(struct store *store, enum sql which, struct query *ret);
void query_auto(struct query *q);
void query_bind_int(struct query *q, int i, int64_t v);
void query_bind_time(struct query *q, int i, uint64_t v);
void query_bind_text(struct query *q, int i, const char *s); /* NULL binds NULL; the text outlives the query */
void query_bind_blob(struct query *q, int i, const void *p, size_t len);
/** Next row: 1 or 0 in @ret. */
enum err query_next(struct query *q, int *ret);
/** For a statement without rows; @ret_changes may be NULL. */
enum err query_run(struct query *q, int *ret_changes);
/** The same for a statement that is to change one row; ERR_NOT_FOUND when it changed none. */
enum err query_run_on_one(struct query *q);
/** First row or ERR_NOT_FOUND. */
enum err query_one(struct query *q);
int64_t query_int(struct query *q, int i);
/* Copies fail with ERR_KEYSTORE when the stored value does not fit or is of the wrong length: a damaged or forged row. */
enum err query_text(struct query *q, int i, char *buf, size_t size);
enum err query_blob(struct query *q, int i, void *buf, size_t size, size_t *ret_len);
enum err query_exact(struct query *q, int i, void *buf, size_t len);
/** A text of any length; free with free(). */
enum err query_strdup(struct query *q, int i, char **ret);
/** The first two columns. */
enum err query_document(struct query *q, struct store_document *ret);

#endif
