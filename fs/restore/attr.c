/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/restore/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/secret.h"

/* Owner, attributes, mode, times, in this order: each would undo a part of the one before it otherwise. */

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct attr_target {
	struct item *i;
	int fd, dir;
	const char *name;
	const struct stat *st;
	char path[64 + 256]; /* for the calls that have no descriptor form for everything */
};

static void failed(const struct attr_target *t, const char *what)
{
	restore_tell(t->i, RESTORE_ATTRIBUTE, "%s: %s", what, strerror(errno));
	t->i->incomplete = 1;
}

static void set_owner(const struct attr_target *t)
{
	int rc;

	if (geteuid() != 0)
		return;
	rc = t->fd >= 0 ? fchown(t->fd, t->st->st_uid, t->st->st_gid)
			: fchownat(t->dir, t->name, t->st->st_uid, t->st->st_gid, AT_SYMLINK_NOFOLLOW);
	if (rc != 0)
		failed(t, "owner");
}

/* What was somebody else's must not lend our rights. */
static mode_t mode_of(const struct attr_target *t)
{
	mode_t mode = t->st->st_mode & 07777;

	if (geteuid() == 0 || S_ISDIR(t->st->st_mode) || (t->st->st_uid == geteuid() && t->st->st_gid == getegid()))
		return mode;
	return mode & ~(mode_t)(S_ISUID | S_ISGID);
}

/* chmod follows links, and a name in DEST could be exchanged for one: so by a descriptor that says what it is. */
static int chmod_special(const struct attr_target *t)
{
	int fd AUTO_CLOSE = openat(t->dir, t->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char path[32];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	if (S_ISLNK(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, mode_of(t));
}

static void set_mode(const struct attr_target *t)
{
	if ((t->fd >= 0 ? fchmod(t->fd, mode_of(t)) : chmod_special(t)) != 0)
		failed(t, "mode");
}

static void set_times(const struct attr_target *t)
{
	const struct timespec times[2] = {t->st->st_atim, t->st->st_mtim};
	int rc = t->fd >= 0 ? futimens(t->fd, times) : utimensat(t->dir, t->name, times, AT_SYMLINK_NOFOLLOW);

	if (rc != 0)
		failed(t, "times");
}

/* ---- Extended attributes ---- */

static int set_value(const struct attr_target *t, const char *name, const void *value, size_t len)
{
	return t->fd >= 0 ? fsetxattr(t->fd, name, value, len, 0) : lsetxattr(t->path, name, value, len, 0);
}

/* Ordinary users cannot set what belongs to the system; it is not theirs to keep, either. */
static int is_above_us(const char *name)
{
	return geteuid() != 0 && (strncmp(name, "security.", 9) == 0 || strncmp(name, "trusted.", 8) == 0);
}

static void copy_one(const struct attr_target *t, const char *name, uint8_t *value)
{
	size_t len;
	enum err e = vault_getxattr(t->i->e->object, name, value, XATTR_SIZE_MAX, &len);

	if (e == ERR_OK && is_above_us(name))
		return;
	if (e == ERR_OK && set_value(t, name, value, len) == 0)
		return;
	restore_tell(t->i, RESTORE_ATTRIBUTE, "attribute %s: %s", name, e == ERR_OK ? strerror(errno) : err_text(e));
	t->i->incomplete = 1;
}

/* DEST may have default ACLs, which what is made in it inherits. */
static void drop_inherited(const struct attr_target *t, const char *list, size_t len, const char *acl)
{
	for (size_t n = 0; n < len; n += strlen(list + n) + 1)
		if (strcmp(list + n, acl) == 0)
			return;
	if (t->fd >= 0)
		(void)fremovexattr(t->fd, acl);
	else
		(void)lremovexattr(t->path, acl);
}

static void copy_xattrs(const struct attr_target *t)
{
	char small[1024], *list = small;
	char *big AUTO_FREE = NULL;
	uint8_t *value AUTO_FREE = NULL;
	size_t len = 0;
	enum err e = vault_listxattr(t->i->e->object, small, sizeof(small), &len);

	if (e == ERR_SYSTEM && err_errno() == ERANGE) {
		list = big = malloc(XATTR_LIST_MAX);
		e = big ? vault_listxattr(t->i->e->object, big, XATTR_LIST_MAX, &len)
			: err_fail(ERR_NO_MEMORY, "out of memory");
	}
	if (e != ERR_OK) {
		if (e != ERR_SYSTEM || err_errno() != EOPNOTSUPP)
			restore_tell(t->i, RESTORE_ATTRIBUTE, "attributes: %s", err_text(e)), t->i->incomplete = 1;
		return;
	}
	if (!S_ISLNK(t->st->st_mode))
		drop_inherited(t, list, len, ACL_ACCESS);
	if (S_ISDIR(t->st->st_mode))
		drop_inherited(t, list, len, ACL_DEFAULT);
	if (len == 0 || !(value = malloc(XATTR_SIZE_MAX)))
		return;
	for (size_t n = 0; n < len; n += strlen(list + n) + 1)
		copy_one(t, list + n, value);
	secret_wipe(value, XATTR_SIZE_MAX);
}

void attr_set(struct item *i, int fd, int dir, const char *name, const struct stat *st)
{
	struct attr_target t = {.i = i, .fd = fd, .dir = dir, .name = name, .st = st};

	if (fd < 0)
		snprintf(t.path, sizeof(t.path), "/proc/self/fd/%d/%s", dir, name);
	set_owner(&t);
	copy_xattrs(&t);
	set_mode(&t);
	set_times(&t);
}
