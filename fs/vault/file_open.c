/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vault_file *file_new(struct vault *v, int writable)
{
	struct vault_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->v = v;
	f->fd = -1;
	f->writable = writable;
	f->state = FILE_UNLOADED;
	file_lock_init(&f->lock);
	pthread_mutex_init(&f->mtime.lock, NULL);
	pthread_mutex_init(&f->nonce_lock, NULL);
	return f;
}

void file_free(struct vault_file *f)
{
	file_keys_drop(f);
	if (f->fd >= 0)
		f->v->lower->close(f->v->lower, f->fd);
	pthread_mutex_destroy(&f->nonce_lock);
	file_lock_destroy(&f->lock);
	pthread_mutex_destroy(&f->mtime.lock);
	free(f);
}

void file_target(const struct vault_file *f, struct target *t)
{
	t->v = f->v;
	t->l = f->v->lower;
	t->fd = f->fd;
	t->name = "";
	t->at = AT_EMPTY_PATH;
	t->lower.full_len = 0;
}

static int open_lower(const struct target *t, int writable)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;
	char path[FD_PATH_SIZE];

	if (*t->name)
		return access_openat(t->v, t->fd, t->name, flags | O_NOFOLLOW, S_IRUSR | (writable ? S_IWUSR : 0));
	fd_path(t->fd, path);
	return t->l->openat(t->l, AT_FDCWD, path, flags, 0);
}

enum err vault_file_open(struct vault *v, struct vault_object o, int writable, struct vault_file **ret)
{
	struct vault_file *f;
	struct target t;

	TRY(target_of(o, TARGET_FIND, &t));
	if (writable)
		TRY(writable_vault(v));
	f = file_new(v, writable);
	if (!f)
		return err_fail(ERR_NO_MEMORY, "no memory for an open file");
	f->fd = open_lower(&t, writable);
	if (f->fd < 0) {
		enum err e = fail_errno("opening a file of the vault");

		file_free(f);
		return e;
	}
	*ret = f;
	return ERR_OK;
}

/* ---- Creating ---- */

static enum err finish_creation(
	struct vault_file *f, const struct target *t, int dir, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	struct stat st;

	TRY(target_own(t, dir, owner, S_IFREG | mode));
	if (t->l->fstat(t->l, f->fd, &st) != 0)
		return fail_errno("stat of a new file");
	stat_to_plain(t->v, &st);
	*ret = st;
	return ERR_OK;
}

static enum err create_lower(
	struct vault_file *f, const struct target *t, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	enum err e;

	f->fd = t->l->openat(t->l, t->fd, t->name, flags, mode & 07777);
	if (f->fd < 0)
		return fail_errno("creating a file");
	e = finish_creation(f, t, t->fd, mode, owner, ret);
	if (e != ERR_OK)
		t->l->unlinkat(t->l, t->fd, t->name, 0);
	return e;
}

/* What links to it later finds it in the lower tree as any file; a crash before leaves nothing. */
static enum err create_unnamed(
	struct vault_file *f, const struct target *dir, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	struct target t;

	f->fd = dir->l->openat(dir->l, dir->fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode & 07777);
	if (f->fd < 0)
		return fail_errno("creating a file without a name");
	file_target(f, &t);
	return finish_creation(f, &t, dir->fd, mode, owner, ret);
}

static enum err create_long(
	struct vault_file *f, const struct target *t, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	int made;
	enum err e;

	TRY(long_name_prepare(t, &made));
	e = create_lower(f, t, mode, owner, ret);
	if (e != ERR_OK && made && err_errno() != EEXIST)
		long_name_remove(t);
	return e;
}

static enum err create(
	struct vault_file *f, const struct target *t, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	enum err e;

	/* Before anything is made, so that a refusal by the KMS leaves nothing. */
	TRY(file_keys_make(f));
	if (!*t->name)
		return create_unnamed(f, t, mode, owner, ret);
	if (target_is_long(t)) {
		tree_exclusive(t->v);
		e = create_long(f, t, mode, owner, ret);
	} else {
		tree_shared(t->v);
		e = create_lower(f, t, mode, owner, ret);
	}
	tree_unlock(t->v);
	return e;
}

enum err vault_file_create(
	struct vault_object o, mode_t mode, struct vault_owner owner, struct vault_file **ret, struct stat *ret_stat)
{
	struct vault_file *f;
	struct target t;
	enum err e;

	TRY(target_of(o, TARGET_MAKE, &t));
	TRY(writable_vault(t.v));
	f = file_new(t.v, 1);
	if (!f)
		return err_fail(ERR_NO_MEMORY, "no memory for an open file");
	e = create(f, &t, mode, owner, ret_stat);
	if (e != ERR_OK) {
		file_free(f);
		return e;
	}
	file_times_set(f, &ret_stat->st_mtim);
	*ret = f;
	return ERR_OK;
}

/* ---- The rest of its life ---- */

int vault_file_writable(const struct vault_file *f)
{
	return f->writable;
}

enum err vault_file_stat(struct vault_file *f, struct stat *ret)
{
	struct file_claim claim = CLAIM_ALL_SHARED;
	struct stat st;

	/* Under the lock: between two steps of a write the lower size is no size of the file. */
	file_lock_take(&f->lock, &claim);
	if (f->v->lower->fstat(f->v->lower, f->fd, &st) != 0) {
		file_lock_drop(&f->lock, &claim);
		return fail_errno("stat of an open file");
	}
	stat_to_plain(f->v, &st);
	if (f->state != FILE_UNLOADED)
		st.st_size = (off_t)f->size;
	file_lock_drop(&f->lock, &claim);
	file_times_show(f, &st);
	*ret = st;
	return ERR_OK;
}

/* A created file that nothing was written to still has to get its header. Lock held. */
static enum err put_first_header(struct vault_file *f)
{
	struct scratch *s;

	if (f->state != FILE_FRESH || f->broken)
		return ERR_OK;
	TRY(scratch_get(f->v->aead, &s));
	/* Nothing that a program can see is written: the time it gave the file stays. */
	vault_file_hold_mtime(f);
	return file_ready_to_change(f, s, 0);
}

static int sync_lower(struct vault_file *f, int data_only)
{
	const struct lower *l = f->v->lower;

	return data_only ? l->fdatasync(l, f->fd) : l->fsync(l, f->fd);
}

enum err vault_file_sync(struct vault_file *f, int data_only)
{
	struct file_claim claim = CLAIM_ALL;
	enum err e;

	if (atomic_load(&f->sync_failed))
		return fail_with(atomic_load(&f->sync_failed), "an earlier fsync of the file failed");
	file_lock_take(&f->lock, &claim);
	e = put_first_header(f);
	file_lock_drop(&f->lock, &claim);
	if (e == ERR_OK)
		e = file_times_restore(f);
	if (e == ERR_OK)
		e = pending_sync(f->v);
	if (e == ERR_OK && sync_lower(f, data_only) != 0)
		e = err_system("fsync of a file of the vault");
	/* The kernel may have marked the pages clean: a second try would claim what is not so. What the KMS refused was not tried. */
	if (e == ERR_SYSTEM)
		atomic_store(&f->sync_failed, err_to_errno(e));
	return e;
}

enum err vault_file_close(struct vault_file *f)
{
	enum err e = put_first_header(f), times = file_times_restore(f);

	if (e == ERR_OK)
		e = times;
	/* It reads as empty for as long as a session is on the list that did not end cleanly: this one then must not. */
	if (f->state == FILE_FRESH)
		headerless_keep(f);
	else
		file_free(f);
	return e;
}
