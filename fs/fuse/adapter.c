/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "fs/format/file_header.h"
#include "fs/fuse/channel.h"
#include "kms/base/encode.h"
#include "kms/base/random.h"

struct node *adapter_node(struct adapter *a, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? node_root(a->nodes)
				   : (struct node *)(uintptr_t)ino; /* NOLINT: node ids are addresses */
}

void adapter_fail(fuse_req_t req, enum err e)
{
	fuse_reply_err(req, err_to_errno(e));
}

void adapter_done(fuse_req_t req, enum err e)
{
	fuse_reply_err(req, e == ERR_OK ? 0 : err_to_errno(e));
}

enum err adapter_dir(struct adapter *a, fuse_ino_t ino, struct vault_dir **ret)
{
	nodes_share(a->nodes);
	enum err e = handle_dir(a->handles, adapter_node(a, ino), ret);
	nodes_done(a->nodes);
	return e;
}

struct vault_owner adapter_owner(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct vault_owner){.uid = ctx->uid, .gid = ctx->gid, .set = adapter_of(req)->set_owner};
}

void adapter_reachable(struct adapter *a, struct node *n)
{
	/* Exclusively: nobody is to use the descriptor. */
	if (n->handles.pin < 0)
		return;
	nodes_exclude(a->nodes);
	if (node_name(a->nodes, n))
		handle_named(a->handles, n);
	nodes_done(a->nodes);
}

struct node *adapter_enter(struct adapter *a, struct node *parent, const char *name, size_t len, const struct stat *st)
{
	struct node *n = node_enter(a->nodes, parent, name, len, st);

	if (n)
		adapter_reachable(a, n);
	return n;
}

struct fuse_entry_param adapter_entry(const struct adapter *a, const struct node *n, const struct stat *st)
{
	return (struct fuse_entry_param){.ino = (fuse_ino_t)(uintptr_t)n,
		.generation = n->generation,
		.attr = *st,
		.attr_timeout = a->memory,
		.entry_timeout = a->memory};
}

void adapter_check_size(struct adapter *a, struct node *n, struct fuse_entry_param *entry)
{
	struct file_header header;
	struct vault_file *file;

	if (!S_ISREG(entry->attr.st_mode) || (entry->attr.st_size != 0 && !a->doubtful))
		return;
	enum err e = handle_file(a->handles, n, 0, &file);
	if (e == ERR_OK) {
		e = vault_file_header(file, &header);
		if (e == ERR_OK && a->doubtful) {
			e = vault_file_stat(file, &entry->attr);
			/* What recovery cut was told to nobody: the kernel learns the true size. */
			vault_file_shown(file);
		}
		handle_file_done(a->handles, n, 0);
	}
	if (err_is_damage(e) && entry->attr.st_size == 0)
		entry->attr.st_size = 1;
	/* Nor is one remembered that could not be looked at, for want of a key. */
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		entry->attr_timeout = 0;
}

void adapter_probe(struct adapter *a, const char *mount_point)
{
	uint8_t name[(PROBE_NAME_SIZE - 1) / 2];
	char path[4096];

	if (!a->no_open)
		return;
	random_bytes(name, sizeof name);
	encode_hex(name, sizeof name, a->probe_name);
	a->probing = 1;
	snprintf(path, sizeof path, "%s/%s", mount_point, a->probe_name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	a->probing = 0;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct adapter *a = userdata;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_WRITEBACK_CACHE |
			FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA;

	if (a->acl && conn->capable & FUSE_CAP_POSIX_ACL)
		want |= FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;
	else
		a->acl = 0;
	conn->want = want & conn->capable;
	conn->max_write = CHANNEL_MAX_IO;
	conn->max_read = CHANNEL_MAX_IO;
	conn->max_readahead = UINT32_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	a->no_open = (conn->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
	a->no_opendir = (conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
}

/* Not here, and answered ENOSYS by libfuse so that the kernel stops asking: flush, locks, copy_file_range. */
static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.access = op_access,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
};

const struct fuse_lowlevel_ops *adapter_ops(void)
{
	return &ops;
}
