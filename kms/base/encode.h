/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_ENCODE_H
#define SIGNETFS_BASE_ENCODE_H

/* Text forms of bytes: base64 (RFC 4648 §4, padded), base64url (§5, unpadded), lower-case hex, UUID. Decoders are strict:
 * one text for one value; stray bits, white space and wrong padding are ERR_FORMAT. Not constant time. */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"

enum { UUID_SIZE = 16, UUID_TEXT = 36 };

#define BASE64_LEN(n)    (((n) + 2) / 3 * 4)
#define BASE64URL_LEN(n) (((n)*4 + 2) / 3)

/* All encoders write the text and a NUL; @out holds at least the length plus one. They return the text's length. */
size_t encode_base64(const void *in, size_t len, char *out);
size_t encode_base64url(const void *in, size_t len, char *out);
size_t encode_hex(const void *in, size_t len, char *out);
void encode_uuid(const uint8_t id[UUID_SIZE], char out[UUID_TEXT + 1]);

/* @size is the room in @out; ERR_LIMIT when it does not suffice. */
enum err decode_base64(const char *in, size_t len, void *out, size_t size, size_t *ret_len);
enum err decode_base64url(const char *in, size_t len, void *out, size_t size, size_t *ret_len);
enum err decode_hex(const char *in, size_t len, void *out, size_t size, size_t *ret_len);
enum err decode_uuid(const char *in, size_t len, uint8_t ret_id[UUID_SIZE]);

/**
 * Put '?' in the place of every byte that belongs to no UTF-8 character (RFC 3629): what came from outside, or was cut by a
 * bounded copy, would otherwise be refused by JSON as a whole.
 */
void encode_utf8_repair(char *text);

/**
 * @text as one word of a shell command, for advice that people copy: quoted where it has to be. Returns @out, or @text itself when it
 * is plain, and also when @size does not suffice.
 */
const char *encode_shell(const char *text, char *out, size_t size);

#endif
