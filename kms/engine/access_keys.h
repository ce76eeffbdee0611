/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_ACCESS_KEYS_H
#define SIGNETFS_ENGINE_ACCESS_KEYS_H

#include "kms/engine/internal.h"

/** "AKIA" or "ASIA" and random characters. */
void access_key_new_id(const char prefix[4], char ret[ENGINE_ACCESS_KEY_ID_SIZE]);
enum err access_key_new_secret(char ret[ENGINE_SECRET_KEY_SIZE]);
/** ERR_KMS_UNRECOGNIZED_CLIENT: the same words whatever was wrong with the credentials. */
enum err access_key_refuse(void);
/** Has the access key that @caller signed with not been deleted meanwhile, by another process perhaps? ERR_KMS_UNRECOGNIZED_CLIENT. */
enum err access_key_stands(struct engine *engine, const struct engine_caller *caller);

#endif
