/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_BENCH_KMS_H
#define SIGNETFS_DRILL_BENCH_KMS_H

/* One workload (files made, a new mount, all read) with bucket keys and without: what the KMS is asked for, and how long that takes. */

#include <stdint.h>
#include "fs/drill/story.h"
#include "kms/base/err.h"

struct bench_kms {
	uint64_t files;
	/* NULL: an agent over a scratch keystore, whose own audit trail counts. Otherwise what the mounts count is all there is to go by. */
	const char *endpoint;
	const char *key, *region, *access_key_id, *secret_access_key; /* with @endpoint; NULL where there is none */
};

struct bench_kms_mode {
	uint64_t generated,
		decrypted; /* calls that succeeded, by the audit trail where there is one; init's are in them then */
	uint64_t init_calls;
	uint64_t client_calls, throttled, retries;
	double create_seconds, read_seconds;
	uint64_t p50, p99; /* ns, of a KMS call while files were made and read */
};

struct bench_kms_result {
	struct bench_kms_mode with, without;
	int audited;
	double reduction_percent;
};

enum err bench_kms_run(const struct bench_kms *b, struct story *r, struct bench_kms_result *ret);

#endif
