/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <errno.h>
#include <string.h>

static struct vault_object entry_of(struct vault_dir *dir, const char *name)
{
	return (struct vault_object){.dir = dir, .name = name, .len = strlen(name), .pin = -1};
}

static void reply_node(fuse_req_t req, struct node *n, const struct stat *st)
{
	struct adapter *a = adapter_of(req);
	struct fuse_entry_param entry = adapter_entry(a, n, st);

	adapter_check_size(a, n, &entry);
	fuse_reply_entry(req, &entry);
}

void adapter_reply_entry(fuse_req_t req, struct node *parent, const char *name, const struct stat *st)
{
	struct node *n = adapter_enter(adapter_of(req), parent, name, strlen(name), st);

	if (n)
		reply_node(req, n, st);
	else
		fuse_reply_err(req, ENOMEM);
}

/* True when it was the probe and is answered: an empty file that the kernel does not remember. */
static int answer_probe(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct adapter *a = adapter_of(req);
	struct fuse_entry_param entry = {.ino = (fuse_ino_t)(uintptr_t)&a->probe_node,
		.attr = {.st_mode = S_IFREG | 0444, .st_nlink = 1},
		.attr_timeout = a->memory};

	if (!a->probing || parent != FUSE_ROOT_ID || strcmp(name, a->probe_name) != 0)
		return 0;
	fuse_reply_entry(req, &entry);
	return 1;
}

/*
 * Without a change of names between looking and noting: when the time is over that it may remember a name, the kernel asks anew without a lock on
 * the directory, so that the name may go meanwhile. A node would keep it, and be asked for by it in vain.
 */
static enum err look_up(
	struct adapter *a, struct node *parent, const char *name, struct stat *ret_st, struct node **ret_node)
{
	struct vault_dir *dir;

	TRY(handle_dir(a->handles, parent, &dir));
	enum err e = vault_stat(entry_of(dir, name), ret_st);
	vault_dir_release(dir);
	TRY(e);
	*ret_node = node_enter(a->nodes, parent, name, strlen(name), ret_st);
	return *ret_node ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct adapter *a = adapter_of(req);
	const struct fuse_entry_param absent = {.entry_timeout = a->memory};
	struct node *n;
	struct stat st;

	if (answer_probe(req, parent, name))
		return;
	nodes_share(a->nodes);
	enum err e = look_up(a, adapter_node(a, parent), name, &st, &n);
	nodes_done(a->nodes);
	if (e == ERR_OK) {
		adapter_reachable(a, n);
		reply_node(req, n, &st);
	} else if (err_to_errno(e) == ENOENT) {
		fuse_reply_entry(req, &absent);
	} else {
		adapter_fail(req, e);
	}
}

static void forget(struct adapter *a, fuse_ino_t ino, uint64_t count)
{
	if (ino != FUSE_ROOT_ID && adapter_node(a, ino) != &a->probe_node)
		handle_dispose_list(a->handles, node_forget(a->nodes, adapter_node(a, ino), count));
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(adapter_of(req), ino, count);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(adapter_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/*
 * Remove a name. What the kernel still holds under no other name is kept reachable first, so that its inode outlives the
 * name (invariant 7 of the node table).
 */
static enum err remove_name(struct adapter *a, struct node *parent, struct vault_object o, int directory)
{
	struct node *gone = NULL;
	enum err e = ERR_OK;

	nodes_exclude(a->nodes);
	struct node *n = node_find(a->nodes, parent, o.name, o.len);
	int keep = n && node_is_last_name(a->nodes, n);
	if (keep)
		e = handle_keep(a->handles, n);
	if (e == ERR_OK) {
		e = directory ? vault_rmdir(o) : vault_unlink(o);
		if (e == ERR_OK)
			gone = node_unname(a->nodes, parent, o.name, o.len);
		else if (keep)
			handle_unkeep(a->handles, n);
	}
	nodes_done(a->nodes);
	handle_dispose_list(a->handles, gone);
	return e;
}

static void remove_entry(fuse_req_t req, fuse_ino_t parent, const char *name, int directory)
{
	struct adapter *a = adapter_of(req);
	struct vault_dir *dir;

	enum err e = adapter_dir(a, parent, &dir);
	if (e == ERR_OK) {
		e = remove_name(a, adapter_node(a, parent), entry_of(dir, name), directory);
		vault_dir_release(dir);
	}
	adapter_done(req, e);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_entry(req, parent, name, 0);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_entry(req, parent, name, 1);
}

/* ---- Rename ---- */

struct renaming {
	struct node *from_parent, *to_parent;
	struct vault_object from, to;
	unsigned flags;
};

/* With the names lock held exclusively. */
static enum err rename_replacing(struct adapter *a, const struct renaming *r, struct node **ret_gone)
{
	struct node *victim = node_find(a->nodes, r->to_parent, r->to.name, r->to.len);
	struct name *reserved = node_rename_reserve(a->nodes, r->to.name, r->to.len);
	int keep = victim && node_is_last_name(a->nodes, victim);

	if (!reserved)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	enum err e = keep ? handle_keep(a->handles, victim) : ERR_OK;
	if (e == ERR_OK) {
		e = vault_rename(r->from, r->to, r->flags);
		if (e != ERR_OK && keep)
			handle_unkeep(a->handles, victim);
	}
	if (e != ERR_OK) {
		node_rename_drop(a->nodes, reserved);
		return e;
	}
	*ret_gone = node_rename(a->nodes, r->from_parent, r->from.name, r->from.len, r->to_parent, reserved);
	return ERR_OK;
}

static enum err rename_names(struct adapter *a, const struct renaming *r)
{
	struct node *gone = NULL;
	enum err e;

	nodes_exclude(a->nodes);
	if (r->flags & RENAME_EXCHANGE) {
		e = vault_rename(r->from, r->to, r->flags);
		if (e == ERR_OK)
			node_exchange(a->nodes, r->from_parent, r->from.name, r->from.len, r->to_parent, r->to.name,
				r->to.len);
	} else {
		e = rename_replacing(a, r, &gone);
	}
	nodes_done(a->nodes);
	handle_dispose_list(a->handles, gone);
	return e;
}

void op_rename(
	fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname, unsigned flags)
{
	struct adapter *a = adapter_of(req);
	struct vault_dir *from = NULL, *to = NULL;

	enum err e = adapter_dir(a, parent, &from);
	if (e == ERR_OK)
		e = adapter_dir(a, newparent, &to);
	if (e == ERR_OK) {
		struct renaming r = {.from_parent = adapter_node(a, parent),
			.to_parent = adapter_node(a, newparent),
			.from = entry_of(from, name),
			.to = entry_of(to, newname),
			.flags = flags};
		e = rename_names(a, &r);
	}
	vault_dir_release(from);
	vault_dir_release(to);
	adapter_done(req, e);
}
