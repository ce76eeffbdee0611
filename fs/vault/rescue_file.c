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

/* A crash leaves nothing whole behind what it tore, as a rule; where there is something, it is not cut. */
static enum err check_tail(struct vault_file *f)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	struct stat st;
	int verifies = 0;
	enum err e;

	TRY(scratch_get(f->v->aead, &s));
	if (f->v->lower->fstat(f->v->lower, f->fd, &st) != 0)
		return err_system("stat of an open file");
	file_lock_take(&f->lock, &claim);
	e = file_tail_verifies(f, s, (uint64_t)st.st_size, &verifies);
	file_lock_drop(&f->lock, &claim);
	return verifies ? err_fail(ERR_TAMPERED,
				  "chunks behind its end verify: bringing it up to date would cut them off")
			: e;
}

/* Before anything is changed, through a descriptor for reading. */
static enum err check_cut(struct vault_object o)
{
	struct rescue_look look;
	struct vault_file *f;
	enum err e;

	TRY(vault_file_open(o.dir->v, o, 0, &f));
	e = rescue_look(f, &look);
	if (e == ERR_OK && look.size == RESCUE_LONGER)
		e = check_tail(f);
	vault_file_close(f);
	return e;
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

	TRY(check_cut(o));
	TRY(vault_stat(o, &st));
	times.atime = st.st_atim;
	times.mtime = st.st_mtim;
	TRY(settle(o));
	TRY(vault_setattr(o, NULL, &times, &st));
	return check_settled(o);
}

/* ---- Attributes ---- */

#define OURS "user.signetfs."

/* *ret_plain stays empty where not even the name can be told. */
static enum err open_xattr(
	const struct target *t, const char *path, const char *lower, char ret_plain[XATTR_NAME_MAX_BYTES + 1])
{
	uint8_t *value AUTO_FREE = NULL, *plain AUTO_FREE = NULL;
	size_t len;

	TRY(xattr_read_lower(t, path, lower, &value, &len));
	TRY(name_decode_xattr(t->v->names, lower, value, len, ret_plain));
	plain = malloc(len + 1);
	if (!plain)
		return err_fail(ERR_NO_MEMORY, "no memory for an extended attribute");
	return name_open_xattr(t->v->names, ret_plain, value, len, plain, &len);
}

static void check_xattr(const struct target *t, const char *path, const char *lower,
	void (*bad)(void *context, const char *lower, const char *plain, enum err why), void *context)
{
	char plain[XATTR_NAME_MAX_BYTES + 1] = "";
	enum err e = open_xattr(t, path, lower, plain);

	if (e != ERR_OK && !(e == ERR_SYSTEM && err_errno() == ENODATA))
		bad(context, lower, *plain ? plain : NULL, e);
}

enum err rescue_check_xattrs(struct vault_object o,
	void (*bad)(void *context, const char *lower, const char *plain, enum err why), void *context)
{
	char path[TARGET_PATH_SIZE], small[256];
	char *list AUTO_FREE = NULL;
	struct target t;
	ssize_t n;

	TRY(target_of(o, TARGET_FIND, &t));
	target_path(&t, path);
	n = t.l->listxattr(t.l, path, small, sizeof(small));
	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return ERR_OK;
	if (n < 0 && errno != ERANGE)
		return fail_errno("listxattr");
	list = malloc(XATTR_LIST_MAX);
	if (!list)
		return err_fail(ERR_NO_MEMORY, "no memory for extended attributes");
	n = t.l->listxattr(t.l, path, list, XATTR_LIST_MAX);
	if (n < 0)
		return fail_errno("listxattr");
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		if (strncmp(list + i, OURS, strlen(OURS)) == 0)
			check_xattr(&t, path, list + i, bad, context);
	return ERR_OK;
}
