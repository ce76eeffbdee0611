/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/*
 * Bytes on their way to the disk. Growing: data first, the header after it, so that a crash in between leaves a file whose chunks
 * beyond the header's size verify and are kept (a prefix of what was written), or do not and are cut (as it was before).
 */

/* A stretch of plaintext to be stored. */
struct input {
	uint64_t off;
	const uint8_t *p;
	size_t len;
	uint64_t size; /* of the file from now on */
	struct chunk_nonce nonce;
};

static struct input input_make(struct vault_file *f, uint64_t off, const uint8_t *p, size_t len, uint64_t size)
{
	struct input in = {.off = off, .p = p, .len = len, .size = size};
	uint32_t chunks = (uint32_t)((off % CHUNK_SIZE + len + CHUNK_SIZE - 1) / CHUNK_SIZE);

	pthread_mutex_lock(&f->nonce_lock);
	in.nonce = chunk_nonce_take(&f->nonce, chunks);
	pthread_mutex_unlock(&f->nonce_lock);
	return in;
}

/* The bytes of a chunk that the caller does not bring: what it held, then zeros. */
static enum err merge(struct vault_file *f, struct scratch *s, const struct input *in, uint64_t index, size_t skip,
	size_t take, size_t len)
{
	size_t old = 0;

	if (chunk_len_in(f->size, index) > 0)
		TRY(file_read_chunk(f, s, index, &old));
	if (old < len)
		memset(s->plain + old, 0, len - old);
	memcpy(s->plain + skip, in->p, take);
	return ERR_OK;
}

/* Seal the chunk that in->off lies in to @out, and step behind it. */
static enum err seal_next(struct vault_file *f, struct scratch *s, struct input *in, uint8_t *out, size_t *ret_stored)
{
	const struct chunk_file c = file_chunks(f);
	uint64_t index = in->off / CHUNK_SIZE;
	size_t skip = (size_t)(in->off % CHUNK_SIZE);
	size_t len = chunk_len_in(in->size, index);
	size_t take = in->len < len - skip ? in->len : len - skip;
	const uint8_t *plain = in->p;

	if (take < len) {
		TRY(merge(f, s, in, index, skip, take, len));
		plain = s->plain;
	}
	TRY(chunk_seal(s->cipher, &c, &in->nonce, index, plain, len, out));
	in->off += take;
	in->p += take;
	in->len -= take;
	*ret_stored = len + CHUNK_OVERHEAD;
	return ERR_OK;
}

/* Seal up to @chunks to @out. */
static enum err seal_run(
	struct vault_file *f, struct scratch *s, struct input *in, unsigned chunks, uint8_t *out, size_t *ret_len)
{
	size_t used = 0;

	for (unsigned i = 0; i < chunks && in->len > 0; i++) {
		size_t stored;

		TRY(seal_next(f, s, in, out + used, &stored));
		used += stored;
	}
	*ret_len = used;
	return ERR_OK;
}

enum err file_seal_wide(
	struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len, size_t *ret_len)
{
	struct input in = input_make(f, off, buf, len, off + len);

	return seal_run(f, s, &in, WIDE_CHUNKS, s->wide, ret_len);
}

/* A tag that ends in as many zeros comes once in 2^64 chunks. */
enum { HOLE_PROOF = 8 };

/*
 * Was the chunk stored at [start, end) a hole before its first bytes, up to @done, were written? What follows them tells: zeros
 * are no ciphertext. Then zeros go over what was written, which has its room now.
 */
static int restore_hole(struct vault_file *f, uint64_t start, uint64_t done, uint64_t end)
{
	static const uint8_t zeros[CHUNK_STORED];
	uint8_t rest[CHUNK_STORED];
	size_t n;

	if (!(f->header.flags & FILE_FLAG_HOLES) || end - done < HOLE_PROOF ||
		file_pread(f, rest, (size_t)(end - done), done) != ERR_OK ||
		!stored_is_hole(rest, (size_t)(end - done)))
		return -1;
	return write_all(f->v->lower, f->fd, zeros, (size_t)(done - start), start, &n);
}

/*
 * A write that stopped inside a chunk leaves one that is neither old nor new. Once more, for the rest of that chunk: the cause may
 * have passed, and a chunk that was written before has its place on the disk. One that was a hole has not: it is made one again.
 */
