/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_REENCRYPT_TWO_KMS_H
#define SIGNETFS_REENCRYPT_TWO_KMS_H

/*
 * Two KMSs as one, for as long as a vault has keys in both: what is under the CMK that the vault moves to is asked of the KMS that this
 * lies in, everything else of the old one, and where one does not know a blob, of the other. Counts the calls that go out. With one KMS for
 * both it only counts.
 *
 * Threads: as struct kms.
 */

#include "kms/kms.h"

/** @old and @to are borrowed and may be the same. Free with kms_close(), which leaves both open. ERR_NO_MEMORY. */
enum err two_kms_new(struct kms *old, struct kms *to, struct kms **ret);

/** What is under this CMK belongs to the new KMS. Once, before other threads call. */
void two_kms_set_target(struct kms *kms, const char *arn);

struct two_kms_calls {
	uint64_t generate, decrypt, encrypt, re_encrypt, other;
};
void two_kms_calls(struct kms *kms, struct two_kms_calls *ret);

#endif
