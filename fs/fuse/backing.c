/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/backing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t ignored = write(fd, value, strlen(value));
	(void)ignored;
	close(fd);
}

void backing_tune(dev_t dev)
{
	static const struct {
		const char *name, *value;
	} settings[] = {{"read_ahead_kb", "4096"}, {"strict_limit", "0"}, {"max_ratio", "100"}};
	char path[96];

	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
		snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/%s", major(dev), minor(dev), settings[i].name);
		put(path, settings[i].value);
	}
}

/* The minor device number names the connection; stat() would ask the mount itself, mountinfo does not. */
static int find_minor(const char *mount_point, unsigned *ret)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	int found = 0;

	while (f && getline(&line, &size, f) > 0) {
		char point[4096];
		unsigned dev_minor;
		if (sscanf(line, "%*u %*u %*u:%u %*s %4095s", &dev_minor, point) == 2 && !strcmp(point, mount_point)) {
			*ret = dev_minor;
			found = 1;
		}
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

void backing_abort(const char *mount_point)
{
	char path[96];
	unsigned dev_minor;

	if (!find_minor(mount_point, &dev_minor))
		return;
	snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", dev_minor);
	put(path, "1");
}
