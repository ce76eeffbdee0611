/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_POLICY_INTERNAL_H
#define SIGNETFS_POLICY_INTERNAL_H

/* What parsing and evaluation share: the parsed document. Texts are borrowed from the document's JSON, or owned by the pattern. */

#include <stdint.h>
#include "kms/policy/policy.h"

/*
 * A text with wildcards and policy variables, made ready for matching: PATTERN_LITERAL stands before a character that means itself
 * ("${*}"), and a variable "${aws:username}" is kept and expanded at evaluation.
 */
enum { PATTERN_LITERAL = '\1', PATTERN_MAX = 32768 };

struct pattern {
	char *text;        /* owned */
	const char *shown; /* as in the document */
	int has_variables;
};

enum err pattern_init(const char *text, int variables, struct pattern *ret);
void pattern_free(struct pattern *p);

/** The pattern with its variables expanded: *ret is p->text or *ret_owned (free it). ERR_NOT_FOUND: a variable has no value. */
enum err pattern_expand(
	const struct pattern *p, const struct policy_request *request, const char **ret, char **ret_owned);

/* Matching an expanded pattern. @wild: '*' and '?' are wildcards. @fold: ASCII letters of either case are the same. */
int glob_match(const char *pattern, const char *text, int wild, int fold);
/** Part by part of the six that an ARN has. */
int glob_match_arn(const char *pattern, const char *arn);

/* ---- Conditions ---- */

enum condition_class {
	CLASS_STRING,
	CLASS_NUMBER,
	CLASS_DATE,
	CLASS_BOOL,
	CLASS_BINARY,
	CLASS_IP,
	CLASS_ARN,
	CLASS_NULL
};

enum condition_test { TEST_EQUAL, TEST_LESS, TEST_LESS_EQUAL, TEST_GREATER, TEST_GREATER_EQUAL };

struct condition_operator {
	const char *name;
	enum condition_class class;
	enum condition_test test;
	int negated, wild, fold;
};

/** NULL: there is none of that name (case as AWS writes it). */
const struct condition_operator *condition_operator_find(const char *name, size_t len);

enum condition_set { SET_NONE, SET_ANY, SET_ALL };

struct condition {
	const struct condition_operator *operator;
	const char *name; /* as in the document, with qualifier and suffix */
	enum condition_set set;
	int if_exists;
	const char *key;
	size_t count;
	struct pattern *values;
};

/** Can a value of the document be read as the operator's class? */
int condition_value_is_sound(const struct condition_operator *operator, const char * text);

/**
 * @allows: of an Allow. A value whose variable has no value matches nothing; but where an Allow says that it may not match, nothing passes.
 * @trace NULL or the array that takes what was compared.
 */
enum err condition_holds(
	const struct condition *c, int allows, const struct policy_request *request, json_t *trace, int *ret_holds);

/* ---- Typed values (values.c) ---- */

int value_number(const char *text, long double *ret);
/** ISO 8601 date or date and time (UTC or with an offset), or seconds since 1970; in seconds. */
int value_date(const char *text, long double *ret);
int value_bool(const char *text, int *ret);

struct address {
	unsigned bits; /* of the prefix */
	int family;
	uint8_t b[16];
};
/** "192.0.2.0/24", "2001:db8::1" */
int value_address(const char *text, struct address *ret);
int address_within(const struct address *a, const struct address *range);

/* ---- Statements ---- */

struct principal {
	enum policy_named kind;
	const char *text; /* of an ACCOUNT: 12 digits */
	const char *id;   /* of an ARN that is bound; NULL: nobody's, if it needs one */
};

struct statement {
	char label[72]; /* Sid, or "#1" */
	int deny;
	int not_principal, not_action, not_resource;
	size_t principal_count, action_count, resource_count, condition_count;
	struct principal *principals;
	struct pattern *actions, *resources;
	struct condition *conditions;
};

struct policy {
	enum policy_kind kind;
	json_t *document; /* owns the texts */
	json_t *ids;      /* owns the ids of principals; NULL: not bound */
	size_t count;
	struct statement *statements;
};

/** "arn:aws:iam::ACCOUNT:root" → ACCOUNT in @ret. */
int principal_account_of_root(const char *arn, char ret[13]);

/** Which of enum policy_says an Allow for the statement's principals would be for this caller; 0: they are not for it. */
unsigned principal_match(const struct statement *s, const struct policy_caller *caller);

/** Parse Condition into the statement. */
enum err condition_parse(const json_t *block, int variables, const char *label, struct statement *s);
void condition_free(struct condition *c);

enum err policy_malformed(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
