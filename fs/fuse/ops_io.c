/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/adapter.h"

#include <errno.h>
#include <fcntl.h>
#include "fs/fuse/channel.h"

/* ENOSYS tells the kernel to keep no handle: one request less to open a file, one less to close it. */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (adapter_of(req)->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/*
 * The kernel fills what a read leaves out with zeros, up to the size that it was told: that of the lower length, which
 * nothing vouches for. Where the file is shorter, those zeros would pass for its content. @end: where the data ended.
 */
static enum err check_shown(struct node *n, struct vault_file *file, uint64_t end)
{
	uint64_t shown = vault_file_shown(file);

	if (shown)
		n->shown = shown;
	if (end >= n->shown)
		return ERR_OK;
	return err_fail(ERR_TAMPERED, "the file is shorter than its length in the vault said");
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	size_t len = size > CHANNEL_MAX_IO ? CHANNEL_MAX_IO : size;
	char *buf = channel_buffer();
	struct vault_file *file;

	(void)fi;
	enum err e = handle_file(a->handles, n, 0, &file);
	if (e == ERR_OK) {
		e = vault_file_read(file, (uint64_t)off, len, buf, &len);
		if (e == ERR_OK && len < size)
			e = check_shown(n, file, (uint64_t)off + len);
		page_expiry_note(a->expiry, n, file);
		handle_file_done(a->handles, n, 0);
	}
	if (e != ERR_OK) {
		adapter_fail(req, e);
		return;
	}
	a->counters.bytes_read += len;
	fuse_reply_buf(req, buf, len);
}

/*
 * A direct write to a file opened with O_SYNC or O_DSYNC. The kernel follows up with an FSYNC unless the write is asynchronous (libaio,
 * io_uring), and then this reply is all that its completion waits for. What is buffered always gets the FSYNC.
 */
static enum err make_durable(const struct node *n, struct vault_file *file, const struct fuse_file_info *fi)
{
	if (fi->writepage || !(fi->flags & O_DSYNC))
		return ERR_OK;
	TRY(failures_check(n));
	return vault_file_sync(file, (fi->flags & O_SYNC) != O_SYNC);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	struct vault_file *file;

	enum err e = handle_file(a->handles, n, 1, &file);
	if (e == ERR_OK) {
		if (channel_kills_privileges())
			e = adapter_kill_privileges(req, n, file);
		vault_file_hold_mtime(file);
		if (e == ERR_OK)
			e = vault_file_write(file, (uint64_t)off, buf, size);
		if (e == ERR_OK)
			e = make_durable(n, file, fi);
		page_expiry_note(a->expiry, n, file);
		handle_file_done(a->handles, n, e == ERR_OK);
	}
	if (e != ERR_OK) {
		if (e != ERR_SYSTEM)
			page_expiry_note_refused(a->expiry, n);
		/* The kernel drops what it could not write behind; and an fsync was part of the others. */
		if (fi->writepage || (fi->flags & O_DSYNC))
			failures_note(a->failures, n, e);
		adapter_fail(req, e);
		return;
	}
	a->counters.bytes_written += size;
	fuse_reply_write(req, size);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	struct vault_file *file;

	(void)fi;
	enum err e = failures_check(n);
	if (e == ERR_OK)
		e = handle_file(a->handles, n, 0, &file);
	if (e == ERR_OK) {
		e = vault_file_sync(file, data_only);
		handle_file_done(a->handles, n, 0);
	}
	/* What the KMS refused was not tried below, and can be made good. */
	if (e == ERR_SYSTEM)
		failures_note(a->failures, n, e);
	adapter_done(req, e);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);
	struct node *n = adapter_node(a, ino);
	struct vault_file *file;

	(void)fi;
	enum err e = handle_file(a->handles, n, 1, &file);
	if (e == ERR_OK) {
		vault_file_hold_mtime(file);
		e = vault_file_allocate(file, mode, (uint64_t)off, (uint64_t)len);
		handle_file_done(a->handles, n, 0);
	}
	adapter_done(req, e);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct adapter *a = adapter_of(req);

	(void)fi;
	seeker_reply(a->seeker, req, adapter_node(a, ino), (uint64_t)off, whence);
}
