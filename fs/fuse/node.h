/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_NODE_H
#define SIGNETFS_FUSE_NODE_H

/*
 * The node table: what the kernel knows of the tree. One node per lower inode that the kernel holds a reference to, its
 * address is the FUSE node id; beside it every name under which the kernel met it.
 *
 * Invariants (node_table_check() asserts 1 to 6; the tests call it between operations):
 *  1. A node is in the table while the kernel has it (lookups > 0), while a name of another node hangs below it
 *     (children > 0), or when it is the root; no longer.
 *  2. At most one node per (dev, ino), and at most one name per (parent, spelling).
 *  3. Every name's node and parent are in the table; parent->children counts the names below it.
 *  4. A directory has at most one name. The root has none.
 *  5. A node other than the root has a name or is `unnamed`: its last known name went away while the kernel held it, or it never had one.
 *  6. A node has no more names than were told to the kernel and not taken back: every kernel dentry of a linked file is here.
 *  7. Every node's inode is alive: it has a name in the lower tree, or the open handles that fs/fuse/handles.h keeps for unnamed nodes
 *     hold it. So the lower tree cannot give its number to another file under us. Who removes files of the vault while it is mounted
 *     breaks this; see node_enter_made().
 *
 * Threads: the table has two locks. The *names lock* (nodes_share(), nodes_exclude()) freezes names: whoever uses a node's name
 * in a call on the vault holds it shared, whoever changes or removes names in the lower tree holds it exclusively around the call and
 * the change here. The inner lock guards the structures themselves and is never held while something blocks. Order: names lock,
 * then handles' lock, then the inner lock.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "fs/vault/vault.h"

struct node;
struct listing;

/** One name of a node, as the kernel knows it. */
struct name {
	struct name *chain; /* next in the hash bucket */
	struct name *other; /* next name of the same node */
	struct node *parent;
	struct node *node;
	uint8_t len;
	char text[]; /* no NUL */
};

/*
 * That a node lacks an attribute, when that is known: the lowest bit. The others count changes, so that who asked before one does not note
 * after it what was so no more. (Not for 32,768 changes while one asks.)
 */
typedef _Atomic uint16_t node_absence;

static inline int node_absence_known(const node_absence *a)
{
	return *a & 1;
}

/** Before asking the lower tree; the result is for node_absence_note(). */
static inline uint16_t node_absence_ask(const node_absence *a)
{
	return *a;
}

/** The answer was that there is none. */
static inline void node_absence_note(node_absence *a, uint16_t asked)
{
	atomic_compare_exchange_strong(a, &asked, (uint16_t)(asked | 1));
}

/** It was set, or perhaps: after the call, before the reply. */
static inline void node_absence_end(node_absence *a)
{
	uint16_t now = *a;

	while (!atomic_compare_exchange_weak(a, &now, (uint16_t)((now + 2) & ~1u)))
		continue;
}

enum handle_state { HANDLE_NONE, HANDLE_OPENING, HANDLE_OPEN, HANDLE_CLOSING };

/** What is open for a node. Owned by fs/fuse/handles.c and guarded by its lock; all zero but pin when nothing is. */
struct handles {
	struct node *newer, *older; /* least-recently-used list; both NULL when not in it */
	union {
		struct vault_dir *dir;   /* a directory's */
		struct vault_file *file; /* a regular file's */
	};
	struct listing *listing; /* a directory's: where the last readdir stopped */
	_Atomic int pin;         /* an unnamed node's O_PATH descriptor, or -1 */
	uint16_t users;          /* of file: no eviction while > 0 */
	uint8_t state;           /* of file: enum handle_state */
	uint8_t fresh : 1;       /* file created here and not written yet: its header is still to come */
	uint8_t listed : 1;      /* in the least-recently-used list */
	uint8_t second : 1;      /* fresh for more than one tick of the flusher */
};

struct node {
	struct node *chain; /* next in the hash bucket */
	struct name *names;
	uint64_t ino;
	uint64_t lookups;       /* what the kernel will give back with FORGET */
	_Atomic uint64_t shown; /* the kernel was told this size, and the file turned out shorter; 0: not so */
	struct handles handles;
	uint32_t dev; /* Linux's device numbers have 32 bits */
	uint32_t children;
	uint32_t generation;          /* tells it from nodes that were at this address before: file handles hold both */
	_Atomic uint32_t pages_until; /* page_expiry.h: the kernel may hold data until then (s); 0: holds none */
	uint16_t type;                /* S_IFMT part of the mode */
	_Atomic uint16_t failed;      /* failures.h: the errno with which its data was lost; 0: not so */
	node_absence caps;            /* no security.capability attribute */
	node_absence inherited_acl;   /* a directory: no default ACL */
};
_Static_assert(sizeof(struct node) <= 104, "there may be a million of them");

