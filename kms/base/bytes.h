/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_BYTES_H
#define SIGNETFS_BASE_BYTES_H

/*
 * The bounded cursor: the only place where bytes of a format are picked apart or put together. All integers are
 * little-endian. A reader never passes its end; reader_end() refuses trailing bytes. Neither owns its buffer.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

struct reader {
	const uint8_t *p;
	size_t left;
};

struct writer {
	uint8_t *start;
	size_t used;
	size_t size;
	int overflow; /* sticky: writes beyond the end are dropped and writer_end() fails */
};

void reader_init(struct reader *r, const void *buf, size_t len);
enum err reader_take(struct reader *r, size_t len, const uint8_t **ret); /* a view, not a copy */
enum err reader_copy(struct reader *r, void *out, size_t len);
enum err reader_u8(struct reader *r, uint8_t *ret);
enum err reader_u16(struct reader *r, uint16_t *ret);
enum err reader_u32(struct reader *r, uint32_t *ret);
enum err reader_u64(struct reader *r, uint64_t *ret);
enum err reader_zeros(struct reader *r, size_t len); /* ERR_FORMAT unless the next @len bytes are all zero */
enum err reader_end(const struct reader *r);         /* ERR_FORMAT when bytes are left */

void writer_init(struct writer *w, void *buf, size_t size);
void writer_put(struct writer *w, const void *p, size_t len);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_zeros_to(struct writer *w, size_t offset);        /* zero padding up to an absolute offset */
enum err writer_end(const struct writer *w, size_t *ret_len); /* ERR_LIMIT after an overflow */

#endif
