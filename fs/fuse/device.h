/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_FUSE_DEVICE_H
#define SIGNETFS_FUSE_DEVICE_H

/* One worker's descriptor of /dev/fuse. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct device {
	int fd;          /* answers go where the request came from */
	int own;         /* a clone, with a queue of its own for requests in progress; else the session's */
	int may_look;    /* there is more than one processor: looking keeps nobody from asking */
	int waited;      /* a request was not there yet when it was asked for, the last time */
	int blocking;    /* who waits sleeps in read(2) itself */
	unsigned score;  /* how often it paid to look for a request before going to sleep */
	unsigned sleeps; /* so many requests to come are waited for asleep */
};

/** A clone of @session_fd, or itself where the kernel has no clones. */
void device_open(struct device *d, int session_fd);
void device_close(struct device *d);

/**
 * read(2) of one request, waiting for it. Programs that wait for one answer before they ask the next thing are back within
 * microseconds, while falling asleep and being woken on another processor takes longer than serving the request. So the device is
 * looked at for a moment first, as long as that proves right. EAGAIN, EINTR: ask again.
 */
ssize_t device_read(struct device *d, void *buf, size_t size);
/** The same without looking first: the kernel wakes whoever waits longest. */
ssize_t device_wait(struct device *d, void *buf, size_t size);

#endif
