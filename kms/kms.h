/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_KMS_H
#define SIGNETFS_KMS_H

/*
 * A key management service as its clients see it: the one KMS header that the upper layers include.
 *
 * `struct kms` is an interface with two implementations: the wire client (kms/wire/client.h: agent, Unix socket, TCP,
 * any AWS-compatible endpoint) and the counting fake of the tests. Operations, fields and errors are those of AWS KMS,
 * API version 2014-11-01.
 *
 * Threads: every function may be called from many threads at once.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "kms/base/err.h"
#include "kms/base/latency.h"
#include "kms/base/secret.h"
#include "kms/base/wrapped_key.h"

struct kms;

/** What a client has seen since it was made. */
struct kms_stats {
	uint64_t attempts;              /* requests sent, those that were tried again included */
	uint64_t throttled;             /* answered "too many requests" */
	uint64_t failed;                /* no answer, or one that says that the service is in trouble */
	uint64_t retries;               /* attempts that followed either */
	uint64_t given_up;              /* calls that ended without an answer */
	struct latency_summary latency; /* of calls, pauses between attempts included */
};

struct kms_ops {
	/*
	 * One operation, request and response in AWS's JSON shape. @ret_response is a new reference, an empty object where
	 * AWS answers an empty body. Retries of throttling and transport errors happen below; what comes back is final:
	 * an ERR_KMS_… exception with the service's message as err_text(), ERR_KMS_UNREACHABLE once the retry budget is
	 * spent, ERR_KMS_PROTOCOL for an answer that makes no sense.
	 */
	enum err (*call)(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response);
	void (*close)(struct kms *kms);
	void (*stats)(struct kms *kms, struct kms_stats *ret); /* NULL: does not count */
};

struct kms {
	const struct kms_ops *ops;
};

enum err kms_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response);
void kms_close(struct kms *kms);                        /* NULL is fine */
void kms_stats(struct kms *kms, struct kms_stats *ret); /* zeros from a client that does not count */

/* ---- Typed forms of what a file system needs ---- */

/** Encryption context: authenticated by the KMS, visible in its audit trail, never secret. */
struct kms_context {
	size_t count;
	struct {
		const char *name;
		char value[64];
	} pair[3];
};

/**
 * GenerateDataKey(AES_256) under @key_id (id, ARN, alias name or alias ARN).
 * On success @ret_key holds 32 secret bytes (wipe them) and @ret_wrapped the CMK's ARN and blob. ERR_LIMIT: the service's ARN
 * or blob is larger than we store. ERR_KMS_PROTOCOL: key of the wrong size, or no ARN.
 */
enum err kms_generate_data_key(struct kms *kms, const char *key_id, const struct kms_context *context,
	uint8_t ret_key[KEY_SIZE], struct kms_wrapped_key *ret_wrapped);

/** Decrypt a wrapped key, naming its CMK. ERR_KMS_WRONG_ANSWER when the service answers for another key ARN. */
enum err kms_decrypt_data_key(struct kms *kms, const struct kms_wrapped_key *wrapped, const struct kms_context *context,
	uint8_t ret_key[KEY_SIZE]);

/** Encrypt a 32-byte key that is there already under @key_id. Errors as kms_generate_data_key(). */
enum err kms_encrypt_data_key(struct kms *kms, const char *key_id, const struct kms_context *context,
	const uint8_t key[KEY_SIZE], struct kms_wrapped_key *ret_wrapped);

/** The same key under another CMK of the same KMS, inside which the plaintext stays. Errors as both of the above. */
enum err kms_re_encrypt_data_key(struct kms *kms, const struct kms_wrapped_key *wrapped,
	const struct kms_context *context, const char *to_key_id, struct kms_wrapped_key *ret_wrapped);

/** The ARN behind @key_id, an alias for example (DescribeKey). */
enum err kms_key_arn(struct kms *kms, const char *key_id, char ret_arn[KMS_ARN_MAX + 1]);

/**
 * Which backing key (UUID) of its CMK wrapped it, where the blob is of this project's KMS: it names the key that its ARN does. "" for
 * those of another service. What it says is not authenticated.
 */
enum { KMS_BACKING_SIZE = 37 };
void kms_backing_key(const struct kms_wrapped_key *wrapped, char ret[KMS_BACKING_SIZE]);

/** True for errors after which asking again cannot help until an administrator acts: disabled, denied, deleted, … */
int kms_error_is_refusal(enum err e);

#endif
