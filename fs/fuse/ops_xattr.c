/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <errno.h>
#include <string.h>
#include "fs/fuse/channel.h"

#define ACL_PREFIX  "system.posix_acl_"
#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define CAPABILITY  "security.capability"
#define TRUSTED     "trusted."

/* The call on the vault that each operation makes. */
struct xattr_call {
	const char *name;
	void *out;
	const void *in;
	size_t size;
	int flags;
	size_t len;
};
typedef enum err xattr_fn(struct vault_object o, struct xattr_call *call);

static enum err get(struct vault_object o, struct xattr_call *c)
{
	return vault_getxattr(o, c->name, c->out, c->size, &c->len);
}

static enum err set(struct vault_object o, struct xattr_call *c)
{
	return vault_setxattr(o, c->name, c->in, c->size, c->flags);
}

static enum err list(struct vault_object o, struct xattr_call *c)
{
	return vault_listxattr(o, c->out, c->size, &c->len);
}

static enum err removes(struct vault_object o, struct xattr_call *c)
{
	return vault_removexattr(o, c->name);
}

static enum err call_on_node(struct adapter *a, struct node *n, xattr_fn *fn, struct xattr_call *call)
{
	struct handle_object o;

	nodes_share(a->nodes);
	enum err e = handle_object(a->handles, n, &o);
	if (e == ERR_OK) {
		e = fn(o.o, call);
		handle_object_done(&o);
	}
	nodes_done(a->nodes);
	return e;
}

/*
 * EOPNOTSUPP, so that tools ask once and not for every file: for ACLs where the mount has them off, and for SELinux labels,
 * which the kernel takes from the mount and never from a file on FUSE.
 */
static int refused(struct adapter *a, const char *name)
{
	return (!a->acl && !strncmp(name, ACL_PREFIX, strlen(ACL_PREFIX))) || !strcmp(name, "security.selinux");
}

static void reply_sized(fuse_req_t req, size_t size, const struct xattr_call *call, enum err e)
{
	if (e != ERR_OK)
		adapter_fail(req, e);
	else if (size == 0)
		fuse_reply_xattr(req, call->len);
	else
		fuse_reply_buf(req, call->out, call->len);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	int capability = !strcmp(name, CAPABILITY);
	struct xattr_call call = {
		.name = name, .out = channel_buffer(), .size = size > CHANNEL_MAX_IO ? CHANNEL_MAX_IO : size};

	/* The kernel asks before the first write to every file. */
	if (capability && node_absence_known(&n->caps)) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	if (refused(a, name)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	uint16_t asked = node_absence_ask(&n->caps);
	enum err e = call_on_node(a, n, get, &call);
	if (capability && e == ERR_SYSTEM && err_errno() == ENODATA)
		node_absence_note(&n->caps, asked);
	reply_sized(req, size, &call, e);
}

/* As chmod does when its caller is not in the group. */
static enum err set_without_group_id(struct vault_object o, struct xattr_call *c)
{
	struct vault_attr attr = {.set = VAULT_SET_MODE};
	struct stat st;

	TRY(set(o, c));
	TRY(vault_stat(o, &st));
	if (!(st.st_mode & S_ISGID))
		return ERR_OK;
	attr.mode = st.st_mode & 07777 & ~S_ISGID;
	return vault_setattr(o, NULL, &attr, &st);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	struct xattr_call call = {.name = name, .in = value, .size = size, .flags = flags};

	if (refused(a, name)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	int kill = channel_kills_privileges() && !strcmp(name, ACL_ACCESS);
	enum err e = call_on_node(a, n, kill ? set_without_group_id : set, &call);
	if (!strcmp(name, CAPABILITY))
		node_absence_end(&n->caps);
	if (!strcmp(name, ACL_DEFAULT))
		node_absence_end(&n->inherited_acl);
	adapter_done(req, e);
}

/* Only the administrator sees that there are "trusted." ones; the kernel asks for the capability only to read them. */
static int hidden(fuse_req_t req, const char *name)
{
	return refused(adapter_of(req), name) ||
	       (fuse_req_ctx(req)->uid != 0 && !strncmp(name, TRUSTED, strlen(TRUSTED)));
}

static size_t without_hidden(fuse_req_t req, char *names, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0, n; at < len; at += n) {
		n = strlen(names + at) + 1;
		if (hidden(req, names + at))
			continue;
		memmove(names + kept, names + at, n);
		kept += n;
	}
	return kept;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct adapter *a = adapter_of(req);
	struct xattr_call call = {.out = channel_buffer(), .size = CHANNEL_MAX_IO};

	enum err e = call_on_node(a, adapter_node(a, ino), list, &call);
	if (e == ERR_OK)
		call.len = without_hidden(req, call.out, call.len);
	if (e == ERR_OK && size > 0 && call.len > size)
		fuse_reply_err(req, ERANGE);
	else
		reply_sized(req, size, &call, e);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct adapter *a = adapter_of(req);
	struct xattr_call call = {.name = name};

	if (refused(a, name))
		fuse_reply_err(req, EOPNOTSUPP);
	else
		adapter_done(req, call_on_node(a, adapter_node(a, ino), removes, &call));
}

mode_t adapter_masked(fuse_req_t req, struct node *parent, struct vault_dir *dir, mode_t mode)
{
	size_t len;

	/* Without ACLs the kernel has applied the umask. */
	if (!adapter_of(req)->acl)
		return mode;
	if (!node_absence_known(&parent->inherited_acl)) {
		uint16_t asked = node_absence_ask(&parent->inherited_acl);
		enum err e = vault_getxattr((struct vault_object){.dir = dir, .pin = -1}, ACL_DEFAULT, NULL, 0, &len);
		if (e == ERR_OK)
			return mode;
		if (e == ERR_SYSTEM && (err_errno() == ENODATA || err_errno() == EOPNOTSUPP))
			node_absence_note(&parent->inherited_acl, asked);
	}
	return mode & ~fuse_req_ctx(req)->umask;
}
