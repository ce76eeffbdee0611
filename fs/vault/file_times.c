/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"

#include <errno.h>

/*
 * A kernel with a write-back cache tells programs the time at which they wrote, and hands the bytes on up to half a minute later. It
 * sends the time along only when it moved; otherwise the lower file would keep the time of the hand-over, and programs that
 * compare times (make, rsync, git) would see it jump once the kernel has forgotten the file.
 */

void vault_file_hold_mtime(struct vault_file *f)
{
	struct held_mtime *h = &f->mtime;
	struct stat st;

	pthread_mutex_lock(&h->lock);
	if (!h->known && f->v->lower->fstat(f->v->lower, f->fd, &st) == 0) {
		h->value = st.st_mtim;
		h->known = 1;
	}
	h->moved = h->known;
	pthread_mutex_unlock(&h->lock);
}

void file_times_set(struct vault_file *f, const struct timespec *mtime)
{
	struct held_mtime *h = &f->mtime;

	pthread_mutex_lock(&h->lock);
	h->value = *mtime;
	h->known = mtime->tv_nsec != UTIME_NOW;
	h->moved = 0;
	pthread_mutex_unlock(&h->lock);
}

void file_times_show(struct vault_file *f, struct stat *st)
{
	struct held_mtime *h = &f->mtime;

	pthread_mutex_lock(&h->lock);
	if (h->moved)
		st->st_mtim = h->value;
	pthread_mutex_unlock(&h->lock);
}

enum err file_times_restore(struct vault_file *f)
{
	const struct lower *l = f->v->lower;
	struct held_mtime *h = &f->mtime;
	int failed = 0;

	pthread_mutex_lock(&h->lock);
	if (h->moved) {
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, h->value};
		/* Who mounted without privileges may write others' files, and not set their times. */
		failed = l->utimensat(l, f->fd, "", times, AT_EMPTY_PATH) != 0 && errno != EPERM && errno != EACCES;
		h->moved = 0;
	}
	pthread_mutex_unlock(&h->lock);
	return failed ? fail_errno("setting the times of a file") : ERR_OK;
}
