/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/secret.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* In front of every block, so that freeing knows how much to wipe; as large as malloc's alignment. */
struct header {
	size_t len;
	size_t pad;
};
_Static_assert(sizeof(struct header) == 16, "blocks keep malloc's alignment");

void *secret_heap_malloc(size_t len)
{
	struct header *h = len > SIZE_MAX / 2 ? NULL : malloc(sizeof(*h) + len);

	if (!h)
		return NULL;
	h->len = len;
	h->pad = 0;
	return h + 1;
}

void *secret_heap_calloc(size_t n, size_t size)
{
	size_t len;
	void *p;

	if (__builtin_mul_overflow(n, size, &len))
		return NULL;
	p = secret_heap_malloc(len);
	return p ? memset(p, 0, len) : NULL;
}

void *secret_heap_realloc(void *p, size_t len)
{
	size_t old = p ? ((struct header *)p - 1)->len : 0;
	void *q = secret_heap_malloc(len);

	if (!q)
		return NULL;
	if (p)
		memcpy(q, p, old < len ? old : len);
	secret_heap_free(p);
	return q;
}

char *secret_heap_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *p = secret_heap_malloc(len);

	return p ? memcpy(p, s, len) : NULL;
}

void secret_heap_free(void *p)
{
	struct header *h = p;

	if (!h)
		return;
	h--;
	secret_wipe(h, sizeof(*h) + h->len);
	free(h);
}

void secret_install_json_allocator(void)
{
	json_set_alloc_funcs(secret_heap_malloc, secret_heap_free);
}
