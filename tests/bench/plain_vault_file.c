/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/plain_vault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Listing ---- */

struct vault_list {
	int fd;
	size_t pos, end;
	size_t last; /* offset of the entry returned last */
	char buf[32768];
};

struct dirent_head {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

enum err vault_list_open(struct vault_dir *d, struct vault_list **ret)
{
	struct vault_list *l = malloc(sizeof *l);

	if (!l)
		return ERR_NO_MEMORY;
	l->fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->fd < 0) {
		free(l);
		return plain_failed("open directory");
	}
	l->pos = l->end = l->last = 0;
	*ret = l;
	return ERR_OK;
}

void vault_list_close(struct vault_list *l)
{
	close(l->fd);
	free(l);
}

enum err vault_list_next(struct vault_list *l, struct vault_entry *ret)
{
	for (;;) {
		if (l->pos == l->end) {
			ssize_t n = getdents64(l->fd, l->buf, sizeof l->buf);
			if (n < 0)
				return plain_failed("getdents");
			if (n == 0)
				return ERR_CLOSED;
			l->pos = 0;
			l->end = (size_t)n;
		}
		const struct dirent_head *h = (const struct dirent_head *)(const void *)(l->buf + l->pos);
		l->last = l->pos;
		l->pos += h->reclen;
		if (!strcmp(h->name, ".") || !strcmp(h->name, ".."))
			continue;
		ret->len = strlen(h->name);
		memcpy(ret->name, h->name, ret->len + 1);
		ret->ino = h->ino;
		ret->type = h->type;
		ret->next = (uint64_t)h->off;
		return ERR_OK;
	}
}

void vault_list_unread(struct vault_list *l)
{
	l->pos = l->last;
}

enum err vault_list_seek(struct vault_list *l, uint64_t cookie)
{
	if (lseek(l->fd, (off_t)cookie, SEEK_SET) < 0)
		return plain_failed("seek");
	l->pos = l->end = 0;
	return ERR_OK;
}

enum err vault_list_stat(struct vault_list *l, struct stat *ret)
{
	const struct dirent_head *h = (const struct dirent_head *)(const void *)(l->buf + l->last);
	struct stat st;

	if (fstatat(l->fd, h->name, &st, AT_SYMLINK_NOFOLLOW))
		return plain_failed("stat");
	*ret = st;
	return ERR_OK;
}

/* ---- Files ---- */

struct vault_file {
	int fd;
	int writable;
};

static enum err file_new(int fd, int writable, struct vault_file **ret)
{
	struct vault_file *f = malloc(sizeof *f);

	if (!f) {
		close(fd);
		return ERR_NO_MEMORY;
	}
	f->fd = fd;
	f->writable = writable;
	*ret = f;
	return ERR_OK;
}

enum err vault_file_open(struct vault *v, struct vault_object o, int writable, struct vault_file **ret)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;
	struct plain_at at;
	char path[64];
	int fd;

	(void)v;
	plain_at(o, &at);
	if (at.name[0]) {
		fd = openat(at.fd, at.name, flags | O_NOFOLLOW);
	} else {
		snprintf(path, sizeof path, "/proc/self/fd/%d", at.fd);
		fd = open(path, flags);
	}
	if (fd < 0)
		return plain_failed("open");
	return file_new(fd, writable, ret);
}

enum err vault_file_create(
	struct vault_object o, mode_t mode, struct vault_owner owner, struct vault_file **ret, struct stat *ret_stat)
{
	struct plain_at at;
	struct stat st;

	plain_at(o, &at);
	int fd = at.name[0] ? openat(at.fd, at.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
			    : openat(at.fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
	if (fd < 0)
		return plain_failed("create");
	enum err e = plain_own(fd, "", owner, AT_EMPTY_PATH);
	if (e == ERR_OK && fstat(fd, &st))
		e = plain_failed("stat");
	if (e != ERR_OK) {
		close(fd);
		return e;
	}
	*ret_stat = st;
	return file_new(fd, 1, ret);
}

enum err vault_file_pin(struct vault_file *f, int *ret_pin)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return plain_failed("open");
	*ret_pin = fd;
	return ERR_OK;
}

int vault_file_writable(const struct vault_file *f)
{
	return f->writable;
}

enum err vault_file_read(struct vault_file *f, uint64_t off, size_t len, void *buf, size_t *ret_len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(f->fd, (char *)buf + done, len - done, (off_t)(off + done));
		if (n < 0)
			return plain_failed("read");
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return ERR_OK;
}

/* Left out: two system calls for each file written, which a pass-through that wants its times right would make, too. */
void vault_file_hold_mtime(struct vault_file *f)
{
	(void)f;
}

enum err vault_file_write(struct vault_file *f, uint64_t off, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(f->fd, (const char *)buf + done, len - done, (off_t)(off + done));
		if (n < 0)
			return plain_failed("write");
		done += (size_t)n;
	}
	return ERR_OK;
}

enum err vault_file_truncate(struct vault_file *f, uint64_t size)
{
	return ftruncate(f->fd, (off_t)size) ? plain_failed("truncate") : ERR_OK;
}

enum err vault_file_allocate(struct vault_file *f, int mode, uint64_t off, uint64_t len)
{
	return fallocate(f->fd, mode, (off_t)off, (off_t)len) ? plain_failed("fallocate") : ERR_OK;
}

enum err vault_file_seek(struct vault_file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	off_t at = lseek(f->fd, (off_t)off, whence);

	if (at < 0)
		return plain_failed("seek");
	*ret_off = (uint64_t)at;
	return ERR_OK;
}

enum err vault_file_sync(struct vault_file *f, int data_only)
{
	int rc = data_only ? fdatasync(f->fd) : fsync(f->fd);

	return rc ? plain_failed("fsync") : ERR_OK;
}

enum err vault_file_stat(struct vault_file *f, struct stat *ret)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return plain_failed("stat");
	*ret = st;
	return ERR_OK;
}

enum err vault_file_close(struct vault_file *f)
{
	close(f->fd);
	free(f);
	return ERR_OK;
}

uint64_t vault_file_live_until(struct vault_file *f)
{
	(void)f;
	return UINT64_MAX;
}

enum err vault_file_header(struct vault_file *f, struct file_header *ret)
{
	(void)f, (void)ret;
	return err_fail(ERR_NOT_FOUND, "a plain file has no header");
}

uint64_t vault_file_shown(struct vault_file *f)
{
	(void)f;
	return 0;
}
