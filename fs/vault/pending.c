/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

/*
 * Ids of directories that are written but perhaps not durable. They are made durable together, by the next fsync of any directory or
 * file of the vault: a file that was synced is worth nothing when its directory's id, and with it the file's name, is lost.
 */

void pending_add(struct vault *v, int fd)
{
	pthread_mutex_lock(&v->state);
	if (v->pending.count < PENDING_IDS) {
		v->pending.fd[v->pending.count++] = fd;
		fd = -1;
	} else {
		v->pending.overflow = 1;
	}
	atomic_store(&v->pending_any, 1);
	pthread_mutex_unlock(&v->state);
	if (fd >= 0)
		v->lower->close(v->lower, fd);
}

static void close_all(struct vault *v)
{
	for (unsigned i = 0; i < v->pending.count; i++)
		v->lower->close(v->lower, v->pending.fd[i]);
	v->pending.count = 0;
	v->pending.overflow = 0;
	atomic_store(&v->pending_any, 0);
}

static int sync_all(struct vault *v)
{
	if (v->pending.overflow)
		return v->lower->syncfs(v->lower, v->top_fd);
	for (unsigned i = 0; i < v->pending.count; i++)
		if (v->lower->fsync(v->lower, v->pending.fd[i]) != 0)
			return -1;
	return 0;
}

enum err pending_sync(struct vault *v)
{
	enum err e = ERR_OK;

	if (!atomic_load(&v->pending_any))
		return ERR_OK;
	pthread_mutex_lock(&v->state);
	if (sync_all(v) == 0)
		close_all(v);
	else
		e = err_system("making new directories durable");
	pthread_mutex_unlock(&v->state);
	return e;
}

void pending_free(struct vault *v)
{
	close_all(v);
}
