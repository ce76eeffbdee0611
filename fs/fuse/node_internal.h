/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_NODE_INTERNAL_H
#define SIGNETFS_FUSE_NODE_INTERNAL_H

/* Shared by node.c (the tables, coming and going), node_names.c (changes of names) and node_check.c. */

#include <pthread.h>
#include "fs/fuse/node.h"
#include "fs/fuse/pool.h"

struct node_table {
	pthread_rwlock_t making, names_lock;
	pthread_mutex_t lock; /* all below */
	struct node *root;
	struct node **by_inode;
	size_t inode_buckets, nodes;
	uint32_t generation; /* of the node made last */
	uint64_t retired;    /* nodes that gave their numbers up: their numbers now, of device 0, which no file has */
	struct name **by_name;
	size_t name_buckets, names;
	struct pool pool; /* nodes and names */
};

/* All with t->lock held. */

/* Where the entry is, or would be chained. */
struct node **nodes_inode_slot(struct node_table *t, uint64_t dev, uint64_t ino);
struct name **nodes_name_slot(struct node_table *t, const struct node *parent, const char *text, size_t len);
struct name *nodes_new_name(struct node_table *t, const char *text, size_t len);
void nodes_free_name(struct node_table *t, struct name *m);
/* Tie a name to its parent, its node and the table; and undo that. */
void nodes_attach_name(struct node_table *t, struct name *m, struct node *parent, struct node *n);
void nodes_detach_name(struct node_table *t, struct name *m);
void nodes_move_name(struct node_table *t, struct name *m, struct node *to);
/* Take @n, and parents that nothing but it kept, out of the table; chain them before @gone (invariant 1). */
struct node *nodes_drop_unneeded(struct node_table *t, struct node *n, struct node *gone);

#endif
