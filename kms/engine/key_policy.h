/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_KEY_POLICY_H
#define SIGNETFS_ENGINE_KEY_POLICY_H

#include "kms/engine/internal.h"

/**
 * Give @key, which is in the store, the policy @text (in a transaction): parsed, its principals looked for, and, unless the request
 * bypasses it, asked whether the caller could still change it. Sets key->policy. ERR_KMS_MALFORMED_POLICY, ERR_KMS_LIMIT_EXCEEDED.
 */
enum err key_policy_put(struct call *call, struct store_key *key, const char *text);

#endif
