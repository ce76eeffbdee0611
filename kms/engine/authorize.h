/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUTHORIZE_H
#define SIGNETFS_ENGINE_AUTHORIZE_H

#include "kms/base/err.h"
#include "kms/engine/engine.h"
#include "kms/store/store.h"

struct call;

/**
 * May the caller of @call do "kms:@action" on @key (NULL: an operation about no key)? The one place that decides.
 * The root of the key's account may do everything, except to administer what the service manages; nobody else may do
 * anything. ERR_KMS_ACCESS_DENIED with AWS's wording.
 */
enum err authorize(struct call *call, const char *action, const struct store_key *key);

/** The refusal for a key that the caller may not even know to exist. */
enum err authorize_deny(const struct engine_caller *caller, const char *action, const char *resource);

#endif
