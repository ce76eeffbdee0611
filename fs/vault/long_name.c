/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/rescue.h"
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A name whose encoded form is longer than 255 bytes stands in the lower tree as a hash; the encoded form is in a sidecar beside it.
 * The sidecar comes before the entry and goes after it, so an entry always has one. What a sidecar holds follows from its own
 * name: a stale one can only be right, or be damaged and is written anew.
 */

static void sidecar_name(const char *lower, char out[NAME_LOWER_MAX + 1])
{
	snprintf(out, NAME_LOWER_MAX + 1, "%.*s" LONG_SUFFIX, NAME_LOWER_MAX - (int)strlen(LONG_SUFFIX), lower);
}

static enum err write_sidecar(const struct target *t, int fd)
{
	size_t done;

	/* No truncation first: rewriting what is right already must never pass through something wrong. */
	if (write_all(t->l, fd, t->lower.full, t->lower.full_len, 0, &done) != 0 ||
		t->l->ftruncate(t->l, fd, t->lower.full_len) != 0)
		return err_system("writing the sidecar of a long name");
	return ERR_OK;
}

enum err long_name_prepare(const struct target *t, int *ret_made)
{
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
	char name[NAME_LOWER_MAX + 1];
	enum err e;
	int fd, made;

	*ret_made = 0;
	if (!target_is_long(t))
		return ERR_OK;
	sidecar_name(t->lower.name, name);
	fd = t->l->openat(t->l, t->fd, name, flags | O_EXCL, 0600);
	made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = t->l->openat(t->l, t->fd, name, flags, 0600);
	if (fd < 0)
		return fail_errno("writing the sidecar of a long name");
	e = write_sidecar(t, fd);
	t->l->close(t->l, fd);
	if (e != ERR_OK && made)
		t->l->unlinkat(t->l, t->fd, name, 0);
	if (e == ERR_OK)
		*ret_made = made;
	return e;
}

int rescue_sidecar_verifies(struct vault_dir *d, const char *lower)
{
	char full[NAME_LONG_MAX + 1], plain[NAME_PLAIN_MAX + 1];
	size_t len = strlen(lower) - strlen(LONG_SUFFIX), full_len, n;

	return state_read(d->v->lower, d->fd, lower, full, sizeof(full), &full_len) == ERR_OK &&
	       name_check_long(lower, len, full, full_len) == ERR_OK &&
	       name_decode(d->v->names, &d->names, full, full_len, plain, &n) == ERR_OK;
}

enum err rescue_exists(struct vault_dir *d, const char *lower, int *ret)
{
	struct stat st;
	int rc = d->v->lower->fstatat(d->v->lower, d->fd, lower, &st, AT_SYMLINK_NOFOLLOW);

	if (rc != 0 && errno != ENOENT)
		return err_system("looking whether an entry exists");
	*ret = rc == 0;
	return ERR_OK;
}

/* With the tree locked, so that no entry is made beside it meanwhile. */
enum err rescue_remove_sidecar(struct vault_dir *d, const char *lower)
{
	char entry[NAME_LOWER_MAX + 1];
	int exists = 1;
	enum err e;

	TRY(writable_vault(d->v));
	snprintf(entry, sizeof(entry), "%.*s", (int)(strlen(lower) - strlen(LONG_SUFFIX)), lower);
	tree_exclusive(d->v);
	e = rescue_exists(d, entry, &exists);
	if (e == ERR_OK && !exists && d->v->lower->unlinkat(d->v->lower, d->fd, lower, 0) != 0)
		e = fail_errno("removing a sidecar");
	tree_unlock(d->v);
	return e;
}

void long_name_remove(const struct target *t)
{
	char name[NAME_LOWER_MAX + 1];

	if (!target_is_long(t))
		return;
	sidecar_name(t->lower.name, name);
	/* A sidecar that stays behind is harmless: nobody looks at one without an entry. */
	t->l->unlinkat(t->l, t->fd, name, 0);
}

static enum err read_sidecar(struct vault_dir *d, const char *lower, char full[NAME_LONG_MAX + 1], size_t *ret_len)
{
	char name[NAME_LOWER_MAX + 1];
	struct stat st;
	enum err e;

	sidecar_name(lower, name);
	e = state_read(d->v->lower, d->fd, name, full, NAME_LONG_MAX + 1, ret_len);
	if (e != ERR_NOT_FOUND)
		return e;
	/* The listing that the entry comes from may be older than its removal. */
	if (d->v->lower->fstatat(d->v->lower, d->fd, lower, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return err_fail(ERR_NOT_FOUND, "the entry is gone");
	return err_fail(ERR_TAMPERED, "the sidecar of a long name is missing");
}

enum err long_name_decode(
	struct vault_dir *d, const char *lower, size_t len, char ret_plain[NAME_PLAIN_MAX + 1], size_t *ret_len)
{
	char full[NAME_LONG_MAX + 1];
	size_t full_len;
	enum err e;

	tree_shared(d->v);
	e = read_sidecar(d, lower, full, &full_len);
	tree_unlock(d->v);
	TRY(e);
	TRY(name_check_long(lower, len, full, full_len));
	return name_decode(d->v->names, &d->names, full, full_len, ret_plain, ret_len);
}
