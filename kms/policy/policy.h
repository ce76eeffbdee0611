/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_POLICY_POLICY_H
#define SIGNETFS_POLICY_POLICY_H

/*
 * AWS's policy language: documents are parsed once and evaluated many times. Pure: no store, no clock, no I/O; what a
 * condition asks of the request comes from a callback that is called only when a condition asks.
 * Source: "IAM JSON policy reference" and "Policy evaluation logic" of the IAM user guide; "Key policies" of the KMS developer guide.
 *
 * Parsing is bounded and strict: duplicate members, unknown elements, operators, effects and principals are refused rather than
 * ignored, for whatever is ignored would promise a protection that is not there.
 *
 * Threads: a parsed policy is immutable; any number of threads may evaluate it.
 */

#include <jansson.h>
#include <stddef.h>
#include "kms/base/err.h"

struct policy;

enum policy_kind {
	POLICY_KEY,      /* has principals and resources; about the key that it is attached to */
	POLICY_IDENTITY, /* attached to a principal: resources, no principals */
	POLICY_TRUST,    /* of a role: principals, no resources */
	POLICY_SESSION   /* as POLICY_IDENTITY, shorter */
};

enum {
	POLICY_KEY_MAX = 32768,
	POLICY_IDENTITY_MAX = 10240,
	POLICY_TRUST_MAX = 2048,
	POLICY_SESSION_MAX = 2048,
	POLICY_STATEMENTS_MAX = 1024
};

/**
 * ERR_KMS_MALFORMED_POLICY: the text names statement and element. ERR_KMS_LIMIT_EXCEEDED: it is too long. Free with policy_free().
 */
enum err policy_parse(enum policy_kind kind, const char *text, struct policy **ret);
void policy_free(struct policy *policy); /* NULL is fine */

/* What kind a principal of a document is. */
enum policy_named {
	POLICY_NAMED_ANYONE,
	POLICY_NAMED_ACCOUNT,
	POLICY_NAMED_ARN,
	POLICY_NAMED_SERVICE,
	POLICY_NAMED_FEDERATED
};

/** Each principal that the document names; what @each returns but ERR_OK ends it. ACCOUNT gives 12 digits, SERVICE a host name. */
enum err policy_each_principal(const struct policy *policy,
	enum err (*each)(void *context, enum policy_named kind, const char *text), void *context);

/*
 * A user or role is who it was when the document was put: a name can be given to somebody else later. So the ARNs of a document mean
 * nobody until they are bound to unique ids ("AIDA…", "AROA…"; of a session its role's). What ends "…:root", and federated users, of
 * whom nothing but the name is kept, need none.
 */

/** Does an ARN need an id to mean somebody? */
int policy_arn_is_bound(const char *arn);
/** Bind each ARN to what @ids, an object, has for it. One that it has not stays nobody's. */
void policy_bind(struct policy *policy, json_t *ids);
/** The document's text with other words for some of its principals: those that are members of @shown. Free with free(). */
enum err policy_rename_principals(const char *text, const json_t *shown, char **ret);

/* ---- Who asks ---- */

enum policy_caller_kind {
	POLICY_CALLER_UNKNOWN, /* may do nothing, whatever a policy says */
	POLICY_CALLER_ROOT,
	POLICY_CALLER_USER,
	POLICY_CALLER_ROLE_SESSION,
	POLICY_CALLER_FEDERATED_USER,
	POLICY_CALLER_SERVICE
};

/** Texts outlive the evaluation. */
struct policy_caller {
	enum policy_caller_kind kind;
	const char *account; /* 12 digits; "" of a service */
	const char *arn;     /* of a session: the session's; of a service: its host name */
	const char *role;    /* of a role session: the role's ARN; otherwise NULL */
	const char *id;      /* unique id of the user or of the session's role; otherwise NULL */
};

/** What kind of principal an ARN names for @account; UNKNOWN when it is none or of another account. */
enum policy_caller_kind policy_caller_kind(const char *arn, const char *account);

/* ---- What is asked ---- */

/** The values that a condition key has in a request. */
struct policy_values {
	size_t count;       /* 0: the key is not there */
	const char **list;  /* @one, or owned */
	const char *one[2]; /* room for the common case */
	void *owned;        /* freed with free() after use, as is text */
	char *text;
};
void policy_values_free(struct policy_values *values);

struct policy_request {
	const struct policy_caller *caller;
	const char *action;   /* "kms:Decrypt" */
	const char *resource; /* ARN; "*" for an action about no resource */
	/** Look up @key ("aws:SourceIp", case as in the document). Absent: leave count 0. An error ends the evaluation. */
	enum err (*lookup)(void *context, const char *key, struct policy_values *ret);
	void *context;
};

/** What one document says: a set of these. */
enum policy_says {
	POLICY_ALLOWS = 1,         /* the caller itself (in key and trust policies); or in an identity policy */
	POLICY_ALLOWS_SESSION = 2, /* the very session is named: a session policy does not narrow this */
	POLICY_ALLOWS_ACCOUNT = 4, /* the caller's account: its identity policies decide */
	POLICY_DENIES = 8
};

/**
 * Evaluate one document. @trace NULL, or an array to which one object a statement is appended that says what matched and what did
 * not; with a trace every part of every statement is evaluated.
 */
enum err policy_evaluate(
	const struct policy *policy, const struct policy_request *request, json_t *trace, unsigned *ret_says);

/* ---- All together ---- */

enum policy_why {
	POLICY_BECAUSE_KEY_POLICY,
	POLICY_BECAUSE_IDENTITY,
	POLICY_BECAUSE_GRANT,
	POLICY_BECAUSE_ROOT, /* the account's root, about what has no policy of its own */
	POLICY_DENIED_BY_KEY_POLICY,
	POLICY_DENIED_BY_IDENTITY,
	POLICY_DENIED_BY_SESSION,
	POLICY_NO_KEY_POLICY_ALLOWS, /* from here on: nothing allows it */
	POLICY_NO_IDENTITY_ALLOWS,
	POLICY_NO_SESSION_ALLOWS
};

/** Sets of enum policy_says, as policy_evaluate() gave them; of several documents of one sort, or'ed. */
struct policy_inputs {
	int has_resource_policy; /* the action is about a key, or about a role's trust */
	const char *owner;       /* account of the resource */
	unsigned resource;
	unsigned identity;
	int has_session; /* the session was given a policy of its own */
	unsigned session;
	int grant;             /* a grant covers it */
	int grant_for_session; /* … which names the very session */
};

/** AWS's order: an explicit deny; the resource's policy; delegation to identity policies; grants; and both sides across accounts. */
enum policy_why policy_decide(const struct policy_caller *caller, const struct policy_inputs *inputs);
int policy_is_allowed(enum policy_why why);

/** "because no identity-based policy allows the kms:Decrypt action", "with an explicit deny in a resource-based policy" */
void policy_why_text(enum policy_why why, const char *action, char *out, size_t size);

#endif
