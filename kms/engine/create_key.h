/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_CREATE_KEY_H
#define SIGNETFS_ENGINE_CREATE_KEY_H

#include "kms/engine/internal.h"

/**
 * What CreateKey asks beyond its shape: a spec, usage, origin and policy that this KMS honours, and sound tags. Refuses what it
 * would otherwise have to ignore.
 */
enum err create_key_check(struct call *call);

#endif
