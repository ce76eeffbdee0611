/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_STS_H
#define SIGNETFS_ENGINE_STS_H

/*
 * What of AWS STS is needed to be somebody else for a while: GetCallerIdentity, AssumeRole, GetFederationToken, GetSessionToken. Threads: as
 * engine_call().
 */

#include "kms/engine/engine.h"

struct engine_sts_reply {
	const char *code;   /* "AccessDenied", …; NULL: success */
	unsigned status;    /* HTTP */
	char message[1024]; /* of a refusal */
	json_t *result;     /* of a success: an object of texts and such objects. The caller drops the reference. */
	char request_id[37];
};

/** One action with its parameters (texts). Every outcome is in @reply and on the audit trail before this returns. */
void engine_sts_call(struct engine *engine, const struct engine_caller *caller, const char *action,
	const json_t *parameters, struct engine_sts_reply *ret_reply);

/** STS's code and HTTP status for a refusal before an action began: a bad signature, an unknown client. */
const char *engine_sts_code(enum err e, unsigned *ret_status);

#endif
