/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include "kms/store/db.h"

enum { DB_PATIENCE_MS = 10000 };

static const char damaged[] = "the keystore is damaged or not one";

/* SQLite's message names columns and tables, never values, so it may be shown. */
enum err db_error(sqlite3 *handle, int rc)
{
	const char *why = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);

	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return err_fail(ERR_NO_MEMORY, "keystore: out of memory");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_fail(ERR_BUSY, "the keystore is locked by another process for more than %d seconds",
			DB_PATIENCE_MS / 1000);
	case SQLITE_FULL:
		errno = ENOSPC;
		return err_fail(ERR_SYSTEM, "the keystore could not be written: the disk is full; nothing was changed");
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_SHORT_READ)
			break;
		errno = handle != NULL && sqlite3_system_errno(handle) != 0 ? sqlite3_system_errno(handle) : EIO;
		return err_fail(ERR_SYSTEM, "the keystore could not be read or written: %s (%s)", why, strerror(errno));
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		errno = EACCES;
		return err_fail(ERR_SYSTEM,
			"the keystore cannot be opened for writing: %s; check the permissions of "
			"the file and its directory",
			why);
	case SQLITE_CONSTRAINT:
		return err_fail(ERR_EXISTS, "keystore: %s", why);
	default:
		break;
	}
	return err_fail(ERR_KEYSTORE, "%s (%s); restore it from a backup", damaged, why);
}

enum err db_exec(struct db *db, const char *sql)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_OK : db_error(db->handle, sqlite3_extended_errcode(db->handle));
}

enum err db_integer(struct db *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
	enum err e = ERR_OK;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	else
		e = db_error(db->handle, sqlite3_extended_errcode(db->handle));
	sqlite3_finalize(statement);
	return e;
}

static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

