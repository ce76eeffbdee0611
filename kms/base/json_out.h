/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_JSON_OUT_H
#define SIGNETFS_BASE_JSON_OUT_H

/*
 * JSON text written as it comes, without a tree in between: the form of json_text(), byte for byte. Commas come by themselves;
 * json_out_begin() and json_out_end() have to match. Texts are UTF-8 (encode_utf8_repair() makes them so). Failure (memory) is
 * sticky: later pieces are dropped, and json_out_take() returns NULL. Threads: one at a time.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct json_out {
	char *p; /* secret_heap_malloc(); NULL: no memory */
	size_t len, room;
};
#define AUTO_JSON_OUT __attribute__((cleanup(json_out_free)))

void json_out_init(struct json_out *out);
void json_out_free(struct json_out *out); /* wipes */

/* Name @name of an object, or the next element of an array with NULL. @bracket is '{' or '['. */
void json_out_begin(struct json_out *out, const char *name, char bracket);
void json_out_end(struct json_out *out, char bracket); /* '}' or ']' */
void json_out_text(struct json_out *out, const char *name, const char *text);
void json_out_bool(struct json_out *out, const char *name, int value);
void json_out_null(struct json_out *out, const char *name);
void json_out_value(struct json_out *out, const char *name, const json_t *value); /* NULL is null */

/** The text, NUL-terminated, free with secret_heap_free(); NULL: no memory. @out is empty then. */
char *json_out_take(struct json_out *out, size_t *ret_len);

#endif
