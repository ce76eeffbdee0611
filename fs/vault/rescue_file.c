/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"

/* What is left of a damaged file. */

void rescue_excuse(struct vault_file *f)
{
	f->excused = 1;
}

static void tell_look(const struct vault_file *f, int loaded, struct rescue_look *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = f->contradicts;
	ret->excused = f->explained;
	ret->header_size = f->contradicts == RESCUE_AGREES ? f->header.size : f->claimed;
	if (loaded)
		ret->size_now = f->size;
}

enum err rescue_look(struct vault_file *f, struct rescue_look *ret)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	size_t have;
	enum err e;

	memset(ret, 0, sizeof(*ret));
	TRY(scratch_get(f->v->aead, &s));
	file_lock_take(&f->lock, &claim);
	e = file_ready(f, s, &have);
	tell_look(f, e == ERR_OK, ret);
	file_lock_drop(&f->lock, &claim);
	return e;
}

struct sink {
	void (*bad)(void *context, uint64_t off, uint64_t len);
	void *context;
};

/* [off, off + len) lies in one chunk. */
static enum err read_or_zero(struct vault_file *f, uint64_t off, size_t len, uint8_t *buf, const struct sink *sink)
{
	size_t n;
	enum err e = vault_file_read(f, off, len, buf, &n);

	if (e == ERR_OK && n == len)
		return ERR_OK;
	if (e != ERR_OK && !err_is_damage(e))
		return e;
	memset(buf, 0, len);
	sink->bad(sink->context, off, len);
	return ERR_OK;
}

enum err rescue_read(struct vault_file *f, uint64_t off, size_t len, void *buf, size_t *ret_len,
	void (*bad)(void *context, uint64_t off, uint64_t len), void *context)
{
	const struct sink sink = {bad, context};
	enum err e = vault_file_read(f, off, len, buf, ret_len);
	struct rescue_look look;
	size_t done = 0;

	if (e == ERR_OK || !err_is_damage(e))
		return e;
	/* A file that cannot be loaded has no chunks to go through. */
	TRY(rescue_look(f, &look));
	if (off >= look.size_now)
		len = 0;
	else if (len > look.size_now - off)
		len = (size_t)(look.size_now - off);
	while (done < len) {
		size_t rest = CHUNK_SIZE - (size_t)((off + done) % CHUNK_SIZE);
		size_t take = len - done < rest ? len - done : rest;

		TRY(read_or_zero(f, off + done, take, (uint8_t *)buf + done, &sink));
		done += take;
	}
	*ret_len = len;
	return ERR_OK;
}

/* Opened for writing and used, as a program would. */
static enum err settle(struct vault_object o)
{
	struct rescue_look look;
	struct vault_file *f;
	enum err e, closed;

	TRY(vault_file_open(o.dir->v, o, 1, &f));
	vault_file_hold_mtime(f);
	e = rescue_look(f, &look);
	/* Empty, and without a header: the close writes one. */
	if (e == ERR_OK && f->state == FILE_EMPTY)
		e = vault_file_truncate(f, 0);
	if (e == ERR_OK && f->broken)
		e = fail_with(f->broken, "bringing the file's header up to date");
	closed = vault_file_close(f);
	return e != ERR_OK ? e : closed;
}

static enum err check_settled(struct vault_object o)
{
	struct rescue_look look;
	struct vault_file *f;
	enum err e;

	TRY(vault_file_open(o.dir->v, o, 0, &f));
	e = rescue_look(f, &look);
	vault_file_close(f);
	if (e == ERR_OK && look.size != RESCUE_AGREES)
		e = err_fail(ERR_TAMPERED, "the chunk in which it ended verifies neither way");
	return e;
}

enum err rescue_settle(struct vault_object o)
{
	struct vault_attr times = {.set = VAULT_SET_ATIME | VAULT_SET_MTIME};
	struct stat st;

	TRY(vault_stat(o, &st));
	times.atime = st.st_atim;
	times.mtime = st.st_mtim;
	TRY(settle(o));
	TRY(vault_setattr(o, NULL, &times, &st));
	return check_settled(o);
}

/* ---- Attributes ---- */

#define OURS "user.signetfs."

static void check_xattr(const struct target *t, const char *path, const char *lower, uint8_t *value, uint8_t *plain,
	void (*bad)(void *context, const char *lower, const char *why), void *context)
{
	char name[XATTR_NAME_MAX_BYTES + 1];
	ssize_t n = t->l->getxattr(t->l, path, lower, value, XATTR_SIZE_MAX);
	size_t len;
	enum err e;

	if (n < 0 && errno == ENODATA)
		return;
	e = n < 0 ? err_system("reading it") : name_decode_xattr(t->v->names, lower, value, (size_t)n, name);
	if (e == ERR_OK)
		e = name_open_xattr(t->v->names, name, value, (size_t)n, plain, &len);
	if (e != ERR_OK)
		bad(context, lower, err_text(e));
}

enum err rescue_check_xattrs(
	struct vault_object o, void (*bad)(void *context, const char *lower, const char *why), void *context)
{
	char path[TARGET_PATH_SIZE], small[256];
	char *list AUTO_FREE = NULL;
	uint8_t *room AUTO_FREE = NULL;
	struct target t;
	ssize_t n;

	TRY(target_of(o, TARGET_FIND, &t));
	target_path(&t, path);
	n = t.l->listxattr(t.l, path, small, sizeof(small));
	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return ERR_OK;
	list = malloc(XATTR_LIST_MAX);
	room = malloc(2 * (size_t)XATTR_SIZE_MAX);
	if (!list || !room)
		return err_fail(ERR_NO_MEMORY, "no memory for extended attributes");
	n = t.l->listxattr(t.l, path, list, XATTR_LIST_MAX);
	if (n < 0)
		return fail_errno("listxattr");
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		if (strncmp(list + i, OURS, strlen(OURS)) == 0)
			check_xattr(&t, path, list + i, room, room + XATTR_SIZE_MAX, bad, context);
	return ERR_OK;
}