struct node_table;

/** @root is the vault's top. NULL when memory is out. */
struct node_table *node_table_new(const struct stat *root);
/** @dispose is called for every node, in no order, before it is freed. */
void node_table_free(struct node_table *t, void (*dispose)(void *context, struct node *n), void *context);

struct node *node_root(struct node_table *t);
size_t node_count(struct node_table *t);

/*
 * The making lock, taken before the names lock. Shared while something is made and its node is not known yet. The kernel looks for
 * nothing in a directory meanwhile; whoever else does, excludes makers, or takes a file without a header for one that was damaged,
 * and gives it a second node.
 */
void nodes_make(struct node_table *t);
void nodes_exclude_makers(struct node_table *t);
/** Release it. */
void nodes_made(struct node_table *t);

/* The names lock. */
void nodes_share(struct node_table *t);
void nodes_exclude(struct node_table *t);
void nodes_done(struct node_table *t);

/**
 * The kernel is about to be told that @parent/@text is the inode @st: find its node or make one, note the name, count one lookup.
 * One that was of another type, or a directory under another name, is a new node, as in node_enter_made(). NULL when memory is out.
 */
struct node *node_enter(struct node_table *t, struct node *parent, const char *text, size_t len, const struct stat *st);

/** One lookup more of a node that is in the table; give it back with node_forget(). With the names lock held. */
void node_hold(struct node_table *t, struct node *n);

/**
 * The same for an inode that was just made; @text NULL: without a name (O_TMPFILE). Always a new node: one that has its number is that of an
 * inode which somebody removed behind the mount, and what the kernel has of it must not pass for the new one. It
 * gives the number up, and is found by its names only.
 */
struct node *node_enter_made(
	struct node_table *t, struct node *parent, const char *text, size_t len, const struct stat *st);

/**
 * The kernel gives @count lookups back. Nodes that nothing needs any longer leave the table (the node, and parents that only it
 * kept); they are returned as a list chained by `chain`: dispose of their handles, then node_free() each.
 */
struct node *node_forget(struct node_table *t, struct node *n, uint64_t count);
void node_free(struct node_table *t, struct node *n);

/** The node known as @parent/@text, or NULL. With the names lock held. */
struct node *node_find(struct node_table *t, const struct node *parent, const char *text, size_t len);

/** A name of the node, NULL when it has none. With the names lock held, and valid as long. */
const struct name *node_name(struct node_table *t, const struct node *n);

/** True when @n has exactly one known name: removing that leaves the node unnamed. With the names lock held. */
int node_is_last_name(struct node_table *t, const struct node *n);

/**
 * The name is gone from the lower tree. Returns nodes to dispose of, as node_forget() (parents kept only by the name). With the names lock
 * held exclusively.
 */
struct node *node_unname(struct node_table *t, struct node *parent, const char *text, size_t len);

/**
 * The lower tree renamed from/text to to/text; the target's former node is unnamed by the same call. Returns nodes to
 * dispose of. ERR_NO_MEMORY is impossible to undo, so the caller reserves first: node_rename_reserve().
 * With the names lock held exclusively.
 */
struct name *node_rename_reserve(struct node_table *t, const char *text, size_t len);
void node_rename_drop(struct node_table *t, struct name *reserved);
struct node *node_rename(struct node_table *t, struct node *from, const char *from_text, size_t from_len,
	struct node *to, struct name *reserved);

/** The lower tree exchanged the two. With the names lock held exclusively. */
void node_exchange(struct node_table *t, struct node *a, const char *a_text, size_t a_len, struct node *b,
	const char *b_text, size_t b_len);

/**
 * Find nodes whose pages_until is at most @due, and clear it. Their ids go to @ids, @max at most; *bucket is where to go on (0 at first)
 * and is behind the end when fewer come back. *next becomes the smallest deadline among the others passed by, if
 * that is smaller.
 */
size_t node_take_expired(struct node_table *t, size_t *bucket, uint32_t due, uint64_t *ids, size_t max, uint32_t *next);

/** A name, copied: valid without any lock. The parent may be gone, and its address another's, by the time it is used. */
struct node_place {
	const struct node *parent;
	size_t len;
	char text[256];
};
/**
 * Names of nodes with `failed` set, @max at most, without the first *from of them, which moves on. *ret_some: there are such
 * nodes anywhere, with names or without.
 */
size_t node_failed_places(struct node_table *t, size_t *from, struct node_place *ret, size_t max, int *ret_some);

/** Assert invariants 1 to 6. Slow: for tests and debugging. */
void node_table_check(struct node_table *t);

#endif
