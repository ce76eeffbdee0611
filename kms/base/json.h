/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_JSON_H
#define SIGNETFS_BASE_JSON_H

/* Glue around jansson. Parsing is bounded and strict: no duplicate members, depth at most 32, UTF-8, no NUL
 * characters, one object or array and nothing behind it. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

/** ERR_FORMAT with the position in the text, never with content, which may be secret. Free with json_decref(). */
enum err json_parse(const char *text, size_t len, json_t **ret);

/** Compact text in wiping memory (secret_heap_malloc), member order kept; free with secret_heap_free(). NULL: memory. */
char *json_text(const json_t *value, size_t *ret_len);

/** Set @name to a base64 string of the bytes; returns 0 or -1 as json_object_set does. */
int json_set_blob(json_t *object, const char *name, const void *p, size_t len);
/** Decode the base64 member into secret_alloc() memory. ERR_NOT_FOUND: no member; ERR_FORMAT: no string, bad base64. */
enum err json_get_blob(const json_t *object, const char *name, uint8_t **ret, size_t *ret_len);

void json_decref_auto(json_t **value);
#define AUTO_JSON __attribute__((cleanup(json_decref_auto)))

#endif
