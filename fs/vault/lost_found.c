/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/rescue.h"
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/random.h"

/*
 * .signetfs/lost+found: what fsck took out of the tree. The note is written first, so nothing lies there that nobody can explain; a
 * crash between the two leaves a note without its thing, which was not moved.
 */

#define LOST_FOUND "lost+found"
#define NOTE       ".txt"

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, NOTE_MAX = 4096 + 1024 };

static enum err open_lost_found(struct vault *v, int *ret_fd)
{
	const struct lower *l = v->lower;
	int fd;

	if (v->state_fd < 0)
		return fail_with(ENOENT, "the vault has no " STATE_DIR_NAME);
	if (l->mkdirat(l, v->state_fd, LOST_FOUND, 0700) == 0)
		(void)l->fsync(l, v->state_fd);
	else if (errno != EEXIST)
		return err_system("making " STATE_DIR_NAME "/" LOST_FOUND);
	fd = l->openat(l, v->state_fd, LOST_FOUND, OPEN_DIR, 0);
	if (fd < 0)
		return err_system("opening " STATE_DIR_NAME "/" LOST_FOUND);
	*ret_fd = fd;
	return ERR_OK;
}

/* 20261122T061500Z-0011223344556677: sorted by time, and never there already. */
static void new_name(const struct vault *v, char out[RESCUE_NAME_SIZE])
{
	char iso[CLOCK_ISO8601_SIZE], hex[17];
	uint8_t bytes[8];
	size_t n = 0;

	clock_iso8601(v->clock->wall(v->clock), iso);
	for (const char *p = iso; *p; p++)
		if (*p != '-' && *p != ':')
			out[n++] = *p;
	random_bytes(bytes, sizeof(bytes));
	encode_hex(bytes, sizeof(bytes), hex);
	snprintf(out + n, RESCUE_NAME_SIZE - n, "-%s", hex);
}

static enum err write_new(struct vault *v, int fd, const char *name, const void *buf, size_t len)
{
	const struct lower *l = v->lower;
	int out = l->openat(l, fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	enum err e = ERR_OK;
	size_t done;

	if (out < 0)
		return err_system("writing to " STATE_DIR_NAME "/" LOST_FOUND);
	if (write_all(l, out, buf, len, 0, &done) != 0 || l->fsync(l, out) != 0)
		e = err_system("writing to " STATE_DIR_NAME "/" LOST_FOUND);
	l->close(l, out);
	if (e != ERR_OK)
		l->unlinkat(l, fd, name, 0);
	return e;
}

static void note_name(const char *name, char out[RESCUE_NAME_SIZE + sizeof(NOTE)])
{
	snprintf(out, RESCUE_NAME_SIZE + sizeof(NOTE), "%s" NOTE, name);
}

static enum err write_note(
	struct vault *v, int fd, const char *name, const char *what, const char *where, const char *why)
{
	char text[NOTE_MAX], file[RESCUE_NAME_SIZE + sizeof(NOTE)];
	int n = snprintf(text, sizeof(text), "was:  %s%s\nwhy:  %s\n", what, where, why);

	note_name(name, file);
	return write_new(v, fd, file, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void remove_note(struct vault *v, int fd, const char *name)
{
	char file[RESCUE_NAME_SIZE + sizeof(NOTE)];

	note_name(name, file);
	v->lower->unlinkat(v->lower, fd, file, 0);
}

/* The sidecar says what the name was: it goes along. */
static void move_sidecar(struct vault *v, int dirfd, const char *lower, int fd, const char *name)
{
	char from[2 * NAME_LOWER_MAX], to[RESCUE_NAME_SIZE + sizeof(LONG_SUFFIX)];

	if (name_classify(v->names, lower, strlen(lower)) != NAME_LONG)
		return;
	snprintf(from, sizeof(from), "%s" LONG_SUFFIX, lower);
	snprintf(to, sizeof(to), "%s" LONG_SUFFIX, name);
	v->lower->renameat2(v->lower, dirfd, from, fd, to, RENAME_NOREPLACE);
}

static enum err move(struct vault *v, int dirfd, const char *lower, int fd, const char *name)
{
	const struct lower *l = v->lower;

	if (l->renameat2(l, dirfd, lower, fd, name, RENAME_NOREPLACE) != 0)
		return err_system("moving it to " STATE_DIR_NAME "/" LOST_FOUND);
	if (v->names)
		move_sidecar(v, dirfd, lower, fd, name);
	/* The place it has now before the one it had. */
	if (l->fsync(l, fd) != 0 || l->fsync(l, dirfd) != 0)
		return err_system("syncing " STATE_DIR_NAME "/" LOST_FOUND);
	return ERR_OK;
}

enum err rescue_set_aside(struct vault *v, struct vault_dir *dir, const char *lower, const char *where, const char *why,
	char ret_name[RESCUE_NAME_SIZE])
{
	char name[RESCUE_NAME_SIZE];
	enum err e;
	int fd;

	TRY(writable_vault(v));
	TRY(open_lost_found(v, &fd));
	new_name(v, name);
	e = write_note(v, fd, name, "", where, why);
	if (e == ERR_OK) {
		tree_exclusive(v);
		e = move(v, dir ? dir->fd : v->state_fd, lower, fd, name);
		tree_unlock(v);
		if (e != ERR_OK)
			remove_note(v, fd, name);
	}
	v->lower->close(v->lower, fd);
	TRY(e);
	memcpy(ret_name, name, sizeof(name));
	return ERR_OK;
}

/* ---- Attributes ---- */

static enum err save_value(
	struct vault *v, int fd, const struct target *t, const char *path, const char *lower, const char *name)
{
	uint8_t *value AUTO_FREE = malloc(XATTR_SIZE_MAX);
	ssize_t n;

	if (!value)
		return err_fail(ERR_NO_MEMORY, "no memory for an extended attribute");
	n = t->l->getxattr(t->l, path, lower, value, XATTR_SIZE_MAX);
	if (n < 0)
		return fail_errno("getxattr");
	return write_new(v, fd, name, value, (size_t)n);
}

static enum err save_and_remove(
	struct target *t, const char *lower, const char *where, const char *why, int fd, const char *name)
{
	char path[TARGET_PATH_SIZE], what[XATTR_NAME_MAX_BYTES + 32];
	struct vault *v = t->v;

	target_path(t, path);
	snprintf(what, sizeof(what), "attribute %s of ", lower);
	TRY(write_note(v, fd, name, what, where, why));
	TRY(save_value(v, fd, t, path, lower, name));
	if (v->lower->fsync(v->lower, fd) != 0)
		return err_system("syncing " STATE_DIR_NAME "/" LOST_FOUND);
	return t->l->removexattr(t->l, path, lower) == 0 ? ERR_OK : fail_errno("removexattr");
}

enum err rescue_set_xattr_aside(
	struct vault_object o, const char *lower, const char *where, const char *why, char ret_name[RESCUE_NAME_SIZE])
{
	char name[RESCUE_NAME_SIZE];
	struct target t;
	enum err e;
	int fd;

	TRY(target_of(o, TARGET_FIND, &t));
	TRY(writable_vault(t.v));
	TRY(open_lost_found(t.v, &fd));
	new_name(t.v, name);
	e = save_and_remove(&t, lower, where, why, fd, name);
	t.l->close(t.l, fd);
	TRY(e);
	memcpy(ret_name, name, sizeof(name));
	return ERR_OK;
}