/* The file may have been made by an attacker: nothing in its schema is trusted to run code. */
static enum err db_configure(struct db *db, int wal)
{
	sqlite3_busy_timeout(db->handle, DB_PATIENCE_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	TRY(db_exec(db, "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;"
			"PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY"));
	return wal ? db_exec(db, "PRAGMA journal_mode = WAL") : ERR_OK;
}

/* Counting its memory takes SQLite a lock for every block. */
static void count_no_memory(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum err db_open(const char *path, int wal, struct db *ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct db db = {0};
	enum err e;
	int rc;

	pthread_once(&once, count_no_memory);
	/* No locks of SQLite's own at every call: each connection is under ours. */
	rc = sqlite3_open_v2(path, &db.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		e = db_error(db.handle, rc);
		sqlite3_close_v2(db.handle);
		return e;
	}
	sqlite3_extended_result_codes(db.handle, 1);
	e = db_configure(&db, wal);
	if (e != ERR_OK) {
		sqlite3_close_v2(db.handle);
		return e;
	}
	*ret = db;
	lock_init(&ret->lock);
	return ERR_OK;
}

void db_close(struct db *db)
{
	if (db->handle == NULL)
		return;
	for (int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(db->statement[i]);
	sqlite3_close_v2(db->handle);
	pthread_mutex_destroy(&db->lock);
	db->handle = NULL;
}

/*
 * The connection for a statement, locked. Invariant 2. Each commit makes the reading connection forget the pages that it holds, and the
 * writing one keeps them: what finds a row goes there when it need not wait.
 */
static struct db *lock_for(struct store *store, enum sql which)
{
	enum sql_effect effect = sql_effect(which);
	struct db *db = &store->read;

	if (store_in_transaction(store) || (effect != SQL_READS && effect != SQL_FINDS))
		db = &store->write;
	else if (effect == SQL_FINDS && pthread_mutex_trylock(&store->write.lock) == 0)
		return &store->write;
	pthread_mutex_lock(&db->lock);
	return db;
}

enum err query_begin(struct store *store, enum sql which, struct query *ret)
{
	struct db *db = lock_for(store, which);
	enum err e = ERR_OK;

	if (db->statement[which] == NULL) {
		int rc = sqlite3_prepare_v3(
			db->handle, sql_text(which), -1, SQLITE_PREPARE_PERSISTENT, &db->statement[which], NULL);
		if (rc != SQLITE_OK)
			e = db_error(db->handle, rc);
	}
	if (e != ERR_OK) {
		pthread_mutex_unlock(&db->lock);
		return e;
	}
	assert(!sqlite3_stmt_busy(db->statement[which]));
	/* Invariant 4; a keystore that is being made has nobody to tell. */
	if (sql_effect(which) == SQL_CHANGES) {
		assert(store_in_transaction(store) || store->memo == NULL);
		store->changed = 1;
	}
	*ret = (struct query){.db = db, .statement = db->statement[which], .rc = SQLITE_OK};
	return ERR_OK;
}

void query_auto(struct query *q)
{
	if (q->db == NULL)
		return;
	sqlite3_reset(q->statement);
	sqlite3_clear_bindings(q->statement);
	pthread_mutex_unlock(&q->db->lock);
	q->db = NULL;
}

static void query_note(struct query *q, int rc)
{
	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

void query_bind_int(struct query *q, int i, int64_t v)
{
	query_note(q, sqlite3_bind_int64(q->statement, i + 1, v));
}

void query_bind_time(struct query *q, int i, uint64_t v)
{
	query_bind_int(q, i, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void query_bind_text(struct query *q, int i, const char *s)
{
	query_note(q, sqlite3_bind_text(q->statement, i + 1, s, -1, SQLITE_STATIC));
}

void query_bind_blob(struct query *q, int i, const void *p, size_t len)
{
	query_note(q, sqlite3_bind_blob64(q->statement, i + 1, p, len, SQLITE_STATIC));
}

enum err query_next(struct query *q, int *ret)
{
	int rc = q->rc == SQLITE_OK ? sqlite3_step(q->statement) : q->rc;

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_error(q->db->handle, rc);
	*ret = rc == SQLITE_ROW;
	return ERR_OK;
}

enum err query_run(struct query *q, int *ret_changes)
{
	int row = 0;

	TRY(query_next(q, &row));
	assert(!row);
	if (ret_changes != NULL)
		*ret_changes = sqlite3_changes(q->db->handle);
	return ERR_OK;
}

enum err query_run_on_one(struct query *q)
{
	int changes;

	TRY(query_run(q, &changes));
	return changes == 1 ? ERR_OK : err_fail(ERR_NOT_FOUND, "keystore: no such record");
}

enum err query_one(struct query *q)
{
	int row = 0;

	TRY(query_next(q, &row));
	return row ? ERR_OK : err_fail(ERR_NOT_FOUND, "keystore: no such record");
}

int64_t query_int(struct query *q, int i)
{
	return sqlite3_column_int64(q->statement, i);
}

static enum err query_misfit(void)
{
	return err_fail(ERR_KEYSTORE, "%s: a record has a field of the wrong size; restore it from a backup", damaged);
}

enum err query_text(struct query *q, int i, char *buf, size_t size)
{
	const unsigned char *text = sqlite3_column_text(q->statement, i);
	size_t len = (size_t)sqlite3_column_bytes(q->statement, i);

	if (text == NULL || len >= size || memchr(text, 0, len) != NULL)
		return query_misfit();
	memcpy(buf, text, len);
	buf[len] = '\0';
	return ERR_OK;
}

enum err query_blob(struct query *q, int i, void *buf, size_t size, size_t *ret_len)
{
	const void *p = sqlite3_column_blob(q->statement, i);
	size_t len = (size_t)sqlite3_column_bytes(q->statement, i);

	if (len > size || (p == NULL && len > 0))
		return query_misfit();
	if (len > 0)
		memcpy(buf, p, len);
	*ret_len = len;
	return ERR_OK;
}

enum err query_exact(struct query *q, int i, void *buf, size_t len)
{
	size_t found;

	TRY(query_blob(q, i, buf, len, &found));
	return found == len ? ERR_OK : query_misfit();
}

enum err query_strdup(struct query *q, int i, char **ret)
{
	const unsigned char *text = sqlite3_column_text(q->statement, i);
	char *copy = text != NULL ? strdup((const char *)text) : NULL;

	if (copy == NULL)
		return ERR_NO_MEMORY;
	*ret = copy;
	return ERR_OK;
}

enum err query_document(struct query *q, struct store_document *ret)
{
	struct store_document d AUTO_DOCUMENT = {NULL, NULL};

	TRY(query_strdup(q, 0, &d.text));
	TRY(query_strdup(q, 1, &d.principals));
	*ret = d;
	d = (struct store_document){NULL, NULL};
	return ERR_OK;
}
