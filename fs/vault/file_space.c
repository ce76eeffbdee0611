/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <string.h>

/* fallocate and lseek for data and holes. */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- fallocate ---- */

static enum err lower_fallocate(struct vault_file *f, int mode, uint64_t start, uint64_t end)
{
	const struct lower *l = f->v->lower;

	if (start >= end)
		return ERR_OK;
	if (l->fallocate(l, f->fd, mode, (off_t)start, (off_t)(end - start)) != 0)
		return fail_errno("fallocate");
	return ERR_OK;
}

/* Blocks for the stored form of [off, off + len), without a change that anybody sees. */
static enum err preallocate(struct vault_file *f, uint64_t off, uint64_t len)
{
	uint64_t last = (off + len - 1) / CHUNK_SIZE;

	return lower_fallocate(f, FALLOC_FL_KEEP_SIZE, offset_of(f, off / CHUNK_SIZE), offset_of(f, last + 1));
}

static enum err allocate(struct vault_file *f, struct scratch *s, int mode, uint64_t off, uint64_t len)
{
	TRY(preallocate(f, off, len));
	if ((mode & FALLOC_FL_KEEP_SIZE) || off + len <= f->size)
		return ERR_OK;
	return file_resize(f, s, off + len);
}

static enum err put_zeros(struct vault_file *f, struct scratch *s, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[BATCH_PLAIN];

	while (len > 0) {
		size_t n = (size_t)min_u64(len, BATCH_PLAIN - off % CHUNK_SIZE);
		int torn;
		enum err e;

		TRY(file_reserve(f, off, n));
		e = file_put_chunks(f, s, off, zeros, n, f->size, &torn);
		if (e != ERR_OK && torn)
			file_break(f, err_errno());
		TRY(e);
		off += n;
		len -= n;
	}
	return ERR_OK;
}

/* Whole chunks become holes of the lower file; where it cannot have any, sealed zeros. */
static enum err punch_chunks(struct vault_file *f, struct scratch *s, uint64_t start, uint64_t end)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	uint64_t lower_end = min_u64(
		offset_of(f, (end + CHUNK_SIZE - 1) / CHUNK_SIZE), chunk_lower_size(f->size, f->v->desc.header_length));
	enum err e;

	if (start >= end)
		return ERR_OK;
	if (!(f->header.flags & FILE_FLAG_HOLES))
		TRY(file_put_header(f, f->size, f->header.flags | FILE_FLAG_HOLES));
	e = lower_fallocate(f, mode, offset_of(f, start / CHUNK_SIZE), lower_end);
	if (e == ERR_SYSTEM && err_errno() == EOPNOTSUPP)
		return put_zeros(f, s, start, end - start);
	return e;
}

/* Zeros in [off, end) of what the file holds; @end is at most its size. */
static enum err zero_inside(struct vault_file *f, struct scratch *s, uint64_t off, uint64_t end)
{
	uint64_t first = (off + CHUNK_SIZE - 1) / CHUNK_SIZE * CHUNK_SIZE;
	uint64_t last = end == f->size ? end : end / CHUNK_SIZE * CHUNK_SIZE;

	if (off >= end)
		return ERR_OK;
	if (first >= last)
		return put_zeros(f, s, off, end - off);
	TRY(put_zeros(f, s, off, first - off));
	TRY(punch_chunks(f, s, first, last));
	return put_zeros(f, s, last, end - last);
}

/*
 * ZERO_RANGE also promises room. It is asked for first, so that a full disk changes nothing, and once more for what became holes in
 * between; a lower tree that cannot keep room free keeps the zeros.
 */
static enum err zero_range(struct vault_file *f, struct scratch *s, int mode, uint64_t off, uint64_t len)
{
	int promised = (mode & FALLOC_FL_ZERO_RANGE) != 0;

	if (promised && preallocate(f, off, len) != ERR_OK && err_errno() != EOPNOTSUPP)
		return fail_with(err_errno(), "fallocate");
	TRY(zero_inside(f, s, off, min_u64(off + len, f->size)));
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + len > f->size)
		TRY(file_resize(f, s, off + len));
	if (promised)
		(void)preallocate(f, off, len);
	return ERR_OK;
}

static enum err allocate_locked(struct vault_file *f, struct scratch *s, int mode, uint64_t off, uint64_t len)
{
	TRY(file_ready_to_change(f, s, 0));
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return zero_range(f, s, mode, off, len);
	return allocate(f, s, mode, off, len);
}

