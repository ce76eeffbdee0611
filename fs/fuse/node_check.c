/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/node_internal.h"

#include <assert.h>

static void check_node(struct node_table *t, const struct node *n)
{
	size_t names = 0;

	assert(n == t->root || n->lookups > 0 || n->children > 0); /* 1 */
	assert(*nodes_inode_slot(t, n->dev, n->ino) == n);         /* 2 */
	for (const struct name *m = n->names; m; m = m->other, names++) {
		assert(m->node == n);
		assert(*nodes_name_slot(t, m->parent, m->text, m->len) == m);              /* 2 */
		assert(*nodes_inode_slot(t, m->parent->dev, m->parent->ino) == m->parent); /* 3 */
		assert(S_ISDIR(m->parent->type));
	}
	assert(names <= (S_ISDIR(n->type) ? 1 : SIZE_MAX)); /* 4 */
	assert(n != t->root || names == 0);                 /* 4 */
}

static size_t count_children(const struct node_table *t, const struct node *parent)
{
	size_t count = 0;

	for (size_t i = 0; i < t->name_buckets; i++)
		for (const struct name *m = t->by_name[i]; m; m = m->chain)
			count += m->parent == parent;
	return count;
}

void node_table_check(struct node_table *t)
{
	size_t nodes = 0, children = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->inode_buckets; i++) {
		for (const struct node *n = t->by_inode[i]; n; n = n->chain, nodes++) {
			check_node(t, n);
			children += n->children;
			if (t->names <= 1024)
				assert(count_children(t, n) == n->children); /* 3 */
		}
	}
	assert(nodes == t->nodes);
	assert(children == t->names); /* 3 */
	pthread_mutex_unlock(&t->lock);
}
