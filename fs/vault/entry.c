/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Making and removing entries. */

static void lock_for(const struct target *t)
{
	if (target_is_long(t))
		tree_exclusive(t->v);
	else
		tree_shared(t->v);
}

struct making {
	mode_t mode;
	dev_t dev;
	const char *target;        /* of a symlink, sealed */
	const struct target *from; /* of a link */
	struct vault_owner owner;
};

typedef enum err (*make_fn)(const struct target *t, const struct making *m);

/* One entry: sidecar, entry, owner, stat. What was made is taken back when a later step fails. */
static enum err make_entry(const struct target *t, const struct making *m, make_fn make, struct stat *ret)
{
	int made_sidecar;
	enum err e;

	TRY(long_name_prepare(t, &made_sidecar));
	e = make(t, m);
	/* Where the entry exists already the sidecar is its own, and if it was missing it is healed now. */
	if (e != ERR_OK && made_sidecar && err_errno() != EEXIST)
		long_name_remove(t);
	TRY(e);
	return target_stat(t, ret);
}

static enum err make_locked(const struct target *t, const struct making *m, make_fn make, struct stat *ret)
{
	enum err e;

	lock_for(t);
	e = make_entry(t, m, make, ret);
	tree_unlock(t->v);
	return e;
}

static enum err own_or_undo(const struct target *t, const struct making *m)
{
	enum err e = target_own(t, t->fd, m->owner, m->mode);

	if (e != ERR_OK)
		t->l->unlinkat(t->l, t->fd, t->name, 0);
	return e;
}

/* ---- mkdir ---- */

/* A target for the directory under its temporary name; it is never long. */
static struct target temporary(const struct target *t, const char *name)
{
	struct target tmp = {.v = t->v, .l = t->l, .fd = t->fd, .name = name, .at = AT_SYMLINK_NOFOLLOW};

	return tmp;
}

/* The mode that was asked for and had to wait. What the parent gave (set-group-ID, the default ACL's mask) stays. */
static enum err narrow_mode(const struct target *tmp, mode_t mode)
{
	struct stat st;

	if (tmp->v->privileged || (mode & S_IRWXU) == S_IRWXU)
		return ERR_OK;
	if (tmp->l->fstatat(tmp->l, tmp->fd, tmp->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		tmp->l->fchmodat(tmp->l, tmp->fd, tmp->name, st.st_mode & 07777 & (~(mode_t)S_IRWXU | mode)) != 0)
		return fail_errno("setting the mode of a new directory");
	return ERR_OK;
}

/* Inside, owner, mode: all of it before the rename that makes it seen. */
static enum err fill_dir(const struct target *tmp, const struct making *m, int *ret_id)
{
	char path[RANDOM_NAME_SIZE + sizeof(DIR_FILE_NAME)];

	snprintf(path, sizeof(path), "%s/" DIR_FILE_NAME, tmp->name);
	TRY(dir_write_id(tmp->v, tmp->fd, path, ret_id));
	TRY(narrow_mode(tmp, m->mode));
	return target_own(tmp, tmp->fd, m->owner, S_IFDIR | m->mode);
}

static enum err place_dir(const struct target *tmp, const struct target *t)
{
	if (t->l->renameat2(t->l, tmp->fd, tmp->name, t->fd, t->name, RENAME_NOREPLACE) != 0)
		return fail_errno("mkdir");
	return ERR_OK;
}

static void undo_mkdir(const struct target *tmp, int id)
{
	if (id >= 0)
		tmp->l->close(tmp->l, id);
	empty_dir_delete(tmp->v, tmp->fd, tmp->name);
}

static enum err make_dir(const struct target *t, const struct making *m)
{
	char name[RANDOM_NAME_SIZE];
	struct target tmp = temporary(t, name);
	int id = -1;
	enum err e;

	random_name(name);
	/* Its owner has to be able to write the id into it; the mode that was asked for follows. */
	if (t->l->mkdirat(t->l, t->fd, name, t->v->privileged ? m->mode : m->mode | S_IRWXU) != 0)
		return fail_errno("mkdir");
	e = fill_dir(&tmp, m, &id);
	if (e == ERR_OK)
		e = place_dir(&tmp, t);
	if (e == ERR_OK)
		pending_add(t->v, id);
	else
		undo_mkdir(&tmp, id);
	return e;
}

enum err vault_mkdir(struct vault_object o, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	struct making m = {.mode = mode & 07777, .owner = owner};
	struct target t;

	TRY(target_change(o, TARGET_MAKE, &t));
	return make_locked(&t, &m, make_dir, ret);
}

/* ---- mknod, symlink, link ---- */

static enum err make_node(const struct target *t, const struct making *m)
{
	if (t->l->mknodat(t->l, t->fd, t->name, m->mode, m->dev) != 0)
		return fail_errno("mknod");
	return own_or_undo(t, m);
}

/* A regular file has a header, which only creating it writes. */
static enum err make_file(struct vault_object o, mode_t mode, struct vault_owner owner, struct stat *ret)
{
	struct vault_file *f;
	struct stat st;

