/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"
#include "fs/vault/rekey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A new data key, and the contents under it. The inode has to stay: other names are links to it, programs have it open, and its owner,
 * mode, ACLs and attributes are its. So the file is written whole into .signetfs/ first, under its new key, and copied over the old one
 * when it is safe there. From that moment a crash leaves the new file, before it the old one: whoever opens a file whose id has such
 * a record finishes the copy before anything is read (file_finish.c). The record has two names, for the id before and the id after.
 */

enum { PIECE_CHUNKS = 16, PIECE = PIECE_CHUNKS * CHUNK_SIZE };

struct renewal {
	struct vault_file *f, *g; /* the file; the record */
	struct scratch *s;
	uint8_t *piece; /* plaintext; secret memory */
	size_t used;
	uint64_t at;
	char making[UNDO_NAME_SIZE + 4], old[UNDO_NAME_SIZE], new[UNDO_NAME_SIZE];
	uint8_t old_id[FILE_ID_SIZE];
};

static enum err make_keys(struct vault_file *f, const struct vault_rekey_choice *choice)
{
	enum err e = file_keys_make(f);

	if (e != ERR_OK && choice->stuck)
		choice->stuck(choice->context, e);
	return e == ERR_OK && choice->note ? choice->note(choice->context, &f->header.kms_key) : e;
}

/* ---- The record ---- */

static enum err flush_piece(struct renewal *r)
{
	size_t len = r->used;

	r->used = 0;
	return len ? vault_file_write(r->g, r->at, r->piece, len) : ERR_OK;
}

static enum err add_chunk(struct renewal *r, uint64_t index, size_t len)
{
	uint64_t off = index * CHUNK_SIZE;

	if (r->used == PIECE || (r->used > 0 && r->at + r->used != off))
		TRY(flush_piece(r));
	if (r->used == 0)
		r->at = off;
	memcpy(r->piece + r->used, r->s->plain, len);
	r->used += len;
	return ERR_OK;
}

/* The scratch is this thread's, and writing uses it too: a chunk is taken out of it before the next piece goes out. */
static enum err copy_chunks(struct renewal *r)
{
	struct vault_file *f = r->f;
	uint64_t size = f->size;

	for (uint64_t i = file_skip_hole(f, 0, size); i * CHUNK_SIZE < size; i = file_skip_hole(f, i + 1, size)) {
		size_t len;

		TRY(file_read_chunk(f, r->s, i, &len));
		if ((f->header.flags & FILE_FLAG_HOLES) && stored_is_hole(r->s->one, len + CHUNK_OVERHEAD))
			continue;
		TRY(add_chunk(r, i, len));
	}
	TRY(flush_piece(r));
	TRY(vault_file_truncate(r->g, size));
	/* Of an empty file there was nothing to write, and it has a header all the same. */
	return file_ready_to_change(r->g, r->s, 0);
}

/* The file's own times, which writing it must not change. */
static enum err copy_times(struct renewal *r)
{
	const struct lower *l = r->f->v->lower;
	struct stat st;

	if (l->fstat(l, r->f->fd, &st) != 0)
		return err_system("stat of an open file");
	file_times_show(r->f, &st);
	const struct timespec times[2] = {st.st_atim, st.st_mtim};

	if (l->utimensat(l, r->g->fd, "", times, AT_EMPTY_PATH) != 0)
		return err_system("setting the times of a file under its new key");
	return ERR_OK;
}

static enum err open_record(struct renewal *r)
{
	struct vault *v = r->f->v;
	struct vault_file *g = file_new(v, 1);

	if (!g)
		return err_fail(ERR_NO_MEMORY, "no memory for an open file");
	g->inner = 1;
	g->fd = v->lower->openat(
		v->lower, v->state_fd, r->making, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r->g = g;
	return g->fd < 0 ? err_system("making " STATE_DIR_NAME "/%s", r->making) : ERR_OK;
}

static enum err fill_record(struct renewal *r, const struct vault_rekey_choice *choice)
{
	const struct lower *l = r->f->v->lower;

	TRY(open_record(r));
	TRY(make_keys(r->g, choice));
	undo_name(REDO_PREFIX, r->g->header.file_id, r->new);
	TRY(copy_chunks(r));
	TRY(copy_times(r));
	return l->fsync(l, r->g->fd) == 0 ? ERR_OK : err_system("fsync of a file under its new key");
}

/* In force from here on. The second name first: with the first alone a crash in the middle of the copy could hide it. */
static enum err commit_record(struct renewal *r)
{
	struct vault *v = r->f->v;
	const struct lower *l = v->lower;

