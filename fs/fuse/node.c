/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/node_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Two entries for each bucket: a million nodes are to fit into 200 MiB, and a longer chain costs less than a cache miss more. */
enum { BUCKETS_MIN = 1024, LOAD = 2 };

/* ---- Hashes: multiply and fold; the inputs are inode numbers, addresses and names, none of which an attacker profits from. ---- */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	h ^= h >> 29;
	return h;
}

static size_t inode_hash(uint64_t dev, uint64_t ino)
{
	return (size_t)mix(ino + mix(dev));
}

static size_t name_hash(const struct node *parent, const char *text, size_t len)
{
	uint64_t h = mix((uint64_t)(uintptr_t)parent);

	for (; len >= 8; text += 8, len -= 8) {
		uint64_t word;
		memcpy(&word, text, 8);
		h = mix(h ^ word);
	}
	uint64_t tail = len;
	memcpy((char *)&tail + 1, text, len);
	return (size_t)mix(h ^ tail);
}

/* ---- Growing. A table that cannot grow only gets slower. ---- */

static void grow_inodes(struct node_table *t)
{
	size_t buckets = t->inode_buckets * 2;
	struct node **table = calloc(buckets, sizeof(struct node *));

	if (!table)
		return;
	for (size_t i = 0; i < t->inode_buckets; i++) {
		for (struct node *n = t->by_inode[i], *next; n; n = next) {
			struct node **slot = &table[inode_hash(n->dev, n->ino) & (buckets - 1)];
			next = n->chain;
			n->chain = *slot;
			*slot = n;
		}
	}
	free(t->by_inode);
	t->by_inode = table;
	t->inode_buckets = buckets;
}

static void grow_names(struct node_table *t)
{
	size_t buckets = t->name_buckets * 2;
	struct name **table = calloc(buckets, sizeof(struct name *));

	if (!table)
		return;
	for (size_t i = 0; i < t->name_buckets; i++) {
		for (struct name *m = t->by_name[i], *next; m; m = next) {
			struct name **slot = &table[name_hash(m->parent, m->text, m->len) & (buckets - 1)];
			next = m->chain;
			m->chain = *slot;
			*slot = m;
		}
	}
	free(t->by_name);
	t->by_name = table;
	t->name_buckets = buckets;
}

/* ---- The two hash tables ---- */

struct node **nodes_inode_slot(struct node_table *t, uint64_t dev, uint64_t ino)
{
	struct node **slot = &t->by_inode[inode_hash(dev, ino) & (t->inode_buckets - 1)];

	while (*slot && ((*slot)->ino != ino || (*slot)->dev != dev))
		slot = &(*slot)->chain;
	return slot;
}

static void chain_node(struct node_table *t, struct node *n)
{
	struct node **slot = &t->by_inode[inode_hash(n->dev, n->ino) & (t->inode_buckets - 1)];

	n->chain = *slot;
	*slot = n;
}

static void insert_node(struct node_table *t, struct node *n)
{
	if (t->nodes >= LOAD * t->inode_buckets)
		grow_inodes(t);
	chain_node(t, n);
	t->nodes++;
	n->generation = t->generation++;
}

struct name **nodes_name_slot(struct node_table *t, const struct node *parent, const char *text, size_t len)
{
	struct name **slot = &t->by_name[name_hash(parent, text, len) & (t->name_buckets - 1)];

	for (; *slot; slot = &(*slot)->chain)
		if ((*slot)->parent == parent && (*slot)->len == len && !memcmp((*slot)->text, text, len))
			break;
	return slot;
}

void nodes_attach_name(struct node_table *t, struct name *m, struct node *parent, struct node *n)
{
	if (t->names >= LOAD * t->name_buckets)
		grow_names(t);
	struct name **slot = &t->by_name[name_hash(parent, m->text, m->len) & (t->name_buckets - 1)];
	m->parent = parent;
	m->node = n;
	m->chain = *slot;
	*slot = m;
	m->other = n->names;
	n->names = m;
	parent->children++;
	t->names++;
}

void nodes_detach_name(struct node_table *t, struct name *m)
{
	struct name **slot = nodes_name_slot(t, m->parent, m->text, m->len);
	struct name **link = &m->node->names;

	assert(*slot == m);
	*slot = m->chain;
	while (*link != m)
		link = &(*link)->other;
	*link = m->other;
	m->parent->children--;
	t->names--;
}

