/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_VALIDATE_TYPE_H
#define SIGNETFS_ENGINE_VALIDATE_TYPE_H

#include "kms/engine/validate.h"

/** Has every member the JSON type it should, down to the last? ERR_KMS_SERIALIZATION, as AWS says it. */
enum err validate_types(const struct member *members, const json_t *request);

#endif
