/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>

/*
 * The kernel writes a growing file back in large pieces, several at a time. Each is sealed beside the others, under a claim of its own
 * chunks; then they are written one after the other, in the order of their places. (To write them side by side is slower: the lower
 * inode's lock makes them queue anyway, spinning.)
 *
 * Invariant: a piece is written only when the file reaches exactly up to it. So a crash leaves a prefix of what was written, and a
 * failed piece is the last thing in the lower file.
 */

/* Whole chunks behind the last one, which itself stays as it is. */
static int may_append(const struct vault_file *f, uint64_t off, size_t len)
{
	uint64_t size = f->size;

	return f->state == FILE_LOADED && file_is_ready(f) && file_check_writable(f) == ERR_OK && len <= WIDE_PLAIN &&
	       off % CHUNK_SIZE == 0 && size % CHUNK_SIZE == 0 && size <= off;
}

static enum err put_piece(struct vault_file *f, const uint8_t *stored, size_t stored_len, uint64_t size)
{
	size_t done;

	if (write_all(f->v->lower, f->fd, stored, stored_len, offset_of(f, f->size / CHUNK_SIZE), &done) != 0)
		return err_system("writing a file of the vault");
	TRY(file_put_header(f, size, f->header.flags));
	f->size = size;
	return ERR_OK;
}

/* Back to what the header says. What lies behind it is this piece, or its beginning: those that follow are still waiting. */
static void cut_piece(struct vault_file *f)
{
	const struct lower *l = f->v->lower;
	int errnum = err_errno();

	if (l->ftruncate(l, f->fd, (off_t)chunk_lower_size(f->size, header_length(f))) != 0)
		file_break(f, errno);
	err_set_errno(errnum);
}

static enum err append_claimed(struct vault_file *f, struct scratch *s, const struct file_claim *claim, uint64_t off,
	const uint8_t *buf, size_t len, int *ret_done)
{
	size_t stored_len;
	enum err e;

	TRY(scratch_widen(s));
	TRY(file_seal_wide(f, s, off, buf, len, &stored_len));
	if (f->size < off)
		file_lock_await(&f->lock, claim, f->size / CHUNK_SIZE, claim->first - 1);
	/* What is between may come later, or never. */
	if (f->size != off)
		return ERR_OK;
	*ret_done = 1;
	e = put_piece(f, s->wide, stored_len, off + len);
	if (e != ERR_OK)
		cut_piece(f);
	return e;
}

enum err file_append(
	struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len, int *ret_done)
{
	struct file_claim claim = {.first = off / CHUNK_SIZE, .last = (off + len - 1) / CHUNK_SIZE};
	enum err e = ERR_OK;

	*ret_done = 0;
	file_lock_take(&f->lock, &claim);
	if (may_append(f, off, len))
		e = append_claimed(f, s, &claim, off, buf, len, ret_done);
	file_lock_drop(&f->lock, &claim);
	return e;
}
