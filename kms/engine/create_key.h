/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_CREATE_KEY_H
#define SIGNETFS_ENGINE_CREATE_KEY_H

#include "kms/engine/internal.h"
#include "kms/engine/key_specs.h"

/** What CreateKey is to make. */
struct create_key_kind {
	const struct key_spec *spec;
	const char *usage;
	int external; /* its material will be imported */
};
/** ERR_KMS_VALIDATION, ERR_KMS_UNSUPPORTED_OPERATION for what makes no sense, or is not to be had here. */
enum err create_key_kind(struct call *call, struct create_key_kind *ret);

/** ERR_KMS_LIMIT_EXCEEDED: the account has as many customer keys in the Region as it may have. */
enum err key_allow_one_more(struct call *call, const char *account, const char *region);

#endif
