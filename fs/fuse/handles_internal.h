/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_HANDLES_INTERNAL_H
#define SIGNETFS_FUSE_HANDLES_INTERNAL_H

/* Shared by handles.c (directories, objects, eviction) and handles_file.c (files and the flusher). */

#include <pthread.h>
#include "fs/fuse/handles.h"

struct handle_cache {
	struct vault *vault;
	struct node_table *nodes;
	int read_only;
	unsigned budget;
	const struct reporter *reporter;
	void (*close_failed)(void *context, struct node *n, enum err e);
	void *context;
	pthread_mutex_t lock;   /* all below, and every node's `handles` */
	pthread_cond_t changed; /* a file's state or users changed */
	struct node *oldest, *newest;
	unsigned open;
	unsigned fresh;         /* nodes with a fresh file */
	int stop, flusher_idle; /* idle: nothing is fresh, it waits to be told */
	pthread_cond_t wake_flusher;
	pthread_t flusher;
};

/* All with c->lock held. */
void handles_unlist(struct handle_cache *c, struct node *n);
void handles_unlist_dir(struct handle_cache *c, struct node *n);
void handles_touch(struct handle_cache *c, struct node *n);
/* Close what the node has open; nobody may be using it. The lock is released meanwhile. */
void handles_evict(struct handle_cache *c, struct node *n);
void handles_close_file(struct handle_cache *c, struct node *n);
void handles_make_room(struct handle_cache *c, unsigned budget);

/* Without c->lock. */
int handles_relieve(struct handle_cache *c, enum err e, int *attempts);

#endif
