/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_ENGINE_H
#define SIGNETFS_ENGINE_ENGINE_H

/*
 * The KMS itself, without a wire: a keystore that answers AWS KMS operations.
 *
 * Threads: engine_call() may be called from many threads. Several processes may open one keystore.
 */

#include <jansson.h>
#include <stdint.h>
#include "kms/base/clock.h"
#include "kms/base/err.h"
#include "kms/base/report.h"
#include "kms/base/secret.h"

struct engine;

struct engine_config {
	const char *keystore;            /* path of the SQLite file */
	const struct root_key *root_key; /* NULL: ask nothing and fail; copied into locked memory */
	const char *region;              /* for callers that name none; default "us-east-1" */
	uint64_t audit_retention;        /* ns after which audit records are removed; 0: never */
	uint64_t grant_delay;            /* ns until a new grant works without its token; 0: at once */
	const struct clock *clock;
	const struct reporter *reporter;
};

enum { ENGINE_ACCOUNT_SIZE = 13, ENGINE_REGION_SIZE = 32, ENGINE_ARN_SIZE = 256, ENGINE_ACCESS_KEY_SIZE = 129 };
enum { ENGINE_USER_ID_SIZE = 96, ENGINE_SESSION_POLICY_SIZE = 2049 };

/** Who calls, as the transport established it. */
struct engine_caller {
	char account[ENGINE_ACCOUNT_SIZE];          /* 12 digits */
	char arn[ENGINE_ARN_SIZE];                  /* arn:aws:iam::000000000000:root, …:user/uid-1000 */
	char access_key_id[ENGINE_ACCESS_KEY_SIZE]; /* "" on a Unix socket or the agent's pair */
	char region[ENGINE_REGION_SIZE];            /* from the SigV4 scope; "" = the engine's default */
	char source_ip[64];
	char user_agent[256];
	int secure;                                      /* over TLS, or on this machine's own socket */
	int64_t principal;                               /* the user or role whose identity policies count; 0: none */
	char role[ENGINE_ARN_SIZE];                      /* of a role's session: the role; otherwise "" */
	char user_id[ENGINE_USER_ID_SIZE];               /* aws:userid */
	uint64_t token_issued;                           /* of temporary credentials; otherwise 0 */
	char session_policy[ENGINE_SESSION_POLICY_SIZE]; /* "": none */
};

struct engine_reply {
	enum err error;     /* ERR_OK or an ERR_KMS_… exception, nothing else */
	char message[1024]; /* the exception's message; "" for those that carry none */
	json_t *body;       /* on success; NULL where AWS answers an empty body. The caller drops the reference. */
	char request_id[37];
};

/**
 * Make a keystore. @root_params are the opaque bytes with which kms/rootkey finds the root key again; store_read_root_params()
 * gives them back. Directories are made with mode 0700, the file with 0600. ERR_EXISTS: there is something at @keystore already; it is
 * not touched. After any failure there is no keystore.
 */
enum err engine_create(
	const char *keystore, const struct root_key *root_key, const void *root_params, size_t root_params_len);

/** Open (the schema is migrated when older). ERR_ROOT_KEY: wrong root key; ERR_KEYSTORE: damaged or no keystore; ERR_NOT_FOUND: no file; ERR_UNSUPPORTED: newer schema. */
enum err engine_open(const struct engine_config *config, struct engine **ret);
void engine_close(struct engine *engine);
/**
 * Request quotas, which a new engine does not enforce: "" is AWS's numbers, "CreateKey=50 cryptographic-symmetric=20000" changes some, "none"
 * enforces nothing. ERR_CONFIG.
 */
enum err engine_set_quotas(struct engine *engine, const char *text);
/** Resource quotas: "" is AWS's numbers, "keys=200000 aliases-per-key=100" changes some. ERR_CONFIG. */
enum err engine_set_resource_quotas(struct engine *engine, const char *text);
/** Would the two be taken? ERR_CONFIG. */
enum err engine_check_quotas(const char *quotas, const char *resource_quotas);
/** Change the delay of a running engine. */
void engine_set_grant_delay(struct engine *engine, uint64_t ns);
/** Change the retention of a running engine. */
void engine_set_audit_retention(struct engine *engine, uint64_t ns);

/**
 * One operation: validate, authorise, check the key's state, act, write the audit record. Never fails itself: every outcome is
 * in @reply. An acknowledged change is durable.
 */
void engine_call(struct engine *engine, const struct engine_caller *caller, const char *operation,
	const json_t *request, struct engine_reply *ret_reply);

/**
 * The same in parts, for a server whose threads have better to do than to wait for the record. Begin: everything but the record;
 * NULL: that was all, and the reply is there. Commit: 1, and @written is called on another thread when the record was written or could
 * not be, maybe before this returns; 0, always with @written NULL: that is so already, and nothing is called. End, always and last: the reply, which holds nothing
 * that is not on the trail. @request is held until then and is nobody else's to change.
 */
struct engine_pending;
struct engine_pending *engine_call_begin(struct engine *engine, const struct engine_caller *caller,
	const char *operation, json_t *request, struct engine_reply *ret_reply);
