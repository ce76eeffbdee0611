/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/text.h"

#include <assert.h>
#include <string.h>
#include "kms/base/secret.h"

enum { TEXT_FIRST_ROOM = 512 };

void text_init(struct text *t, size_t max)
{
	*t = (struct text){.max = max};
}

static enum err text_grow(struct text *t, size_t need)
{
	size_t room = t->room ? t->room : TEXT_FIRST_ROOM;
	char *p;

	while (room < need)
		room *= 2;
	p = secret_heap_realloc(t->p, room);
	if (!p)
		return ERR_NO_MEMORY;
	t->p = p;
	t->room = room;
	return ERR_OK;
}

void text_add(struct text *t, const void *p, size_t len)
{
	if (t->error != ERR_OK || !len)
		return;
	if (len > t->max - t->len) {
		t->error = ERR_LIMIT;
		return;
	}
	if (t->len + len + 1 > t->room) {
		t->error = text_grow(t, t->len + len + 1);
		if (t->error != ERR_OK)
			return;
	}
	memcpy(t->p + t->len, p, len);
	t->len += len;
	t->p[t->len] = '\0';
	assert(t->len <= t->max && t->len < t->room);
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_putc(struct text *t, char c)
{
	text_add(t, &c, 1);
}

enum err text_end(const struct text *t)
{
	if (t->error == ERR_LIMIT)
		return err_fail(ERR_LIMIT, "a text grew beyond %zu bytes", t->max);
	if (t->error != ERR_OK)
		return err_fail(t->error, "no memory for a text of more than %zu bytes", t->len);
	return ERR_OK;
}

const char *text_str(const struct text *t)
{
	return t->p ? t->p : "";
}

void text_free(struct text *t)
{
	secret_heap_free(t->p);
	text_init(t, t->max);
}
