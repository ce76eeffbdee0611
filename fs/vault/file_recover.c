/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/*
 * When a file is opened whose lower size contradicts its header. doc/format.md, "Size, sessions and truncation".
 *
 * The running session is on the list of unclean ones too, so that its crash is noticed, but while it runs it excuses nothing:
 * its own header never claims more than the lower file holds (file_internal.h, invariant 2), and a file that it could not
 * give a header is remembered (vault.headerless).
 */

static int was_interrupted(const struct vault *v, uint64_t session)
{
	return session != v->session && sessions_is_unclean(&v->sessions, session);
}

int vault_was_interrupted(const struct vault *v)
{
	uint32_t own = v->session != 0;

	return v->sessions.count > own || v->sessions.unclean_below > 0;
}

static void tell(struct vault_file *f, const char *what, uint64_t size)
{
	char link[FD_PATH_SIZE], path[512];
	ssize_t n;

	fd_path(f->fd, link);
	n = f->v->lower->readlinkat(f->v->lower, AT_FDCWD, link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	report(f->v->reporter, REPORT_NOTICE, "%s: %s; its size is %" PRIu64 " bytes now", path, what, size);
}

/* Does chunk @index verify with @len plaintext bytes? ERR_TAMPERED says no; other errors are of the lower tree. */
static enum err try_chunk(struct vault_file *f, struct scratch *s, uint64_t index, size_t len)
{
	const struct chunk_file c = file_chunks(f);
	enum err e;

	e = file_pread(f, s->one, len + CHUNK_OVERHEAD, chunk_offset(index, header_length(f)));
	if (e == ERR_OK)
		e = chunk_open(s->cipher, &c, index, s->one, len + CHUNK_OVERHEAD, s->plain);
	return e == ERR_FORMAT ? ERR_TAMPERED : e;
}

/* Holes verify unread: the first chunk at or behind @index that may hold something. */
uint64_t file_skip_hole(struct vault_file *f, uint64_t index, uint64_t size)
{
	uint64_t end = (size + CHUNK_SIZE - 1) / CHUNK_SIZE;
	off_t data;

	if (!(f->header.flags & FILE_FLAG_HOLES))
		return index;
	data = f->v->lower->lseek(f->v->lower, f->fd, (off_t)chunk_offset(index, header_length(f)), SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? end : index;
	data -= (off_t)header_length(f);
	return data > 0 && (uint64_t)data / CHUNK_STORED > index ? (uint64_t)data / CHUNK_STORED : index;
}

/* Chunks from @index on that verify in a file of @size bytes; *ret is the size up to the first that does not. */
static enum err verified_until(struct vault_file *f, struct scratch *s, uint64_t index, uint64_t size, uint64_t *ret)
{
	for (index = file_skip_hole(f, index, size); index * CHUNK_SIZE < size;
		index = file_skip_hole(f, index + 1, size)) {
		enum err e = try_chunk(f, s, index, chunk_len_in(size, index));

		if (e == ERR_TAMPERED) {
			*ret = index * CHUNK_SIZE;
			return ERR_OK;
		}
		TRY(e);
	}
	*ret = size;
	return ERR_OK;
}

enum err file_tail_verifies(struct vault_file *f, struct scratch *s, uint64_t lower_size, int *ret)
{
	const struct lower *l = f->v->lower;
	uint64_t size = chunk_plain_size(lower_size, header_length(f), NULL);
	uint64_t index = (f->size + CHUNK_SIZE - 1) / CHUNK_SIZE;

	*ret = 0;
	for (; index * CHUNK_SIZE < size && !*ret; index++) {
		size_t len = chunk_len_in(size, index);
		off_t data = l->lseek(l, f->fd, (off_t)chunk_offset(index, header_length(f)), SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			return ERR_OK;
		if (data < 0)
			return fail_errno("lseek");
		if ((uint64_t)data >= chunk_offset(index + 1, header_length(f))) {
			index = ((uint64_t)data - header_length(f)) / CHUNK_STORED - 1;
			continue;
		}
		enum err e = try_chunk(f, s, index, len);

		*ret = e == ERR_OK && !stored_is_hole(s->one, len + CHUNK_OVERHEAD);
		if (e != ERR_TAMPERED)
			TRY(e);
	}
	return ERR_OK;
}

/*
 * Lower file and header to @size, the header first or last as invariant 2 asks. A descriptor for reading repairs nothing. Where there
 * is no room to repair in, what verified is read all the same, and nothing is written.
 */
static enum err settle(struct vault_file *f, uint64_t size)
{
	const struct lower *l = f->v->lower;
	off_t lower_size = (off_t)chunk_lower_size(size, header_length(f));

	f->size = size;
	if (!f->writable)
		return ERR_OK;
	if (file_put_header(f, size, f->header.flags) != ERR_OK || l->ftruncate(l, f->fd, lower_size) != 0)
		file_break(f, errno);
	return ERR_OK;
}

/*
 * Longer than the header says: a write, or a cut, was interrupted. The chunk that the header's size ends in tells: it verifies at
 * the length that the longer file gives it, or only at the header's, and then what follows belongs to nothing.
 */
static enum err recover_longer(struct vault_file *f, struct scratch *s, uint64_t lower_size)
{
	const uint64_t claimed = f->header.size;
	uint64_t found = chunk_plain_size(lower_size, header_length(f), NULL);
	uint64_t border = claimed / CHUNK_SIZE;
	uint64_t size;

	TRY(verified_until(f, s, border, found, &size));
	if (size < claimed) {
		enum err e = try_chunk(f, s, border, chunk_len_in(claimed, border));

		/* Verifying neither way it is damaged: nothing is cut, and who reads it hears of it. */
		if (e == ERR_TAMPERED) {
			f->size = claimed;
			return ERR_OK;
		}
		TRY(e);
		size = claimed;
	}
	tell(f,
		size > claimed ? "a crash left it longer than its header said; what verifies was kept"
			       : "a crash left something behind its end that was cut off",
		size);
	return settle(f, size);
}

/* From the end: a chunk that was cut does not verify. What is damaged further in stays, and is an error for who reads it. */
static enum err last_verified(struct vault_file *f, struct scratch *s, uint64_t size, uint64_t *ret)
{
	while (size > 0) {
		uint64_t index = (size - 1) / CHUNK_SIZE;
		enum err e = try_chunk(f, s, index, chunk_len_in(size, index));

		if (e != ERR_TAMPERED) {
			TRY(e);
			break;
		}
		size = index * CHUNK_SIZE;
	}
	*ret = size;
	return ERR_OK;
}

static enum err recover_shorter(struct vault_file *f, struct scratch *s, uint64_t lower_size)
{
	uint64_t size;

	f->contradicts = RESCUE_SHORTER;
	f->explained = was_interrupted(f->v, f->header.session);
	if (!f->explained && !f->excused)
		return err_fail(ERR_TAMPERED,
			"the file is shorter than the %" PRIu64 " bytes that its header says, and no crash explains it",
			f->header.size);
	TRY(last_verified(f, s, chunk_plain_size(lower_size, header_length(f), NULL), &size));
	tell(f, "a crash lost its end, which no fsync had made safe", size);
	return settle(f, size);
}

enum err file_recover(struct vault_file *f, struct scratch *s, uint64_t lower_size)
{
	uint64_t shown = chunk_plain_size(lower_size, header_length(f), NULL);

	f->claimed = f->header.size;
	f->contradicts = RESCUE_LONGER;
	f->explained = 1;
	if (lower_size > chunk_lower_size(f->header.size, header_length(f)))
		TRY(recover_longer(f, s, lower_size));
	else
		TRY(recover_shorter(f, s, lower_size));
	if (f->size < shown)
		f->shown = shown;
	return ERR_OK;
}

uint64_t vault_file_shown(struct vault_file *f)
{
	struct file_claim claim = CLAIM_ALL;

	file_lock_take(&f->lock, &claim);
	uint64_t shown = f->shown;
	f->shown = 0;
	file_lock_drop(&f->lock, &claim);
	return shown;
}

enum err file_recover_empty(struct vault_file *f, uint64_t lower_size)
{
	f->contradicts = RESCUE_NO_HEADER;
	f->explained = vault_was_interrupted(f->v);
	if (!vault_was_interrupted(f->v) && !atomic_load(&f->v->headerless)) {
		enum err e = err_fail(ERR_TAMPERED,
			"the file has %" PRIu64 " bytes and no header, and no crash explains it", lower_size);

		return file_damage(f, NO_CHUNK, e);
	}
	f->state = FILE_EMPTY;
	f->size = 0;
	return ERR_OK;
}
