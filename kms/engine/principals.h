/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_PRINCIPALS_H
#define SIGNETFS_ENGINE_PRINCIPALS_H

/* Users and roles inside the engine: names, ARNs, whether they are there. Managing them is iam.h. */

#include "kms/engine/internal.h"
#include "kms/policy/policy.h"

/** "arn:aws:iam::ACCOUNT:user/dept/bob" */
void principal_arn(const struct store_principal *p, char ret[ENGINE_ARN_SIZE]);
/** "arn:aws:iam::ACCOUNT:root" */
void principal_root_arn(const char *account, char ret[ENGINE_ARN_SIZE]);

/** Fill in who a caller is; the rest stays. */
void principal_describe_root(const char *account, struct engine_caller *caller);
void principal_describe_user(const struct store_principal *user, struct engine_caller *caller);
void principal_describe_session(const struct store_principal *role, const char *session, struct engine_caller *caller);
void principal_describe_federated(const struct store_principal *user, const char *name, struct engine_caller *caller);

/** The user or role of that ARN. ERR_NOT_FOUND: there is none, or it is no ARN of one. */
enum err principal_find(struct engine *engine, const char *arn, struct store_principal *ret);

/**
 * Is there what a policy or grant names: the account; the user or role; of a session its role, whatever the session's name? Gives the
 * user's or role's unique id, "" of others. ERR_NOT_FOUND. Services and identity providers are not ours to know.
 */
enum err principal_check(
	struct engine *engine, enum policy_named kind, const char *text, char ret_id[STORE_UNIQUE_ID_SIZE]);
/** The same for an ARN alone, as grants name principals: "…:root" is an account. */
enum err principal_check_arn(struct engine *engine, const char *arn, char ret_id[STORE_UNIQUE_ID_SIZE]);

#endif