static size_t name_size(size_t len)
{
	_Static_assert(
		offsetof(struct name, text) + 255 <= POOL_LARGEST && sizeof(struct node) <= POOL_LARGEST, "they fit");
	assert(len > 0 && len <= 255);
	return offsetof(struct name, text) + len;
}

struct name *nodes_new_name(struct node_table *t, const char *text, size_t len)
{
	struct name *m = pool_take(&t->pool, name_size(len));

	if (m) {
		m->len = (uint8_t)len;
		memcpy(m->text, text, len);
	}
	return m;
}

void nodes_free_name(struct node_table *t, struct name *m)
{
	pool_give(&t->pool, m, name_size(m->len));
}

static struct node *new_node(struct node_table *t, const struct stat *st)
{
	struct node *n = pool_take(&t->pool, sizeof *n);

	if (n) {
		memset(n, 0, sizeof *n);
		n->dev = (uint32_t)st->st_dev;
		n->ino = st->st_ino;
		n->type = (uint16_t)(st->st_mode & S_IFMT);
		n->handles.pin = -1;
	}
	return n;
}

/* ---- The table ---- */

static void init_locks(struct node_table *t)
{
	pthread_rwlockattr_t attr;

	/* Writers first: a stream of lookups must not keep an unlink waiting. Nobody shares one of the locks twice. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&t->making, &attr);
	pthread_rwlock_init(&t->names_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&t->lock, NULL);
}

struct node_table *node_table_new(const struct stat *root)
{
	struct node_table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->inode_buckets = t->name_buckets = BUCKETS_MIN;
	t->by_inode = calloc(BUCKETS_MIN, sizeof(struct node *));
	t->by_name = calloc(BUCKETS_MIN, sizeof(struct name *));
	t->root = new_node(t, root);
	if (!t->by_inode || !t->by_name || !t->root) {
		free(t->by_inode);
		free(t->by_name);
		pool_give(&t->pool, t->root, sizeof *t->root);
		pool_end(&t->pool);
		free(t);
		return NULL;
	}
	init_locks(t);
	insert_node(t, t->root);
	return t;
}

void node_table_free(struct node_table *t, void (*dispose)(void *context, struct node *n), void *context)
{
	for (size_t i = 0; i < t->inode_buckets; i++)
		for (struct node *n = t->by_inode[i]; n; n = n->chain)
			dispose(context, n);
	for (size_t i = 0; i < t->inode_buckets; i++) {
		for (struct node *n = t->by_inode[i], *next; n; n = next) {
			next = n->chain;
			for (struct name *m = n->names, *other; m; m = other) {
				other = m->other;
				nodes_free_name(t, m);
			}
			pool_give(&t->pool, n, sizeof *n);
		}
	}
	free(t->by_inode);
	free(t->by_name);
	pool_end(&t->pool);
	pthread_rwlock_destroy(&t->making);
	pthread_rwlock_destroy(&t->names_lock);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct node *node_root(struct node_table *t)
{
	return t->root;
}

size_t node_count(struct node_table *t)
{
	pthread_mutex_lock(&t->lock);
	size_t n = t->nodes;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void nodes_make(struct node_table *t)
{
	pthread_rwlock_rdlock(&t->making);
}

void nodes_exclude_makers(struct node_table *t)
{
	pthread_rwlock_wrlock(&t->making);
}

void nodes_made(struct node_table *t)
{
	pthread_rwlock_unlock(&t->making);
}

void nodes_share(struct node_table *t)
{
	pthread_rwlock_rdlock(&t->names_lock);
}

void nodes_exclude(struct node_table *t)
{
	pthread_rwlock_wrlock(&t->names_lock);
}

void nodes_done(struct node_table *t)
{
	pthread_rwlock_unlock(&t->names_lock);
}

/* ---- Coming and going ---- */

void nodes_move_name(struct node_table *t, struct name *m, struct node *to)
{
	struct node *parent = m->parent;

	nodes_detach_name(t, m);
	nodes_attach_name(t, m, parent, to);
}

/* Note that parent/text is @n. False when memory is out. */
static int note_name(struct node_table *t, struct node *parent, const char *text, size_t len, struct node *n)
{
	struct name *m = *nodes_name_slot(t, parent, text, len);

	if (m && m->node == n)
		return 1;
	if (m) {
		/* Somebody changed the lower tree behind the mount: the name is another file's now. */
		nodes_move_name(t, m, n);
		return 1;
	}
	m = nodes_new_name(t, text, len);
	if (!m)
		return 0;
	nodes_attach_name(t, m, parent, n);
	return 1;
}

static struct node *enter_new(
	struct node_table *t, struct node *parent, const char *text, size_t len, const struct stat *st)
{
	struct node *n = new_node(t, st);

	if (!n || (text && !note_name(t, parent, text, len, n))) {
		pool_give(&t->pool, n, sizeof *n);
		return NULL;
	}
	n->lookups = 1;
	insert_node(t, n);
	return n;
}

/* Under a number that no file has, so that nothing but its address and its names leads to it. */
static void retire(struct node_table *t, struct node **slot)
{
	struct node *n = *slot;

	*slot = n->chain;
	n->dev = 0;
	n->ino = t->retired++;
	chain_node(t, n);
}

/*
 * Only a change of the lower tree behind the mount makes that so: the number is another kind of file's, or a directory is met under a
 * second name. Taken for the same directory it could become its own ancestor, and who climbs to the top would never arrive.
 */
static int contradicts(struct node_table *t, const struct node *n, const struct node *parent, const char *text,
	size_t len, const struct stat *st)
{
	if (n->type != (st->st_mode & S_IFMT))
		return 1;
	if (!S_ISDIR(n->type))
		return 0;
	const struct name *m = *nodes_name_slot(t, parent, text, len);
	return !m || m->node != n;
}

static struct node *enter_locked(
	struct node_table *t, struct node *parent, const char *text, size_t len, const struct stat *st)
{
	struct node **slot = nodes_inode_slot(t, (uint32_t)st->st_dev, st->st_ino);
	struct node *n = *slot;

	if (n && contradicts(t, n, parent, text, len, st)) {
		retire(t, slot);
		n = NULL;
	}
	if (!n)
		return enter_new(t, parent, text, len, st);
	if (!note_name(t, parent, text, len, n))
		return NULL;
	n->lookups++;
	return n;
}

struct node *node_enter(struct node_table *t, struct node *parent, const char *text, size_t len, const struct stat *st)
{
	pthread_mutex_lock(&t->lock);
	struct node *n = enter_locked(t, parent, text, len, st);
	pthread_mutex_unlock(&t->lock);
	return n;
}

void node_hold(struct node_table *t, struct node *n)
{
	pthread_mutex_lock(&t->lock);
	n->lookups++;
	pthread_mutex_unlock(&t->lock);
}

struct node *node_enter_made(
	struct node_table *t, struct node *parent, const char *text, size_t len, const struct stat *st)
{
	pthread_mutex_lock(&t->lock);
	struct node **slot = nodes_inode_slot(t, (uint32_t)st->st_dev, st->st_ino);
	if (*slot)
		retire(t, slot);
	struct node *n = enter_new(t, parent, text, len, st);
	pthread_mutex_unlock(&t->lock);
	return n;
}

struct node *nodes_drop_unneeded(struct node_table *t, struct node *n, struct node *gone)
{
	while (n && n != t->root && n->lookups == 0 && n->children == 0) {
		struct node **slot = nodes_inode_slot(t, n->dev, n->ino);
		struct node *parent = NULL;

		assert(*slot == n);
		*slot = n->chain;
		t->nodes--;
		while (n->names) {
			struct name *m = n->names;

			/* A file's other parents are rare: finish them first, walk up from the last. */
			if (parent)
				gone = nodes_drop_unneeded(t, parent, gone);
			parent = m->parent;
			nodes_detach_name(t, m);
			nodes_free_name(t, m);
		}
		n->chain = gone;
		gone = n;
		n = parent;
	}
	return gone;
}

struct node *node_forget(struct node_table *t, struct node *n, uint64_t count)
{
	pthread_mutex_lock(&t->lock);
	assert(n->lookups >= count || n == t->root);
	n->lookups -= count <= n->lookups ? count : n->lookups;
	struct node *gone = nodes_drop_unneeded(t, n, NULL);
	pthread_mutex_unlock(&t->lock);
	return gone;
}

void node_free(struct node_table *t, struct node *n)
{
	assert(!n->names && n->handles.pin < 0 && !n->handles.dir && !n->handles.listing);
	pthread_mutex_lock(&t->lock);
	pool_give(&t->pool, n, sizeof *n);
	pthread_mutex_unlock(&t->lock);
}
