/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_WIRE_TEXT_H
#define SIGNETFS_WIRE_TEXT_H

/*
 * A growing, bounded, NUL-terminated run of bytes in wiping memory. Failure (memory, bound) is sticky: later appends are
 * dropped, and text_end() tells. Threads: one at a time.
 */

#include <stddef.h>
#include "kms/base/err.h"

struct text {
	char *p; /* NULL until the first append */
	size_t len;
	size_t room;
	size_t max;
	enum err error;
};

void text_init(struct text *t, size_t max);
void text_add(struct text *t, const void *p, size_t len);
void text_puts(struct text *t, const char *s);
void text_putc(struct text *t, char c);
/** ERR_LIMIT: more than the bound was put; ERR_NO_MEMORY. */
enum err text_end(const struct text *t);
/** The text so far; "" when nothing was put. */
const char *text_str(const struct text *t);
void text_free(struct text *t); /* wipes; the text is empty and usable again */

#define AUTO_TEXT __attribute__((cleanup(text_free)))

#endif
