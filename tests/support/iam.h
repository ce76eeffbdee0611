/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_SUPPORT_IAM_H
#define SIGNETFS_TESTS_SUPPORT_IAM_H

/* Users, roles and sessions of a keystore fixture, in one line each. In texts ' stands for ". */

#include "tests/support/keystore.h"

/** Make a user or role ("role/app", with a trust); its ARN. */
void iam_user(struct keystore *k, const char *name, char ret_arn[ENGINE_ARN_SIZE]);
void iam_role(struct keystore *k, const char *name, const char *trust, char ret_arn[ENGINE_ARN_SIZE]);
/** Attach the statement as a policy of one. */
void iam_attach(struct keystore *k, const char *who, const char *policy, const char *statement);

/** From now on the keystore's caller is the user (by a new access key), "root" again, or who has these credentials. */
void iam_become(struct keystore *k, const char *who);
void iam_become_session(struct keystore *k, const json_t *credentials);

/** STS as the current caller; the result, or NULL and the code of the refusal. */
json_t *iam_sts(struct keystore *k, const char *action, const char *parameters, const char **ret_code);

#endif
