/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/lower.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define FD_DIR "/proc/self/fd/"

/* O_NONBLOCK: whoever put a FIFO in the place of a file or a record must not make us wait. To regular files it means nothing. */
static int sys_openat(const struct lower *l, int dirfd, const char *name, int flags, mode_t mode)
{
	(void)l;
	return openat(dirfd, name, flags | O_NONBLOCK, mode);
}

static int sys_close(const struct lower *l, int fd)
{
	(void)l;
	return close(fd);
}

static int sys_dup(const struct lower *l, int fd)
{
	(void)l;
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static ssize_t sys_pread(const struct lower *l, int fd, void *buf, size_t len, off_t off)
{
	(void)l;
	return pread(fd, buf, len, off);
}

static ssize_t sys_pwrite(const struct lower *l, int fd, const void *buf, size_t len, off_t off)
{
	(void)l;
	return pwrite(fd, buf, len, off);
}

static ssize_t sys_preadv(const struct lower *l, int fd, const struct iovec *iov, int n, off_t off)
{
	(void)l;
	return preadv(fd, iov, n, off);
}

static ssize_t sys_pwritev(const struct lower *l, int fd, const struct iovec *iov, int n, off_t off)
{
	(void)l;
	return pwritev(fd, iov, n, off);
}

static int sys_ftruncate(const struct lower *l, int fd, off_t size)
{
	(void)l;
	return ftruncate(fd, size);
}

static int sys_fallocate(const struct lower *l, int fd, int mode, off_t off, off_t len)
{
	(void)l;
	return fallocate(fd, mode, off, len);
}

static off_t sys_lseek(const struct lower *l, int fd, off_t off, int whence)
{
	(void)l;
	return lseek(fd, off, whence);
}

static int sys_fsync(const struct lower *l, int fd)
{
	(void)l;
	return fsync(fd);
}

static int sys_fdatasync(const struct lower *l, int fd)
{
	(void)l;
	return fdatasync(fd);
}

static int sys_syncfs(const struct lower *l, int fd)
{
	(void)l;
	return syncfs(fd);
}

static int sys_fstat(const struct lower *l, int fd, struct stat *st)
{
	(void)l;
	return fstat(fd, st);
}

static int sys_fstatat(const struct lower *l, int dirfd, const char *name, struct stat *st, int flags)
{
	(void)l;
	return fstatat(dirfd, name, st, flags);
}

static int sys_fstatvfs(const struct lower *l, int fd, struct statvfs *st)
{
	(void)l;
	return fstatvfs(fd, st);
}

static int sys_fstatfs(const struct lower *l, int fd, struct statfs *st)
{
	(void)l;
	return fstatfs(fd, st);
}

static int sys_mkdirat(const struct lower *l, int dirfd, const char *name, mode_t mode)
{
	(void)l;
	return mkdirat(dirfd, name, mode);
}

static int sys_mknodat(const struct lower *l, int dirfd, const char *name, mode_t mode, dev_t dev)
{
	(void)l;
	return mknodat(dirfd, name, mode, dev);
}

static int sys_symlinkat(const struct lower *l, const char *target, int dirfd, const char *name)
{
	(void)l;
	return symlinkat(target, dirfd, name);
}

static ssize_t sys_readlinkat(const struct lower *l, int dirfd, const char *name, char *buf, size_t size)
{
	(void)l;
	return readlinkat(dirfd, name, buf, size);
}

static int sys_linkat(const struct lower *l, int dirfd1, const char *name1, int dirfd2, const char *name2, int flags)
{
	(void)l;
	return linkat(dirfd1, name1, dirfd2, name2, flags);
}

static int sys_unlinkat(const struct lower *l, int dirfd, const char *name, int flags)
{
	(void)l;
	return unlinkat(dirfd, name, flags);
}

static int sys_renameat2(
	const struct lower *l, int dirfd1, const char *name1, int dirfd2, const char *name2, unsigned flags)
{
	(void)l;
	return renameat2(dirfd1, name1, dirfd2, name2, flags);
}

static int sys_fchmod(const struct lower *l, int fd, mode_t mode)
{
	(void)l;
	return fchmod(fd, mode);
}

/* Through an O_PATH descriptor where the kernel has no fchmodat2 (before 6.6). */
static int chmod_by_path(int dirfd, const char *name, mode_t mode)
{
	char path[sizeof(FD_DIR) + 16];
	int fd = *name ? openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : dirfd;
	int rc, errnum;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), FD_DIR "%d", fd);
	rc = chmod(path, mode);
	errnum = errno;
	if (fd != dirfd)
		close(fd);
	errno = errnum;
	return rc;
}

