/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <errno.h>
#include <string.h>
#include "fs/fuse/channel.h"

/*
 * Positions. The lower tree's cookies are used as they are; "." and ".." come first, behind positions that no lower file system
 * gives to an entry (they are next to the highest offset, which means the end).
 */
#define POSITION_DOT    (INT64_MAX - 2)
#define POSITION_DOTDOT (INT64_MAX - 1)

struct page {
	fuse_req_t req;
	struct node *node;
	int plus;
	char *buf;
	size_t size, used;
};

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (adapter_of(req)->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/* False when it does not fit. */
static int add_plain(struct page *p, const char *name, ino_t ino, mode_t mode, off_t next)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = ino, .st_mode = mode}};
	size_t room = p->size - p->used;
	size_t need = p->plus ? fuse_add_direntry_plus(p->req, p->buf + p->used, room, name, &entry, next)
			      : fuse_add_direntry(p->req, p->buf + p->used, room, name, &entry.attr, next);

	if (need > room)
		return 0;
	p->used += need;
	return 1;
}

static ino_t parent_ino(struct adapter *a, struct node *n)
{
	nodes_share(a->nodes);
	const struct name *m = node_name(a->nodes, n);
	ino_t ino = m ? m->parent->ino : n->ino;
	nodes_done(a->nodes);
	return ino;
}

/* "." and "..": true when both are behind us. */
static int add_dots(struct page *p, off_t *off)
{
	if (*off == 0) {
		if (!add_plain(p, ".", p->node->ino, S_IFDIR, POSITION_DOT))
			return 0;
		*off = POSITION_DOT;
	}
	if (*off == POSITION_DOT) {
		if (!add_plain(p, "..", parent_ino(adapter_of(p->req), p->node), S_IFDIR, POSITION_DOTDOT))
			return 0;
		*off = POSITION_DOTDOT;
	}
	if (*off == POSITION_DOTDOT)
		*off = 0;
	return 1;
}

/* With attributes: the kernel gets the node as if it had looked the name up. */
static int add_plus(struct page *p, struct vault_list *list, const struct vault_entry *entry)
{
	struct adapter *a = adapter_of(p->req);
	size_t room = p->size - p->used;
	size_t need = fuse_add_direntry_plus(p->req, NULL, 0, entry->name, NULL, 0);
	struct node *n = NULL;
	struct stat st;

	if (need > room)
		return 0;
	if (vault_list_stat(list, &st) == ERR_OK)
		n = adapter_enter(a, p->node, entry->name, entry->len, &st);
	/* One that cannot be looked up now is still listed; who wants it gets the error by its name. */
	if (!n)
		return add_plain(p, entry->name, entry->ino, (mode_t)entry->type << 12, (off_t)entry->next);
	struct fuse_entry_param param = adapter_entry(a, n, &st);
	adapter_check_size(a, n, &param);
	fuse_add_direntry_plus(p->req, p->buf + p->used, room, entry->name, &param, (off_t)entry->next);
	p->used += need;
	return 1;
}

static enum err fill(struct page *p, struct listing *l)
{
	struct vault_entry entry;

	for (;;) {
		TRY(vault_list_next(l->list, &entry));
		int fits = p->plus ? add_plus(p, l->list, &entry)
				   : add_plain(p, entry.name, entry.ino, (mode_t)entry.type << 12, (off_t)entry.next);
		if (!fits) {
			vault_list_unread(l->list);
			return ERR_OK;
		}
		l->at = entry.next;
	}
}

static enum err list_from(struct page *p, struct vault_dir *dir, off_t off)
{
	struct adapter *a = adapter_of(p->req);
	struct listing *l;

	if (!add_dots(p, &off))
		return ERR_OK;
	TRY(handle_listing_take(a->handles, p->node, dir, (uint64_t)off, &l));
	enum err e = fill(p, l);
	/* The kernel asks once more after the last entry: kept until then. */
	if ((e == ERR_OK || e == ERR_CLOSED) && p->used > 0)
		handle_listing_give(a->handles, p->node, l);
	else
		handle_listing_close(a->handles, l);
	return e == ERR_CLOSED || p->used > 0 ? ERR_OK : e;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, int plus)
{
	struct adapter *a = adapter_of(req);
	struct page p = {.req = req,
		.node = adapter_node(a, ino),
		.plus = plus,
		.buf = channel_buffer(),
		.size = size > CHANNEL_MAX_IO ? CHANNEL_MAX_IO : size};
	struct vault_dir *dir;

	enum err e = adapter_dir(a, ino, &dir);
	if (e == ERR_OK) {
		e = list_from(&p, dir, off);
		vault_dir_release(dir);
	} else if (err_to_errno(e) == ENOENT) {
		e = ERR_OK; /* removed while open: empty */
	}
	if (e == ERR_OK)
		fuse_reply_buf(req, p.buf, p.used);
	else
		adapter_fail(req, e);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, 0);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, 1);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	struct vault_dir *dir;

	(void)fi;
	enum err e = adapter_dir(adapter_of(req), ino, &dir);
	if (e == ERR_OK) {
		e = vault_dir_sync(dir, data_only);
		vault_dir_release(dir);
	} else if (err_to_errno(e) == ENOENT) {
		e = ERR_OK; /* removed while open: nothing to make durable */
	}
	adapter_done(req, e);
}
