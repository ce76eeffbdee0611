/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_IO_H
#define SIGNETFS_BASE_IO_H

/* Small file I/O: whole reads and writes, bounded files, atomic replacement. ERR_SYSTEM carries errno and a text. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "kms/base/err.h"

/** Read exactly @len or fail; end of file first is ERR_CLOSED. EINTR is retried. */
enum err io_read_full(int fd, void *buf, size_t len);
/** Up to the end of the file or of the room, whichever comes first. @path is for the message. EINTR is retried. */
enum err io_read_up_to(int fd, const char *path, void *buf, size_t room, size_t *ret_len);
enum err io_write_full(int fd, const void *buf, size_t len);

/**
 * Read a whole regular file of at most @max bytes (ERR_LIMIT beyond) into memory from secret_alloc(), NUL-terminated
 * behind the last byte. Free with secret_free(). ERR_NOT_FOUND when there is none, ERR_USAGE when it is no regular file,
 * ERR_BUSY when it grew meanwhile.
 */
enum err io_read_file(int dirfd, const char *path, size_t max, uint8_t **ret_buf, size_t *ret_len);

/**
 * Replace @path atomically and durably: temporary file beside it, write, fsync, rename, fsync of the directory.
 * On failure the old file is untouched and the temporary one removed, but where the last step fails: then the new file is
 * in place and may not survive a power cut. @mode is the new file's, whatever the umask. The temporary name is
 * PATH.tmp-<16 hex digits>.
 */
enum err io_replace_file(int dirfd, const char *path, const void *buf, size_t len, mode_t mode);

/** mkdir -p with @mode (less the umask) for what is missing; what is made is durable. */
enum err io_make_dirs(const char *path, mode_t mode);

void io_close_auto(int *fd);
#define AUTO_CLOSE __attribute__((cleanup(io_close_auto)))
void io_free_auto(void *p);
#define AUTO_FREE __attribute__((cleanup(io_free_auto)))

#endif
