/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/dirents.h"

#include <string.h>

void dirents_init(struct dirents *d, const struct lower *l, int fd)
{
	d->l = l;
	d->fd = fd;
	d->pos = d->len = 0;
}

static int is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static enum err refill(struct dirents *d)
{
	ssize_t n = d->l->getdents(d->l, d->fd, d->buf, sizeof(d->buf));

	if (n < 0)
		return err_system("reading a directory of the vault");
	if (n == 0)
		return ERR_CLOSED;
	d->pos = 0;
	d->len = (size_t)n;
	return ERR_OK;
}

enum err dirents_next(struct dirents *d, const struct dirent64 **ret)
{
	const struct dirent64 *e;

	do {
		if (d->pos >= d->len)
			TRY(refill(d));
		e = (const struct dirent64 *)(const void *)(d->buf + d->pos);
		d->pos += e->d_reclen;
	} while (is_dots(e->d_name));
	*ret = e;
	return ERR_OK;
}

enum err dirents_seek(struct dirents *d, off_t off)
{
	if (d->l->lseek(d->l, d->fd, off, SEEK_SET) < 0)
		return err_system("seeking in a directory of the vault");
	d->pos = d->len = 0;
	return ERR_OK;
}
