/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/limits.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "kms/policy/policy.h"

enum { ADJUSTED_MAX = 10000000 };

static const struct {
	const char *name;
	uint32_t most;
	int is_adjustable;
	const char *who, *what; /* "WHO may have at most N WHAT." */
} limits[LIMITS] = {
	[LIMIT_KEYS] = {"keys", 100000, 1, "An account", "customer keys in a Region"},
	[LIMIT_ALIASES] = {"aliases-per-key", 50, 1, "A key", "aliases"},
	[LIMIT_GRANTS] = {"grants-per-key", 50000, 1, "A key", "grants"},
	[LIMIT_TAGS] = {"tags-per-key", 50, 0, "A key", "tags"},
	[LIMIT_ROTATIONS] = {"on-demand-rotations-per-key", 25, 0, "A key", "on-demand rotations"},
	[LIMIT_POLICY] = {"policy-bytes", POLICY_KEY_MAX, 0, "A key policy", "bytes"},
};

const char *limit_name(enum limit which)
{
	return limits[which].name;
}

void limits_init(struct limits *l)
{
	for (int i = 0; i < LIMITS; i++)
		atomic_store(&l->most[i], limits[i].most);
}

static int limit_named(const char *name, size_t len)
{
	for (int i = 0; i < LIMITS; i++)
		if (strlen(limits[i].name) == len && strncmp(limits[i].name, name, len) == 0)
			return i;
	return -1;
}

static enum err take_word(const char *word, size_t len, uint32_t most[LIMITS])
{
	const char *equals = memchr(word, '=', len);
	int which = equals != NULL ? limit_named(word, (size_t)(equals - word)) : -1;
	char *end = NULL;
	unsigned long value = equals != NULL ? strtoul(equals + 1, &end, 10) : 0;

	if (which >= 0 && !limits[which].is_adjustable)
		return err_fail(ERR_CONFIG, "resource-quotas: %s is %u for everybody, as at AWS", limits[which].name,
			limits[which].most);
	if (which < 0 || strspn(equals + 1, "0123456789") == 0 || end != word + len || value < 1 ||
		value > ADJUSTED_MAX)
		return err_fail(ERR_CONFIG,
			"resource-quotas: '%.*s' is no NAME=NUMBER: names are keys, aliases-per-key and "
			"grants-per-key, "
			"numbers 1 to %d",
			(int)len, word, ADJUSTED_MAX);
	most[which] = (uint32_t)value;
	return ERR_OK;
}

static enum err parse(const char *text, uint32_t most[LIMITS])
{
	for (int i = 0; i < LIMITS; i++)
		most[i] = limits[i].most;
	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, ", \t");

		if (len > 0)
			TRY(take_word(p, len, most));
		p += len + (p[len] != '\0');
	}
	return ERR_OK;
}

enum err limits_check_text(const char *text)
{
	uint32_t most[LIMITS];

	return parse(text, most);
}

enum err limits_configure(struct limits *l, const char *text)
{
	uint32_t most[LIMITS];

	TRY(parse(text, most));
	for (int i = 0; i < LIMITS; i++)
		atomic_store(&l->most[i], most[i]);
	return ERR_OK;
}

enum err limits_allow(const struct limits *l, enum limit which, size_t count)
{
	uint32_t most = atomic_load(&l->most[which]);

	if (count <= most)
		return ERR_OK;
	return err_fail(
		ERR_KMS_LIMIT_EXCEEDED, "%s may have at most %u %s.", limits[which].who, most, limits[which].what);
}
