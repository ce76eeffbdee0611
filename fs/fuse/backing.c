/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/backing.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	ssize_t written = write(fd, value, strlen(value));
	close(fd);
	return written < 0 ? -1 : 0;
}

void backing_tune(dev_t dev)
{
	static const struct {
		const char *name, *value;
	} settings[] = {{"read_ahead_kb", "4096"}, {"strict_limit", "0"}, {"max_ratio", "100"}};
	char path[96];

	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/%s", major(dev), minor(dev), settings[i].name);
		(void)put(path, settings[i].value);
	}
}

int backing_abort(dev_t dev)
{
	char path[96];

	snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", minor(dev));
	return put(path, "1");
}
