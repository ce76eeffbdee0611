/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/faulty_lower.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum call_class { READING, CHANGING, WRITING };

static int counts(const struct faulty_lower *f, enum call_class class)
{
	switch (f->kind) {
	case FAULT_NONE:
		return 0;
	case FAULT_ANY:
		return 1;
	case FAULT_CHANGE:
	case FAULT_POWER:
	case FAULT_POWER_TORN:
		return class != READING;
	case FAULT_SHORT:
	case FAULT_SHORT_FULL:
	case FAULT_FULL:
	case FAULT_SHORT_FAIL:
		return class == WRITING;
	}
	return 0;
}

/* Is this the call? The caller then fails, or shortens. */
static int struck(struct faulty_lower *f, enum call_class class, const char *what)
{
	f->calls++;
	if (!counts(f, class) || ++f->seen != f->at)
		return 0;
	f->injected++;
	f->dead = f->kind == FAULT_POWER || f->kind == FAULT_POWER_TORN;
	snprintf(f->what, sizeof(f->what), "%s", what);
	return 1;
}

/* For everything but writes: fail or go on. */
static int refused(const struct lower *l, enum call_class class, const char *what)
{
	struct faulty_lower *f = (struct faulty_lower *)(void *)(uintptr_t)l;

	if (f->dead) {
		errno = EIO;
		return 1;
	}
	if (f->kind == FAULT_FULL && f->injected && class != READING) {
		errno = f->errnum;
		return 1;
	}
	if (!struck(f, class, what))
		return 0;
	errno = f->dead ? EIO : f->errnum;
	return 1;
}

#define REAL(l) (((const struct faulty_lower *)(const void *)(l))->real)

static int faulty_openat(const struct lower *l, int dirfd, const char *name, int flags, mode_t mode)
{
	enum call_class class = flags & (O_CREAT | O_TRUNC) ? CHANGING : READING;

	return refused(l, class, "openat") ? -1 : REAL(l)->openat(REAL(l), dirfd, name, flags, mode);
}

static int faulty_close(const struct lower *l, int fd)
{
	return REAL(l)->close(REAL(l), fd);
}

static int faulty_dup(const struct lower *l, int fd)
{
	return refused(l, READING, "dup") ? -1 : REAL(l)->dup(REAL(l), fd);
}

static ssize_t faulty_pread(const struct lower *l, int fd, void *buf, size_t len, off_t off)
{
	return refused(l, READING, "pread") ? -1 : REAL(l)->pread(REAL(l), fd, buf, len, off);
}

static ssize_t faulty_preadv(const struct lower *l, int fd, const struct iovec *iov, int n, off_t off)
{
	return refused(l, READING, "preadv") ? -1 : REAL(l)->preadv(REAL(l), fd, iov, n, off);
}

static int disk_full(struct faulty_lower *f, int fd, size_t len, off_t off)
{
	struct stat st;

	/* What lies inside the file has its blocks. */
	return (f->kind == FAULT_SHORT_FULL || f->kind == FAULT_FULL) && f->injected && fstat(fd, &st) == 0 &&
	       off + (off_t)len > st.st_size;
}

static ssize_t faulty_pwrite(const struct lower *l, int fd, const void *buf, size_t len, off_t off)
{
	struct faulty_lower *f = (struct faulty_lower *)(void *)(uintptr_t)l;
	int is_short = f->kind == FAULT_SHORT || f->kind == FAULT_SHORT_FULL || f->kind == FAULT_FULL ||
		       f->kind == FAULT_SHORT_FAIL || f->kind == FAULT_POWER_TORN;

	if (f->dead) {
		errno = EIO;
		return -1;
	}
	if (disk_full(f, fd, len, off)) {
		errno = f->errnum;
		return -1;
	}
	if (f->kind == FAULT_SHORT_FAIL && f->injected == 1) {
		f->injected++;
		errno = f->errnum;
		return -1;
	}
	if (!struck(f, WRITING, "pwrite"))
		return f->real->pwrite(f->real, fd, buf, len, off);
	errno = f->dead ? EIO : f->errnum;
	/* The format rests on this: 512 aligned bytes reach the disk whole or not at all. */
	if (!is_short || (f->dead && off % 512 == 0 && len <= 512))
		return -1;
	/* An odd part, so that chunks and headers are cut somewhere inside. */
	return f->real->pwrite(f->real, fd, buf, len * 5 / 8, off);
}

