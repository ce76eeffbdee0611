/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

/*
 * Files that were closed and could get no header, because the disk was full. They read as empty for as long as a session is on the
 * list that did not end cleanly, so theirs must not end so while there is one. They are kept open until then: when the
 * session ends, those that were removed do not matter, and the others are given their header if there is room by now.
 */

void headerless_keep(struct vault_file *f)
{
	struct vault *v = f->v;

	/* The keys of a file that has nothing. It will be given others. */
	file_keys_drop(f);
	f->state = FILE_EMPTY;
	pthread_mutex_lock(&v->state);
	atomic_store(&v->headerless, 1);
	if (v->kept.count < HEADERLESS_KEPT) {
		v->kept.file[v->kept.count++] = f;
		f = NULL;
	} else {
		v->kept.overflow = 1;
	}
	pthread_mutex_unlock(&v->state);
	if (f)
		file_free(f);
}

void headerless_unknown(struct vault_file *f)
{
	pthread_mutex_lock(&f->v->state);
	atomic_store(&f->v->headerless, 1);
	f->v->kept.overflow = 1;
	pthread_mutex_unlock(&f->v->state);
}

static enum err settle_one(struct vault_file *f)
{
	const struct lower *l = f->v->lower;
	struct scratch *s;
	struct stat st;

	TRY(file_check_writable(f));
	if (l->fstat(l, f->fd, &st) != 0)
		return fail_errno("stat of a file without a header");
	/* Gone, or written to later by who opened it anew. */
	if (st.st_nlink == 0 || (uint64_t)st.st_size >= f->v->desc.header_length)
		return ERR_OK;
	TRY(scratch_get(f->v->aead, &s));
	vault_file_hold_mtime(f);
	TRY(file_ready_to_change(f, s, 0));
	return file_times_restore(f);
}

int headerless_settle(struct vault *v)
{
	int good = !v->kept.overflow;

	for (unsigned i = 0; i < v->kept.count && good; i++)
		good = settle_one(v->kept.file[i]) == ERR_OK;
	return good;
}

void headerless_free(struct vault *v)
{
	for (unsigned i = 0; i < v->kept.count; i++)
		file_free(v->kept.file[i]);
	v->kept.count = 0;
}
