/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_INTERNAL_H
#define SIGNETFS_ENGINE_INTERNAL_H

/* What the engine's files share: the engine, and one call on its way through it. */

#include <jansson.h>
#include <stdint.h>
#include "kms/base/clock.h"
#include "kms/base/report.h"
#include "kms/base/secret.h"
#include "kms/engine/engine.h"
#include "kms/engine/limits.h"
#include "kms/engine/names.h"
#include "kms/engine/pkey.h"
#include "kms/store/store.h"

#define ENGINE_DEFAULT_ACCOUNT "000000000000"
#define ENGINE_DEFAULT_REGION  "us-east-1"

/* Derived when the keystore is opened; in secret memory. */
struct engine_secrets {
	uint8_t seal[KEY_SIZE];        /* from the root key: seals rows */
	uint8_t blob_header[KEY_SIZE]; /* from the keystore secret: header tags of ciphertext blobs */
	uint8_t marker[KEY_SIZE];      /* from the keystore secret: pagination markers */
	uint8_t trail[KEY_SIZE];       /* from the keystore secret: chains audit records */
	uint8_t trail_head[KEY_SIZE];  /* from the keystore secret: the chain's head */
};

struct material_cache;
struct audit_queue;
struct quota;
struct refusals;
struct policy_cache;
struct opened_secrets;

struct engine {
	struct store *store;
	const struct clock *clock;
	const struct reporter *reporter;
	char region[ENGINE_REGION_SIZE];
	uint8_t id[UUID_SIZE];
	struct engine_secrets *secrets;
	struct material_cache *cache;
	struct audit_queue *audit;
	struct quota *quota;
	struct limits limits;
	struct refusals *refusals;
	struct usage_log *usage;
	_Atomic uint64_t audit_retention;
	struct policy_cache *policies;
	struct opened_secrets *opened;
	_Atomic uint64_t grant_delay; /* ns until a grant needs no token any more */
	_Atomic int checkpoint_owed;  /* the log may still hold sealed material of deleted keys */
	size_t deletions_held;        /* how many the last run could not believe; used by the maintenance alone */
};

struct operation;
struct member;

enum { CALL_RESOURCES_MAX = 2 };

/* One call. Handlers read @request (validated) and the key, and leave @body. */
struct call {
	struct engine *engine;
	const struct engine_caller *caller;
	const char *region;
	const struct operation *op; /* NULL while unknown */
	const char *operation;
	const json_t *request;
	const struct member *members; /* what the operation has of @request: only that is validated. NULL: all of it */
	uint64_t now;
	uint64_t generation; /* of the keystore, before anything was looked up */
	const char *request_id;
	char event_id[UUID_TEXT + 1]; /* of the audit record */

	int begun; /* it is a valid request within its quota: whatever comes of it is on the trail */
	const char
		*action; /* what keys are looked up for, where that is not the operation's name: a half of ReEncrypt */
	int has_key;     /* the member that names a key was given and resolved into @key */
	struct store_key key;
	char foreign_alias
		[NAMES_ALIAS_ARN_SIZE]; /* by which a key of another account was named: refusals say no more */
	struct pkey_bytes
		prepared; /* a private key that was made before the transaction (prepare.h); kept from attempt to attempt */

	json_t *body;       /* owned */
	json_t *additional; /* owned: additionalEventData of the audit record */
	size_t resource_count;
	int64_t resource_row[CALL_RESOURCES_MAX];
	char resource[CALL_RESOURCES_MAX][ENGINE_ARN_SIZE]; /* key ARNs, for the audit record */
	char resource_account[CALL_RESOURCES_MAX][ENGINE_ACCOUNT_SIZE];
};

/**
 * A member of the request, or NULL. One that the operation does not have is as if not there: nobody checked it, and a caller could
 * add it to meet a condition.
 */
const json_t *call_member(const struct call *call, const char *name);
/** The string member, or NULL. */
const char *call_string(const struct call *call, const char *member);
/** The integer member, or @fallback. */
int64_t call_integer(const struct call *call, const char *member, int64_t fallback);
int call_true(const struct call *call, const char *member);
/** Note a key as a resource of the call. Each once. */
void call_touch(struct call *call, const struct store_key *key);
/** Take ownership of a new object as the answer; NULL is ERR_NO_MEMORY. */
enum err call_answer(struct call *call, json_t *body);
/** Authorise, note the resource and check the state of a key other than the one the pipeline resolved. */
enum err call_use_key(struct call *call, const struct store_key *key, const char *action);

#endif
