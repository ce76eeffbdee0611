/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/mount.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* One row per word that changes a flag of the mount; @as_now: how statvfs(3) shows that it is set. */
static const struct {
	const char *name;
	unsigned long clear, set, as_now;
} words[] = {
	{"ro", 0, MS_RDONLY, ST_RDONLY},
	{"rw", MS_RDONLY, 0, 0},
	{"nosuid", 0, MS_NOSUID, ST_NOSUID},
	{"suid", MS_NOSUID, 0, 0},
	{"nodev", 0, MS_NODEV, ST_NODEV},
	{"dev", MS_NODEV, 0, 0},
	{"noexec", 0, MS_NOEXEC, ST_NOEXEC},
	{"exec", MS_NOEXEC, 0, 0},
	{"sync", 0, MS_SYNCHRONOUS, ST_SYNCHRONOUS},
	{"async", MS_SYNCHRONOUS, 0, 0},
	{"noatime", MS_RELATIME, MS_NOATIME, ST_NOATIME},
	{"relatime", MS_NOATIME, MS_RELATIME, ST_RELATIME},
	{"atime", MS_NOATIME, MS_RELATIME, 0},
	{"nodiratime", 0, MS_NODIRATIME, ST_NODIRATIME},
	{"diratime", MS_NODIRATIME, 0, 0},
};

enum { WORDS = sizeof words / sizeof words[0] };

static unsigned long flags_now(const struct statvfs *st)
{
	unsigned long flags = 0;

	for (size_t i = 0; i < WORDS; i++)
		if (words[i].as_now && st->f_flag & words[i].as_now)
			flags |= words[i].set;
	return flags;
}

static unsigned long apply(unsigned long flags, const char *list)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		for (size_t i = 0; i < WORDS; i++)
			if (strlen(words[i].name) == len && !strncmp(words[i].name, list, len))
				flags = (flags & ~words[i].clear) | words[i].set;
		list += len + (list[len] == ',');
	}
	return flags;
}

enum err mount_remount(const char *mount_point, const char *list, int read_only)
{
	struct statvfs st;

	if (statvfs(mount_point, &st))
		return err_system("%s", mount_point);
	unsigned long flags = apply(flags_now(&st), list);
	if (read_only && !(flags & MS_RDONLY))
		return err_fail(
			ERR_USAGE, "it was mounted with -o ro, and its vault opened so: unmount it and mount it anew");
	if (!mount("none", mount_point, NULL, MS_REMOUNT | flags, NULL))
		return ERR_OK;
	if (errno == EBUSY)
		return err_fail(ERR_BUSY, "files are open for writing; `fuser -vm` says by whom");
	if (errno == EPERM)
		return err_fail(ERR_USAGE,
			"the kernel lets only root do that: unmount it and mount it anew with these options");
	return err_system("remounting");
}
