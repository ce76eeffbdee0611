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

/*
 * Where a blob of this project's KMS (kms/engine/blob.h, which asserts it) names its CMK and which of its backing keys: clients may look,
 * to tell which material a key is under without asking. Not authenticated; only the KMS can.
 */
enum { OWN_BLOB_OFF_KEY = 2, OWN_BLOB_OFF_BACKING = 18, OWN_BLOB_OVERHEAD = 98 };

#endif
