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

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

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

/* Names come from whoever can write the vault, and people read notes in terminals: what would drive one is written as \\ooo. */
static char *printable(const char *text)
{
	char *out = malloc(4 * strlen(text) + 1), *p = out;

	for (; out && *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f || *text == '\\')
			p += sprintf(p, "\\%03o", (unsigned char)*text);
		else
			*p++ = *text;
	if (out)
		*p = '\0';
	return out;
}

static enum err write_note(
	struct vault *v, int fd, const char *name, const char *what, const char *where, const char *why)
{
	char *place AUTO_FREE = printable(where), *text AUTO_FREE = NULL;
	char file[RESCUE_NAME_SIZE + sizeof(NOTE)];

	if (!place || asprintf(&text, "was:  %s%s\nwhy:  %s\n", what, place, why) < 0) {
		text = NULL;
		return err_fail(ERR_NO_MEMORY, "no memory for a note");
	}
	note_name(name, file);
	return write_new(v, fd, file, text, strlen(text));
}

static void remove_note(struct vault *v, int fd, const char *name)
{
	char file[RESCUE_NAME_SIZE + sizeof(NOTE)];

	note_name(name, file);
	v->lower->unlinkat(v->lower, fd, file, 0);
}

/* ---- Entries ---- */

/* What is to be moved: entry @lower of @dirfd to @name of @fd. */
struct move {
	struct vault *v;
	int dirfd, fd;
	const char *lower, *name;
	char sidecar[NAME_LOWER_MAX + sizeof(LONG_SUFFIX)], to[RESCUE_NAME_SIZE + sizeof(LONG_SUFFIX)];
	int copied; /* the sidecar is in lost+found already */
};

static int is_long(const struct move *m)
{
	return m->v->names && name_classify(m->v->names, m->lower, strlen(m->lower)) == NAME_LONG;
}

/*
 * The sidecar says what the name was, so it goes along: as a copy before the entry moves. At any moment the entry has one beside it, and one
 * that is left alone is one of two. What does not verify is nobody's name, and is moved behind the entry.
 */
static enum err copy_sidecar(struct move *m)
{
	char full[NAME_LONG_MAX + 1];
	size_t len;
	enum err e;

	if (!is_long(m))
		return ERR_OK;
	snprintf(m->sidecar, sizeof(m->sidecar), "%s" LONG_SUFFIX, m->lower);
	snprintf(m->to, sizeof(m->to), "%s" LONG_SUFFIX, m->name);
	e = state_read(m->v->lower, m->dirfd, m->sidecar, full, sizeof(full), &len);
	if (e == ERR_NOT_FOUND || e == ERR_TAMPERED)
		return ERR_OK;
	TRY(e);
	if (name_check_long(m->lower, strlen(m->lower), full, len) != ERR_OK)
		return ERR_OK;
	TRY(write_new(m->v, m->fd, m->to, full, len));
	m->copied = 1;
	return ERR_OK;
}

static void drop_sidecar(const struct move *m)
{
	const struct lower *l = m->v->lower;

	if (m->copied)
		l->unlinkat(l, m->dirfd, m->sidecar, 0);
	else if (*m->sidecar)
		l->renameat2(l, m->dirfd, m->sidecar, m->fd, m->to, RENAME_NOREPLACE);
}

static int may_have_moved(const struct move *m)
{
	struct stat st;

	return m->v->lower->fstatat(m->v->lower, m->fd, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* The entry stays where it is: nothing is to be explained. Where it moved before something failed, or nobody knows, everything stays. */
static enum err undo(const struct move *m, enum err e)
{
	int errnum = err_errno();
	char why[512];

	snprintf(why, sizeof(why), "%s", err_text(e));
	if (!may_have_moved(m)) {
		if (m->copied)
			m->v->lower->unlinkat(m->v->lower, m->fd, m->to, 0);
		remove_note(m->v, m->fd, m->name);
	}
	err_set_errno(errnum);
	return err_fail(e, "%s", why);
}

/* Each step is durable before the next: note and sidecar, the place it has now, the place it had, the sidecar there. */
static enum err move_entry(struct move *m)
{
	const struct lower *l = m->v->lower;

	TRY(copy_sidecar(m));
	if (l->fsync(l, m->fd) != 0)
		return err_system("syncing " STATE_DIR_NAME "/" LOST_FOUND);
	if (l->renameat2(l, m->dirfd, m->lower, m->fd, m->name, RENAME_NOREPLACE) != 0)
		return err_system("moving it to " STATE_DIR_NAME "/" LOST_FOUND);
	if (l->fsync(l, m->fd) != 0 || l->fsync(l, m->dirfd) != 0)
		return err_system("syncing " STATE_DIR_NAME "/" LOST_FOUND);
	drop_sidecar(m);
	return ERR_OK;
}

enum err rescue_set_aside(struct vault *v, struct vault_dir *dir, const char *lower, const char *where, const char *why,
	char ret_name[RESCUE_NAME_SIZE])
{
	struct move m = {.v = v, .dirfd = dir ? dir->fd : v->state_fd, .lower = lower};
	char name[RESCUE_NAME_SIZE];
	enum err e;

	TRY(writable_vault(v));
	TRY(open_lost_found(v, &m.fd));
	new_name(v, name);
	m.name = name;
	e = write_note(v, m.fd, name, "", where, why);
	if (e == ERR_OK) {
		tree_exclusive(v);
		e = move_entry(&m);
		if (e != ERR_OK)
			e = undo(&m, e);
		tree_unlock(v);
	}
	v->lower->close(v->lower, m.fd);
	TRY(e);
	memcpy(ret_name, name, sizeof(name));
	return ERR_OK;
}

/* ---- Attributes ---- */

static enum err save_value(
	struct vault *v, int fd, const struct target *t, const char *path, const char *lower, const char *name)
{
	uint8_t *value AUTO_FREE = NULL;
	size_t len;

	TRY(xattr_read_lower(t, path, lower, &value, &len));
	return write_new(v, fd, name, value, len);
}

static enum err save_and_remove(
	struct target *t, const char *lower, const char *where, const char *why, int fd, const char *name)
{
	char path[TARGET_PATH_SIZE], what[4 * XATTR_NAME_MAX_BYTES + 32];
	char *shown AUTO_FREE = printable(lower);
	struct vault *v = t->v;
	enum err e;

	if (!shown)
		return err_fail(ERR_NO_MEMORY, "no memory for a note");
	target_path(t, path);
	snprintf(what, sizeof(what), "attribute %s of ", shown);
	TRY(write_note(v, fd, name, what, where, why));
	e = save_value(v, fd, t, path, lower, name);
	if (e != ERR_OK)
		remove_note(v, fd, name);
	TRY(e);
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
