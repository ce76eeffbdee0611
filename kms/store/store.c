/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/store/db.h"

/* ---- Making one ---- */

static enum err fill(const char *path, const struct store_item *items, size_t count)
{
	struct store store = {0};
	enum err e;

	TRY(db_open(path, 0, &store.write));
	e = db_exec(&store.write, "PRAGMA journal_mode = DELETE");
	if (e == ERR_OK)
		e = schema_migrate(&store.write);
	for (size_t i = 0; e == ERR_OK && i < count; i++) {
		struct query q AUTO_QUERY = {0};

		e = query_begin(&store, SQL_META_SET, &q);
		if (e != ERR_OK)
			break;
		query_bind_text(&q, 0, items[i].name);
		query_bind_blob(&q, 1, items[i].p, items[i].len);
		e = query_run(&q, NULL);
	}
	/* The mode stays with the file, so that processes that open it at once need not agree to switch it. */
	if (e == ERR_OK)
		e = db_exec(&store.write, "PRAGMA journal_mode = WAL");
	db_close(&store.write);
	return e;
}

static enum err sync_path(const char *path, int flags)
{
	int fd AUTO_CLOSE = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0 || fsync(fd) != 0)
		return err_system("making %s durable", path);
	return ERR_OK;
}

/* link() refuses to replace; so a half-made keystore is never seen under the name and an existing one never lost. */
static enum err publish(const char *temporary, const char *path, const char *directory)
{
	TRY(sync_path(temporary, 0));
	if (link(temporary, path) != 0) {
		if (errno == EEXIST)
			return err_fail(ERR_EXISTS, "there is already something at %s; it was left as it is", path);
		return err_system("creating the keystore %s", path);
	}
	unlink(temporary);
	return sync_path(directory, O_DIRECTORY);
}

/* The temporary file and what SQLite may have left beside it when the disk failed. */
static void discard(const char *temporary)
{
	static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char *name AUTO_FREE = NULL;

		if (asprintf(&name, "%s%s", temporary, suffixes[i]) >= 0)
			unlink(name);
	}
}

static enum err create_beside(const char *path, const char *directory, const struct store_item *items, size_t count)
{
	char *temporary AUTO_FREE = NULL;
	struct stat st;
	enum err e;
	int fd;

	if (lstat(path, &st) == 0)
		return err_fail(ERR_EXISTS, "there is already something at %s; it was left as it is", path);
	if (asprintf(&temporary, "%s.new.XXXXXX", path) < 0)
		return ERR_NO_MEMORY;
	fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return err_system("creating a keystore in %s", directory);
	close(fd);
	e = fill(temporary, items, count);
	if (e == ERR_OK)
		e = publish(temporary, path, directory);
	if (e != ERR_OK)
		discard(temporary);
	return e;
}

enum err store_create(const char *path, const struct store_item *items, size_t count)
{
	char *copy AUTO_FREE = strdup(path);
	const char *directory;

	if (copy == NULL)
		return ERR_NO_MEMORY;
	directory = dirname(copy);
	TRY(io_make_dirs(directory, 0700));
	return create_beside(path, directory, items, count);
}

/* ---- Opening ---- */

static enum err look(const char *path, struct stat *ret)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return err_fail(
				ERR_NOT_FOUND, "there is no keystore at %s; create one with: signetfs kms init", path);
		return err_system("opening the keystore %s", path);
	}
	/* SQLite takes an empty file for an empty database and would happily fill it. */
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_fail(ERR_KEYSTORE,
			"%s is %s, not a keystore; restore it from a backup or create one with: "
			"signetfs kms init",
			path, S_ISREG(st.st_mode) ? "an empty file" : "not a regular file");
	/* SQLite would make its files beside it with the same mode, and leave them there when it finds that it cannot write. */
	if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0)
		return err_system(
			"the keystore %s cannot be opened for reading and writing; check the permissions of the "
			"file and its directory",
			path);
	*ret = st;
	return ERR_OK;
}

