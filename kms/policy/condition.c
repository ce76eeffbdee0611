/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/policy/internal.h"

static const struct condition_operator operators[] = {
	/* name, class, test, negated, wildcards, any case */
	{"StringEquals", CLASS_STRING, TEST_EQUAL, 0, 0, 0},
	{"StringNotEquals", CLASS_STRING, TEST_EQUAL, 1, 0, 0},
	{"StringEqualsIgnoreCase", CLASS_STRING, TEST_EQUAL, 0, 0, 1},
	{"StringNotEqualsIgnoreCase", CLASS_STRING, TEST_EQUAL, 1, 0, 1},
	{"StringLike", CLASS_STRING, TEST_EQUAL, 0, 1, 0},
	{"StringNotLike", CLASS_STRING, TEST_EQUAL, 1, 1, 0},
	{"NumericEquals", CLASS_NUMBER, TEST_EQUAL, 0, 0, 0},
	{"NumericNotEquals", CLASS_NUMBER, TEST_EQUAL, 1, 0, 0},
	{"NumericLessThan", CLASS_NUMBER, TEST_LESS, 0, 0, 0},
	{"NumericLessThanEquals", CLASS_NUMBER, TEST_LESS_EQUAL, 0, 0, 0},
	{"NumericGreaterThan", CLASS_NUMBER, TEST_GREATER, 0, 0, 0},
	{"NumericGreaterThanEquals", CLASS_NUMBER, TEST_GREATER_EQUAL, 0, 0, 0},
	{"DateEquals", CLASS_DATE, TEST_EQUAL, 0, 0, 0},
	{"DateNotEquals", CLASS_DATE, TEST_EQUAL, 1, 0, 0},
	{"DateLessThan", CLASS_DATE, TEST_LESS, 0, 0, 0},
	{"DateLessThanEquals", CLASS_DATE, TEST_LESS_EQUAL, 0, 0, 0},
	{"DateGreaterThan", CLASS_DATE, TEST_GREATER, 0, 0, 0},
	{"DateGreaterThanEquals", CLASS_DATE, TEST_GREATER_EQUAL, 0, 0, 0},
	{"Bool", CLASS_BOOL, TEST_EQUAL, 0, 0, 0},
	{"BinaryEquals", CLASS_BINARY, TEST_EQUAL, 0, 0, 0},
	{"IpAddress", CLASS_IP, TEST_EQUAL, 0, 0, 0},
	{"NotIpAddress", CLASS_IP, TEST_EQUAL, 1, 0, 0},
	{"ArnEquals", CLASS_ARN, TEST_EQUAL, 0, 1, 0},
	{"ArnLike", CLASS_ARN, TEST_EQUAL, 0, 1, 0},
	{"ArnNotEquals", CLASS_ARN, TEST_EQUAL, 1, 1, 0},
	{"ArnNotLike", CLASS_ARN, TEST_EQUAL, 1, 1, 0},
	{"Null", CLASS_NULL, TEST_EQUAL, 0, 0, 0},
};

const struct condition_operator *condition_operator_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (strlen(operators[i].name) == len && memcmp(operators[i].name, name, len) == 0)
			return &operators[i];
	return NULL;
}

int condition_value_is_sound(const struct condition_operator *operator, const char * text)
{
	struct address address;
	long double number;
	int truth;

	switch (operator->class) {
	case CLASS_NUMBER:
		return value_number(text, &number);
	case CLASS_DATE:
		return value_date(text, &number);
	case CLASS_BOOL:
	case CLASS_NULL:
		return value_bool(text, &truth);
	case CLASS_IP:
		return value_address(text, &address);
	default:
		return 1;
	}
}

/* ---- One value against one of the document ---- */

static int compare(enum condition_test test, long double a, long double b)
{
	switch (test) {
	case TEST_LESS:
		return a < b;
	case TEST_LESS_EQUAL:
		return a <= b;
	case TEST_GREATER:
		return a > b;
	case TEST_GREATER_EQUAL:
		return a >= b;
	default:
		return a >= b && a <= b;
	}
}

