/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/policy/internal.h"

/* ---- Matching ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int same(char a, char b, int fold)
{
	return fold ? lower(a) == lower(b) : a == b;
}

/* One step of the pattern against one character; how many bytes of the pattern that took, 0: no match. */
static size_t step(const char *p, const char *p_end, char c, int wild, int fold)
{
	if (p == p_end)
		return 0;
	if (*p == PATTERN_LITERAL && p + 1 < p_end)
		return same(p[1], c, fold) ? 2 : 0;
	/* A character of UTF-8 is several bytes; '?' takes its first one, and match() skips the rest. */
	if (wild && *p == '?')
		return 1;
	return same(*p, c, fold) ? 1 : 0;
}

static int is_inner(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* The last '*' is the only one that ever has to be widened, so this takes at most |pattern| × |text| steps. */
static int match(const char *p, const char *p_end, const char *t, const char *t_end, int wild, int fold)
{
	const char *star = NULL, *resume = NULL;

	while (t < t_end) {
		size_t taken;

		if (wild && p < p_end && *p == '*') {
			star = ++p;
			resume = t;
			continue;
		}
		taken = step(p, p_end, *t, wild, fold);
		if (taken > 0) {
			int one = wild && *p == '?';

			p += taken;
			t++;
			while (one && t < t_end && is_inner(*t))
				t++;
			continue;
		}
		if (star == NULL)
			return 0;
		p = star;
		t = ++resume;
	}
	while (wild && p < p_end && *p == '*')
		p++;
	return p == p_end;
}

int glob_match(const char *pattern, const char *text, int wild, int fold)
{
	return match(pattern, pattern + strlen(pattern), text, text + strlen(text), wild, fold);
}

int glob_match_arn(const char *pattern, const char *arn)
{
	for (int part = 0; part < 5; part++) {
		const char *p_end = strchr(pattern, ':'), *a_end = strchr(arn, ':');

		if (p_end == NULL || a_end == NULL)
			return part == 0 && strcmp(pattern, "*") == 0;
		if (!match(pattern, p_end, arn, a_end, 1, 0))
			return 0;
		pattern = p_end + 1;
		arn = a_end + 1;
	}
	return glob_match(pattern, arn, 1, 0);
}

/* ---- Patterns ---- */

/* "${*}", "${?}" and "${$}" are the characters themselves; every other variable stays. */
static const char *literal_variable(const char *p)
{
	return p[0] == '$' && p[1] == '{' && p[2] != '\0' && strchr("*?$", p[2]) != NULL && p[3] == '}' ? p + 2 : NULL;
}

enum err pattern_init(const char *text, int variables, struct pattern *ret)
{
	struct pattern p = {.text = malloc(strlen(text) + 1), .shown = text};
	size_t n = 0;

	if (p.text == NULL)
		return ERR_NO_MEMORY;
	for (; *text != '\0'; text++) {
		const char *literal = variables ? literal_variable(text) : NULL;

		if (literal != NULL) {
			p.text[n++] = PATTERN_LITERAL;
			p.text[n++] = *literal;
			text += 3;
			continue;
		}
		p.has_variables |= variables && text[0] == '$' && text[1] == '{';
		p.text[n++] = *text;
	}
	p.text[n] = '\0';
	*ret = p;
	return ERR_OK;
}

void pattern_free(struct pattern *p)
{
	free(p->text);
	p->text = NULL;
}

/* ---- Variables ---- */

struct expansion {
	char *text;
	size_t len;
};

/*
 * What a request says is data: its '*' matches only itself. Nothing else is marked, so that the colons of an ARN in a variable still
 * part it for glob_match_arn().
 */
static enum err put(struct expansion *x, const char *p, size_t len, int literal)
{
	if (x->len + 2 * len >= PATTERN_MAX)
		return ERR_NOT_FOUND;
	for (size_t i = 0; i < len; i++) {
		if (literal && (p[i] == '*' || p[i] == '?' || p[i] == PATTERN_LITERAL))
			x->text[x->len++] = PATTERN_LITERAL;
		x->text[x->len++] = p[i];
	}
	return ERR_OK;
}

/* "aws:username" or "aws:username, 'default'", between the braces. */
static enum err put_variable(struct expansion *x, const char *p, size_t len, const struct policy_request *request)
{
	const char *comma = memchr(p, ',', len);
	struct policy_values values __attribute__((cleanup(policy_values_free))) = {.count = 0};
	char key[256];
	size_t key_len = comma != NULL ? (size_t)(comma - p) : len;
	const char *fallback, *end = p + len;

	if (key_len == 0 || key_len >= sizeof(key))
		return ERR_NOT_FOUND;
	memcpy(key, p, key_len);
	key[key_len] = '\0';
	values.list = values.one;
	TRY(request->lookup(request->context, key, &values));
	if (values.count == 1)
		return put(x, values.list[0], strlen(values.list[0]), 1);
	if (comma == NULL || values.count > 1)
		return ERR_NOT_FOUND;
	fallback = memchr(comma, '\'', (size_t)(end - comma));
	if (fallback == NULL || end - fallback < 2 || end[-1] != '\'')
		return ERR_NOT_FOUND;
	return put(x, fallback + 1, (size_t)(end - fallback - 2), 1);
}

enum err pattern_expand(
	const struct pattern *p, const struct policy_request *request, const char **ret, char **ret_owned)
{
	char *text AUTO_FREE = NULL;
	struct expansion x = {NULL, 0};

	*ret = p->text;
	if (!p->has_variables)
		return ERR_OK;
	x.text = text = malloc(PATTERN_MAX + 1);
	if (text == NULL)
		return ERR_NO_MEMORY;
	for (const char *c = p->text; *c != '\0'; c++) {
		const char *end = c[0] == '$' && c[1] == '{' ? strchr(c, '}') : NULL;

		if (end == NULL) {
			TRY(put(&x, c, 1, 0));
			continue;
		}
		TRY(put_variable(&x, c + 2, (size_t)(end - c - 2), request));
		c = end;
	}
	x.text[x.len] = '\0';
	*ret = *ret_owned = x.text;
	text = NULL;
	return ERR_OK;
}

void policy_values_free(struct policy_values *values)
{
	free(values->owned);
	free(values->text);
	values->owned = NULL;
	values->text = NULL;
	values->count = 0;
}
