/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_CONTEXT_H
#define SIGNETFS_ENGINE_CONTEXT_H

/*
 * The canonical form of an encryption context, bound to a blob as associated data: number of pairs (u32), then, in ascending
 * byte order of the names, length (u32) and bytes of each name and value. Order in the request does not matter; an absent
 * context equals an empty one; no two contexts share a form.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum { CONTEXT_BYTES_MAX = 8192 };

/** @context is an object of strings or NULL. ERR_KMS_VALIDATION when it is too large. Free @ret with free(). */
enum err context_encode(const json_t *context, uint8_t **ret, size_t *ret_len);

#endif