int engine_call_commit(struct engine_pending *pending, void (*written)(void *context), void *context);
void engine_call_end(struct engine_pending *pending, struct engine_reply *ret_reply);
/**
 * A thread that writes the records, until it is stopped as often as it was started. Behind the last stop nothing is put off any more, and
 * every @written has been called. Not both at the same time. ERR_SYSTEM: no thread.
 */
enum err engine_committer_start(struct engine *engine);
void engine_committer_stop(struct engine *engine);

enum { ENGINE_SECRET_KEY_SIZE = 41 };
/**
 * For SigV4: the secret of an access key and whom it belongs to. @token is the request's session token, "" without one: temporary
 * keys ("ASIA…") need theirs, and others have none. ERR_KMS_UNRECOGNIZED_CLIENT when unknown, ERR_KMS_EXPIRED_TOKEN.
 */
struct engine_access_key {
	char secret[ENGINE_SECRET_KEY_SIZE]; /* wipe it */
	struct engine_caller who;            /* only what identifies: no region, address, user agent */
};
enum err engine_find_access_key(
	struct engine *engine, const char *access_key_id, const char *token, struct engine_access_key *ret);

/*
 * Managing access keys. Account NULL: the default one; arn NULL: the account's root, otherwise that of a user (ERR_NOT_FOUND), who has at
 * most two (ERR_LIMIT). The secret is shown this once; wipe it.
 */
enum { ENGINE_ACCESS_KEY_ID_SIZE = 21 };
enum err engine_access_key_create(struct engine *engine, const char *account, const char *arn,
	char ret_id[ENGINE_ACCESS_KEY_ID_SIZE], char ret_secret[ENGINE_SECRET_KEY_SIZE]);
typedef enum err (*engine_access_key_fn)(
	void *context, const char *id, const char *account, const char *arn, uint64_t created);
/** The engine may not be used from @each. */
enum err engine_access_key_list(struct engine *engine, engine_access_key_fn each, void *context);
enum err engine_access_key_delete(struct engine *engine, const char *access_key_id); /* ERR_NOT_FOUND */

/**
 * The caller that a local peer (Unix socket or the agent's socket pair) with @uid is: the keystore's owner and root are the account root,
 * others the user that engine_uid_map() made them. ERR_KMS_ACCESS_DENIED.
 */
enum err engine_caller_for_uid(struct engine *engine, uint32_t uid, struct engine_caller *ret);

/** Record a request that was refused before it became an operation (bad signature, unknown client), so that the audit trail has it. */
void engine_audit_refusal(struct engine *engine, const struct engine_caller *caller, const char *operation,
	enum err error, const char *message, const char *request_id);

struct engine_audit_filter {
	uint64_t from, to;     /* wall-clock ns: from ≤ time < to; to 0 = open */
	const char *key;       /* id, ARN, alias or alias ARN; NULL: any */
	const char *operation; /* NULL: any */
	const char *error;     /* exception name; "": only successes; NULL: any */
	const char *principal; /* ARN, its last part ("user/ada"), or access key id; NULL: any */
	size_t limit;          /* the newest so many; 0 = all */
};
/** Audit records as JSON text, newest last. The engine may not be used from @each; what it returns but ERR_OK ends the listing. */
enum err engine_audit_list(struct engine *engine, const struct engine_audit_filter *filter,
	enum err (*each)(void *context, const char *record), void *context);

/* What is wrong with the trail: records @from … @to, which are numbers. */
enum engine_trail_fault {
	TRAIL_CHANGED,   /* is not what was written */
	TRAIL_MISSING,   /* were removed */
	TRAIL_FOREIGN,   /* stand behind the end: nobody who has the keys wrote them */
	TRAIL_UNCERTAIN, /* cannot be verified, since what came before is missing */
	TRAIL_HEAD, /* where the chain begins and ends is not what was written: removed records at either end would not show */
	TRAIL_NO_ANCHOR /* is not the record that the anchor was taken of: this is another trail, or an earlier state of this one */
};

enum { ENGINE_ANCHOR_SIZE = 96 };

struct engine_trail {
	uint64_t verified;     /* records that are what was written */
	uint64_t before_chain; /* records older than the chain: not protected */
	int64_t first, last;   /* numbers of the chain's records; last < first: none */
	size_t faults;
	char anchor[ENGINE_ANCHOR_SIZE]; /* of the last record; "" when the head does not verify */
};

/**
 * Verify the audit trail from its beginning to its end at this moment. @anchor (NULL: none) is one that an earlier call gave.
 * Each fault is told to @each. ERR_USAGE: @anchor is none.
 */
enum err engine_audit_verify(struct engine *engine, const char *anchor,
	void (*each)(void *context, enum engine_trail_fault fault, int64_t from, int64_t to), void *context,
	struct engine_trail *ret);

/** When (wall clock, ns) the next work of engine_run_due() falls due, as the keystore stands now; UINT64_MAX: none is. One look at the keystore. */
enum err engine_next_due(struct engine *engine, uint64_t *ret_next_due);

/** Periodic work: due rotations, due deletions. Gives when the next thing is due (wall clock ns; UINT64_MAX: never). The server calls it at start and then. */
enum err engine_run_due(struct engine *engine, uint64_t *ret_next_due);

#endif
