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

enum bench_kms_half { BENCH_MADE, BENCH_READ, BENCH_HALVES };
enum { BENCH_SLICES = 20, BENCH_POINTS = BENCH_HALVES * (BENCH_SLICES + 1) };

struct bench_kms_mode {
	uint64_t generated,
		decrypted; /* calls that succeeded, by the audit trail where there is one; init's are in them then */
	uint64_t init_calls;
	uint64_t client_calls, throttled, retries;
	double seconds[BENCH_HALVES];
	uint64_t p50[BENCH_HALVES], p99[BENCH_HALVES]; /* ns, of a KMS call */
	size_t points;
	double at[BENCH_POINTS], so_far[BENCH_POINTS]; /* seconds of work; calls of the mounts */
};

struct bench_kms_result {
	struct bench_kms_mode with, without;
	int audited;
	double reduction_percent;
};

/** What was counted, judged and drawn: figures, checks and charts. Sets reduction_percent. */
void bench_kms_tell(const struct bench_kms *b, struct bench_kms_result *x, struct story *r);

/** Makes, measures and tells; what hinders that is said by @r, too. */
enum err bench_kms_run(const struct bench_kms *b, struct story *r, struct bench_kms_result *ret);

#endif
