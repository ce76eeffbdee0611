/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_PREPARE_H
#define SIGNETFS_ENGINE_PREPARE_H

#include "kms/engine/internal.h"

/**
 * What takes long and needs no lock, before the call's transaction begins: a key pair, which at RSA's 4096 bits takes seconds. Left in
 * call->prepared. Only after the caller was found to be allowed to ask for it; the operation itself asks again.
 */
enum err prepare_call(struct call *call);

#endif
