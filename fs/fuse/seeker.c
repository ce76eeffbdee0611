/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/seeker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "fs/fuse/channel.h"
#include "fs/vault/vault.h"

enum { THREADS = 8 };

struct question {
	struct question *next;
	fuse_req_t req;
	int device; /* what the request was read from, and the reply must go to */
	struct node *node;
	uint64_t off;
	int whence;
};

struct seeker {
	struct fuse_session *session;
	struct handle_cache *handles;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct question *first, **last;
	int stop;
	unsigned waiting; /* questions in the list */
	unsigned free;    /* threads that wait for one */
	unsigned threads; /* started: another when all are busy */
	pthread_t thread[THREADS];
};

/* ---- Asking the vault ---- */

/* ENXIO, nothing (more) there, is *ret = UINT64_MAX. */
static enum err ask(struct seeker *s, struct node *n, uint64_t off, int whence, uint64_t *ret)
{
	struct vault_file *file;

	TRY(handle_file(s->handles, n, 0, &file));
	enum err e = vault_file_seek(file, off, whence, ret);
	handle_file_done(s->handles, n, 0);
	if (e != ERR_SYSTEM || err_errno() != ENXIO)
		return e;
	*ret = UINT64_MAX;
	return ERR_OK;
}

static void answer(fuse_req_t req, enum err e, uint64_t at)
{
	if (e != ERR_OK)
		fuse_reply_err(req, err_to_errno(e));
	else if (at == UINT64_MAX)
		fuse_reply_err(req, ENXIO);
	else
		fuse_reply_lseek(req, (off_t)at);
}

/* ---- With the kernel's pages ---- */

/* Where the hole that an answer speaks of begins; beyond the end, what the kernel may know more of. */
static uint64_t hole_start(const struct question *q, uint64_t at)
{
	return q->whence == SEEK_DATA || at == UINT64_MAX ? q->off : at;
}

/* Clean pages in it are zeros, so that dropping them costs nothing. */
static void write_back(struct seeker *s, struct node *n, uint64_t start, uint64_t end)
{
	off_t len = end == UINT64_MAX ? 0 : (off_t)(end - start);

	fuse_lowlevel_notify_inval_inode(s->session, (fuse_ino_t)(uintptr_t)n, (off_t)start, len);
}

/* Each turn looks at one hole; there is another only when that one was full of what had not been written back. */
static enum err settle(struct seeker *s, const struct question *q, uint64_t *ret)
{
	uint64_t looked_at = UINT64_MAX, end;

	for (;;) {
		TRY(ask(s, q->node, q->off, q->whence, ret));
		uint64_t start = hole_start(q, *ret);
		if (start == looked_at || (q->whence == SEEK_DATA && *ret == q->off))
			return ERR_OK;
		TRY(ask(s, q->node, start, SEEK_DATA, &end));
		write_back(s, q->node, start, end);
		looked_at = start;
	}
}

/* ---- The threads ---- */

static struct question *next_question(struct seeker *s)
{
	pthread_mutex_lock(&s->lock);
	s->free++;
	while (!s->first && !s->stop)
		pthread_cond_wait(&s->wake, &s->lock);
	s->free--;
	struct question *q = s->first;
	if (q) {
		s->first = q->next;
		s->waiting--;
	}
	if (!s->first)
		s->last = &s->first;
	pthread_mutex_unlock(&s->lock);
	return q;
}

static void *run(void *context)
{
	struct seeker *s = context;
	struct question *q;

	while ((q = next_question(s))) {
		uint64_t at = 0;
		enum err e = settle(s, q, &at);

		channel_reply_to(q->device);
		answer(q->req, e, at);
		channel_reply_to(-1);
		free(q);
	}
	vault_thread_cleanup();
	return NULL;
}

/* Lock held. Errno, 0 for good. */
static int start_thread(struct seeker *s)
{
	int rc = pthread_create(&s->thread[s->threads], NULL, run, s);

	s->threads += rc == 0;
	return rc;
}

/* True when a thread takes it. */
static int hand_over(struct seeker *s, fuse_req_t req, struct node *n, uint64_t off, int whence)
{
	struct question *q = malloc(sizeof *q);

	if (!q)
		return 0;
	*q = (struct question){.req = req, .device = channel_replies_to(), .node = n, .off = off, .whence = whence};
	pthread_mutex_lock(&s->lock);
	int taken = !s->stop;
	if (taken) {
		*s->last = q;
		s->last = &q->next;
		s->waiting++;
		/* One that cannot be started leaves those that there are. */
		if (s->waiting > s->free && s->threads < THREADS)
			(void)start_thread(s);
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	if (!taken)
		free(q);
	return taken;
}

void seeker_reply(struct seeker *s, fuse_req_t req, struct node *n, uint64_t off, int whence)
{
	uint64_t at = 0;
	enum err e = ask(s, n, off, whence, &at);

	/* Data stays data whatever the kernel still has. */
	if (e != ERR_OK || (whence == SEEK_DATA && at == off) || !hand_over(s, req, n, off, whence))
		answer(req, e, at);
}

enum err seeker_new(struct fuse_session *session, struct handle_cache *handles, struct seeker **ret)
{
	struct seeker *s = calloc(1, sizeof *s);

	if (!s)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	s->session = session;
	s->handles = handles;
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	/* The first, so that there is one. */
	int rc = start_thread(s);
	if (rc) {
		seeker_free(s);
		err_set_errno(rc);
		return err_system("cannot start a thread");
	}
	*ret = s;
	return ERR_OK;
}

void seeker_stop(struct seeker *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = 1;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	/* Nobody starts another from here on. */
	for (unsigned i = 0; i < s->threads; i++)
		pthread_join(s->thread[i], NULL);
}

void seeker_free(struct seeker *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	free(s);
}
