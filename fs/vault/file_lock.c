/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_lock.h"

#include <assert.h>
#include <stddef.h>

void file_lock_init(struct file_lock *l)
{
	pthread_mutexattr_t a;

	/* Held for some instructions only: spinning for them is cheaper than a sleep. */
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&l->mutex, &a);
	pthread_mutexattr_destroy(&a);
	pthread_cond_init(&l->left, NULL);
	l->waiting = 0;
	l->oldest = NULL;
}

void file_lock_destroy(struct file_lock *l)
{
	assert(!l->oldest);
	pthread_cond_destroy(&l->left);
	pthread_mutex_destroy(&l->mutex);
}

static int clash(const struct file_claim *a, const struct file_claim *b)
{
	return a->first <= b->last && b->first <= a->last && !(a->shared && b->shared);
}

/* Does a claim older than @c stand in the way of @wanted? */
static int must_wait(const struct file_lock *l, const struct file_claim *c, const struct file_claim *wanted)
{
	for (const struct file_claim *p = l->oldest; p != c; p = p->next)
		if (clash(p, wanted))
			return 1;
	return 0;
}

static void wait_for(struct file_lock *l, const struct file_claim *c, const struct file_claim *wanted)
{
	while (must_wait(l, c, wanted)) {
		l->waiting++;
		pthread_cond_wait(&l->left, &l->mutex);
		l->waiting--;
	}
}

/* The pointer that points to @c, or the one at the end where a new one belongs. */
static struct file_claim **place_of(struct file_lock *l, const struct file_claim *c)
{
	struct file_claim **p = &l->oldest;

	while (*p != c)
		p = &(*p)->next;
	return p;
}

void file_lock_take(struct file_lock *l, struct file_claim *c)
{
	pthread_mutex_lock(&l->mutex);
	c->next = NULL;
	*place_of(l, NULL) = c;
	wait_for(l, c, c);
	pthread_mutex_unlock(&l->mutex);
}

void file_lock_await(struct file_lock *l, const struct file_claim *c, uint64_t first, uint64_t last)
{
	const struct file_claim wanted = {.first = first, .last = last};

	pthread_mutex_lock(&l->mutex);
	wait_for(l, c, &wanted);
	pthread_mutex_unlock(&l->mutex);
}

void file_lock_drop(struct file_lock *l, struct file_claim *c)
{
	pthread_mutex_lock(&l->mutex);
	*place_of(l, c) = c->next;
	int waiting = l->waiting > 0;
	pthread_mutex_unlock(&l->mutex);
	if (waiting)
		pthread_cond_broadcast(&l->left);
}
