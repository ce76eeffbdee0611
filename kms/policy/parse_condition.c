/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/policy/internal.h"

enum { KEY_MAX = 256, CONDITIONS_MAX = 256 };

void condition_free(struct condition *c)
{
	for (size_t i = 0; i < c->count; i++)
		pattern_free(&c->values[i]);
	free(c->values);
}

/* "ForAnyValue:StringLikeIfExists" */
static enum err read_operator(const char *name, const char *label, struct condition *c)
{
	static const char any[] = "ForAnyValue:", all[] = "ForAllValues:", suffix[] = "IfExists";
	const char *bare = name;
	size_t len;

	if (strncmp(name, any, strlen(any)) == 0)
		c->set = SET_ANY;
	else if (strncmp(name, all, strlen(all)) == 0)
		c->set = SET_ALL;
	bare += c->set == SET_ANY ? strlen(any) : c->set == SET_ALL ? strlen(all) : 0;
	len = strlen(bare);
	if (len > strlen(suffix) && strcmp(bare + len - strlen(suffix), suffix) == 0) {
		c->if_exists = 1;
		len -= strlen(suffix);
	}
	c->name = name;
	c->operator= condition_operator_find(bare, len);
	if (c->operator== NULL ||(c->operator->class == CLASS_NULL &&(c->if_exists || c->set != SET_NONE)))
		return policy_malformed(label, "unknown condition operator %.64s", name);
	return ERR_OK;
}

static enum err check_key(const char *key, const char *label)
{
	const char *colon = strchr(key, ':');

	if (colon == NULL || colon == key || colon[1] == '\0' || strlen(key) > KEY_MAX)
		return policy_malformed(label, "%.64s is no condition key such as kms:ViaService or aws:SourceIp", key);
	return ERR_OK;
}

/* AWS takes true and 30 for "true" and "30". The new string takes the value's place in the document, which owns it. */
static json_t *as_text(const json_t *value)
{
	char text[64];

	if (json_is_boolean(value))
		return json_string(json_is_true(value) ? "true" : "false");
	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, sizeof(text), "%.15g", json_real_value(value));
	else
		return NULL;
	return json_string(text);
}

static enum err add_value(struct condition *c, const char *text, int variables, const char *label)
{
	struct pattern *p = &c->values[c->count];

	for (const char *t = text; *t != '\0'; t++)
		if ((unsigned char)*t < 0x20 && strchr("\t\n\r", *t) == NULL)
			return policy_malformed(label, "a value of %.64s has a control character", c->key);
	TRY(pattern_init(text, variables, p));
	c->count++;
	if (!p->has_variables && !condition_value_is_sound(c->operator, text))
		return policy_malformed(label, "'%.64s' is no value for %.64s", text, c->name);
	return ERR_OK;
}

static enum err read_values(struct condition *c, json_t *list, int variables, const char *label)
{
	size_t n = json_array_size(list);

	c->values = calloc(n + 1, sizeof(*c->values));
	if (c->values == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n; i++) {
		json_t *value = json_array_get(list, i);

		if (!json_is_string(value)) {
			value = as_text(value);
			if (value == NULL || json_array_set_new(list, i, value) != 0)
				return policy_malformed(label, "a value of %.64s is neither text nor number", c->key);
		}
		TRY(add_value(c, json_string_value(value), variables, label));
	}
	return n > 0 ? ERR_OK : policy_malformed(label, "condition key %.64s has no values", c->key);
}

static enum err read_key(json_t *keys, const char *key, json_t *value, const struct condition *operator, int variables,
	const char *label, struct statement *s)
{
	struct condition *c = &s->conditions[s->condition_count];

	TRY(check_key(key, label));
	*c = *operator;
	c->key = key;
	s->condition_count++;
	if (!json_is_array(value)) {
		json_t *list = json_pack("[O]", value);

		if (list == NULL || json_object_set_new(keys, key, list) != 0)
			return ERR_NO_MEMORY;
		value = list;
	}
	return read_values(c, value, variables, label);
}

static size_t count_keys(const json_t *block)
{
	const char *name;
	json_t *keys;
	size_t n = 0;

	json_object_foreach ((json_t *)block, name, keys) {
		n += json_object_size(keys);
	}
	return n;
}

enum err condition_parse(const json_t *block, int variables, const char *label, struct statement *s)
{
	size_t n = count_keys(block);
	const char *name, *key;
	json_t *keys, *value;
	void *safe;

	if (!json_is_object(block) || n > CONDITIONS_MAX)
		return policy_malformed(label, "Condition is no object of at most %d conditions", CONDITIONS_MAX);
	s->conditions = calloc(n + 1, sizeof(*s->conditions));
	if (s->conditions == NULL)
		return ERR_NO_MEMORY;
	json_object_foreach ((json_t *)block, name, keys) {
		struct condition operator= {.set = SET_NONE};

		TRY(read_operator(name, label, &operator));
		if (json_object_size(keys) == 0)
			return policy_malformed(label, "condition operator %.64s has no keys", name);
		json_object_foreach_safe(keys, safe, key, value)
		{
			TRY(read_key(keys, key, value, &operator, variables, label, s));
		}
	}
	return ERR_OK;
}
