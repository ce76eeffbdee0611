/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_NS = 20000,       /* longer finds hardly more */
	RESTS_PER_LOOK = 8,    /* the other half of this core may be who we wait for */
	SCORE_MAX = 16,        /* a look that found something adds one, */
	SCORE_FAILED = 2,      /* one in vain takes two away, */
	SLEEPS_AFTER_ZERO = 32 /* and at zero it pays no more for a while */
};

void device_open(struct device *d, int session_fd)
{
	uint32_t source = (uint32_t)session_fd;

	*d = (struct device){.fd = session_fd, .may_look = sysconf(_SC_NPROCESSORS_ONLN) > 1, .sleeps = 1};
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, FUSE_DEV_IOC_CLONE, &source) == 0)
		d->fd = fd;
	else if (fd >= 0)
		close(fd);
	d->own = d->fd != session_fd;
	d->blocking = 1;
}

static void set_blocking(struct device *d, int blocking)
{
	/* A descriptor that others share blocks always: nobody's flags are another's. */
	if (d->blocking == blocking || !d->own)
		return;
	fcntl(d->fd, F_SETFL, O_RDWR | (blocking ? 0 : O_NONBLOCK));
	d->blocking = blocking;
}

void device_close(struct device *d)
{
	if (d->own)
		close(d->fd);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int is_empty(ssize_t n)
{
	return n < 0 && errno == EAGAIN;
}

static void rest(void)
{
	for (int i = 0; i < RESTS_PER_LOOK; i++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	}
}

static ssize_t look(struct device *d, void *buf, size_t size)
{
	uint64_t until = now_ns() + LOOK_NS;
	ssize_t n;

	do {
		rest();
		n = read(d->fd, buf, size);
	} while (is_empty(n) && now_ns() < until);
	if (!is_empty(n)) {
		d->score += d->score < SCORE_MAX;
	} else if (d->score > SCORE_FAILED) {
		d->score -= SCORE_FAILED;
	} else {
		d->score = SCORE_FAILED;
		d->sleeps = SLEEPS_AFTER_ZERO;
	}
	return n;
}

static ssize_t sleep_and_read(struct device *d, void *buf, size_t size)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};

	if (poll(&p, 1, -1) < 0)
		return -1;
	return read(d->fd, buf, size);
}

ssize_t device_read(struct device *d, void *buf, size_t size)
{
	set_blocking(d, 0);
	ssize_t n = read(d->fd, buf, size);

	d->waited = is_empty(n);
	if (!d->waited)
		return n;
	if (d->sleeps > 0)
		d->sleeps -= d->may_look;
	else
		n = look(d, buf, size);
	return is_empty(n) ? sleep_and_read(d, buf, size) : n;
}

ssize_t device_wait(struct device *d, void *buf, size_t size)
{
	set_blocking(d, 1);
	return read(d->fd, buf, size);
}
