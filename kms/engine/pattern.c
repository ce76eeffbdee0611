/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include "kms/engine/pattern.h"

/* Places in a program, one bit each. */
typedef uint64_t places;
_Static_assert(PATTERN_OPS_MAX <= 64, "a place is a bit");

#define PLACE(i) (UINT64_C(1) << (i))

/* Add a place, and all that it leads to without a character. Each is entered once, so the depth is bounded by the program. */
static void enter(const struct pattern *p, uint8_t i, places *set)
{
	if (*set & PLACE(i))
		return;
	*set |= PLACE(i);
	if (p->ops[i].kind == PATTERN_SPLIT) {
		enter(p, p->ops[i].a, set);
		enter(p, p->ops[i].b, set);
	}
}

static int in_class(const struct pattern *p, const struct pattern_op *op, uint32_t c)
{
	for (int i = 0; i < op->b; i++)
		if (c >= p->ranges[op->a + i].from && c <= p->ranges[op->a + i].to)
			return 1;
	return 0;
}

static places step(const struct pattern *p, places now, uint32_t c)
{
	places next = 0;

	for (; now != 0; now &= now - 1) {
		uint8_t i = (uint8_t)__builtin_ctzll(now);

		if (p->ops[i].kind == PATTERN_CLASS && in_class(p, &p->ops[i], c))
			enter(p, (uint8_t)(i + 1), &next);
	}
	return next;
}

/* The next code point; returns what follows it, or NULL. The parser before us let nothing but UTF-8 through. */
static const char *decode(const char *text, uint32_t *ret)
{
	const unsigned char *s = (const unsigned char *)text;
	int more = *s < 0x80 ? 0 : *s >= 0xF0 ? 3 : *s >= 0xE0 ? 2 : *s >= 0xC0 ? 1 : -1;
	uint32_t c = more <= 0 ? *s : *s & (0x3Fu >> more);

	if (more < 0)
		return NULL;
	for (int i = 1; i <= more; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return NULL;
		c = c << 6 | (s[i] & 0x3Fu);
	}
	*ret = c;
	return text + more + 1;
}

int pattern_matches(const struct pattern *p, const char *text)
{
	places now = 0;
	uint32_t c;

	enter(p, 0, &now);
	while (*text != '\0' && now != 0) {
		text = decode(text, &c);
		if (text == NULL)
			return 0;
		now = step(p, now, c);
	}
	for (; now != 0; now &= now - 1)
		if (p->ops[__builtin_ctzll(now)].kind == PATTERN_MATCH)
			return 1;
	return 0;
}
