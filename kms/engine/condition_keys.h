/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_CONDITION_KEYS_H
#define SIGNETFS_ENGINE_CONDITION_KEYS_H

/*
 * The values of condition keys (aws:SourceIp, kms:EncryptionContext:…) in a call. Asked only when a policy has such a condition.
 * Names of keys are compared without regard to case, as AWS does; what follows in aws:ResourceTag/… and kms:EncryptionContext:…, too.
 */

#include "kms/engine/internal.h"
#include "kms/policy/policy.h"

struct condition_scope {
	const struct call *call;
	const char *action;          /* "ReEncryptFrom" */
	const struct store_key *key; /* NULL: about no key */
};

/** For struct policy_request; @context is a struct condition_scope. */
enum err condition_keys_lookup(void *context, const char *key, struct policy_values *ret);

/** The encryption context that the action is about, or NULL: the source's for ReEncryptFrom, a grant's constraint for CreateGrant. */
const json_t *condition_keys_context(const struct call *call, const char *action);

#endif
