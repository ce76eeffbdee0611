/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/file_internal.h"
#include "fs/vault/vault_internal.h"

#include <errno.h>

static enum err set_owner(const struct target *t, const struct vault_attr *a)
{
	uid_t uid = a->set & VAULT_SET_UID ? a->uid : (uid_t)-1;
	gid_t gid = a->set & VAULT_SET_GID ? a->gid : (gid_t)-1;

	if (a->set && !(a->set & (VAULT_SET_UID | VAULT_SET_GID)))
		return ERR_OK;
	return t->l->fchownat(t->l, t->fd, t->name, uid, gid, t->at) == 0 ? ERR_OK : fail_errno("chown");
}

static enum err set_mode(const struct target *t, const struct vault_attr *a)
{
	if (!(a->set & VAULT_SET_MODE))
		return ERR_OK;
	return t->l->fchmodat(t->l, t->fd, t->name, a->mode & 07777) == 0 ? ERR_OK : fail_errno("chmod");
}

static enum err set_times(const struct target *t, const struct vault_attr *a)
{
	const struct timespec omit = {.tv_nsec = UTIME_OMIT};
	const struct timespec times[2] = {
		a->set & VAULT_SET_ATIME ? a->atime : omit,
		a->set & VAULT_SET_MTIME ? a->mtime : omit,
	};

	if (!(a->set & (VAULT_SET_ATIME | VAULT_SET_MTIME)))
		return ERR_OK;
	return t->l->utimensat(t->l, t->fd, t->name, times, t->at) == 0 ? ERR_OK : fail_errno("utimens");
}

enum err vault_setattr(struct vault_object o, struct vault_file *file, const struct vault_attr *attr, struct stat *ret)
{
	struct target t;

	if (file)
		file_target(file, &t);
	else
		TRY(target_of(o, TARGET_FIND, &t));
	TRY(writable_vault(t.v));
	/* The owner first: changing it clears set-ID bits that the mode may ask for. */
	TRY(set_owner(&t, attr));
	TRY(set_mode(&t, attr));
	TRY(set_times(&t, attr));
	if (file && (attr->set & VAULT_SET_MTIME))
		file_times_set(file, &attr->mtime);
	return file ? vault_file_stat(file, ret) : target_stat(&t, ret);
}

enum err vault_statfs(struct vault *v, struct statvfs *ret)
{
	struct statvfs st;

	if (v->lower->fstatvfs(v->lower, v->top_fd, &st) != 0)
		return fail_errno("statfs");
	st.f_namemax = NAME_PLAIN_MAX;
	*ret = st;
	return ERR_OK;
}
