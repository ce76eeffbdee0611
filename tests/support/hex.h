/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_HEX_H
#define SIGNETFS_TESTS_HEX_H

/* Known answers are written in hex, white space allowed. Parsed apart from the decoder under test. */

#include <stddef.h>
#include <stdint.h>

size_t hex_parse(const char *hex, uint8_t *out, size_t size);
#define assert_hex(bytes, len, hex) hex_assert(bytes, len, hex, __FILE__, __LINE__)
void hex_assert(const void *bytes, size_t len, const char *hex, const char *file, int line);

#endif
