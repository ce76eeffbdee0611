/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "kms/base/encode.h"
#include "kms/base/random.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * CLOCK_SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t system_monotonic(const struct clock *c)
{
	(void)c;
	return read_clock(CLOCK_BOOTTIME);
}

static uint64_t system_wall(const struct clock *c)
{
	(void)c;
	return read_clock(CLOCK_REALTIME);
}

static void system_sleep(const struct clock *c, uint64_t ns)
{
	struct timespec left = {(time_t)(ns / CLOCK_SECOND), (long)(ns % CLOCK_SECOND)};

	(void)c;
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

/* A random one where the kernel does not say. */
static void system_boot(const struct clock *c, uint8_t ret[CLOCK_BOOT_SIZE])
{
	char text[UUID_TEXT + 1] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	(void)c;
	if (fd < 0 || read(fd, text, UUID_TEXT) != UUID_TEXT || decode_uuid(text, UUID_TEXT, ret) != ERR_OK)
		random_uuid(ret);
	if (fd >= 0)
		close(fd);
}

const struct clock *clock_system(void)
{
	static const struct clock clock = {system_monotonic, system_wall, system_sleep, system_boot};

	return &clock;
}

/* The clock is the first member, and every fake is a variable of its user: casting const away is sound. */
static struct clock_fake *fake_of(const struct clock *c)
{
	return (struct clock_fake *)(uintptr_t)c;
}
_Static_assert(offsetof(struct clock_fake, clock) == 0, "fake_of() relies on it");

static uint64_t fake_monotonic(const struct clock *c)
{
	return atomic_load(&fake_of(c)->now);
}

static uint64_t fake_wall(const struct clock *c)
{
	return atomic_load(&fake_of(c)->epoch) + atomic_load(&fake_of(c)->now);
}

static void fake_sleep(const struct clock *c, uint64_t ns)
{
	clock_fake_advance(fake_of(c), ns);
}

static void fake_boot(const struct clock *c, uint8_t ret[CLOCK_BOOT_SIZE])
{
	memset(ret, atomic_load(&fake_of(c)->boots), CLOCK_BOOT_SIZE);
}

void clock_fake_init(struct clock_fake *fake, uint64_t wall_ns)
{
	/* Not zero, so that "never" and "at the start" differ. */
	const uint64_t start = CLOCK_SECOND;

	fake->clock = (struct clock){fake_monotonic, fake_wall, fake_sleep, fake_boot};
	atomic_init(&fake->now, start);
	atomic_init(&fake->epoch, wall_ns - start);
	atomic_init(&fake->boots, 0);
}

void clock_fake_advance(struct clock_fake *fake, uint64_t ns)
{
	atomic_fetch_add(&fake->now, ns);
}

void clock_iso8601(uint64_t wall_ns, char out[CLOCK_ISO8601_SIZE])
{
	static _Thread_local char last[CLOCK_ISO8601_SIZE];
	static _Thread_local time_t known = -1;
	time_t seconds = (time_t)(wall_ns / CLOCK_SECOND);
	struct tm tm;

	/* gmtime_r() takes the library's one lock of time zones: once a second is enough. */
	if (seconds != known) {
		/* 2^64 ns end in the year 2554: four digits do. */
		gmtime_r(&seconds, &tm);
		strftime(last, sizeof(last), "%Y-%m-%dT%H:%M:%SZ", &tm);
		known = seconds;
	}
	memcpy(out, last, sizeof(last));
}

/* ---- Ahead ---- */

static const struct clock_ahead *ahead_of(const struct clock *c)
{
	return (const struct clock_ahead *)(const void *)c;
}

static uint64_t ahead_monotonic(const struct clock *c)
{
	return ahead_of(c)->base->monotonic(ahead_of(c)->base) + ahead_of(c)->ns;
}

static uint64_t ahead_wall(const struct clock *c)
{
	return ahead_of(c)->base->wall(ahead_of(c)->base) + ahead_of(c)->ns;
}

static void ahead_sleep(const struct clock *c, uint64_t ns)
{
	ahead_of(c)->base->sleep(ahead_of(c)->base, ns);
}

static void ahead_boot(const struct clock *c, uint8_t ret[CLOCK_BOOT_SIZE])
{
	ahead_of(c)->base->boot(ahead_of(c)->base, ret);
}

void clock_ahead_init(struct clock_ahead *ahead, const struct clock *base, uint64_t ns)
{
	*ahead = (struct clock_ahead){{ahead_monotonic, ahead_wall, ahead_sleep, ahead_boot}, base, ns};
}
