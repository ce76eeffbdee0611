/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_LOWER_H
#define SIGNETFS_VAULT_LOWER_H

/*
 * Every system call that fs/vault makes on the lower tree goes through this table, so that a test can record the calls, fail
 * the nth, shorten a write, or cut the power between two. Semantics are those of the system calls: -1 and errno.
 *
 * A name of "" with AT_EMPTY_PATH is used where Linux allows it. Threads: the functions are called from many threads.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

struct lower {
	int (*openat)(const struct lower *l, int dirfd, const char *name, int flags, mode_t mode);
	int (*close)(const struct lower *l, int fd);
	int (*dup)(const struct lower *l, int fd);
	ssize_t (*pread)(const struct lower *l, int fd, void *buf, size_t len, off_t off);
	ssize_t (*pwrite)(const struct lower *l, int fd, const void *buf, size_t len, off_t off);
	ssize_t (*preadv)(const struct lower *l, int fd, const struct iovec *iov, int n, off_t off);
	ssize_t (*pwritev)(const struct lower *l, int fd, const struct iovec *iov, int n, off_t off);
	int (*ftruncate)(const struct lower *l, int fd, off_t size);
	int (*fallocate)(const struct lower *l, int fd, int mode, off_t off, off_t len);
	off_t (*lseek)(const struct lower *l, int fd, off_t off, int whence);
	int (*fsync)(const struct lower *l, int fd);
	int (*fdatasync)(const struct lower *l, int fd);
	int (*syncfs)(const struct lower *l, int fd);
	int (*fstat)(const struct lower *l, int fd, struct stat *st);
	int (*fstatat)(const struct lower *l, int dirfd, const char *name, struct stat *st, int flags);
	int (*fstatvfs)(const struct lower *l, int fd, struct statvfs *st);
	int (*fstatfs)(const struct lower *l, int fd, struct statfs *st); /* for its type */
	int (*mkdirat)(const struct lower *l, int dirfd, const char *name, mode_t mode);
	int (*mknodat)(const struct lower *l, int dirfd, const char *name, mode_t mode, dev_t dev);
	int (*symlinkat)(const struct lower *l, const char *target, int dirfd, const char *name);
	ssize_t (*readlinkat)(const struct lower *l, int dirfd, const char *name, char *buf, size_t size);
	int (*linkat)(const struct lower *l, int dirfd1, const char *name1, int dirfd2, const char *name2, int flags);
	int (*unlinkat)(const struct lower *l, int dirfd, const char *name, int flags);
	int (*renameat2)(
		const struct lower *l, int dirfd1, const char *name1, int dirfd2, const char *name2, unsigned flags);
	int (*fchmod)(const struct lower *l, int fd, mode_t mode);
	/* Never follows a symlink, as fchmodat2 with AT_SYMLINK_NOFOLLOW. */
	int (*fchmodat)(const struct lower *l, int dirfd, const char *name, mode_t mode);
	int (*fchownat)(const struct lower *l, int dirfd, const char *name, uid_t uid, gid_t gid, int flags);
	int (*utimensat)(const struct lower *l, int dirfd, const char *name, const struct timespec times[2], int flags);
	ssize_t (*getdents)(const struct lower *l, int fd, void *buf, size_t size); /* getdents64 */
	/*
	 * Paths of the form /proc/self/fd/N (the thing itself, so that what is open with O_PATH can be reached) or
	 * /proc/self/fd/N/NAME (an entry; a symlink is not followed).
	 */
	ssize_t (*getxattr)(const struct lower *l, const char *path, const char *name, void *value, size_t size);
	int (*setxattr)(
		const struct lower *l, const char *path, const char *name, const void *value, size_t size, int flags);
	ssize_t (*listxattr)(const struct lower *l, const char *path, char *list, size_t size);
	int (*removexattr)(const struct lower *l, const char *path, const char *name);
};

/** The machine's own. */
const struct lower *lower_system(void);

#endif
