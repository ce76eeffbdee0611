/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <errno.h>
#include <string.h>
#include "fs/fuse/channel.h"

/* Where something is to be made. */
struct place {
	struct node *parent;
	struct vault_dir *dir;
	struct vault_object o;
};

static enum err place_get(fuse_req_t req, fuse_ino_t parent, const char *name, struct place *ret)
{
	struct adapter *a = adapter_of(req);

	ret->parent = adapter_node(a, parent);
	ret->dir = NULL;
	TRY(adapter_dir(a, parent, &ret->dir));
	ret->o = (struct vault_object){.dir = ret->dir, .name = name, .len = strlen(name), .pin = -1};
	nodes_make(a->nodes);
	return ERR_OK;
}

/* Its node is known by now, or it is not there. */
static void place_done(struct adapter *a, struct place *p)
{
	if (!p->dir)
		return;
	nodes_made(a->nodes);
	vault_dir_release(p->dir);
}

/* Anything but a regular file. */
static void reply_made(fuse_req_t req, struct place *p, const struct stat *st, enum err e)
{
	struct adapter *a = adapter_of(req);
	struct node *n = e == ERR_OK ? node_enter_made(a->nodes, p->parent, p->o.name, p->o.len, st) : NULL;

	place_done(a, p);
	if (e == ERR_OK && !n)
		e = err_fail(ERR_NO_MEMORY, "out of memory");
	if (e != ERR_OK) {
		adapter_fail(req, e);
		return;
	}
	struct fuse_entry_param entry = adapter_entry(a, n, st);
	fuse_reply_entry(req, &entry);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct place p;
	struct stat st = {.st_mode = 0};

	enum err e = place_get(req, parent, name, &p);
	if (e == ERR_OK)
		e = vault_mkdir(p.o, adapter_masked(req, p.parent, p.dir, mode), adapter_owner(req), &st);
	reply_made(req, &p, &st, e);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct place p;
	struct stat st = {.st_mode = 0};

	enum err e = place_get(req, parent, name, &p);
	if (e == ERR_OK)
		e = vault_symlink(p.o, target, adapter_owner(req), &st);
	reply_made(req, &p, &st, e);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct adapter *a = adapter_of(req);
	struct handle_object from;
	struct place p;
	struct stat st = {.st_mode = 0};

	enum err e = place_get(req, parent, name, &p);
	if (e == ERR_OK) {
		nodes_share(a->nodes);
		e = handle_object(a->handles, adapter_node(a, ino), &from);
		if (e == ERR_OK) {
			e = vault_link(from.o, p.o, &st);
			handle_object_done(&from);
		}
		nodes_done(a->nodes);
	}
	if (e == ERR_OK)
		adapter_reply_entry(req, p.parent, name, &st);
	else
		adapter_fail(req, e);
	place_done(a, &p);
}

/* ---- Regular files ---- */

/* The node of a new file. One without a name lives by its pin. */
static enum err enter_file(struct adapter *a, const struct place *p, struct vault_file *file, const struct stat *st,
	struct node **ret_node, int *ret_pin)
{
	struct node *n;
	int pin = -1;

	if (!p->o.name)
		TRY(vault_file_pin(file, &pin));
	n = node_enter_made(a->nodes, p->parent, p->o.name, p->o.len, st);
	if (!n) {
		if (pin >= 0)
			vault_unpin(a->vault, pin);
		return err_fail(ERR_NO_MEMORY, "out of memory");
	}
	*ret_node = n;
	*ret_pin = pin;
	return ERR_OK;
}

static enum err create_file(
	fuse_req_t req, const struct place *p, mode_t mode, struct node **ret_node, struct stat *ret_st)
{
	struct adapter *a = adapter_of(req);
	struct vault_file *file;
	struct node *n;
	int pin;

	TRY(vault_file_create(p->o, adapter_masked(req, p->parent, p->dir, mode), adapter_owner(req), &file, ret_st));
	enum err e = enter_file(a, p, file, ret_st, &n, &pin);
	if (e != ERR_OK) {
		vault_file_close(file);
		return e;
	}
	node_absence_note(&n->caps, 0);
	page_expiry_note(a->expiry, n, file);
	handle_file_adopt(a->handles, n, file, pin);
	a->counters.created++;
	*ret_node = n;
	return ERR_OK;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct place p;
	struct node *n;
	struct stat st = {.st_mode = 0};

	enum err e = place_get(req, parent, name, &p);
	if (e == ERR_OK) {
		if (channel_creates_unnamed())
			p.o = (struct vault_object){.dir = p.dir, .pin = -1};
		e = create_file(req, &p, mode, &n, &st);
	}
	place_done(adapter_of(req), &p);
	if (e != ERR_OK) {
		adapter_fail(req, e);
		return;
	}
	struct fuse_entry_param entry = adapter_entry(adapter_of(req), n, &st);
	fi->keep_cache = 1;
	fuse_reply_create(req, &entry, fi);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct place p;
	struct node *n = NULL;
	struct stat st = {.st_mode = 0};

	enum err e = place_get(req, parent, name, &p);
	if (e == ERR_OK) {
		if (S_ISREG(mode))
			e = create_file(req, &p, mode, &n, &st);
		else
			e = vault_mknod(p.o, adapter_masked(req, p.parent, p.dir, mode), dev, adapter_owner(req), &st);
	}
	if (e == ERR_OK && n) {
		place_done(adapter_of(req), &p);
		struct fuse_entry_param entry = adapter_entry(adapter_of(req), n, &st);
		fuse_reply_entry(req, &entry);
		return;
	}
	reply_made(req, &p, &st, e);
}