static int match_typed(const struct condition_operator *o, const char *pattern, const char *value)
{
	struct address address, range;
	long double a, b;
	int x, y;

	switch (o->class) {
	case CLASS_NUMBER:
		return value_number(value, &a) && value_number(pattern, &b) && compare(o->test, a, b);
	case CLASS_DATE:
		return value_date(value, &a) && value_date(pattern, &b) && compare(o->test, a, b);
	case CLASS_BOOL:
		return value_bool(value, &x) && value_bool(pattern, &y) && x == y;
	case CLASS_IP:
		return value_address(value, &address) && value_address(pattern, &range) &&
		       address_within(&address, &range);
	case CLASS_ARN:
		return glob_match_arn(pattern, value);
	default:
		return glob_match(pattern, value, o->wild, o->fold);
	}
}

static enum err match_value(const struct condition *c, int allows, const struct pattern *pattern,
	const struct policy_request *request, const char *value, int *ret)
{
	char *owned AUTO_FREE = NULL;
	const char *text;
	enum err e = pattern_expand(pattern, request, &text, &owned);

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	*ret = e == ERR_OK ? match_typed(c->operator, text, value) : allows && c->operator->negated;
	return ERR_OK;
}

/* Does the value match any of the document's? */
static enum err match_any(
	const struct condition *c, int allows, const struct policy_request *request, const char *value, int *ret)
{
	*ret = 0;
	for (size_t i = 0; i < c->count && !*ret; i++)
		TRY(match_value(c, allows, &c->values[i], request, value, ret));
	return ERR_OK;
}

/* ---- The condition as a whole ---- */

static int holds_when_absent(const struct condition *c)
{
	int truth;

	if (c->operator->class == CLASS_NULL) {
		for (size_t i = 0; i < c->count; i++)
			if (value_bool(c->values[i].text, &truth) && truth)
				return 1;
		return 0;
	}
	if (c->if_exists || c->set == SET_ALL)
		return 1;
	return c->set == SET_NONE && c->operator->negated;
}

static int holds_when_present(const struct condition *c)
{
	int truth;

	for (size_t i = 0; i < c->count; i++)
		if (value_bool(c->values[i].text, &truth) && !truth)
			return 1;
	return 0;
}

/*
 * ForAnyValue: one value passes. ForAllValues: each does. Without a set operator a key of several values passes when one of them
 * matches, or, negated, none does.
 */
static enum err holds_for(const struct condition *c, int allows, const struct policy_request *request,
	const struct policy_values *values, int *ret)
{
	int all = c->set == SET_ALL || (c->set == SET_NONE && c->operator->negated), matches;

	for (size_t i = 0; i < values->count; i++) {
		int passes;

		TRY(match_any(c, allows, request, values->list[i], &matches));
		passes = matches != c->operator->negated;
		if (passes != all) {
			*ret = passes;
			return ERR_OK;
		}
	}
	*ret = all;
	return ERR_OK;
}

static void trace_condition(json_t *trace, const struct condition *c, const struct policy_values *values, int holds)
{
	json_t *wanted = json_array(), *found = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(wanted, json_string(c->values[i].shown));
	for (size_t i = 0; i < values->count; i++)
		json_array_append_new(found, json_string(values->list[i]));
	json_array_append_new(trace, json_pack("{s:s, s:s, s:o?, s:o?, s:b}", "Operator", c->name, "Key", c->key,
					     "PolicyValues", wanted, "RequestValues", found, "Holds", holds));
}

enum err condition_holds(
	const struct condition *c, int allows, const struct policy_request *request, json_t *trace, int *ret_holds)
{
	struct policy_values values __attribute__((cleanup(policy_values_free))) = {.count = 0};
	int holds;

	values.list = values.one;
	TRY(request->lookup(request->context, c->key, &values));
	if (values.count == 0)
		holds = holds_when_absent(c);
	else if (c->operator->class == CLASS_NULL)
		holds = holds_when_present(c);
	else
		TRY(holds_for(c, allows, request, &values, &holds));
	if (trace != NULL)
		trace_condition(trace, c, &values, holds);
	*ret_holds = holds;
	return ERR_OK;
}