static int log_is_empty(const char *path)
{
	char *log AUTO_FREE = NULL;
	struct stat st;

	if (asprintf(&log, "%s-wal", path) < 0)
		return 0;
	return stat(log, &st) != 0 || st.st_size == 0;
}

/*
 * SQLite notices missing pages but reads a last page that was cut as if it ended in zeros. A partial page is legitimate only
 * while a log still holds it whole (a checkpoint that was interrupted).
 */
static enum err check_whole_pages(struct store *store)
{
	int64_t page_size;
	struct stat st;

	TRY(db_integer(&store->write, "PRAGMA page_size", &page_size));
	if (!log_is_empty(store->path) || stat(store->path, &st) != 0 || page_size < 512 ||
		st.st_size % page_size == 0 || !log_is_empty(store->path))
		return ERR_OK;
	return err_fail(ERR_KEYSTORE, "the keystore %s is cut short; restore it from a backup", store->path);
}

static enum err connect_both(struct store *store)
{
	struct db *write = &store->write;

	TRY(db_open(store->path, 0, write));
	TRY(check_whole_pages(store));
	TRY(schema_check(write, store->path));
	TRY(db_exec(write, "PRAGMA journal_mode = WAL"));
	TRY(schema_migrate(write));
	TRY(db_open(store->path, 1, &store->read));
	return store_generation_read(store, &(uint64_t){0});
}

enum err store_open(const char *path, struct store **ret)
{
	struct store *store;
	struct stat st;
	enum err e;

	TRY(look(path, &st));
	store = calloc(1, sizeof(*store));
	if (store == NULL || (store->path = strdup(path)) == NULL) {
		free(store);
		return ERR_NO_MEMORY;
	}
	store->owner_uid = st.st_uid;
	store->mode = st.st_mode & 07777;
	store->memo = memo_new();
	e = store->memo != NULL ? connect_both(store) : ERR_NO_MEMORY;
	if (e != ERR_OK) {
		store_close(store);
		return err_wrap(e, "opening the keystore %s", path);
	}
	*ret = store;
	return ERR_OK;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	assert(atomic_load(&store->owner) == NULL);
	db_close(&store->read);
	db_close(&store->write);
	memo_free(store->memo);
	free(store->path);
	free(store);
}

uint32_t store_owner_uid(const struct store *store)
{
	return store->owner_uid;
}

uint32_t store_mode(const struct store *store)
{
	return store->mode;
}

/* ---- Meta ---- */

enum err store_meta_find(struct store *store, const char *name, void *buf, size_t size, size_t *ret_len)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_META_GET, &q));
	query_bind_text(&q, 0, name);
	TRY(query_one(&q));
	return query_blob(&q, 0, buf, size, ret_len);
}

enum err store_meta_get(struct store *store, const char *name, void *buf, size_t size, size_t *ret_len)
{
	enum err e = store_meta_find(store, name, buf, size, ret_len);

	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KEYSTORE,
			"the keystore %s is damaged: its record '%s' is missing; restore it from "
			"a backup",
			store->path, name);
	return e;
}

enum err store_meta_put(struct store *store, const char *name, const void *p, size_t len)
{
	struct query q AUTO_QUERY = {0};

	TRY(query_begin(store, SQL_META_REPLACE, &q));
	query_bind_text(&q, 0, name);
	query_bind_blob(&q, 1, p, len);
	return query_run(&q, NULL);
}

enum err store_read_root_params(const char *path, uint8_t **ret, size_t *ret_len)
{
	enum { ROOT_PARAMS_MAX = 64 * 1024 };
	uint8_t *buf AUTO_FREE = malloc(ROOT_PARAMS_MAX);
	struct store *store;
	size_t len;
	enum err e;

	if (buf == NULL)
		return ERR_NO_MEMORY;
	TRY(store_open(path, &store));
	e = store_meta_get(store, STORE_META_ROOT_PARAMS, buf, ROOT_PARAMS_MAX, &len);
	store_close(store);
	TRY(e);
	*ret = STEAL(buf);
	*ret_len = len;
	return ERR_OK;
}
