/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/leader.h"

#include <time.h>

enum {
	WATCH_TICK_NS = 1000000, /* how long a request may keep the place */
	WATCH_IDLE_TICKS = 50,   /* this many ticks without a request, and the watch sleeps */
	JUDGE_ONE = 64,          /* so many requests tell whether one worker is enough, */
	JUDGE_MANY = 512,        /* and so many whether it would be */
};

void leadership_init(struct leadership *l)
{
	pthread_condattr_t attr;

	*l = (struct leadership){.watched = 0};
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->place_free, &attr);
	pthread_cond_init(&l->look, &attr);
	pthread_condattr_destroy(&attr);
}

void leadership_destroy(struct leadership *l)
{
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->place_free);
	pthread_cond_destroy(&l->look);
}

/* ---- On watch. With the lock held. ---- */

static void wait_a_tick(struct leadership *l)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WATCH_TICK_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&l->look, &l->lock, &until);
}

/* Until the next request begins. Who begins one counts first and looks for a sleeper then; here it is the other way round. */
static void sleep_until_busy(struct leadership *l, const struct follower *leader, uint64_t turn)
{
	l->watch_sleeps = 1;
	if (leader->turn == turn)
		pthread_cond_wait(&l->look, &l->lock);
	l->watch_sleeps = 0;
}

/* What the watch saw of the leader. */
struct seen {
	uint64_t turn, waits;
};

static struct seen look_at(const struct follower *leader)
{
	return (struct seen){leader->turn, leader->waits};
}

static void let_all_read(struct leadership *l)
{
	l->begun = l->beside = 0;
	l->many = 1;
	l->leader = NULL;
	pthread_cond_broadcast(&l->place_free);
}

/* Does the leader find more than half of its requests waiting? */
static void judge(struct leadership *l, struct seen now, struct seen *since)
{
	uint64_t served = (now.turn - since->turn) / 2, waits = now.waits - since->waits;

	if (served < JUDGE_ONE)
		return;
	if (2 * waits < served)
		let_all_read(l);
	*since = now;
}

/* Until the place is free, or its holder has been at one request for a whole tick: then it is taken away. */
static void watch(struct leadership *l)
{
	const struct follower *leader = l->leader;
	struct seen last = look_at(leader), since = last;
	unsigned idle = 0;

	while (l->leader == leader && !l->ended) {
		if (idle > WATCH_IDLE_TICKS)
			sleep_until_busy(l, leader, last.turn);
		else
			wait_a_tick(l);
		if (l->leader != leader)
			return;
		struct seen now = look_at(leader);
		idle = now.turn == last.turn ? idle + 1 : 0;
		if (idle && now.turn % 2 == 1)
			l->leader = NULL;
		else
			judge(l, now, &since);
		last = now;
	}
}

/* ---- The place ---- */

static void await_place(struct leadership *l)
{
	while (l->leader && !l->ended) {
		if (l->watched) {
			pthread_cond_wait(&l->place_free, &l->lock);
			continue;
		}
		l->watched = 1;
		watch(l);
		l->watched = 0;
	}
}

static enum role take_locked(struct leadership *l, struct follower *me)
{
	await_place(l);
	if (l->ended)
		return ROLE_NONE;
	if (l->many)
		return ROLE_ONE_OF_MANY;
	l->leader = me;
	return ROLE_LEADER;
}

enum role leadership_take(struct leadership *l, struct follower *me)
{
	if (l->leader == me)
		return ROLE_LEADER;
	if (l->many)
		return ROLE_ONE_OF_MANY;
	pthread_mutex_lock(&l->lock);
	enum role role = take_locked(l, me);
	/* If it was this one that kept watch, another does now. */
	if (!l->watched)
		pthread_cond_signal(&l->place_free);
	pthread_mutex_unlock(&l->lock);
	return role;
}

void leadership_pass(struct leadership *l, struct follower *me)
{
	pthread_mutex_lock(&l->lock);
	if (l->leader == me) {
		l->leader = NULL;
		pthread_cond_signal(l->watched ? &l->look : &l->place_free);
	}
	pthread_mutex_unlock(&l->lock);
}

/* While all read: when hardly a request was served beside another, one worker does it faster. */
static void judge_many(struct leadership *l, unsigned serving)
{
	l->beside += serving > 0;
	if (++l->begun < JUDGE_MANY)
		return;
	if (4 * l->beside < l->begun)
		l->many = 0;
	l->begun = l->beside = 0;
}

void leadership_begin(struct leadership *l, struct follower *me)
{
	unsigned serving = l->serving++;

	me->turn++;
	if (l->many)
		judge_many(l, serving);
	if (!l->watch_sleeps)
		return;
	pthread_mutex_lock(&l->lock);
	pthread_cond_signal(&l->look);
	pthread_mutex_unlock(&l->lock);
}

void leadership_finish(struct leadership *l, struct follower *me)
{
	me->turn++;
	l->serving--;
}

void leadership_end(struct leadership *l)
{
	pthread_mutex_lock(&l->lock);
	l->ended = 1;
	/* Nobody takes a place without the lock any more, so everybody sees the end. */
	l->many = 0;
	l->leader = NULL;
	pthread_cond_broadcast(&l->place_free);
	pthread_cond_broadcast(&l->look);
	pthread_mutex_unlock(&l->lock);
}
