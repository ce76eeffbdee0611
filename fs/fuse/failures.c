/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/failures.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 64 };

struct failures {
	struct node_table *nodes;
	struct fuse_session *session;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int some, stop; /* some: there may be failed nodes */
	pthread_t thread;
};

void failures_note(struct failures *f, struct node *n, enum err e)
{
	uint16_t none = 0;

	if (!atomic_compare_exchange_strong(&n->failed, &none, (uint16_t)err_to_errno(e)))
		return;
	pthread_mutex_lock(&f->lock);
	f->some = 1;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

enum err failures_check(const struct node *n)
{
	int errnum = n->failed;

	if (errnum == 0)
		return ERR_OK;
	errno = errnum;
	return err_system("data of this file was lost; it fails until nobody has it open");
}

/* ---- The thread ---- */

/* Take the names of failed nodes from the kernel. No lock may be held: it may be waiting for a worker. False: no node has failed. */
static int drop_names(struct failures *f)
{
	struct node_place places[BATCH];
	size_t count, from = 0;
	int some;

	do {
		count = node_failed_places(f->nodes, &from, places, BATCH, &some);
		/* What the kernel does not have any more is ENOENT: all the better. */
		for (size_t i = 0; i < count; i++) {
			int top = places[i].parent == node_root(f->nodes);
			fuse_ino_t parent = top ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)places[i].parent;
			fuse_lowlevel_notify_inval_entry(f->session, parent, places[i].text, places[i].len);
		}
	} while (count == BATCH);
	return some;
}

static void wait_second(struct failures *f)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	while (!f->stop && pthread_cond_timedwait(&f->wake, &f->lock, &until) == 0)
		continue;
}

static void *run(void *context)
{
	struct failures *f = context;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		if (!f->some) {
			pthread_cond_wait(&f->wake, &f->lock);
			continue;
		}
		f->some = 0;
		pthread_mutex_unlock(&f->lock);
		int some = drop_names(f);
		pthread_mutex_lock(&f->lock);
		f->some |= some;
		wait_second(f);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- Making and freeing ---- */

enum err failures_new(struct node_table *nodes, struct fuse_session *session, struct failures **ret)
{
	struct failures *f = calloc(1, sizeof *f);
	pthread_condattr_t attr;

	if (!f)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	f->nodes = nodes;
	f->session = session;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &attr);
	pthread_condattr_destroy(&attr);
	int rc = pthread_create(&f->thread, NULL, run, f);
	if (rc) {
		failures_free(f);
		errno = rc;
		return err_system("cannot start a thread");
	}
	*ret = f;
	return ERR_OK;
}

void failures_stop(struct failures *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = 1;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
}

void failures_free(struct failures *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->wake);
	free(f);
}