static ssize_t faulty_pwritev(const struct lower *l, int fd, const struct iovec *iov, int n, off_t off)
{
	return refused(l, CHANGING, "pwritev") ? -1 : REAL(l)->pwritev(REAL(l), fd, iov, n, off);
}

static int faulty_ftruncate(const struct lower *l, int fd, off_t size)
{
	return refused(l, CHANGING, "ftruncate") ? -1 : REAL(l)->ftruncate(REAL(l), fd, size);
}

static int faulty_fallocate(const struct lower *l, int fd, int mode, off_t off, off_t len)
{
	return refused(l, CHANGING, "fallocate") ? -1 : REAL(l)->fallocate(REAL(l), fd, mode, off, len);
}

static off_t faulty_lseek(const struct lower *l, int fd, off_t off, int whence)
{
	return refused(l, READING, "lseek") ? -1 : REAL(l)->lseek(REAL(l), fd, off, whence);
}

static int faulty_fsync(const struct lower *l, int fd)
{
	return refused(l, CHANGING, "fsync") ? -1 : REAL(l)->fsync(REAL(l), fd);
}

static int faulty_fdatasync(const struct lower *l, int fd)
{
	return refused(l, CHANGING, "fdatasync") ? -1 : REAL(l)->fdatasync(REAL(l), fd);
}

static int faulty_syncfs(const struct lower *l, int fd)
{
	/* Not passed on: a sync of the whole machine for each of some thousand cases. */
	(void)fd;
	return refused(l, CHANGING, "syncfs") ? -1 : 0;
}

static int faulty_fstat(const struct lower *l, int fd, struct stat *st)
{
	return refused(l, READING, "fstat") ? -1 : REAL(l)->fstat(REAL(l), fd, st);
}

static int faulty_fstatat(const struct lower *l, int dirfd, const char *name, struct stat *st, int flags)
{
	return refused(l, READING, "fstatat") ? -1 : REAL(l)->fstatat(REAL(l), dirfd, name, st, flags);
}

static int faulty_fstatvfs(const struct lower *l, int fd, struct statvfs *st)
{
	return refused(l, READING, "fstatvfs") ? -1 : REAL(l)->fstatvfs(REAL(l), fd, st);
}

static int faulty_fstatfs(const struct lower *l, int fd, struct statfs *st)
{
	return refused(l, READING, "fstatfs") ? -1 : REAL(l)->fstatfs(REAL(l), fd, st);
}

static int faulty_mkdirat(const struct lower *l, int dirfd, const char *name, mode_t mode)
{
	return refused(l, CHANGING, "mkdirat") ? -1 : REAL(l)->mkdirat(REAL(l), dirfd, name, mode);
}

static int faulty_mknodat(const struct lower *l, int dirfd, const char *name, mode_t mode, dev_t dev)
{
	return refused(l, CHANGING, "mknodat") ? -1 : REAL(l)->mknodat(REAL(l), dirfd, name, mode, dev);
}

static int faulty_symlinkat(const struct lower *l, const char *target, int dirfd, const char *name)
{
	return refused(l, CHANGING, "symlinkat") ? -1 : REAL(l)->symlinkat(REAL(l), target, dirfd, name);
}

static ssize_t faulty_readlinkat(const struct lower *l, int dirfd, const char *name, char *buf, size_t size)
{
	return refused(l, READING, "readlinkat") ? -1 : REAL(l)->readlinkat(REAL(l), dirfd, name, buf, size);
}

static int faulty_linkat(const struct lower *l, int dirfd1, const char *name1, int dirfd2, const char *name2, int flags)
{
	return refused(l, CHANGING, "linkat") ? -1 : REAL(l)->linkat(REAL(l), dirfd1, name1, dirfd2, name2, flags);
}

static int faulty_unlinkat(const struct lower *l, int dirfd, const char *name, int flags)
{
	return refused(l, CHANGING, "unlinkat") ? -1 : REAL(l)->unlinkat(REAL(l), dirfd, name, flags);
}

static int faulty_renameat2(
	const struct lower *l, int dirfd1, const char *name1, int dirfd2, const char *name2, unsigned flags)
{
	return refused(l, CHANGING, "renameat2") ? -1
						 : REAL(l)->renameat2(REAL(l), dirfd1, name1, dirfd2, name2, flags);
}

