/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_MANAGED_H
#define SIGNETFS_ENGINE_MANAGED_H

#include "kms/engine/internal.h"

/** Make the caller's service-managed key, "alias/aws/signetfs", unless somebody else just has; recorded as the service's doing. */
enum err managed_key_create(struct call *call, struct store_key *ret);

#endif
