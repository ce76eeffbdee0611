/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/bytes.h"
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "kms/engine/context.h"

struct pair {
	const char *name;
	const json_t *value;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

/* The members in order, and how many bytes their texts have. */
static enum err collect(const json_t *context, struct pair **ret, size_t *ret_n, size_t *ret_bytes)
{
	size_t n = json_object_size(context), i = 0, bytes = 0;
	struct pair *pairs = calloc(n + 1, sizeof(*pairs));
	const char *name;
	json_t *value;

	if (pairs == NULL)
		return ERR_NO_MEMORY;
	json_object_foreach ((json_t *)context, name, value) {
		bytes += strlen(name) + json_string_length(value);
		pairs[i++] = (struct pair){name, value};
	}
	qsort(pairs, n, sizeof(*pairs), by_name);
	*ret = pairs;
	*ret_n = n;
	*ret_bytes = bytes;
	return ERR_OK;
}

static void put_text(struct writer *w, const char *text, size_t len)
{
	writer_u32(w, (uint32_t)len);
	writer_put(w, text, len);
}

enum err context_encode(const json_t *context, uint8_t **ret, size_t *ret_len)
{
	struct pair *pairs AUTO_FREE = NULL;
	uint8_t *buf AUTO_FREE = NULL;
	struct writer w;
	size_t n, bytes, size;

	TRY(collect(context, &pairs, &n, &bytes));
	if (bytes > CONTEXT_BYTES_MAX)
		return err_fail(ERR_KMS_VALIDATION, "The encryption context is %zu bytes long; at most %d are allowed.",
			bytes, CONTEXT_BYTES_MAX);
	size = 4 + n * 8 + bytes;
	buf = malloc(size);
	if (buf == NULL)
		return ERR_NO_MEMORY;
	writer_init(&w, buf, size);
	writer_u32(&w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		put_text(&w, pairs[i].name, strlen(pairs[i].name));
		put_text(&w, json_string_value(pairs[i].value), json_string_length(pairs[i].value));
	}
	TRY(writer_end(&w, ret_len));
	*ret = STEAL(buf);
	return ERR_OK;
}
