/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUTHORIZE_H
#define SIGNETFS_ENGINE_AUTHORIZE_H

/*
 * The one place that decides: key policy, identity and session policies, grants, in AWS's order (kms/policy/policy.h). What is read
 * for a decision is read afresh, but for parsed policies, which are kept under versions that never come again.
 */

#include "kms/base/err.h"
#include "kms/engine/engine.h"
#include "kms/policy/policy.h"
#include "kms/store/store.h"

struct call;

/**
 * May the caller of @call do "kms:@action" on @key (NULL: an operation about no key)? ERR_KMS_ACCESS_DENIED with AWS's wording: who,
 * what, on which key, and whether an explicit deny or a missing allow decided.
 */
enum err authorize(struct call *call, const char *action, const struct store_key *key);

/** The same for something without a policy of its own, such as an alias: identity policies alone. */
enum err authorize_resource(struct call *call, const char *action, const char *arn);

/** The refusal for a key that the caller may not even know to exist. */
enum err authorize_deny(const struct engine_caller *caller, const char *action, const char *resource);

/** The same for a key or alias of another account that is not there, in the words in which one that is there is refused. */
enum err authorize_unknown(const struct engine_caller *caller, const char *action, const char *resource);

/* What gives the action by itself, so that policies can only take it away. */
enum authorize_granted { AUTHORIZE_NOT_GRANTED, AUTHORIZE_GRANTED, AUTHORIZE_GRANTED_TO_SESSION };

/** The decision itself, for whoever explains it or weighs a policy that is not in force. */
struct authorize_question {
	const char *action; /* of KMS; of another service with its name: "sts:AssumeRole" */
	const struct store_key *key;
	const char *resource;         /* ARN; "*" */
	const struct policy *instead; /* of the key's policy, or a role's trust; NULL: the key's own */
	const char *owner;            /* account of a role */
	enum authorize_granted granted;
	json_t *trace; /* NULL, or an array that takes an object for each document */
};
enum err authorize_decide(struct call *call, const struct authorize_question *question, enum policy_why *ret);
/** … and the refusal. */
enum err authorize_ask(struct call *call, const struct authorize_question *question);

#endif