static int is_known_mode(int mode)
{
	static const int known[] = {
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (mode == known[i])
			return 1;
	return 0;
}

enum err vault_file_allocate(struct vault_file *f, int mode, uint64_t off, uint64_t len)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	enum err e;

	if (!is_known_mode(mode))
		return fail_with(EOPNOTSUPP, "a mode of fallocate that the vault does not know");
	if (len == 0)
		return fail_with(EINVAL, "fallocate of nothing");
	if (off > CHUNK_MAX_FILE_SIZE || len > CHUNK_MAX_FILE_SIZE - off)
		return fail_with(EFBIG, "a file can have 2^62 bytes");
	TRY(scratch_get(f->v->aead, &s));
	file_lock_take(&f->lock, &claim);
	e = allocate_locked(f, s, mode, off, len);
	file_lock_drop(&f->lock, &claim);
	return e;
}

/* ---- lseek ---- */

/* Is chunk @index stored as zeros? */
static enum err is_hole(struct vault_file *f, struct scratch *s, uint64_t index, int *ret)
{
	size_t len = chunk_len_in(f->size, index) + CHUNK_OVERHEAD;

	TRY(file_pread(f, s->one, len, offset_of(f, index)));
	*ret = stored_is_hole(s->one, len);
	return ERR_OK;
}

/* The chunk in which the lower file says data (or a hole) begins, at or behind @index; beyond the last one when it says none. */
static enum err lower_seek(struct vault_file *f, uint64_t index, int whence, uint64_t *ret)
{
	const struct lower *l = f->v->lower;
	off_t at = l->lseek(l, f->fd, (off_t)offset_of(f, index), whence);

	if (at < 0 && errno == ENXIO) {
		*ret = UINT64_MAX;
		return ERR_OK;
	}
	if (at < 0)
		return fail_errno("lseek");
	*ret = ((uint64_t)at - f->v->desc.header_length) / CHUNK_STORED;
	return ERR_OK;
}

/*
 * Chunk @index has bytes of the kind that is looked for. Lower pages and chunks do not coincide, so where it has both kinds its content
 * decides: zeros are a hole. One that is lower data from end to end is data, zeros or not, for both questions.
 */
static enum err is_wanted(struct vault_file *f, struct scratch *s, uint64_t index, int whence, int *ret)
{
	uint64_t next;
	int hole;

	TRY(is_hole(f, s, index, &hole));
	if (hole && whence == SEEK_DATA) {
		TRY(lower_seek(f, index, SEEK_HOLE, &next));
		hole = next == index;
	}
	*ret = hole == (whence == SEEK_HOLE);
	return ERR_OK;
}

static enum err seek_holes(struct vault_file *f, struct scratch *s, uint64_t index, int whence, uint64_t *ret)
{
	uint64_t chunks = (f->size + CHUNK_SIZE - 1) / CHUNK_SIZE;

	for (;; index++) {
		int found;

		TRY(lower_seek(f, index, whence, &index));
		if (index >= chunks)
			break;
		TRY(is_wanted(f, s, index, whence, &found));
		if (found)
			break;
	}
	*ret = index < chunks ? index : UINT64_MAX;
	return ERR_OK;
}

static enum err seek_locked(struct vault_file *f, struct scratch *s, uint64_t off, int whence, uint64_t *ret)
{
	uint64_t index;
	size_t have;

	TRY(file_ready(f, s, &have));
	if (off >= f->size)
		return fail_with(ENXIO, "lseek beyond the end");
	if (!(f->header.flags & FILE_FLAG_HOLES)) {
		*ret = whence == SEEK_DATA ? off : f->size;
		return ERR_OK;
	}
	TRY(seek_holes(f, s, off / CHUNK_SIZE, whence, &index));
	if (index == UINT64_MAX && whence == SEEK_DATA)
		return fail_with(ENXIO, "no data up to the end");
	*ret = index == UINT64_MAX ? f->size : index * CHUNK_SIZE > off ? index * CHUNK_SIZE : off;
	return ERR_OK;
}

enum err vault_file_seek(struct vault_file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	enum err e;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return fail_with(EINVAL, "lseek");
	TRY(scratch_get(f->v->aead, &s));
	/* Exclusive: the file may have to be loaded, and this is rare. */
	file_lock_take(&f->lock, &claim);
	e = seek_locked(f, s, off, whence, ret_off);
	file_lock_drop(&f->lock, &claim);
	return e;
}
