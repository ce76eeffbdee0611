/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CUSTOMER_KEY_H
#define SIGNETFS_CUSTOMER_KEY_H

/*
 * A key file that a person holds, in the place of a KMS (as with SSE-C): the third implementation of struct kms. It wraps and unwraps
 * keys under the one key that the file has, and does nothing else: no policies, no states, no rotation, no audit trail.
 *
 * The file (32 bytes, or 64 hexadecimal digits; nobody else's to read) is read again for every call, and the key wiped when the call
 * ends: who takes the file away ends access after the cache time, as who disables a KMS key does. doc/format.md, "Customer-provided
 * keys", has every byte.
 *
 * Threads: as struct kms.
 */

#include "kms/kms.h"

#define CUSTOMER_KEY_ENDPOINT "keyfile:" /* an absolute path follows */
#define CUSTOMER_KEY_ARN      "arn:signetfs:kms:::customer-key/"
/* What a vault says in its endpoint's place: where the file lies is nobody's business. */
#define CUSTOMER_KEY_STORED CUSTOMER_KEY_ENDPOINT "PATH"

/**
 * @path: absolute. Which key it has is learnt now: a file that has another one later is refused. ERR_NOT_FOUND: no such file; ERR_USAGE: a
 * relative path, not a regular file, others can read it, it has no key. Later the same is ERR_KMS_UNREACHABLE, as of a KMS that went away.
 */
enum err customer_key_open(const char *path, struct kms **ret);

/** How what is under the key names it: CUSTOMER_KEY_ARN and 32 hexadecimal digits. Borrowed. @kms is from customer_key_open(). */
const char *customer_key_arn(const struct kms *kms);

#endif
