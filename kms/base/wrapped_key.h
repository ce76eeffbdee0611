/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_BASE_WRAPPED_KEY_H
#define SIGNETFS_BASE_WRAPPED_KEY_H

/* What formats store and KMS clients pass around of a key under a CMK. Below both, so that a format needs no KMS. */

#include <stdint.h>

enum { KMS_ARN_MAX = 255, KMS_BLOB_MAX = 1024 };

/** A key under a CMK, as it is stored: which CMK, and the service's opaque blob. Not secret. */
struct kms_wrapped_key {
	char key_arn[KMS_ARN_MAX + 1];
	uint16_t blob_len;
	uint8_t blob[KMS_BLOB_MAX];
};

#endif
