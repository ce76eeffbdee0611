/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_PATTERN_H
#define SIGNETFS_ENGINE_PATTERN_H

/*
 * The service model's regular expressions, compiled by contrib/kms-shapes. The matcher keeps the set of places in the program that the
 * text so far can have led to; it never goes back, so hostile input costs no more than its length.
 */

#include <stdint.h>

struct pattern_range {
	uint16_t from, to; /* code points, both included */
};

enum pattern_kind {
	PATTERN_CLASS, /* one character in ranges[a] … ranges[a + b - 1] */
	PATTERN_SPLIT, /* go on at a and at b */
	PATTERN_MATCH
};

struct pattern_op {
	uint8_t kind;
	uint8_t a, b;
};
enum { PATTERN_OPS_MAX = 64 };

struct pattern {
	const char *text; /* as the model writes it, for messages */
	const struct pattern_range *ranges;
	const struct pattern_op *ops; /* at most PATTERN_OPS_MAX, up to PATTERN_MATCH */
};

/** Does the whole of @text (UTF-8) match? Bytes that are no UTF-8 match nothing. */
int pattern_matches(const struct pattern *pattern, const char *text);

#endif
