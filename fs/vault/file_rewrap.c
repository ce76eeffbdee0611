/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"
#include "fs/vault/rekey.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/encode.h"

/*
 * A header under another bucket key. Size, flags and session stay what they are: they say what is known of the contents, and those are
 * not touched.
 */

struct rewrap {
	struct vault_file *f;
	uint8_t old[FILE_HEADER_MAX]; /* what is on the disk; not of a fresh file */
	struct file_header header;
	struct header_key mac;
	struct bucket_ref *ref; /* the new one */
};

/* ---- Long headers: the old one lies in .signetfs/ while it is written over ---- */

void undo_name(const char *kind, const uint8_t file_id[FILE_ID_SIZE], char ret[UNDO_NAME_SIZE])
{
	char hex[2 * FILE_ID_SIZE + 1];

	encode_hex(file_id, FILE_ID_SIZE, hex);
	snprintf(ret, UNDO_NAME_SIZE, "%s%s", kind, hex);
}

static enum err write_header_at(struct vault_file *f, const uint8_t *new, const uint8_t *old)
{
	size_t done;
	int errnum;

	if (write_all(f->v->lower, f->fd, new, header_length(f), 0, &done) == 0)
		return ERR_OK;
	errnum = errno;
	if (done > 0 && write_all(f->v->lower, f->fd, old, header_length(f), 0, &done) != 0)
		file_break(f, errno);
	return fail_with(errnum, "writing a file's header");
}

static enum err write_with_undo(struct vault_file *f, const uint8_t *new, const uint8_t *old)
{
	const struct lower *l = f->v->lower;
	char name[UNDO_NAME_SIZE];
	enum err e;

	undo_name(UNDO_PREFIX, file_header_id(old), name);
	TRY(state_replace(f->v, f->v->state_fd, name, old, header_length(f)));
	e = write_header_at(f, new, old);
	/* The old header may go only when the new one is safe; left over, it does no harm. */
	if (!f->broken && l->fdatasync(l, f->fd) == 0)
		l->unlinkat(l, f->v->state_fd, name, 0);
	return e;
}

enum err file_replace_header(struct vault_file *f, const uint8_t *new, const uint8_t *old)
{
	return header_length(f) == FILE_HEADER_UNIT ? write_header_at(f, new, old) : write_with_undo(f, new, old);
}

/* ---- Rewrapping ---- */

/* Only the header is read: what the contents are like is not asked. *ret_none: there is none. */
static enum err read_header(struct rewrap *r, int *ret_none)
{
	struct vault_file *f = r->f;
	const struct lower *l = f->v->lower;
	ssize_t n;

	do
		n = l->pread(l, f->fd, r->old, header_length(f), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_system("reading a file of the vault");
	*ret_none = (size_t)n < header_length(f);
	if (*ret_none)
		return file_recover_empty(f, (uint64_t)n);
	if (atomic_load(&f->v->unfinished))
		TRY(file_finish(f, r->old));
	TRY(file_header_decode(r->old, header_length(f), &r->header));
	if (memcmp(r->header.volume_id, f->v->desc.volume_id, VOLUME_ID_SIZE) != 0)
		return err_fail(ERR_TAMPERED, "the file belongs to another vault");
	return ERR_OK;
}

/* The data key comes out of the old wrapping, which the header's MAC proves, and goes into the new one. */
static enum err wrap_anew(struct rewrap *r, const struct vault_rekey_choice *choice)
{
	struct vault_file *f = r->f;
	struct bucket_ref *old_ref;
	struct data_key key AUTO_WIPE;
	uint64_t live_until;
	enum err e;

	TRY(header_data_key(f->v, &r->header, &key, &old_ref, &live_until));
	e = file_header_key(&key, r->header.file_id, &r->mac);
	if (e == ERR_OK && f->state != FILE_FRESH)
		e = file_header_verify(r->old, header_length(f), &r->mac);
	if (e == ERR_OK) {
		e = header_wrap_in_bucket(f->v, &r->header, &key, &r->ref);
		if (e != ERR_OK && choice->stuck)
			choice->stuck(choice->context, e);
	}
	if (e == ERR_OK && choice->note)
		e = choice->note(choice->context, &r->header.kms_key);
	bucket_ref_release(old_ref);
	return e;
}

static enum err put(struct rewrap *r)
{
	struct vault_file *f = r->f;
	uint8_t new[FILE_HEADER_MAX];

	TRY(file_header_encode(&r->header, &r->mac, new, header_length(f)));
	if (f->state != FILE_FRESH) {
		vault_file_hold_mtime(f);
		TRY(file_replace_header(f, new, r->old));
		/* Soon, for a crash would leave another time; where it fails, closing tries again. */
		if (file_times_restore(f) != ERR_OK)
			vault_file_hold_mtime(f);
	}
	return ERR_OK;
}

/* The keys of an open file live as long as the bucket key that they are under from now on. */
static void take_over(struct rewrap *r)
{
	struct vault_file *f = r->f;

	if (f->state == FILE_UNLOADED || f->state == FILE_EMPTY)
		return;
	f->header = r->header;
	if (f->keys) {
		bucket_ref_release(f->ref);
		f->ref = STEAL(r->ref);
	}
}

static enum err rewrap(struct rewrap *r, const struct vault_rekey_choice *choice, enum vault_rekeyed *ret)
{
	struct vault_file *f = r->f;
	int none = f->state == FILE_EMPTY;

	if (f->state == FILE_FRESH)
		r->header = f->header;
	else if (!none)
		TRY(read_header(r, &none));
	if (none) {
		*ret = VAULT_REKEY_NONE;
		return ERR_OK;
	}
	if (!choice->wants(choice->context, &r->header)) {
		*ret = VAULT_REKEY_KEPT;
		return ERR_OK;
	}
	TRY(wrap_anew(r, choice));
	TRY(put(r));
	take_over(r);
	*ret = VAULT_REKEY_DONE;
	return ERR_OK;
}

enum err vault_file_rewrap(struct vault_file *f, const struct vault_rekey_choice *choice, enum vault_rekeyed *ret)
{
	struct file_claim claim = CLAIM_ALL;
	struct rewrap r = {.f = f};
	enum err e;

	TRY(file_check_writable(f));
	file_lock_take(&f->lock, &claim);
	e = rewrap(&r, choice, ret);
	file_lock_drop(&f->lock, &claim);
	bucket_ref_release(r.ref);
	secret_wipe(&r.mac, sizeof(r.mac));
	return err_is_damage(e) ? file_damage(f, NO_CHUNK, e) : e;
}

/* ---- Looking ---- */

static enum err peek(struct vault *v, int fd, struct file_header *ret, uint64_t *ret_size)
{
	uint8_t buf[FILE_HEADER_MAX];
	struct stat st;
	ssize_t n;

	do
		n = v->lower->pread(v->lower, fd, buf, v->desc.header_length, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 || v->lower->fstat(v->lower, fd, &st) != 0)
		return err_system("reading a file of the vault");
	if (n < (ssize_t)v->desc.header_length)
		return err_fail(ERR_NOT_FOUND, "the file has no header");
	TRY(file_header_decode(buf, v->desc.header_length, ret));
	*ret_size = chunk_plain_size((uint64_t)st.st_size, v->desc.header_length, NULL);
	return ERR_OK;
}

enum err vault_peek_header(struct vault_object o, struct file_header *ret, uint64_t *ret_size)
{
	struct vault *v = o.dir->v;
	struct vault_file *f;
	enum err e;

	TRY(vault_file_open(v, o, 0, &f));
	e = peek(v, f->fd, ret, ret_size);
	file_free(f);
	return e;
}