static int faulty_fchmod(const struct lower *l, int fd, mode_t mode)
{
	return refused(l, CHANGING, "fchmod") ? -1 : REAL(l)->fchmod(REAL(l), fd, mode);
}

static int faulty_fchmodat(const struct lower *l, int dirfd, const char *name, mode_t mode)
{
	return refused(l, CHANGING, "fchmodat") ? -1 : REAL(l)->fchmodat(REAL(l), dirfd, name, mode);
}

static int faulty_fchownat(const struct lower *l, int dirfd, const char *name, uid_t uid, gid_t gid, int flags)
{
	return refused(l, CHANGING, "fchownat") ? -1 : REAL(l)->fchownat(REAL(l), dirfd, name, uid, gid, flags);
}

static int faulty_utimensat(
	const struct lower *l, int dirfd, const char *name, const struct timespec times[2], int flags)
{
	return refused(l, CHANGING, "utimensat") ? -1 : REAL(l)->utimensat(REAL(l), dirfd, name, times, flags);
}

static ssize_t faulty_getdents(const struct lower *l, int fd, void *buf, size_t size)
{
	return refused(l, READING, "getdents") ? -1 : REAL(l)->getdents(REAL(l), fd, buf, size);
}

static ssize_t faulty_getxattr(const struct lower *l, const char *path, const char *name, void *value, size_t size)
{
	return refused(l, READING, "getxattr") ? -1 : REAL(l)->getxattr(REAL(l), path, name, value, size);
}

static int faulty_setxattr(
	const struct lower *l, const char *path, const char *name, const void *value, size_t size, int flags)
{
	return refused(l, CHANGING, "setxattr") ? -1 : REAL(l)->setxattr(REAL(l), path, name, value, size, flags);
}

static ssize_t faulty_listxattr(const struct lower *l, const char *path, char *list, size_t size)
{
	return refused(l, READING, "listxattr") ? -1 : REAL(l)->listxattr(REAL(l), path, list, size);
}

static int faulty_removexattr(const struct lower *l, const char *path, const char *name)
{
	return refused(l, CHANGING, "removexattr") ? -1 : REAL(l)->removexattr(REAL(l), path, name);
}

void faulty_lower_init(struct faulty_lower *f)
{
	static const struct lower table = {
		.openat = faulty_openat,
		.close = faulty_close,
		.dup = faulty_dup,
		.pread = faulty_pread,
		.pwrite = faulty_pwrite,
		.preadv = faulty_preadv,
		.pwritev = faulty_pwritev,
		.ftruncate = faulty_ftruncate,
		.fallocate = faulty_fallocate,
		.lseek = faulty_lseek,
		.fsync = faulty_fsync,
		.fdatasync = faulty_fdatasync,
		.syncfs = faulty_syncfs,
		.fstat = faulty_fstat,
		.fstatat = faulty_fstatat,
		.fstatvfs = faulty_fstatvfs,
		.fstatfs = faulty_fstatfs,
		.mkdirat = faulty_mkdirat,
		.mknodat = faulty_mknodat,
		.symlinkat = faulty_symlinkat,
		.readlinkat = faulty_readlinkat,
		.linkat = faulty_linkat,
		.unlinkat = faulty_unlinkat,
		.renameat2 = faulty_renameat2,
		.fchmod = faulty_fchmod,
		.fchmodat = faulty_fchmodat,
		.fchownat = faulty_fchownat,
		.utimensat = faulty_utimensat,
		.getdents = faulty_getdents,
		.getxattr = faulty_getxattr,
		.setxattr = faulty_setxattr,
		.listxattr = faulty_listxattr,
		.removexattr = faulty_removexattr,
	};

	memset(f, 0, sizeof(*f));
	f->lower = table;
	f->real = lower_system();
}

void faulty_lower_arm(struct faulty_lower *f, enum fault_kind kind, unsigned at, int errnum)
{
	f->kind = kind;
	f->at = at;
	f->errnum = errnum;
	f->seen = f->injected = 0;
	f->dead = 0;
	f->what[0] = '\0';
}

void faulty_lower_disarm(struct faulty_lower *f)
{
	f->kind = FAULT_NONE;
	f->dead = 0;
}
