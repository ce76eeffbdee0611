/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>
#include <string.h>

enum err file_pread(struct vault_file *f, void *buf, size_t len, uint64_t off)
{
	const struct lower *l = f->v->lower;
	size_t used = 0;

	while (used < len) {
		ssize_t n = l->pread(l, f->fd, (uint8_t *)buf + used, len - used, (off_t)(off + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system("reading a file of the vault");
		if (n == 0)
			return err_fail(ERR_TAMPERED, "the file is shorter than its header says");
		used += (size_t)n;
	}
	return ERR_OK;
}

enum err file_read_chunk(struct vault_file *f, struct scratch *s, uint64_t index, size_t *ret_len)
{
	const struct chunk_file c = file_chunks(f);
	size_t len = chunk_len_in(f->size, index);
	enum err e;

	e = file_pread(f, s->one, len + CHUNK_OVERHEAD, chunk_offset(index, f->v->desc.header_length));
	if (e == ERR_OK)
		e = chunk_open(s->cipher, &c, index, s->one, len + CHUNK_OVERHEAD, s->plain);
	if (e == ERR_TAMPERED || e == ERR_FORMAT)
		file_damage(f, index, e);
	TRY(e);
	*ret_len = len;
	return ERR_OK;
}

/* A run of stored chunks in memory, and where its plaintext goes. */
struct run {
	uint64_t first; /* chunk at @stored */
	const uint8_t *stored;
	uint64_t off; /* wanted: [off, off + len) … */
	size_t len;
	uint8_t *out; /* … to here */
};

/* A chunk that is wanted whole is opened where it is wanted; a part of one goes through the spare. */
static enum err open_one(
	struct vault_file *f, struct scratch *s, const struct run *r, uint64_t index, size_t skip, size_t take)
{
	const struct chunk_file c = file_chunks(f);
	const uint8_t *stored = r->stored + (index - r->first) * CHUNK_STORED;
	size_t len = chunk_len_in(f->size, index);
	enum err e;

	if (take == len)
		return chunk_open(s->cipher, &c, index, stored, len + CHUNK_OVERHEAD, r->out);
	e = chunk_open(s->cipher, &c, index, stored, len + CHUNK_OVERHEAD, s->plain);
	if (e == ERR_OK)
		memcpy(r->out, s->plain + skip, take);
	return e;
}

static enum err open_run(struct vault_file *f, struct scratch *s, struct run r)
{
	while (r.len > 0) {
		uint64_t index = r.off / CHUNK_SIZE;
		size_t skip = (size_t)(r.off % CHUNK_SIZE);
		size_t rest = chunk_len_in(f->size, index) - skip;
		size_t take = r.len < rest ? r.len : rest;
		enum err e = open_one(f, s, &r, index, skip, take);

		if (e == ERR_TAMPERED || e == ERR_FORMAT)
			file_damage(f, index, e);
		TRY(e);
		r.out += take;
		r.off += take;
		r.len -= take;
	}
	return ERR_OK;
}

/* Stored bytes of the chunks [first, last]. */
static size_t stored_len(const struct vault_file *f, uint64_t first, uint64_t last)
{
	return (size_t)(last - first) * CHUNK_STORED + chunk_len_in(f->size, last) + CHUNK_OVERHEAD;
}

/*
 * One batch of [off, off + len), inside the file; *ret_done bytes of it. What the first read of the file brought is in
 * s->stored already, as far as @have goes.
 */
static enum err read_batch(
	struct vault_file *f, struct scratch *s, size_t have, uint64_t off, size_t len, uint8_t *out, size_t *ret_done)
{
	const size_t header = f->v->desc.header_length;
	uint64_t first = off / CHUNK_SIZE, last = (off + len - 1) / CHUNK_SIZE;
	struct run r = {.first = first, .stored = s->stored, .off = off, .len = len, .out = out};
	size_t stored;
	enum err e;

	if (last - first >= BATCH_CHUNKS) {
		last = first + BATCH_CHUNKS - 1;
		r.len = (size_t)((last + 1) * CHUNK_SIZE - off);
	}
	stored = stored_len(f, first, last);
	if (have && chunk_offset(first, header) + stored <= have) {
		r.stored = s->stored + chunk_offset(first, header);
	} else {
		e = file_pread(f, s->stored, stored, chunk_offset(first, header));
		if (e == ERR_TAMPERED)
			file_damage(f, first, e);
		TRY(e);
	}
	TRY(open_run(f, s, r));
	*ret_done = r.len;
	return ERR_OK;
}

/* Lock held, shared or not; ready. */
static enum err read_range(
	struct vault_file *f, struct scratch *s, size_t have, uint64_t off, size_t len, uint8_t *out, size_t *ret_len)
{
	size_t done = 0;

	if (off >= f->size)
		len = 0;
	else if (len > f->size - off)
		len = (size_t)(f->size - off);
	while (done < len) {
		size_t n;
		enum err e = read_batch(f, s, done ? 0 : have, off + done, len - done, out + done, &n);

		if (e != ERR_OK) {
			/* All or nothing: who asked gets no plaintext beside an error. */
			secret_wipe(out, len);
			return e;
		}
		done += n;
	}
	*ret_len = len;
	return ERR_OK;
}

/* The first read of all, and the first after the bucket key's time was over. */
static enum err read_cold(
	struct vault_file *f, struct scratch *s, uint64_t off, size_t len, uint8_t *out, size_t *ret_len)
{
	struct file_claim claim = CLAIM_ALL;
	size_t have;
	enum err e;

	file_lock_take(&f->lock, &claim);
	e = file_ready(f, s, &have);
	if (e == ERR_OK)
		e = read_range(f, s, have, off, len, out, ret_len);
	file_lock_drop(&f->lock, &claim);
	return e;
}

enum err vault_file_read(struct vault_file *f, uint64_t off, size_t len, void *buf, size_t *ret_len)
{
	struct file_claim claim = {
		.first = off / CHUNK_SIZE, .last = (off + (len ? len - 1 : 0)) / CHUNK_SIZE, .shared = 1};
	struct scratch *s;
	enum err e;

	TRY(scratch_get(f->v->aead, &s));
	file_lock_take(&f->lock, &claim);
	if (!file_is_ready(f)) {
		file_lock_drop(&f->lock, &claim);
		return read_cold(f, s, off, len, buf, ret_len);
	}
	e = read_range(f, s, 0, off, len, buf, ret_len);
	file_lock_drop(&f->lock, &claim);
	return e;
}