static int sys_fchmodat(const struct lower *l, int dirfd, const char *name, mode_t mode)
{
	int flags = *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
	long rc = syscall(SYS_fchmodat2, dirfd, name, mode, flags);

	(void)l;
	if (rc == 0 || (errno != ENOSYS && errno != EINVAL && errno != EPERM))
		return (int)rc;
	return chmod_by_path(dirfd, name, mode);
}

static int sys_fchownat(const struct lower *l, int dirfd, const char *name, uid_t uid, gid_t gid, int flags)
{
	(void)l;
	return fchownat(dirfd, name, uid, gid, flags);
}

static int sys_utimensat(const struct lower *l, int dirfd, const char *name, const struct timespec times[2], int flags)
{
	(void)l;
	return utimensat(dirfd, name, times, flags);
}

static ssize_t sys_getdents(const struct lower *l, int fd, void *buf, size_t size)
{
	(void)l;
	return syscall(SYS_getdents64, fd, buf, size);
}

/* "/proc/self/fd/N" is a magic link and has to be followed; an entry behind it never is, lest a planted symlink lead out. */
static int is_descriptor(const char *path)
{
	return strncmp(path, FD_DIR, strlen(FD_DIR)) == 0 && !strchr(path + strlen(FD_DIR), '/');
}

static ssize_t sys_getxattr(const struct lower *l, const char *path, const char *name, void *value, size_t size)
{
	(void)l;
	return is_descriptor(path) ? getxattr(path, name, value, size) : lgetxattr(path, name, value, size);
}

static int sys_setxattr(
	const struct lower *l, const char *path, const char *name, const void *value, size_t size, int flags)
{
	(void)l;
	return is_descriptor(path) ? setxattr(path, name, value, size, flags)
				   : lsetxattr(path, name, value, size, flags);
}

static ssize_t sys_listxattr(const struct lower *l, const char *path, char *list, size_t size)
{
	(void)l;
	return is_descriptor(path) ? listxattr(path, list, size) : llistxattr(path, list, size);
}

static int sys_removexattr(const struct lower *l, const char *path, const char *name)
{
	(void)l;
	return is_descriptor(path) ? removexattr(path, name) : lremovexattr(path, name);
}

const struct lower *lower_system(void)
{
	static const struct lower table = {
		.openat = sys_openat,
		.close = sys_close,
		.dup = sys_dup,
		.pread = sys_pread,
		.pwrite = sys_pwrite,
		.preadv = sys_preadv,
		.pwritev = sys_pwritev,
		.ftruncate = sys_ftruncate,
		.fallocate = sys_fallocate,
		.lseek = sys_lseek,
		.fsync = sys_fsync,
		.fdatasync = sys_fdatasync,
		.syncfs = sys_syncfs,
		.fstat = sys_fstat,
		.fstatat = sys_fstatat,
		.fstatvfs = sys_fstatvfs,
		.fstatfs = sys_fstatfs,
		.mkdirat = sys_mkdirat,
		.mknodat = sys_mknodat,
		.symlinkat = sys_symlinkat,
		.readlinkat = sys_readlinkat,
		.linkat = sys_linkat,
		.unlinkat = sys_unlinkat,
		.renameat2 = sys_renameat2,
		.fchmod = sys_fchmod,
		.fchmodat = sys_fchmodat,
		.fchownat = sys_fchownat,
		.utimensat = sys_utimensat,
		.getdents = sys_getdents,
		.getxattr = sys_getxattr,
		.setxattr = sys_setxattr,
		.listxattr = sys_listxattr,
		.removexattr = sys_removexattr,
	};

	return &table;
}
