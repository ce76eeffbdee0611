/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_QUOTA_H
#define SIGNETFS_ENGINE_QUOTA_H

/*
 * Request quotas: AWS's numbers, a token bucket for each account, region and class, with room for one second's requests. The caller's
 * account pays. What a bucket holds is this process's; a restart fills it. Threads: safe.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/clock.h"
#include "kms/base/err.h"

struct quota;
struct call;

struct quota *quota_new(void); /* enforces nothing yet; NULL: no memory */
void quota_free(struct quota *q);

/**
 * "NAME=RATE …" changes what AWS has, separated by spaces or commas; "" is AWS's numbers; "none" enforces nothing. A name is a class's
 * ("cryptographic-symmetric") or an operation's ("CreateKey"). ERR_CONFIG, and nothing is changed.
 */
enum err quota_configure(struct quota *q, const char *text);

/** Would quota_configure() take it? */
enum err quota_check_text(const char *text);

/* All actions of STS together. */
#define QUOTA_STS "sts"

enum { QUOTA_CLASSES_MAX = 80 };
/** The class that a request falls into: @spec is the key's or the key pair's, "" when there is none. -1: no such operation. */
int quota_class(const char *operation, const char *spec);
/** NULL behind the last. */
const char *quota_class_name(int class);
/** Requests a second; 0: not limited. */
uint32_t quota_rate(struct quota *q, int class);

/** Take one request. ERR_KMS_THROTTLING with AWS's words. */
enum err quota_take(struct quota *q, const char *account, const char *region, int class, uint64_t now_monotonic);

/** What is in a bucket now, and what was asked of it since it is there. */
struct quota_bucket {
	const char *account, *region; /* region "": those beyond the first 16 of an account together */
	int class;
	uint32_t rate;
	double tokens;
	uint64_t granted, throttled;
};
int quota_is_enforced(const struct quota *q);
/** Every bucket; those of @account and @region also when nothing was asked of them yet. None while nothing is enforced. */
void quota_each(struct quota *q, const char *account, const char *region, uint64_t now_monotonic,
	void (*each)(void *context, const struct quota_bucket *bucket), void *context);

#endif
