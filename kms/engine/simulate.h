/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_SIMULATE_H
#define SIGNETFS_ENGINE_SIMULATE_H

/* Why somebody may or may not do something: the decision that authorize() would make, with every step on the way. */

#include "kms/engine/engine.h"

struct engine_simulation {
	const char *principal;  /* "root", a user or role as iam.h names them, or the ARN of any, a session included */
	const char *action;     /* "kms:Decrypt" or "Decrypt" */
	const char *key;        /* id, ARN, alias or alias ARN; NULL: about no key */
	const json_t *request;  /* the operation's request, for conditions and grant tokens; NULL: empty */
	const char *key_policy; /* weigh this document in place of the key's; NULL: the key's own */
	const char *source_ip;  /* NULL: local */
	int insecure;           /* without TLS */
};

/**
 * @ret: {Principal, Action, Resource, Decision (allowed, explicitDeny, implicitDeny), Reason, Policies: what each document's statements
 * matched}. ERR_NOT_FOUND: no such principal; ERR_USAGE: no action; ERR_KMS_NOT_FOUND: no such key; ERR_KMS_MALFORMED_POLICY. Drop the
 * reference.
 */
enum err engine_simulate(struct engine *engine, const struct engine_simulation *what, json_t **ret);

#endif
