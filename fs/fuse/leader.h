/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_LEADER_H
#define SIGNETFS_FUSE_LEADER_H

/*
 * Which workers read the device.
 *
 * If all of them waited in the kernel, it would wake another one for every request, on another processor, with cold caches; where one
 * program asks one thing after the other, a request that takes five microseconds then waits fifteen for somebody to take
 * it. So one worker reads, the leader, and the others, its followers, sleep where the kernel does not see them. The
 * leader gives its place away before a request that moves a lot of data. A follower is on watch and looks every WATCH_TICK_NS:
 *   - the leader is still at the same request (a slow disk, a KMS that does not answer, a lock): it takes the place;
 *   - most requests were there already when the leader came for them: now all read, until requests are seldom served side by side.
 *
 * Threads: each worker calls for its own `struct follower`.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct follower {
	_Atomic uint64_t turn;  /* counts up when a request begins and when it ends: odd while one is served */
	_Atomic uint64_t waits; /* how often there was no request yet */
};

struct leadership {
	struct follower *_Atomic leader; /* NULL: the place is free */
	pthread_mutex_t lock;            /* all below */
	pthread_cond_t place_free;       /* for followers; one of them goes on watch */
	pthread_cond_t look;             /* for the one on watch */
	int watched, ended;
	_Atomic int many; /* all read: there is no leader */
	_Atomic unsigned serving, begun,
		beside;           /* now; since the last judgement, and of them how many beside another */
	_Atomic int watch_sleeps; /* the mount is idle: whoever begins a request wakes the watch */
};

void leadership_init(struct leadership *l);
void leadership_destroy(struct leadership *l);

enum role { ROLE_LEADER, ROLE_ONE_OF_MANY, ROLE_NONE };

/** Wait until @me is to read a request. ROLE_NONE: it is over. */
enum role leadership_take(struct leadership *l, struct follower *me);
/** Give the leader's place away, if @me still has it. */
void leadership_pass(struct leadership *l, struct follower *me);
/** Around every request that @me serves, as a leader or after passing. */
void leadership_begin(struct leadership *l, struct follower *me);
void leadership_finish(struct leadership *l, struct follower *me);
/** It is over for everybody. */
void leadership_end(struct leadership *l);

#endif
