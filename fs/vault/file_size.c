/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <string.h>

/* Growing without data, shrinking, allocating, punching holes, looking for them. */

static uint64_t lower_size(const struct vault_file *f, uint64_t size)
{
	return chunk_lower_size(size, f->v->desc.header_length);
}

static enum err set_lower_size(struct vault_file *f, uint64_t size)
{
	const struct lower *l = f->v->lower;

	if (l->ftruncate(l, f->fd, (off_t)lower_size(f, size)) != 0)
		return err_system("truncating a file of the vault");
	return ERR_OK;
}

static enum err write_one(struct vault_file *f, const uint8_t *stored, size_t len, uint64_t index)
{
	size_t done;

	if (write_all(f->v->lower, f->fd, stored, len, offset_of(f, index), &done) != 0)
		return err_system("writing a file of the vault");
	return ERR_OK;
}

/* Is what file_read_chunk() just read a hole? */
static int just_read_hole(const struct vault_file *f, const struct scratch *s, size_t len)
{
	return (f->header.flags & FILE_FLAG_HOLES) && stored_is_hole(s->one, len + CHUNK_OVERHEAD);
}

/* The last chunk, which is not full, again with zeros behind it. A hole is one at any length, and takes no room. */
static enum err lengthen_tail(struct vault_file *f, struct scratch *s, size_t len)
{
	uint64_t index = f->size / CHUNK_SIZE;
	struct chunk_file c;
	size_t old;

	TRY(file_read_chunk(f, s, index, &old));
	if (just_read_hole(f, s, old))
		return ERR_OK;
	memset(s->plain + old, 0, len - old);
	c = file_chunks(f);
	TRY(chunk_seal(s->cipher, &c, &f->nonce, index, s->plain, len, s->one));
	return write_one(f, s->one, len + CHUNK_OVERHEAD, index);
}

/*
 * Order for a crash: the header says that holes are possible before there is one (invariant 4); the lower file grows before the tail
 * is lengthened. Until then the tail verifies only at its old length, so the file counts as it was; from then on
 * everything verifies, and it counts as grown.
 */
enum err file_extend(struct vault_file *f, struct scratch *s, uint64_t size)
{
	uint64_t tail = f->size / CHUNK_SIZE;
	int partial = f->size % CHUNK_SIZE != 0;

	if (partial && size <= (tail + 1) * CHUNK_SIZE) {
		TRY(lengthen_tail(f, s, chunk_len_in(size, tail)));
		TRY(set_lower_size(f, size));
		f->size = size;
		return ERR_OK;
	}
	if (!(f->header.flags & FILE_FLAG_HOLES))
		TRY(file_put_header(f, f->header.size, f->header.flags | FILE_FLAG_HOLES));
	TRY(set_lower_size(f, size));
	if (partial)
		TRY(lengthen_tail(f, s, CHUNK_SIZE));
	f->size = size;
	return ERR_OK;
}

static enum err grow(struct vault_file *f, struct scratch *s, uint64_t size)
{
	struct growth g;
	enum err e;

	TRY(growth_begin(f, s, &g));
	e = file_extend(f, s, size);
	if (e == ERR_OK)
		e = file_put_header(f, size, f->header.flags);
	if (e != ERR_OK) {
		int errnum = err_errno();

		growth_undo(f, s, &g);
		err_set_errno(errnum);
	}
	return e;
}

/* ---- Shrinking ---- */

/* The new last chunk into s->one, the stored old one into s->undo; *ret_old_stored is 0 where nothing has to be sealed anew. */
static enum err prepare_cut(struct vault_file *f, struct scratch *s, uint64_t size, size_t *ret_old_stored)
{
	uint64_t index = size / CHUNK_SIZE;
	struct chunk_file c;
	size_t old;

	*ret_old_stored = 0;
	if (size % CHUNK_SIZE == 0)
		return ERR_OK;
	TRY(file_read_chunk(f, s, index, &old));
	if (just_read_hole(f, s, old))
		return ERR_OK;
	memcpy(s->undo, s->one, old + CHUNK_OVERHEAD);
	c = file_chunks(f);
	TRY(chunk_seal(s->cipher, &c, &f->nonce, index, s->plain, chunk_len_in(size, index), s->one));
	*ret_old_stored = old + CHUNK_OVERHEAD;
	return ERR_OK;
}

static enum err cut(struct vault_file *f, struct scratch *s, uint64_t size, size_t old_stored)
{
	uint64_t index = size / CHUNK_SIZE;

	if (old_stored > 0)
		TRY(write_one(f, s->one, chunk_len_in(size, index) + CHUNK_OVERHEAD, index));
	return set_lower_size(f, size);
}

/*
 * The header first (invariant 2). A crash before the last chunk is sealed anew leaves everything verifying: the old file. After
 * it, the last chunk verifies at its new length only: the new file.
 */
enum err file_shrink(struct vault_file *f, struct scratch *s, uint64_t size)
{
	const uint64_t old_size = f->size;
	size_t old_stored;
	int errnum;
	enum err e;

	TRY(prepare_cut(f, s, size, &old_stored));
	TRY(file_put_header(f, size, f->header.flags));
	e = cut(f, s, size, old_stored);
	if (e == ERR_OK) {
		f->size = size;
		return ERR_OK;
	}
	errnum = err_errno();
	if ((old_stored > 0 && write_one(f, s->undo, old_stored, size / CHUNK_SIZE) != ERR_OK) ||
		file_put_header(f, old_size, f->header.flags) != ERR_OK)
		file_break(f, err_errno());
	err_set_errno(errnum);
	return e;
}

enum err file_resize(struct vault_file *f, struct scratch *s, uint64_t size)
{
	if (size > f->size)
		return grow(f, s, size);
	if (size < f->size)
		return file_shrink(f, s, size);
	/* Nothing to do but the times. */
	return set_lower_size(f, size);
}

enum err vault_file_truncate(struct vault_file *f, uint64_t size)
{
	struct file_claim claim = CLAIM_ALL;
	struct scratch *s;
	enum err e;

	if (size > CHUNK_MAX_FILE_SIZE)
		return fail_with(EFBIG, "a file can have 2^62 bytes");
	TRY(scratch_get(f->v->aead, &s));
	file_lock_take(&f->lock, &claim);
	e = file_ready_to_change(f, s, size == 0);
	/* A fresh file is empty: O_CREAT with O_TRUNC costs nothing. */
	if (e == ERR_OK && f->state == FILE_LOADED)
		e = file_resize(f, s, size);
	file_lock_drop(&f->lock, &claim);
	return e;
}