	if (l->linkat(l, v->state_fd, r->making, v->state_fd, r->new, 0) != 0)
		return err_system("making " STATE_DIR_NAME "/%s", r->new);
	if (l->renameat2(l, v->state_fd, r->making, v->state_fd, r->old, 0) == 0 && l->fsync(l, v->state_fd) == 0)
		return ERR_OK;
	return err_system("making " STATE_DIR_NAME "/%s", r->old);
}

static void drop_record(struct renewal *r)
{
	struct vault *v = r->f->v;

	v->lower->unlinkat(v->lower, v->state_fd, r->making, 0);
	if (r->new[0])
		v->lower->unlinkat(v->lower, v->state_fd, r->new, 0);
	v->lower->unlinkat(v->lower, v->state_fd, r->old, 0);
	v->lower->fsync(v->lower, v->state_fd);
}

/* ---- The file ---- */

/* The file is what the record is; nothing but where it lies differs. */
static void take_over(struct renewal *r)
{
	struct vault_file *f = r->f, *g = r->g;

	chunk_cipher_forget(r->s->cipher);
	file_keys_drop(f);
	f->header = g->header;
	f->keys = STEAL(g->keys);
	f->ref = STEAL(g->ref);
	f->live_until = g->live_until;
}

/* Half copied: what is on the disk is neither. The record is, and the next use of the file goes on with it. */
static void leave_to_record(struct renewal *r)
{
	atomic_store(&r->f->v->unfinished, 1);
	file_keys_drop(r->f);
	r->f->state = FILE_UNLOADED;
}

static enum err replace(struct renewal *r, const struct vault_rekey_choice *choice)
{
	enum err e = fill_record(r, choice);

	if (e == ERR_OK)
		e = commit_record(r);
	if (e != ERR_OK) {
		drop_record(r);
		return e;
	}
	e = file_copy_over(r->f, r->g->fd);
	if (e != ERR_OK) {
		leave_to_record(r);
		return e;
	}
	take_over(r);
	return file_forget_redo(r->f, r->old_id, r->f->header.file_id);
}

static enum err renew_contents(struct vault_file *f, struct scratch *s, const struct vault_rekey_choice *choice)
{
	struct renewal r = {.f = f, .s = s};
	enum err e;

	memcpy(r.old_id, f->header.file_id, FILE_ID_SIZE);
	undo_name(REDO_PREFIX, r.old_id, r.old);
	snprintf(r.making, sizeof(r.making), "%s.new", r.old);
	r.piece = secret_alloc(PIECE);
	if (!r.piece)
		return err_fail(ERR_NO_MEMORY, "no locked memory to write a file anew");
	e = replace(&r, choice);
	if (r.g)
		file_free(r.g);
	secret_free(r.piece);
	return e;
}

/* Nothing was written yet: other keys will do. */
static enum err renew_fresh(struct vault_file *f, const struct vault_rekey_choice *choice)
{
	file_keys_drop(f);
	return make_keys(f, choice);
}

static enum err renew(struct vault_file *f, const struct vault_rekey_choice *choice, enum vault_rekeyed *ret)
{
	struct scratch *s;
	size_t have;

	TRY(scratch_get(f->v->aead, &s));
	TRY(file_ready(f, s, &have));
	*ret = f->state == FILE_EMPTY ? VAULT_REKEY_NONE : VAULT_REKEY_KEPT;
	if (f->state == FILE_EMPTY || !choice->wants(choice->context, &f->header))
		return ERR_OK;
	if (f->state == FILE_FRESH)
		TRY(renew_fresh(f, choice));
	else
		TRY(renew_contents(f, s, choice));
	*ret = VAULT_REKEY_DONE;
	return ERR_OK;
}

enum err vault_file_renew(struct vault_file *f, const struct vault_rekey_choice *choice, enum vault_rekeyed *ret)
{
	struct file_claim claim = CLAIM_ALL;
	enum err e;

	TRY(file_check_writable(f));
	file_lock_take(&f->lock, &claim);
	e = renew(f, choice, ret);
	file_lock_drop(&f->lock, &claim);
	return e;
}
