/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

size_t hex_parse(const char *hex, uint8_t *out, size_t size)
{
	size_t n = 0;
	int pos = 0;
	unsigned v;

	while (n < size && sscanf(hex, " %2x%n", &v, &pos) == 1) {
		out[n++] = (uint8_t)v;
		hex += pos;
	}
	hex += strspn(hex, " \t\n");
	if (*hex)
		fail_msg("bad hex in a test: %s", hex);
	return n;
}

void hex_assert(const void *bytes, size_t len, const char *hex, const char *file, int line)
{
	uint8_t want[512];
	size_t n = hex_parse(hex, want, sizeof(want));

	if (n == len && memcmp(bytes, want, n) == 0)
		return;
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, "%02x", ((const uint8_t *)bytes)[i]);
	fprintf(stderr, "\n");
	_fail(file, line);
}
