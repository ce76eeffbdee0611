/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <sys/statfs.h>

/*
 * Where a file system copies on write, overwriting takes room as well, and a quota that is used up refuses every change but removal.
 * So the vault keeps a file there to be removed, .signetfs/reserve, for the list of sessions to be written in its place.
 */

#define RESERVE_NAME "reserve"
enum { RESERVE_SIZE = 256 * 1024 }; /* btrfs sets metadata aside by the tree's depth; 64 KiB were not enough */

static int copies_on_write(const struct vault *v)
{
	static const unsigned long types[] = {0x9123683e /* btrfs */, 0xca451a4e /* bcachefs */, 0x2fc12fc1 /* ZFS */};
	struct statfs st;

	if (v->lower->fstatfs(v->lower, v->state_fd, &st) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (((unsigned long)st.f_type & 0xffffffff) == types[i])
			return 1;
	return 0;
}

void reserve_make(struct vault *v)
{
	const struct lower *l = v->lower;

	if (!copies_on_write(v))
		return;
	int fd = l->openat(l, v->state_fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	/* Without room for it the vault is used as well; there is another try with the next session. */
	(void)l->fallocate(l, fd, 0, 0, RESERVE_SIZE);
	l->close(l, fd);
}

int reserve_give(struct vault *v, int errnum)
{
	const struct lower *l = v->lower;

	return (errnum == ENOSPC || errnum == EDQUOT) && l->unlinkat(l, v->state_fd, RESERVE_NAME, 0) == 0 &&
	       l->syncfs(l, v->state_fd) == 0;
}