static int settle_torn(struct vault_file *f, const uint8_t *stored, size_t len, uint64_t off, size_t done)
{
	size_t start = done / CHUNK_STORED * CHUNK_STORED;
	size_t end = start + CHUNK_STORED < len ? start + CHUNK_STORED : len;
	size_t more;

	if (done == start || write_all(f->v->lower, f->fd, stored + done, end - done, off + done, &more) == 0)
		return 0;
	return restore_hole(f, off + start, off + done + more, off + end);
}

enum err file_put_chunks(struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len,
	uint64_t size, int *ret_torn)
{
	struct input in = input_make(f, off, buf, len, size);

	*ret_torn = 0;
	while (in.len > 0) {
		uint64_t at = chunk_offset(in.off / CHUNK_SIZE, f->v->desc.header_length);
		size_t used, done;

		TRY(seal_run(f, s, &in, BATCH_CHUNKS, s->stored, &used));
		if (write_all(f->v->lower, f->fd, s->stored, used, at, &done) != 0) {
			enum err e = err_system("writing a file of the vault");

			*ret_torn = settle_torn(f, s->stored, used, at, done) != 0;
			return e;
		}
	}
	return ERR_OK;
}

/* ---- Inside the file ---- */

enum err file_reserve(struct vault_file *f, uint64_t off, size_t len)
{
	const struct lower *l = f->v->lower;
	size_t header = f->v->desc.header_length;
	uint64_t start = chunk_offset(off / CHUNK_SIZE, header);
	uint64_t end = chunk_offset((off + len - 1) / CHUNK_SIZE + 1, header);
	uint64_t lower_size = chunk_lower_size(f->size, header);

	if (!(f->header.flags & FILE_FLAG_HOLES))
		return ERR_OK;
	end = end < lower_size ? end : lower_size;
	if (l->fallocate(l, f->fd, FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)(end - start)) != 0 &&
		(errno == ENOSPC || errno == EDQUOT))
		return err_system("writing a file of the vault");
	return ERR_OK;
}

static enum err write_inside(struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len)
{
	int torn;
	enum err e = file_put_chunks(f, s, off, buf, len, f->size, &torn);

	if (e != ERR_OK && torn)
		file_break(f, err_errno());
	return e;
}

/* ---- Beyond its end ---- */

enum err growth_begin(struct vault_file *f, struct scratch *s, struct growth *g)
{
	size_t header = f->v->desc.header_length;

	g->size = f->size;
	g->flags = f->header.flags;
	g->tail_len = (size_t)(f->size % CHUNK_SIZE);
	if (g->tail_len == 0)
		return ERR_OK;
	g->tail_len += CHUNK_OVERHEAD;
	return file_pread(f, s->undo, g->tail_len, chunk_offset(f->size / CHUNK_SIZE, header));
}

/* A tail that was a hole took no room and must not take any now. */
static int put_tail(struct vault_file *f, struct scratch *s, const struct growth *g, uint64_t at)
{
	const struct lower *l = f->v->lower;
	size_t done;

	if (g->tail_len == 0)
		return 0;
	if ((g->flags & FILE_FLAG_HOLES) && stored_is_hole(s->undo, g->tail_len))
		return l->ftruncate(l, f->fd, (off_t)at);
	return write_all(l, f->fd, s->undo, g->tail_len, at, &done);
}

void growth_undo(struct vault_file *f, struct scratch *s, const struct growth *g)
{
	const struct lower *l = f->v->lower;
	size_t header = f->v->desc.header_length;
	uint64_t tail = chunk_offset(g->size / CHUNK_SIZE, header);
	off_t lower_size = (off_t)chunk_lower_size(g->size, header);
	int failed = 0;

	f->size = g->size;
	/* Invariant 2: the header first, it must not claim more than will be left. */
	if (f->header.size != g->size || f->header.flags != g->flags)
		failed |= file_put_header(f, g->size, g->flags) != ERR_OK;
	if (put_tail(f, s, g, tail) != 0) {
		/* Once more with the room that the cut gives back. */
		l->ftruncate(l, f->fd, lower_size);
		failed |= put_tail(f, s, g, tail) != 0;
	}
	failed |= l->ftruncate(l, f->fd, lower_size) != 0;
	if (failed)
		file_break(f, errno);
}

/* From the old last chunk on. What lies @before it needs no more room, and is written when this has succeeded. */
static enum err put_growing(
	struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len, size_t before)
{
	uint64_t size = off + len;
	int torn;

	if (off > f->size)
		TRY(file_extend(f, s, off));
	TRY(file_put_chunks(f, s, off + before, buf + before, len - before, size, &torn));
	f->size = size;
	return file_put_header(f, size, f->header.flags);
}

