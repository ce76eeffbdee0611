/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_RESOLVE_H
#define SIGNETFS_ENGINE_RESOLVE_H

#include "kms/engine/internal.h"

/**
 * The key that @text names for this caller and region, in any form the operation takes. The service-managed key is made when it
 * is named for the first time. ERR_KMS_NOT_FOUND, ERR_KMS_INVALID_ARN, ERR_KMS_ACCESS_DENIED with AWS's texts.
 */
enum err resolve_key(struct call *call, const char *text, struct store_key *ret);

/** "Key 'ARN' does not exist" */
enum err resolve_key_missing(const struct store_key *key);

/** "Alias ARN is not found." */
enum err resolve_alias_missing(const char *region, const char *account, const char *alias);

#endif
