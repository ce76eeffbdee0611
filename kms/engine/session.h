/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_SESSION_H
#define SIGNETFS_ENGINE_SESSION_H

/*
 * Temporary credentials. A session token is the session itself, sealed under the keystore's key and bound to its access key id:
 * nothing is kept, so nothing has to be cleaned up, and every process of the keystore knows every session. It ends when its time is
 * over, or at once when its user or role is deleted; policies can refuse the older ones (aws:TokenIssueTime).
 */

#include "kms/engine/internal.h"

enum session_kind { SESSION_OF_ROLE = 1, SESSION_OF_USER = 2, SESSION_FEDERATED = 3 };

enum { SESSION_TOKEN_SIZE = 3072 };

struct session {
	enum session_kind kind;
	int64_t principal; /* row of the role or user */
	uint64_t issued, expires;
	char name[65];                                 /* of a role's session or a federated user */
	char policy[ENGINE_SESSION_POLICY_SIZE];       /* "": none */
	char access_key_id[ENGINE_ACCESS_KEY_ID_SIZE]; /* "ASIA…" */
	char secret[ENGINE_SECRET_KEY_SIZE];           /* wipe it */
};

/** Give @session its access key and make its token. */
enum err session_issue(struct engine *engine, struct session *session, char ret_token[SESSION_TOKEN_SIZE]);

/** Who has this token and access key id. ERR_KMS_UNRECOGNIZED_CLIENT, ERR_KMS_EXPIRED_TOKEN. */
enum err session_open(
	struct engine *engine, const char *access_key_id, const char *token, struct engine_access_key *ret);

#endif
