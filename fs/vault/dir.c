/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/random.h"

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct vault_dir *vault_root(struct vault *v)
{
	return vault_dir_hold(v->root);
}

struct vault_dir *vault_dir_hold(struct vault_dir *d)
{
	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return d;
}

void vault_dir_release(struct vault_dir *d)
{
	if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
		return;
	d->v->lower->close(d->v->lower, d->fd);
	free(d);
}

static void report_dir(struct vault *v, int fd, const char *why)
{
	char link[FD_PATH_SIZE], path[512];
	ssize_t n;

	fd_path(fd, link);
	n = v->lower->readlinkat(v->lower, AT_FDCWD, link, path, sizeof(path) - 1);
	if (n > 0)
		path[n] = '\0';
	report_damage(v, n > 0 ? path : "a directory", why);
}

static int is_removed(struct vault *v, int fd)
{
	struct stat st;

	return v->lower->fstat(v->lower, fd, &st) == 0 && st.st_nlink == 0;
}

static enum err read_id(struct vault *v, int fd, uint8_t ret_id[DIR_ID_SIZE])
{
	uint8_t file[DIR_FILE_SIZE + 1];
	size_t len;
	enum err e = state_read(v->lower, fd, DIR_FILE_NAME, file, sizeof(file), &len);

	if (e == ERR_SYSTEM)
		return e;
	if (e == ERR_NOT_FOUND && is_removed(v, fd))
		return fail_with(ENOENT, "the directory was removed");
	if (e == ERR_NOT_FOUND)
		e = err_fail(ERR_TAMPERED, "the directory's id, " DIR_FILE_NAME ", is missing");
	else
		e = name_dir_file_decode(v->names, file, len, ret_id);
	/* A cut id file is damage like any other. */
	if (e == ERR_FORMAT)
		e = err_fail(ERR_TAMPERED, "the directory's id, " DIR_FILE_NAME ", has a wrong size");
	if (e == ERR_TAMPERED)
		report_dir(v, fd, err_text(e));
	return e;
}

static enum err dir_alloc(struct vault *v, int fd, struct vault_dir **ret)
{
	uint8_t id[DIR_ID_SIZE];
	struct name_dir names;
	struct vault_dir *d;

	TRY(read_id(v, fd, id));
	TRY(name_dir_init(v->names, id, &names));
	d = malloc(sizeof(*d));
	if (!d)
		return err_fail(ERR_NO_MEMORY, "no memory for an open directory");
	d->v = v;
	atomic_init(&d->refs, 1);
	d->fd = fd;
	d->names = names;
	*ret = d;
	return ERR_OK;
}

enum err dir_new(struct vault *v, int fd, struct vault_dir **ret)
{
	enum err e = dir_alloc(v, fd, ret);

	if (e != ERR_OK)
		v->lower->close(v->lower, fd);
	return e;
}

/* With the tree lock held: between opening it and reading its id no directory is removed. */
static enum err open_target(const struct target *t, struct vault_dir **ret)
{
	int fd = t->l->openat(t->l, t->fd, *t->name ? t->name : ".", OPEN_DIR, 0);

	/* ELOOP: O_NOFOLLOW met a symlink, which is no directory. */
	if (fd < 0 && errno == ELOOP)
		errno = ENOTDIR;
	if (fd < 0)
		return fail_errno("opening a directory");
	return dir_new(t->v, fd, ret);
}

static enum err open_locked(const struct target *t, struct vault_dir **ret)
{
	enum err e = open_target(t, ret);
	mode_t mode;

	if (e != ERR_SYSTEM || err_errno() != EACCES || !access_widen(t->v, t->fd, t->name, S_IRWXU, &mode))
		return e;
	/* Without search permission its id cannot be read, and so no name in it: both while the mode is wide. */
	e = open_target(t, ret);
	access_restore(t->v, t->fd, t->name, mode);
	return e;
}

enum err vault_dir_open(struct vault_object o, struct vault_dir **ret)
{
	struct target t;
	enum err e;

	if (o.dir && !o.name) {
		*ret = vault_dir_hold(o.dir);
		return ERR_OK;
	}
	TRY(target_of(o, TARGET_FIND, &t));
	tree_shared(t.v);
	e = open_locked(&t, ret);
	tree_unlock(t.v);
	return e;
}

void random_name(char out[RANDOM_NAME_SIZE])
{
	uint8_t id[16];
	size_t prefix = strlen(TMP_DIR_PREFIX);

	random_bytes(id, sizeof(id));
	memcpy(out, TMP_DIR_PREFIX, prefix);
	encode_hex(id, sizeof(id), out + prefix);
}

enum err dir_write_id(struct vault *v, int dirfd, const char *path, int *ret_fd)
{
	uint8_t id[DIR_ID_SIZE], file[DIR_FILE_SIZE];
	size_t done;
	int fd;

	random_bytes(id, sizeof(id));
	TRY(name_dir_file_encode(v->names, id, file));
	fd = v->lower->openat(v->lower, dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno("writing a directory's id");
	if (write_all(v->lower, fd, file, sizeof(file), 0, &done) != 0) {
		enum err e = fail_errno("writing a directory's id");

		v->lower->close(v->lower, fd);
		return e;
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err vault_dir_sync(struct vault_dir *d, int data_only)
{
	const struct lower *l = d->v->lower;

	/* First the ids: a directory that is durable without its id would be lost with all that is in it. */
	TRY(pending_sync(d->v));
	if ((data_only ? l->fdatasync(l, d->fd) : l->fsync(l, d->fd)) != 0)
		return err_system("fsync of a directory");
	return ERR_OK;
}