	TRY(vault_file_create(o, mode & 07777, owner, &f, &st));
	TRY(vault_file_close(f));
	*ret = st;
	return ERR_OK;
}

enum err vault_mknod(struct vault_object o, mode_t mode, dev_t dev, struct vault_owner owner, struct stat *ret)
{
	struct making m = {.mode = mode, .dev = dev, .owner = owner};
	struct target t;

	if (S_ISREG(mode) || (mode & S_IFMT) == 0)
		return make_file(o, mode, owner, ret);
	TRY(target_change(o, TARGET_MAKE, &t));
	return make_locked(&t, &m, make_node, ret);
}

static enum err make_symlink(const struct target *t, const struct making *m)
{
	if (t->l->symlinkat(t->l, m->target, t->fd, t->name) != 0)
		return fail_errno("symlink");
	return own_or_undo(t, m);
}

enum err vault_symlink(struct vault_object o, const char *target, struct vault_owner owner, struct stat *ret)
{
	char sealed[NAME_SYMLINK_LOWER_MAX + 1];
	struct making m = {.mode = S_IFLNK | 0777, .target = sealed, .owner = owner};
	struct target t;
	size_t len;
	enum err e;

	TRY(target_change(o, TARGET_MAKE, &t));
	if (!*target)
		return fail_with(ENOENT, "a symlink with an empty target");
	e = name_seal_target(t.v->names, target, strlen(target), sealed, &len);
	if (e == ERR_LIMIT)
		return fail_with(ENAMETOOLONG, "the symlink's target is too long for the vault");
	TRY(e);
	return make_locked(&t, &m, make_symlink, ret);
}

enum err vault_readlink(struct vault_object o, char *out, size_t size, size_t *ret_len)
{
	char sealed[NAME_SYMLINK_LOWER_MAX + 1], plain[NAME_SYMLINK_LOWER_MAX + 1];
	struct target t;
	size_t len;
	ssize_t n;
	enum err e;

	TRY(target_of(o, TARGET_FIND, &t));
	n = t.l->readlinkat(t.l, t.fd, t.name, sealed, sizeof(sealed));
	if (n < 0)
		return fail_errno("readlink");
	e = name_open_target(t.v->names, sealed, (size_t)n, plain, &len);
	if (e == ERR_TAMPERED || e == ERR_FORMAT)
		report_damage(t.v, *t.name ? t.name : "a symlink", err_text(e));
	TRY(e);
	len = len < size ? len : size;
	memcpy(out, plain, len);
	*ret_len = len;
	return ERR_OK;
}

static enum err make_link(const struct target *t, const struct making *m)
{
	const struct target *from = m->from;
	char path[FD_PATH_SIZE];
	int rc;

	if (*from->name) {
		rc = t->l->linkat(t->l, from->fd, from->name, t->fd, t->name, 0);
	} else {
		fd_path(from->fd, path);
		rc = t->l->linkat(t->l, AT_FDCWD, path, t->fd, t->name, AT_SYMLINK_FOLLOW);
	}
	return rc == 0 ? ERR_OK : fail_errno("link");
}

enum err vault_link(struct vault_object from, struct vault_object to, struct stat *ret)
{
	struct target f, t;
	struct making m = {.from = &f};

	TRY(target_of(from, TARGET_FIND, &f));
	TRY(target_change(to, TARGET_MAKE, &t));
	if (f.v != t.v)
		return fail_with(EXDEV, "link between two vaults");
	return make_locked(&t, &m, make_link, ret);
}

/* ---- unlink ---- */

enum err vault_unlink(struct vault_object o)
{
	struct target t;
	enum err e;

	TRY(target_change(o, TARGET_FIND, &t));
	lock_for(&t);
	e = t.l->unlinkat(t.l, t.fd, t.name, 0) == 0 ? ERR_OK : fail_errno("unlink");
	if (e == ERR_OK)
		long_name_remove(&t);
	tree_unlock(t.v);
	return e;
}
