/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "kms/engine/names.h"

enum { MRK_HEX = 32 };

int names_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum err parse_key_id(const char *text, struct key_name *name)
{
	size_t len;

	if (names_starts_with(text, "mrk-")) {
		if (strlen(text) != strlen("mrk-") + MRK_HEX)
			return ERR_FORMAT;
		name->multi_region = 1;
		return decode_hex(text + strlen("mrk-"), MRK_HEX, name->id, sizeof(name->id), &len);
	}
	return decode_uuid(text, strlen(text), name->id);
}

static enum err parse_alias(const char *text, struct key_name *name)
{
	size_t len = strlen(text);

	if (!names_starts_with(text, NAMES_ALIAS_PREFIX) || len == strlen(NAMES_ALIAS_PREFIX) ||
		len >= sizeof(name->alias))
		return ERR_FORMAT;
	memcpy(name->alias, text, len + 1);
	return ERR_OK;
}

/* Copy up to the next ':'; returns what follows it, or NULL. */
static const char *take_field(const char *text, char *buf, size_t size)
{
	const char *colon = strchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= size || colon == text)
		return NULL;
	memcpy(buf, text, (size_t)(colon - text));
	buf[colon - text] = '\0';
	return colon + 1;
}

static enum err parse_arn(const char *text, struct key_name *name)
{
	const char *rest = text + strlen("arn:aws:kms:");

	if (!names_starts_with(text, "arn:aws:kms:"))
		return ERR_FORMAT;
	rest = take_field(rest, name->region, sizeof(name->region));
	if (rest == NULL)
		return ERR_FORMAT;
	rest = take_field(rest, name->account, sizeof(name->account));
	if (rest == NULL || strspn(name->account, "0123456789") != ENGINE_ACCOUNT_SIZE - 1)
		return ERR_FORMAT;
	if (names_starts_with(rest, "key/")) {
		name->kind = NAME_KEY_ARN;
		return parse_key_id(rest + strlen("key/"), name);
	}
	name->kind = NAME_ALIAS_ARN;
	return parse_alias(rest, name);
}

enum err names_parse(const char *text, struct key_name *ret)
{
	struct key_name name = {.kind = NAME_KEY_ID};

	if (names_starts_with(text, "arn:")) {
		TRY(parse_arn(text, &name));
	} else if (names_starts_with(text, NAMES_ALIAS_PREFIX)) {
		name.kind = NAME_ALIAS;
		TRY(parse_alias(text, &name));
	} else {
		TRY(parse_key_id(text, &name));
	}
	*ret = name;
	return ERR_OK;
}

void names_key_id(const uint8_t id[UUID_SIZE], int multi_region, char ret[NAMES_KEY_ID_SIZE])
{
	if (multi_region) {
		memcpy(ret, "mrk-", 4);
		encode_hex(id, UUID_SIZE, ret + 4);
	} else {
		encode_uuid(id, ret);
	}
}

_Static_assert(
	sizeof("arn:aws:kms:") + ENGINE_REGION_SIZE + ENGINE_ACCOUNT_SIZE + sizeof(":key/") + NAMES_KEY_ID_SIZE <=
		ENGINE_ARN_SIZE,
	"a key's ARN fits");

void names_key_arn_of(const char *region, const char *account, const uint8_t id[UUID_SIZE], int multi_region,
	char ret[ENGINE_ARN_SIZE])
{
	char *p = ret;

	/* Every call makes this a few times, and snprintf() takes ten times as long. */
	p = stpcpy(p, "arn:aws:kms:");
	p = stpcpy(p, region);
	*p++ = ':';
	p = stpcpy(p, account);
	p = stpcpy(p, ":key/");
	names_key_id(id, multi_region, p);
}

void names_key_arn(const struct store_key *key, char ret[ENGINE_ARN_SIZE])
{
	names_key_arn_of(key->region, key->account, key->id, key->multi_region, ret);
}

void names_alias_arn(const char *region, const char *account, const char *alias, char ret[NAMES_ALIAS_ARN_SIZE])
{
	snprintf(ret, NAMES_ALIAS_ARN_SIZE, "arn:aws:kms:%s:%s:%s", region, account, alias);
}
