/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_FAKE_KMS_H
#define SIGNETFS_TESTS_FAKE_KMS_H

/*
 * A counting KMS for tests: `struct kms` over a table in memory, no engine, no cryptography. A blob is a magic, a number
 * and random bytes; the table remembers which key, plaintext and encryption context belong to it. It counts what is
 * asked of it and misbehaves on request.
 *
 * Operations: CreateKey, DescribeKey, EnableKey, DisableKey, GenerateDataKey, GenerateDataKeyWithoutPlaintext, Encrypt,
 * Decrypt, ReEncrypt. Key ids are ids, ARNs, alias names and alias ARNs as in AWS. alias/aws/signetfs makes its key on first use.
 *
 * Order of misbehaviour in one call: count, block, delay, injected failure, key state, then the operation.
 * Threads: safe.
 */

#include "kms/kms.h"

struct fake_kms;

enum fake_kms_state {
	FAKE_KMS_ENABLED,
	FAKE_KMS_DISABLED,         /* ERR_KMS_DISABLED */
	FAKE_KMS_DENIED,           /* ERR_KMS_ACCESS_DENIED */
	FAKE_KMS_PENDING_DELETION, /* ERR_KMS_INVALID_STATE */
	FAKE_KMS_DELETED,          /* ERR_KMS_NOT_FOUND */
	FAKE_KMS_UNREACHABLE,      /* ERR_KMS_UNREACHABLE, DescribeKey too */
};

struct fake_kms *fake_kms_new(void);
void fake_kms_free(struct fake_kms *fake);

/** The client handle, owned by @fake. kms_close() on it is counted and changes nothing else, so it can be "reopened". */
struct kms *fake_kms_client(struct fake_kms *fake);
unsigned fake_kms_closed(struct fake_kms *fake);

/** A new enabled key, reachable as @alias ("alias/x") as well when that is not NULL. Returns its ARN, owned by @fake. */
const char *fake_kms_add_key(struct fake_kms *fake, const char *alias);
/** The ARN behind any key id; NULL when there is none. */
const char *fake_kms_arn(struct fake_kms *fake, const char *key_id);
/** @key_id NULL: every key there is now. The key must exist. */
void fake_kms_set_state(struct fake_kms *fake, const char *key_id, enum fake_kms_state state);

/** The next @count calls of @operation (NULL: of any) fail with @error. Replaces the failure set before; @count 0 clears. */
void fake_kms_fail_next(struct fake_kms *fake, const char *operation, enum err error, unsigned count);
/** Failures injected so far by fake_kms_fail_next(). */
unsigned fake_kms_injected(struct fake_kms *fake);

/** Every call takes @ns of real time more. */
void fake_kms_set_delay(struct fake_kms *fake, uint64_t ns);

/** From now on calls wait inside the KMS until fake_kms_release(). */
void fake_kms_block(struct fake_kms *fake);
void fake_kms_release(struct fake_kms *fake);
/** Wait until @n calls are blocked; gives up after ten seconds. Returns how many are. */
unsigned fake_kms_wait_blocked(struct fake_kms *fake, unsigned n);

/** Answers carry @arn as KeyId instead of the true one. NULL: honest again. */
void fake_kms_answer_as(struct fake_kms *fake, const char *arn);
/** Plaintexts are cut or padded to @len bytes. 0: honest again. */
void fake_kms_answer_plaintext_size(struct fake_kms *fake, size_t len);
/** New blobs have @len bytes (at least 32, the default). */
void fake_kms_set_blob_size(struct fake_kms *fake, size_t len);

/** Calls so far of @operation (NULL: of any), failed ones included. */
unsigned fake_kms_calls(struct fake_kms *fake, const char *operation);
void fake_kms_reset_counts(struct fake_kms *fake);
/** EncryptionContext of the last call that had one, a new reference; NULL when there was none. */
json_t *fake_kms_last_context(struct fake_kms *fake);

#endif
