/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUDIT_H
#define SIGNETFS_ENGINE_AUDIT_H

/*
 * Audit records in CloudTrail's shape, one for every call. What a record may hold of a request is an allow-list: the members
 * marked MEMBER_AUDITED in shapes.c. Plaintext, ciphertext and grant tokens are not among them.
 */

#include <jansson.h>
#include "kms/base/err.h"
#include "kms/store/store.h"

struct call;
struct engine;
struct engine_caller;

/** The generation of a call that rests on nothing that could have changed, or that held the keystore's lock. */
#define AUDIT_ANY_GENERATION UINT64_MAX

struct audit_entry;

/** Write the call's record inside the transaction that the thread is in. */
enum err audit_write(struct call *call, enum err error, const char *message);

/**
 * Write the call's record durably, outside any transaction. Callers that arrive while one is being written share the next
 * commit: the first of them writes for all. ERR_STALE: the keystore has changed since the call began, so the answer may be wrong;
 * nothing was written.
 */
enum err audit_append(struct call *call, enum err error, const char *message);

/** The same in two halves: what is to be put into the queue (audit_queue.h), and what became of it. @call outlives the entry. */
enum err audit_prepare(const struct call *call, enum err error, const char *message, struct audit_entry *ret);
enum err audit_outcome(struct audit_entry *entry);

/** Record what the service did of itself ("RotateKey", "DeleteKey", "CreateKey"), inside a transaction. */
enum err audit_service_event(struct engine *engine, uint64_t now, const char *event, const struct store_key *key);

/** Record that @count records older than @before were removed, inside a transaction. */
enum err audit_pruned_event(struct engine *engine, uint64_t before, size_t count);

/** Record that @count requests of nobody were refused without a record each. @errors (taken over): how many with which exception. */
enum err audit_refusals_event(
	struct engine *engine, const char *account, uint64_t count, uint64_t from, uint64_t to, json_t *errors);

#endif
