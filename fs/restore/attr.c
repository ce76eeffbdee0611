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
#include "fs/vault/rescue.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"

/* Owner, attributes, mode, times, in this order: each would undo a part of the one before it otherwise. */

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

struct attr_target {
	struct item *i;
	int fd;
	const struct stat *st;
	char path[32]; /* leads to what is open, link or not; what is open with O_PATH has no other way to be changed */
};

static void failed(const struct attr_target *t, const char *what)
{
	restore_tell(t->i, RESTORE_ATTRIBUTE, "%s: %s", what, strerror(errno));
	t->i->incomplete = 1;
}

static void set_owner(const struct attr_target *t)
{
	if (geteuid() == 0 && fchownat(t->fd, "", t->st->st_uid, t->st->st_gid, AT_EMPTY_PATH) != 0)
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

/* Not with O_PATH: then there is a way without /proc, which a rescue disk may lack. */
static int is_open(const struct attr_target *t)
{
	return S_ISREG(t->st->st_mode) || S_ISDIR(t->st->st_mode);
}

static void set_mode(const struct attr_target *t)
{
	if (S_ISLNK(t->st->st_mode))
		return;
	if ((is_open(t) ? fchmod(t->fd, mode_of(t)) : chmod(t->path, mode_of(t))) != 0)
		failed(t, "mode");
}

static void set_times(const struct attr_target *t)
{
	const struct timespec times[2] = {t->st->st_atim, t->st->st_mtim};

	if ((is_open(t) ? futimens(t->fd, times) : utimensat(AT_FDCWD, t->path, times, 0)) != 0)
		failed(t, "times");
}

/* ---- Extended attributes ---- */

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
	if (e == ERR_OK && setxattr(t->path, name, value, len, 0) == 0)
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
	(void)removexattr(t->path, acl);
}

static void tell_attributes(const struct attr_target *t, const char *why)
{
	restore_tell(t->i, RESTORE_ATTRIBUTE, "attributes: %s", why);
	t->i->incomplete = 1;
}

/* The list leaves out what has lost its name; what has one was told when it was copied. */
static void on_bad(void *context, const char *lower, const char *plain, enum err why)
{
	const struct attr_target *t = context;

	if (plain)
		return;
	restore_tell(t->i, RESTORE_ATTRIBUTE, "attribute %s: %s", lower, err_text(why));
	t->i->incomplete = 1;
}

static void copy_list(const struct attr_target *t, const char *list, size_t len)
{
	uint8_t *value AUTO_FREE = len > 0 ? malloc(XATTR_SIZE_MAX) : NULL;

	if (len == 0)
		return;
	if (!value) {
		tell_attributes(t, "out of memory");
		return;
	}
	for (size_t n = 0; n < len; n += strlen(list + n) + 1)
		copy_one(t, list + n, value);
	secret_wipe(value, XATTR_SIZE_MAX);
}

static void copy_xattrs(struct attr_target *t)
{
	char small[1024], *list = small;
	char *big AUTO_FREE = NULL;
	size_t len = 0;
	enum err e;

	if (!t->i->e->object.dir) {
		tell_attributes(t, "the way to it in the vault is lost");
		return;
	}
	e = vault_listxattr(t->i->e->object, small, sizeof(small), &len);
	if (e == ERR_SYSTEM && err_errno() == ERANGE) {
		list = big = malloc(XATTR_LIST_MAX);
		e = big ? vault_listxattr(t->i->e->object, big, XATTR_LIST_MAX, &len)
			: err_fail(ERR_NO_MEMORY, "out of memory");
	}
	if (e != ERR_OK) {
		if (e != ERR_SYSTEM || err_errno() != EOPNOTSUPP)
			tell_attributes(t, err_text(e));
		return;
	}
	if (!S_ISLNK(t->st->st_mode))
		drop_inherited(t, list, len, ACL_ACCESS);
	if (S_ISDIR(t->st->st_mode))
		drop_inherited(t, list, len, ACL_DEFAULT);
	copy_list(t, list, len);
	e = rescue_check_xattrs(t->i->e->object, on_bad, t);
	if (e != ERR_OK)
		tell_attributes(t, err_text(e));
}

void attr_set(struct item *i, int fd, const struct stat *st)
{
	struct attr_target t = {.i = i, .fd = fd, .st = st};

	snprintf(t.path, sizeof(t.path), "/proc/self/fd/%d", fd);
	set_owner(&t);
	copy_xattrs(&t);
	set_mode(&t);
	set_times(&t);
}
