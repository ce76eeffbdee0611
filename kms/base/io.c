/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/io.h"
#include "kms/base/encode.h"
#include "kms/base/random.h"
#include "kms/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void io_close_auto(int *fd)
{
	int kept = errno;

	if (*fd >= 0)
		close(*fd);
	errno = kept;
}

void io_free_auto(void *p)
{
	void *block;

	memcpy(&block, p, sizeof(block));
	free(block);
}

enum err io_read_full(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system("cannot read");
		if (n == 0)
			return err_fail(ERR_CLOSED, "the other end closed with %zu bytes missing", len);
		p += n;
		len -= (size_t)n;
	}
	return ERR_OK;
}

enum err io_write_full(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system("cannot write");
		p += n;
		len -= (size_t)n;
	}
	return ERR_OK;
}

/* ---- reading a file ---- */

static enum err open_regular(int dirfd, const char *path, size_t max, int *ret_fd, size_t *ret_size)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int fd AUTO_CLOSE = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_fail(ERR_NOT_FOUND, "%s does not exist", path);
	if (fd < 0)
		return err_system("cannot open %s", path);
	if (fstat(fd, &st) != 0)
		return err_system("cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return err_fail(ERR_USAGE, "%s is not a regular file", path);
	if ((uint64_t)st.st_size > max)
		return err_fail(
			ERR_LIMIT, "%s has %lld bytes, at most %zu are allowed", path, (long long)st.st_size, max);
	*ret_fd = fd;
	fd = -1;
	*ret_size = (size_t)st.st_size;
	return ERR_OK;
}

enum err io_read_up_to(int fd, const char *path, void *buf, size_t room, size_t *ret_len)
{
	size_t len = 0;

	while (len < room) {
		ssize_t n = read(fd, (uint8_t *)buf + len, room - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_system("cannot read %s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return ERR_OK;
}

enum err io_read_file(int dirfd, const char *path, size_t max, uint8_t **ret_buf, size_t *ret_len)
{
	int fd AUTO_CLOSE = -1;
	uint8_t *buf AUTO_SECRET = NULL;
	size_t size, len;

	TRY(open_regular(dirfd, path, max, &fd, &size));
	buf = secret_alloc(size + 1);
	if (!buf)
		return err_fail(ERR_NO_MEMORY, "no secret memory for the %zu bytes of %s", size, path);
	TRY(io_read_up_to(fd, path, buf, size + 1, &len));
	/* One byte more than there was: somebody writes to it, and what we have is no state that it ever had. */
	if (len > size)
		return err_fail(ERR_BUSY, "%s grows while it is read: try again", path);
	buf[len] = '\0';
	*ret_len = len;
	*ret_buf = STEAL(buf);
	return ERR_OK;
}

/* ---- replacing a file ---- */

static enum err sync_directory_of(int dirfd, const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd AUTO_CLOSE = -1;

	memcpy(dir, path, len);
	dir[len] = '\0';
	fd = openat(dirfd, len ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_system("cannot open the directory of %s", path);
	return fsync(fd) == 0 ? ERR_OK : err_system("cannot sync the directory of %s", path);
}

static enum err write_and_sync(int dirfd, const char *temp, const void *buf, size_t len, mode_t mode)
{
	int fd AUTO_CLOSE = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_system("cannot create %s", temp);
	/* Not left to the umask: the caller's mode is what keeps others out, or lets them in. */
	if (fchmod(fd, mode) != 0)
		return err_system("cannot set the mode of %s", temp);
	TRY(io_write_full(fd, buf, len));
	return fsync(fd) == 0 ? ERR_OK : err_system("cannot sync %s", temp);
}

enum err io_replace_file(int dirfd, const char *path, const void *buf, size_t len, mode_t mode)
{
	char temp[PATH_MAX];
	char suffix[17];
	uint64_t r;
	enum err e;

	random_bytes(&r, sizeof(r));
	encode_hex(&r, sizeof(r), suffix);
	if (snprintf(temp, sizeof(temp), "%s.tmp-%s", path, suffix) >= (int)sizeof(temp)) {
		err_set_errno(ENAMETOOLONG);
		return err_system("cannot write %s", path);
	}
	e = write_and_sync(dirfd, temp, buf, len, mode);
	if (e == ERR_OK && renameat(dirfd, temp, dirfd, path) != 0)
		e = err_system("cannot rename the new file");
	if (e != ERR_OK) {
		unlinkat(dirfd, temp, 0);
		return err_wrap(e, "replacing %s", path);
	}
	return sync_directory_of(dirfd, path);
}

/* ---- directories ---- */

static enum err make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return sync_directory_of(AT_FDCWD, path);
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return ERR_OK;
	return err_system("cannot create the directory %s", path);
}

enum err io_make_dirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof(part)) {
		err_set_errno(len ? ENAMETOOLONG : ENOENT);
		return err_system("cannot create the directory \"%.64s\"", path);
	}
	memcpy(part, path, len);
	part[len] = '\0';
	for (size_t i = 1; i < len; i++) {
		enum err e = ERR_OK;

		if (part[i] != '/')
			continue;
		part[i] = '\0';
		if (part[i - 1] != '/')
			e = make_one(part, mode);
		part[i] = '/';
		TRY(e);
	}
	return make_one(part, mode);
}
