/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_TAGS_H
#define SIGNETFS_ENGINE_TAGS_H

#include "kms/engine/internal.h"

enum { TAGS_MAX = 50 };

/** Are the request's Tags sound: not too many, none reserved, none twice? ERR_KMS_TAG, ERR_KMS_LIMIT_EXCEEDED. */
enum err tags_check(struct call *call);
/** Give the key in @row the request's Tags. */
enum err tags_put(struct call *call, int64_t row);

#endif
