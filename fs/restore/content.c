/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/restore/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "fs/vault/rescue.h"

enum { BUFFER = 1 << 20, TRIES = 3 };

struct copy {
	struct item *i;
	struct vault_file *f;
	int fd;
	uint64_t size;
	uint8_t *buffer;
};

static void bad_range(void *context, uint64_t off, uint64_t len)
{
	struct copy *c = context;

	restore_tell_range(c->i, off, len);
	c->i->incomplete = 1;
}

static enum err write_at(int fd, const uint8_t *buf, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_system("writing it");
		buf += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return ERR_OK;
}

static enum err copy_range(struct copy *c, uint64_t off, uint64_t end)
{
	while (off < end) {
		size_t want = end - off < BUFFER ? (size_t)(end - off) : BUFFER, n;

		if (c->i->r->o.partial)
			TRY(rescue_read(c->f, off, want, c->buffer, &n, bad_range, c));
		else
			TRY(vault_file_read(c->f, off, want, c->buffer, &n));
		if (n == 0)
			break;
		TRY(write_at(c->fd, c->buffer, n, off));
		atomic_fetch_add(&c->i->r->bytes, n);
		off += n;
	}
	return ERR_OK;
}

/* *ret is where data (or a hole) begins at or behind @off, at most the size. */
static enum err seek(struct copy *c, uint64_t off, int whence, uint64_t *ret)
{
	enum err e = vault_file_seek(c->f, off, whence, ret);

	if (e == ERR_SYSTEM && err_errno() == ENXIO)
		*ret = c->size;
	else
		TRY(e);
	if (*ret > c->size)
		*ret = c->size;
	return ERR_OK;
}

static enum err copy_data(struct copy *c)
{
	uint64_t off = 0, end;

	while (off < c->size) {
		TRY(seek(c, off, SEEK_DATA, &off));
		if (off >= c->size)
			break;
		TRY(seek(c, off, SEEK_HOLE, &end));
		TRY(copy_range(c, off, end));
		off = end;
	}
	return ERR_OK;
}

static enum err set_size(struct copy *c, uint64_t size)
{
	return ftruncate(c->fd, (off_t)size) == 0 ? ERR_OK : err_system("setting its size");
}

/* What a damaged size means: with --partial the missing end is a hole that is told, after a crash it never was. */
static enum err settle_size(struct copy *c, const struct rescue_look *look)
{
	uint64_t size = look->size_now;

	if (look->size == RESCUE_SHORTER && !look->excused && look->header_size > size) {
		bad_range(c, size, look->header_size - size);
		size = look->header_size;
	} else if (look->size != RESCUE_AGREES) {
		atomic_fetch_add(&c->i->r->in_flight, 1);
		restore_tell(c->i, RESTORE_IN_FLIGHT,
			"a session that wrote it has not ended cleanly: %" PRIu64 " bytes verify and were restored",
			size);
	}
	return set_size(c, size);
}

static enum err copy_once(struct copy *c)
{
	struct rescue_look look;
	enum err e;

	TRY(vault_file_open(c->i->r->o.vault, c->i->e->object, 0, &c->f));
	if (c->i->r->o.partial)
		rescue_excuse(c->f);
	e = rescue_look(c->f, &look);
	c->size = look.size_now;
	if (e == ERR_OK)
		e = copy_data(c);
	if (e == ERR_OK)
		e = settle_size(c, &look);
	vault_file_close(c->f);
	return e;
}

static uint8_t *buffer_of(struct item *i)
{
	uint8_t **buffer = &i->r->buffer[i->e->job];

	if (!*buffer)
		*buffer = malloc(BUFFER);
	return *buffer;
}

/* Beside a mount, damage may be a write under way: then another look finds the file whole. */
enum err content_copy(struct item *i, int fd)
{
	struct copy c = {.i = i, .fd = fd, .buffer = buffer_of(i)};
	enum err e;

	if (!c.buffer)
		return err_fail(ERR_NO_MEMORY, "no memory to copy with");
	e = copy_once(&c);
	for (int n = 1; n < TRIES && err_is_damage(e) && rescue_is_held(i->r->o.vault); n++) {
		TRY(set_size(&c, 0));
		e = copy_once(&c);
	}
	return e;
}