static enum err write_growing(struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len)
{
	uint64_t border = f->size / CHUNK_SIZE * CHUNK_SIZE;
	size_t before = off < border ? (size_t)(border - off) : 0;
	struct growth g;
	enum err e;

	if (before > 0)
		TRY(file_reserve(f, off, before));
	TRY(growth_begin(f, s, &g));
	e = put_growing(f, s, off, buf, len, before);
	if (e != ERR_OK) {
		int errnum = err_errno();

		growth_undo(f, s, &g);
		err_set_errno(errnum);
		return e;
	}
	return before > 0 ? write_inside(f, s, off, buf, before) : ERR_OK;
}

/* ---- A file's first bytes: header and chunks in one write ---- */

/* Nothing was there before. Where it cannot be cut off, the header at least must not claim what is missing (invariant 2). */
static void undo_first_batch(struct vault_file *f)
{
	const struct lower *l = f->v->lower;

	if (l->ftruncate(l, f->fd, 0) == 0)
		return;
	file_break(f, errno);
	if (file_put_header(f, 0, f->header.flags) != ERR_OK)
		headerless_unknown(f);
}

static enum err write_first_batch(struct vault_file *f, struct scratch *s, const uint8_t *buf, size_t len)
{
	const struct lower *l = f->v->lower;
	size_t header = f->v->desc.header_length;
	struct input in = input_make(f, 0, buf, len, len);
	size_t used, done;

	f->header.size = len;
	f->header.session = f->v->session;
	TRY(file_header_encode(&f->header, &f->keys->header, s->stored, header));
	TRY(seal_run(f, s, &in, BATCH_CHUNKS, s->stored + header, &used));
	if (write_all(l, f->fd, s->stored, header + used, 0, &done) != 0) {
		int errnum = errno;

		if (done > 0)
			undo_first_batch(f);
		return fail_with(errnum, "writing a file of the vault");
	}
	f->state = FILE_LOADED;
	f->size = len;
	return ERR_OK;
}

static enum err write_first(struct vault_file *f, struct scratch *s, const uint8_t *buf, size_t len)
{
	const struct growth nothing = {0};
	size_t n = len < BATCH_PLAIN ? len : BATCH_PLAIN;
	enum err e;

	TRY(write_first_batch(f, s, buf, n));
	if (n == len)
		return ERR_OK;
	e = write_growing(f, s, n, buf + n, len - n);
	if (e != ERR_OK) {
		int errnum = err_errno();

		growth_undo(f, s, &nothing);
		err_set_errno(errnum);
	}
	return e;
}

static enum err write_locked(struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len)
{
	TRY(file_ready_to_change(f, s, off == 0));
	if (f->state == FILE_FRESH)
		return write_first(f, s, buf, len);
	if (off + len > f->size)
		return write_growing(f, s, off, buf, len);
	return write_inside(f, s, off, buf, len);
}

/* Done unless the file has to be loaded, or grows: *ret_done says. */
static enum err write_beside(
	struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len, int *ret_done)
{
	struct file_claim claim = {.first = off / CHUNK_SIZE, .last = (off + len - 1) / CHUNK_SIZE};
	enum err e = ERR_OK;

	file_lock_take(&f->lock, &claim);
	*ret_done = f->state == FILE_LOADED && file_is_ready(f) && off + len <= f->size;
	if (*ret_done)
		e = file_check_writable(f);
	if (*ret_done && e == ERR_OK)
		e = write_inside(f, s, off, buf, len);
	file_lock_drop(&f->lock, &claim);
	return e;
}

enum err vault_file_write(struct vault_file *f, uint64_t off, const void *buf, size_t len)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	int done;
	enum err e;

	if (len == 0)
		return ERR_OK;
	if (off > CHUNK_MAX_FILE_SIZE || len > CHUNK_MAX_FILE_SIZE - off)
		return fail_with(EFBIG, "a file can have 2^62 bytes");
	TRY(scratch_get(f->v->aead, &s));
	if (off + len <= f->size)
		e = write_beside(f, s, off, buf, len, &done);
	else
		e = file_append(f, s, off, buf, len, &done);
	if (done || e != ERR_OK)
		return e;
	file_lock_take(&f->lock, &claim);
	e = write_locked(f, s, off, buf, len);
	file_lock_drop(&f->lock, &claim);
	return e;
}
