/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum err file_damage(struct vault_file *f, uint64_t index, enum err e)
{
	const struct lower *l = f->v->lower;
	char link[FD_PATH_SIZE], path[512], what[256];
	ssize_t n;

	fd_path(f->fd, link);
	n = l->readlinkat(l, AT_FDCWD, link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (index == NO_CHUNK)
		snprintf(what, sizeof(what), "header: %s", err_text(e));
	else
		snprintf(what, sizeof(what), "chunk %" PRIu64 ": %s", index, err_text(e));
	report_damage(f->v, n > 0 ? path : "an open file", what);
	return e;
}

/* ---- The header on the disk ---- */

static int write_header(struct vault_file *f, size_t *ret_done)
{
	uint8_t buf[FILE_HEADER_MAX];
	/* All that changes in a file's life, and the MAC, is in the first unit. */
	size_t len = f->state == FILE_LOADED ? FILE_HEADER_UNIT : header_length(f);

	*ret_done = 0;
	if (file_header_encode(&f->header, &f->keys->header, buf, header_length(f)) != ERR_OK) {
		errno = EIO;
		return -1;
	}
	return write_all(f->v->lower, f->fd, buf, len, 0, ret_done);
}

enum err file_put_header(struct vault_file *f, uint64_t size, uint32_t flags)
{
	const uint64_t old_size = f->header.size, old_session = f->header.session;
	const uint32_t old_flags = f->header.flags;
	size_t done;
	int errnum;

	f->header.size = size;
	/* Readers look at flags and state while a file is appended to: they are only touched to be changed. */
	if (flags != old_flags)
		f->header.flags = flags;
	f->header.session = f->v->session;
	if (write_header(f, &done) == 0) {
		if (f->state != FILE_LOADED)
			f->state = FILE_LOADED;
		return ERR_OK;
	}
	errnum = errno;
	f->header.size = old_size;
	if (flags != old_flags)
		f->header.flags = old_flags;
	f->header.session = old_session;
	/* Half of a new header is no header. A fresh file has none to put back: less than one reads as empty. */
	if (f->state == FILE_LOADED && done > 0 && write_header(f, &done) != 0)
		file_break(f, errno);
	if (f->state == FILE_FRESH && done > 0 && f->v->lower->ftruncate(f->v->lower, f->fd, 0) != 0)
		file_break(f, errno);
	return fail_with(errnum, "writing a file's header");
}

/* ---- Loading ---- */

static enum err check_header(struct vault_file *f, const uint8_t *in)
{
	struct file_header h;

	TRY(file_header_decode(in, header_length(f), &h));
	if (memcmp(h.volume_id, f->v->desc.volume_id, VOLUME_ID_SIZE) != 0)
		return err_fail(ERR_TAMPERED, "the file belongs to another vault");
	TRY(file_keys_get(f, &h));
	TRY(file_header_verify(in, header_length(f), &f->keys->header));
	f->header = h;
	return ERR_OK;
}

/* A read that came back short has met the end of the file, so that a small file needs no fstat. */
static enum err lower_size_of(struct vault_file *f, size_t have, size_t asked, uint64_t *ret)
{
	struct stat st;

	if (have < asked && chunk_lower_size(f->header.size, header_length(f)) == have) {
		*ret = have;
		return ERR_OK;
	}
	if (f->v->lower->fstat(f->v->lower, f->fd, &st) != 0)
		return err_system("stat of an open file");
	*ret = (uint64_t)st.st_size;
	return ERR_OK;
}

static enum err load_size(struct vault_file *f, struct scratch *s, size_t have, size_t asked, size_t *ret_have)
{
	uint64_t lower_size;

	TRY(lower_size_of(f, have, asked, &lower_size));
	if (lower_size == chunk_lower_size(f->header.size, header_length(f))) {
		f->size = f->header.size;
		*ret_have = have;
		return ERR_OK;
	}
	*ret_have = 0;
	f->state = FILE_LOADED;
	return file_recover(f, s, lower_size);
}

static enum err read_start(struct vault_file *f, struct scratch *s, size_t asked, ssize_t *ret)
{
	const struct lower *l = f->v->lower;

	do
		*ret = l->pread(l, f->fd, s->stored, asked, 0);
	while (*ret < 0 && errno == EINTR);
	return *ret < 0 ? err_system("reading a file of the vault") : ERR_OK;
}

/* What is put right through a descriptor for reading is so in memory only. */
static enum err finish(struct vault_file *f, struct scratch *s, size_t asked, ssize_t *ret_n)
{
	uint8_t header[FILE_HEADER_MAX];

	memcpy(header, s->stored, header_length(f));
	TRY(file_finish(f, header));
	TRY(read_start(f, s, asked, ret_n));
	memcpy(s->stored, header, header_length(f));
	return ERR_OK;
}

/* Header and first chunks with one read: most files are small. */
static enum err load(struct vault_file *f, struct scratch *s, size_t *ret_have)
{
	size_t asked = header_length(f) + BATCH_STORED;
	ssize_t n;
	enum err e;

	TRY(read_start(f, s, asked, &n));
	if ((size_t)n < header_length(f))
		return file_recover_empty(f, (uint64_t)n);
	if (atomic_load(&f->v->unfinished))
		TRY(finish(f, s, asked, &n));
	e = check_header(f, s->stored);
	if (e == ERR_OK)
		e = load_size(f, s, (size_t)n, asked, ret_have);
	if (e == ERR_OK) {
		f->state = FILE_LOADED;
		return ERR_OK;
	}
	f->state = FILE_UNLOADED;
	file_keys_drop(f);
	return err_is_damage(e) ? file_damage(f, NO_CHUNK, e) : e;
}

/* One unwrapping, and one KMS call for all files under the bucket key; nothing has to be read again. */
static enum err renew_keys(struct vault_file *f, struct scratch *s)
{
	chunk_cipher_forget(s->cipher);
	file_keys_drop(f);
	return file_keys_get(f, &f->header);
}

enum err file_ready(struct vault_file *f, struct scratch *s, size_t *ret_have)
{
	*ret_have = 0;
	if (file_is_ready(f))
		return ERR_OK;
	return f->state == FILE_UNLOADED ? load(f, s, ret_have) : renew_keys(f, s);
}

void file_break(struct vault_file *f, int errnum)
{
	int whole = 0;

	atomic_compare_exchange_strong(&f->broken, &whole, errnum ? errnum : EIO);
}

enum err file_check_writable(const struct vault_file *f)
{
	if (!f->writable)
		return fail_with(EBADF, "the file is open for reading only");
	if (f->broken)
		return fail_with(f->broken, "an earlier write to the file failed and could not be undone");
	return ERR_OK;
}

enum err file_ready_to_change(struct vault_file *f, struct scratch *s, int fresh_will_do)
{
	size_t have;

	TRY(file_check_writable(f));
	TRY(file_ready(f, s, &have));
	if (f->state == FILE_EMPTY)
		TRY(file_keys_make(f));
	if (f->state == FILE_FRESH && !fresh_will_do)
		TRY(file_put_header(f, 0, 0));
	return ERR_OK;
}

enum err vault_file_header(struct vault_file *f, struct file_header *ret)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	size_t have;
	enum err e;

	TRY(scratch_get(f->v->aead, &s));
	file_lock_take(&f->lock, &claim);
	e = file_ready(f, s, &have);
	if (e == ERR_OK && f->state == FILE_EMPTY)
		e = err_fail(ERR_NOT_FOUND, "the file is empty and has no header");
	if (e == ERR_OK)
		*ret = f->header;
	file_lock_drop(&f->lock, &claim);
	return e;
}
