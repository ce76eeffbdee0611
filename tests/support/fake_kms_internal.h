/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_FAKE_KMS_INTERNAL_H
#define SIGNETFS_TESTS_FAKE_KMS_INTERNAL_H

/* What fake_kms.c (the operations) and fake_kms_control.c (what a test sets and counts) share. */

#include <pthread.h>
#include "tests/support/fake_kms.h"

enum { FAKE_MAX_KEYS = 64, FAKE_MAX_OPERATIONS = 16, FAKE_BLOB_MIN = 32, FAKE_BLOB_MAX = 8192, FAKE_PLAIN_MAX = 4096 };

struct fake_key {
	char arn[KMS_ARN_MAX + 1];
	char alias[257]; /* "" for none */
	enum fake_kms_state state;
};

struct fake_blob {
	size_t key; /* index */
	uint8_t tail[16];
	json_t *context; /* never NULL: an empty object when the call had none */
	size_t len;
	uint8_t *plain;
};

struct fake_count {
	char operation[48];
	unsigned n;
};

struct fake_kms {
	struct kms kms; /* first: kms_call() hands us back this address */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fake_key keys[FAKE_MAX_KEYS];
	size_t key_count;
	struct fake_blob *blobs;
	size_t blob_count, blob_room;
	struct fake_count counts[FAKE_MAX_OPERATIONS];
	unsigned total, closed, injected;
	char fail_operation[48];
	enum err fail_error;
	unsigned fail_count;
	uint64_t delay;
	int blocking;
	unsigned blocked;
	char answer_as[KMS_ARN_MAX + 1];
	size_t plaintext_size, blob_size;
	json_t *last_context;
};

void fake_kms_lock(struct fake_kms *f);
void fake_kms_unlock(struct fake_kms *f);

/* Both with the lock held. */
struct fake_key *fake_kms_new_key(struct fake_kms *f, const char *alias);
struct fake_key *fake_kms_find_key(struct fake_kms *f, const char *id);

#endif
