/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/bytes.h"

#include <string.h>

void reader_init(struct reader *r, const void *buf, size_t len)
{
	r->p = buf;
	r->left = len;
}

enum err reader_take(struct reader *r, size_t len, const uint8_t **ret)
{
	if (len > r->left)
		return err_fail(ERR_FORMAT, "cut short: %zu bytes wanted, %zu left", len, r->left);
	*ret = r->p;
	r->p += len;
	r->left -= len;
	return ERR_OK;
}

enum err reader_copy(struct reader *r, void *out, size_t len)
{
	const uint8_t *p;

	TRY(reader_take(r, len, &p));
	if (len)
		memcpy(out, p, len);
	return ERR_OK;
}

static enum err read_uint(struct reader *r, size_t len, uint64_t *ret)
{
	const uint8_t *p;
	uint64_t v = 0;

	TRY(reader_take(r, len, &p));
	while (len--)
		v = v << 8 | p[len];
	*ret = v;
	return ERR_OK;
}

enum err reader_u8(struct reader *r, uint8_t *ret)
{
	uint64_t v;

	TRY(read_uint(r, 1, &v));
	*ret = (uint8_t)v;
	return ERR_OK;
}

enum err reader_u16(struct reader *r, uint16_t *ret)
{
	uint64_t v;

	TRY(read_uint(r, 2, &v));
	*ret = (uint16_t)v;
	return ERR_OK;
}

enum err reader_u32(struct reader *r, uint32_t *ret)
{
	uint64_t v;

	TRY(read_uint(r, 4, &v));
	*ret = (uint32_t)v;
	return ERR_OK;
}

enum err reader_u64(struct reader *r, uint64_t *ret)
{
	return read_uint(r, 8, ret);
}

enum err reader_zeros(struct reader *r, size_t len)
{
	struct reader ahead = *r;
	const uint8_t *p;

	TRY(reader_take(&ahead, len, &p));
	if (len && (p[0] || memcmp(p, p + 1, len - 1) != 0))
		return err_fail(ERR_FORMAT, "padding is not zero");
	*r = ahead;
	return ERR_OK;
}

enum err reader_end(const struct reader *r)
{
	return r->left ? err_fail(ERR_FORMAT, "%zu bytes behind the end", r->left) : ERR_OK;
}

void writer_init(struct writer *w, void *buf, size_t size)
{
	*w = (struct writer){.start = buf, .size = size};
}

/* Room for @len bytes, or NULL; once refused, always refused, so that a gap cannot hide. */
static uint8_t *reserve(struct writer *w, size_t len)
{
	uint8_t *p = w->start + w->used;

	if (w->overflow || len > w->size - w->used) {
		w->overflow = 1;
		return NULL;
	}
	w->used += len;
	return p;
}

void writer_put(struct writer *w, const void *p, size_t len)
{
	uint8_t *to = len ? reserve(w, len) : NULL;

	if (to)
		memcpy(to, p, len);
}

static void write_uint(struct writer *w, size_t len, uint64_t v)
{
	uint8_t *to = reserve(w, len);

	for (size_t i = 0; to && i < len; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

void writer_u8(struct writer *w, uint8_t v)
{
	write_uint(w, 1, v);
}

void writer_u16(struct writer *w, uint16_t v)
{
	write_uint(w, 2, v);
}

void writer_u32(struct writer *w, uint32_t v)
{
	write_uint(w, 4, v);
}

void writer_u64(struct writer *w, uint64_t v)
{
	write_uint(w, 8, v);
}

void writer_zeros_to(struct writer *w, size_t offset)
{
	uint8_t *to;
	size_t len;

	if (offset < w->used) {
		w->overflow = 1;
		return;
	}
	len = offset - w->used;
	to = len ? reserve(w, len) : NULL;
	if (to)
		memset(to, 0, len);
}

enum err writer_end(const struct writer *w, size_t *ret_len)
{
	if (w->overflow)
		return err_fail(ERR_LIMIT, "does not fit in %zu bytes", w->size);
	*ret_len = w->used;
	return ERR_OK;
}
