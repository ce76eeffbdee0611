/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/node_internal.h"

#include <string.h>

struct node *node_find(struct node_table *t, const struct node *parent, const char *text, size_t len)
{
	pthread_mutex_lock(&t->lock);
	struct name *m = *nodes_name_slot(t, parent, text, len);
	struct node *n = m ? m->node : NULL;
	pthread_mutex_unlock(&t->lock);
	return n;
}

const struct name *node_name(struct node_table *t, const struct node *n)
{
	pthread_mutex_lock(&t->lock);
	const struct name *m = n->names;
	pthread_mutex_unlock(&t->lock);
	return m;
}

int node_is_last_name(struct node_table *t, const struct node *n)
{
	pthread_mutex_lock(&t->lock);
	int last = n->names && !n->names->other;
	pthread_mutex_unlock(&t->lock);
	return last;
}

static struct node *unname_locked(struct node_table *t, struct name *m)
{
	struct node *parent = m->parent, *n = m->node;

	nodes_detach_name(t, m);
	nodes_free_name(t, m);
	parent->children++; /* the walk up from the node must not meet the parent before its own turn */
	struct node *gone = nodes_drop_unneeded(t, n, NULL);
	parent->children--;
	return nodes_drop_unneeded(t, parent, gone);
}

struct node *node_unname(struct node_table *t, struct node *parent, const char *text, size_t len)
{
	struct node *gone = NULL;

	pthread_mutex_lock(&t->lock);
	struct name *m = *nodes_name_slot(t, parent, text, len);
	if (m)
		gone = unname_locked(t, m);
	pthread_mutex_unlock(&t->lock);
	return gone;
}

struct name *node_rename_reserve(struct node_table *t, const char *text, size_t len)
{
	pthread_mutex_lock(&t->lock);
	struct name *m = nodes_new_name(t, text, len);
	pthread_mutex_unlock(&t->lock);
	return m;
}

void node_rename_drop(struct node_table *t, struct name *reserved)
{
	pthread_mutex_lock(&t->lock);
	nodes_free_name(t, reserved);
	pthread_mutex_unlock(&t->lock);
}

struct node *node_rename(struct node_table *t, struct node *from, const char *from_text, size_t from_len,
	struct node *to, struct name *reserved)
{
	struct node *gone = NULL;

	pthread_mutex_lock(&t->lock);
	struct name *source = *nodes_name_slot(t, from, from_text, from_len);
	struct name *target = *nodes_name_slot(t, to, reserved->text, reserved->len);

	/* Two names of one file: rename(2) does nothing, and both stay. */
	if (!source || (target && target->node == source->node)) {
		nodes_free_name(t, reserved);
	} else {
		struct node *n = source->node;

		/* The new name first, so that neither the node nor its new parent is left without a reason to stay. */
		if (target) {
			struct node *victim = target->node;
			nodes_detach_name(t, target);
			nodes_free_name(t, target);
			nodes_attach_name(t, reserved, to, n);
			gone = nodes_drop_unneeded(t, victim, gone);
		} else {
			nodes_attach_name(t, reserved, to, n);
		}
		nodes_detach_name(t, source);
		nodes_free_name(t, source);
		gone = nodes_drop_unneeded(t, from, gone);
	}
	pthread_mutex_unlock(&t->lock);
	return gone;
}

void node_exchange(struct node_table *t, struct node *a, const char *a_text, size_t a_len, struct node *b,
	const char *b_text, size_t b_len)
{
	pthread_mutex_lock(&t->lock);
	struct name *x = *nodes_name_slot(t, a, a_text, a_len);
	struct name *y = *nodes_name_slot(t, b, b_text, b_len);
	if (x && y && x->node != y->node) {
		struct node *xn = x->node;
		nodes_move_name(t, x, y->node);
		nodes_move_name(t, y, xn);
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- Failures ---- */

static void copy_place(const struct name *m, struct node_place *ret)
{
	*ret = (struct node_place){.parent = m->parent, .len = m->len};
	memcpy(ret->text, m->text, m->len);
	ret->text[m->len] = '\0';
}

size_t node_failed_places(struct node_table *t, size_t *from, struct node_place *ret, size_t max, int *ret_some)
{
	size_t at = 0, count = 0;

	*ret_some = 0;
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->inode_buckets; i++) {
		for (struct node *n = t->by_inode[i]; n; n = n->chain) {
			if (!n->failed)
				continue;
			*ret_some = 1;
			for (const struct name *m = n->names; m; m = m->other, at++)
				if (at >= *from && count < max)
					copy_place(m, &ret[count++]);
		}
	}
	*from += count;
	pthread_mutex_unlock(&t->lock);
	return count;
}

/* ---- Expiry of pages ---- */

size_t node_take_expired(struct node_table *t, size_t *bucket, uint32_t due, uint64_t *ids, size_t max, uint32_t *next)
{
	size_t count = 0;

	pthread_mutex_lock(&t->lock);
	for (; *bucket < t->inode_buckets; (*bucket)++) {
		for (struct node *n = t->by_inode[*bucket]; n; n = n->chain) {
			uint32_t until = n->pages_until;
			if (until == 0)
				continue;
			if (until > due) {
				*next = until < *next ? until : *next;
				continue;
			}
			if (count == max)
				goto out; /* the rest of this bucket comes first next time */
			n->pages_until = 0;
			ids[count++] = (uintptr_t)n;
		}
	}
out:
	pthread_mutex_unlock(&t->lock);
	return count;
}
