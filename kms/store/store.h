/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_STORE_STORE_H
#define SIGNETFS_STORE_STORE_H

/*
 * The keystore: typed rows and transactions, no SQL outside this room. It knows nothing of cryptography; what is secret
 * arrives sealed and leaves sealed.
 *
 * Durability: what store_commit() acknowledged survives a power cut (WAL, synchronous=FULL).
 * Isolation: several processes may open one file. A transaction takes the file's write lock at store_begin(), so what is
 * read inside it cannot change before store_commit(); reads outside one see the newest commit, but for the lookups marked
 * "remembered", which may be as old as store_generation() says.
 * Threads: all functions may be called from many threads; a transaction belongs to the thread that began it.
 * Errors: ERR_KEYSTORE damaged or not a keystore; ERR_BUSY another process held the lock for longer than the patience;
 * ERR_SYSTEM the disk is full or failing (err_errno()); ERR_NO_MEMORY. After an error inside a transaction: roll back.
 */

#include <stddef.h>
#include <stdint.h>
#include "kms/base/encode.h"
#include "kms/base/err.h"

struct store;

enum { STORE_SCHEMA_VERSION = 7 };
enum { STORE_ACCOUNT_SIZE = 13, STORE_REGION_SIZE = 32, STORE_WORD_SIZE = 32, STORE_MATERIAL_ID_SIZE = 65 };
enum { STORE_ALIAS_SIZE = 257, STORE_ACCESS_KEY_ID_SIZE = 129, STORE_ARN_SIZE = 256 };
enum { STORE_TAG_NAME_SIZE = 128 * 4 + 1, STORE_TAG_VALUE_SIZE = 256 * 4 + 1, STORE_MATERIAL_TEXT_SIZE = 257 };
enum { STORE_SEALED_MAX = 4096 };

/* ---- The file ---- */

/** One record of the meta table. */
struct store_item {
	const char *name;
	const void *p;
	size_t len;
};

#define STORE_META_ID          "keystore-id"
#define STORE_META_ROOT_PARAMS "root-key-parameters" /* opaque bytes of kms/rootkey */
#define STORE_META_VERIFIER    "root-key-verifier"
#define STORE_META_SECRET      "keystore-secret" /* sealed */
#define STORE_META_ELAPSED     "service-time"    /* kms/engine/elapsed.c; absent until first seen */

/**
 * Make a keystore with the given meta records: complete and durable, or not there at all. Missing directories are made
 * with mode 0700, the file with 0600. ERR_EXISTS when there is anything at @path; it is never touched.
 */
enum err store_create(const char *path, const struct store_item *items, size_t count);

/**
 * Open; an older schema is migrated. ERR_NOT_FOUND: no file; ERR_KEYSTORE: damaged or not one; ERR_UNSUPPORTED: made by a
 * newer version, the text names both.
 */
enum err store_open(const char *path, struct store **ret);
void store_close(struct store *store); /* NULL is fine */

uint32_t store_owner_uid(const struct store *store);
/** The file's permission bits at the time it was opened. */
uint32_t store_mode(const struct store *store);

/** ERR_KEYSTORE when the record is missing or larger than @size. */
enum err store_meta_get(struct store *store, const char *name, void *buf, size_t size, size_t *ret_len);

/** As store_meta_get(), for a record that may be missing: ERR_NOT_FOUND. */
enum err store_meta_find(struct store *store, const char *name, void *buf, size_t size, size_t *ret_len);
/** Write a record, in the place of what was there. */
enum err store_meta_put(struct store *store, const char *name, const void *p, size_t len);

/** The parameters that the root key provider left, without knowing the root key. Free @ret with free(). */
enum err store_read_root_params(const char *path, uint8_t **ret, size_t *ret_len);

/* ---- Transactions ---- */

/** Take the write lock. Not nested. */
enum err store_begin(struct store *store);
/** Durable when ERR_OK; otherwise rolled back. Either way the transaction is over. */
enum err store_commit(struct store *store);
void store_rollback(struct store *store);
/** Is this thread inside a transaction? */
int store_in_transaction(const struct store *store);

/* struct store_txn txn AUTO_ROLLBACK = {NULL}; — what is not committed when the scope is left is rolled back. */
struct store_txn {
	struct store *store;
};
enum err store_txn_begin(struct store *store, struct store_txn *ret);
enum err store_txn_commit(struct store_txn *txn);
void store_txn_auto(struct store_txn *txn);
#define AUTO_ROLLBACK __attribute__((cleanup(store_txn_auto)))

/**
 * Every transaction that changes what a decision may rest on (keys, aliases, access keys, …; not the audit trail) raises the
 * keystore's generation, whichever process it is in. store_generation() is the newest that this process has seen: reading it
 * costs nothing. Whoever decides on remembered rows takes it first, and compares it with store_generation_read() in the
 * transaction that makes the decision count: when they differ, something changed meanwhile, so decide again.
 */
uint64_t store_generation(const struct store *store);
/** What the keystore has: in a transaction, nothing can raise it before the commit. store_generation() is up to date then. */
enum err store_generation_read(struct store *store, uint64_t *ret);

/** Move the write-ahead log into the file and truncate it. ERR_BUSY: a reader is in the way; try again later. */
enum err store_checkpoint(struct store *store);

/* ---- KMS keys ---- */

enum key_state {
	KEY_CREATING,
	KEY_ENABLED,
	KEY_DISABLED,
	KEY_PENDING_DELETION,
	KEY_PENDING_IMPORT,
	KEY_UNAVAILABLE,
	KEY_UPDATING,
	KEY_PENDING_REPLICA_DELETION,
	KEY_STATES
};

/* Service: owned by the service itself; no account sees it. */
enum key_manager { KEY_MANAGER_CUSTOMER, KEY_MANAGER_AWS, KEY_MANAGER_SERVICE, KEY_MANAGERS };

/* Times are wall-clock nanoseconds; 0 = none. */
struct store_key {
	int64_t row; /* ascending with creation, never reused */
	uint8_t id[UUID_SIZE];
	int multi_region;
	char account[STORE_ACCOUNT_SIZE];
	char region[STORE_REGION_SIZE];
	enum key_manager manager;
	char spec[STORE_WORD_SIZE], usage[STORE_WORD_SIZE], origin[STORE_WORD_SIZE];
	enum key_state state;
	uint64_t created;
	uint64_t deletion_date;
	uint32_t pending_days;
	int rotation_enabled;
	uint32_t rotation_days;
	uint64_t rotation_from; /* enabled then, or the last automatic rotation */
	uint64_t next_rotation;
	uint32_t on_demand_rotations;
	uint8_t current[UUID_SIZE];             /* backing key that encrypts; zeros before any was imported */
	char primary_region[STORE_REGION_SIZE]; /* of a multi-Region key; "" otherwise */
	uint64_t waiting_from;                  /* service time at which the deletion's waiting period began */
	int64_t policy; /* version of the key policy, 0 = the default one; only store_key_policy_set() changes it */
};

enum err store_key_insert(struct store *store, const struct store_key *key, const char *description, int64_t *ret_row);
/** ERR_NOT_FOUND. Key ids are unique in a region, whatever the account. Remembered. */
enum err store_key_find(struct store *store, const char *region, const uint8_t id[UUID_SIZE], struct store_key *ret);
enum err store_key_get(struct store *store, int64_t row, struct store_key *ret);
/** A multi-Region key in all its regions, the oldest first; at most @limit. */
enum err store_key_regions(
	struct store *store, const uint8_t id[UUID_SIZE], size_t limit, struct store_key *ret, size_t *ret_count);
/** Write back every field but identity, spec, usage, origin, created and policy. */
enum err store_key_update(struct store *store, const struct store_key *key);
enum err store_key_set_description(struct store *store, int64_t row, const char *description);
/** Free with free(). */
enum err store_key_description(struct store *store, int64_t row, char **ret);
/**
 * Remove the key with its backing keys, aliases and tags. Its material is overwritten where it lies, and no copy of it is anywhere in
 * the file; the write-ahead log keeps it until store_checkpoint().
 */
enum err store_key_destroy(struct store *store, int64_t row);
/** Keys of an account and region in order of creation, behind @after; at most @limit (@ret has room). */
enum err store_key_each_customer(struct store *store,
	enum err (*each)(void *context, const struct store_key *key, uint32_t rotations), void *context);
/**
 * Customer keys that were destroyed, as far as they are remembered: name, spec, created; deletion_date is when the waiting for it began,
 * with pending_days 0. Those for which that was after @since.
 */
enum err store_key_gone_each(struct store *store, uint64_t since,
	enum err (*each)(void *context, const struct store_key *key, uint32_t rotations), void *context);
/** ERR_NOT_FOUND. */
enum err store_key_gone_spec(
	struct store *store, const char *region, const uint8_t id[UUID_SIZE], char ret[STORE_WORD_SIZE]);
enum err store_key_list(struct store *store, const char *account, const char *region, int64_t after, size_t limit,
	struct store_key *ret, size_t *ret_count);
enum key_work {
	KEY_WORK_ROTATION, /* enabled, and its automatic rotation is due */
	KEY_WORK_DELETION, /* its waiting period is over by the clock */
	KEY_WORK_EXPIRY    /* imported material is past its date */
};
/** A place in the order in which work falls due; all zero is before the first. */
struct store_due {
	int64_t key;   /* row of the key that has the work */
	uint64_t time; /* since when */
	int64_t tie;   /* among those of one time */
};
/** Move on to the next key that has work at @now. ERR_NOT_FOUND: none. Reads no more of the row than its number and that time. */
enum err store_key_due(struct store *store, enum key_work work, uint64_t now, struct store_due *at);
/** The earliest moment at which there is work, expired wrapping keys included; UINT64_MAX: never. */
enum err store_key_next_due(struct store *store, uint64_t *ret);
/** How many customer keys an account has in a region. Costs nothing. */
enum err store_key_count(struct store *store, const char *account, const char *region, size_t *ret);
/** … of every account and region that has some; the store may not be used from @each. */
enum err store_key_count_each(struct store *store,
	enum err (*each)(void *context, const char *account, const char *region, size_t count), void *context);
/** The key that has most of something, and how much. Looks at everything there is. ERR_NOT_FOUND: none has any. */
enum store_most {
	STORE_MOST_ALIASES,
	STORE_MOST_GRANTS,
	STORE_MOST_TAGS,
	STORE_MOST_ROTATIONS, /* on demand */
	STORE_MOST_POLICY,    /* bytes of its policy */
	STORE_MOSTS
};
enum err store_key_fullest(struct store *store, enum store_most which, int64_t *ret_key, size_t *ret_count);
/** How many keys wait for their deletion. */
enum err store_key_waiting(struct store *store, size_t *ret);

/* ---- Tags ---- */

struct store_tag {
	char name[STORE_TAG_NAME_SIZE], value[STORE_TAG_VALUE_SIZE];
};
/** Set or replace. */
enum err store_tag_set(struct store *store, int64_t key, const char *name, const char *value);
/** A tag that is not there is no error. */
enum err store_tag_delete(struct store *store, int64_t key, const char *name);
/** In order of names, behind @after ("" at first). */
enum err store_tag_list(
	struct store *store, int64_t key, const char *after, size_t limit, struct store_tag *ret, size_t *ret_count);
enum err store_tag_count(struct store *store, int64_t key, size_t *ret);

/* ---- Last cryptographic use ---- */

struct store_usage {
	uint64_t time;
	char operation[64], event_id[UUID_TEXT + 1], request_id[UUID_TEXT + 1];
};
/** Nothing happens when the key is gone. */
enum err store_usage_set(struct store *store, int64_t key, const struct store_usage *usage);
/** ERR_NOT_FOUND: never used. */
enum err store_usage_get(struct store *store, int64_t key, struct store_usage *ret);

/* ---- Backing keys ---- */

/* Pending: imported, and not yet rotated to. */
enum backing_rotation { BACKING_PENDING = -1, BACKING_FIRST, BACKING_AUTOMATIC, BACKING_ON_DEMAND };

struct store_backing {
	int64_t seq; /* ascending */
	int64_t key;
	uint8_t id[UUID_SIZE];
	char material_id[STORE_MATERIAL_ID_SIZE];
	enum backing_rotation rotation;
	uint64_t created;
	uint64_t rotated;  /* became the current one */
	uint64_t valid_to; /* imported material that expires; 0: never */
	int present;       /* the material is there; filled in on reading */
	char description[STORE_MATERIAL_TEXT_SIZE];
};

enum err store_backing_insert(
	struct store *store, const struct store_backing *backing, const void *sealed, size_t sealed_len);
/** ERR_NOT_FOUND. Remembered. */
enum err store_backing_find(struct store *store, int64_t key, const uint8_t id[UUID_SIZE], struct store_backing *ret);
/** The sealed material; ERR_NOT_FOUND, ERR_KEYSTORE when it is larger than @size. */
enum err store_backing_sealed(
	struct store *store, int64_t key, const uint8_t id[UUID_SIZE], void *buf, size_t size, size_t *ret_len);
/** ERR_NOT_FOUND. */
enum err store_backing_by_material(
	struct store *store, int64_t key, const char *material_id, struct store_backing *ret);
/** The one that was imported and not rotated to. ERR_NOT_FOUND. */
enum err store_backing_pending(struct store *store, int64_t key, struct store_backing *ret);
enum err store_backing_count(struct store *store, int64_t key, size_t *ret);
/** Write back rotation, rotated, valid_to and description. */
enum err store_backing_update(struct store *store, const struct store_backing *backing);
/** Put material (back) in, or with @sealed_len 0 destroy what there is, as store_key_destroy() does. */
enum err store_backing_set_sealed(
	struct store *store, int64_t key, const uint8_t id[UUID_SIZE], const void *sealed, size_t sealed_len);
/** With its material. ERR_NOT_FOUND. */
enum err store_backing_delete(struct store *store, int64_t key, const uint8_t id[UUID_SIZE]);
/** In order of creation, behind @after. @rotations_only leaves the first one out. */
enum err store_backing_list(struct store *store, int64_t key, int rotations_only, int64_t after, size_t limit,
	struct store_backing *ret, size_t *ret_count);
/** Does any key still have this backing key, with its material? */
enum err store_backing_exists(struct store *store, const uint8_t id[UUID_SIZE], int *ret);

/* ---- Wrapping keys: what opens the material of an import ---- */

struct store_wrapping {
	uint8_t id[UUID_SIZE];
	char algorithm[STORE_WORD_SIZE];
	uint64_t expires;
	uint8_t sealed[STORE_SEALED_MAX];
	size_t sealed_len;
};
enum err store_wrapping_insert(struct store *store, int64_t key, const struct store_wrapping *wrapping);
/** ERR_NOT_FOUND. */
enum err store_wrapping_find(struct store *store, int64_t key, const uint8_t id[UUID_SIZE], struct store_wrapping *ret);
enum err store_wrapping_expire(struct store *store, uint64_t now, int *ret_count);

/* ---- Aliases ---- */

struct store_alias {
	char account[STORE_ACCOUNT_SIZE];
	char region[STORE_REGION_SIZE];
	char name[STORE_ALIAS_SIZE]; /* with "alias/" */
	int64_t key;
	uint8_t key_id[UUID_SIZE]; /* filled in on reading */
	int key_multi_region;
	uint64_t created, updated;
};

enum err store_alias_insert(struct store *store, const struct store_alias *alias); /* ERR_EXISTS */
/** ERR_NOT_FOUND. Remembered. */
enum err store_alias_find(
	struct store *store, const char *account, const char *region, const char *name, struct store_alias *ret);
enum err store_alias_retarget(struct store *store, const struct store_alias *alias); /* key and updated */
enum err store_alias_delete(struct store *store, const struct store_alias *alias);
/** In order of names, behind @after ("" at first). @key 0: of all keys. */
enum err store_alias_list(struct store *store, const char *account, const char *region, int64_t key, const char *after,
	size_t limit, struct store_alias *ret, size_t *ret_count);
enum err store_alias_count(struct store *store, int64_t key, size_t *ret);

/* ---- Key policies ---- */

/* A policy with who its principals were when it was put: a JSON object, ARN → unique id. */
struct store_document {
	char *text, *principals;
};
void store_document_free(struct store_document *document);
#define AUTO_DOCUMENT __attribute__((cleanup(store_document_free)))

/** Replace the key's policy. @ret_version was never a policy's version before. */
enum err store_key_policy_set(
	struct store *store, int64_t key, const char *text, const char *principals, int64_t *ret_version);
/** ERR_NOT_FOUND: the key has another one meanwhile. */
enum err store_key_policy(struct store *store, int64_t version, struct store_document *ret);

/* ---- Accounts and principals ---- */

enum { STORE_NAME_SIZE = 65, STORE_UNIQUE_ID_SIZE = 22 };

enum store_principal_kind { STORE_USER = 1, STORE_ROLE = 2 };

struct store_principal {
	int64_t row; /* never reused */
	char account[STORE_ACCOUNT_SIZE];
	enum store_principal_kind kind;
	char name[STORE_NAME_SIZE];
	char path[STORE_ARN_SIZE]; /* "/" or "/dir/" */
	char unique_id[STORE_UNIQUE_ID_SIZE];
	uint32_t max_session; /* seconds, of a role */
	uint64_t created;
	int64_t version; /* of what is attached and trusted: changes with it and was never used before */
};

/** One of our accounts: id and name. */
typedef enum err (*store_account_fn)(void *context, const char *id, const char *name, uint64_t created);
enum err store_account_insert(struct store *store, const char *id, const char *name, uint64_t now); /* ERR_EXISTS */
enum err store_account_find(struct store *store, const char *id);                                   /* ERR_NOT_FOUND */
enum err store_account_list(struct store *store, store_account_fn each, void *context);
/** ERR_NOT_FOUND. ERR_BUSY: it has principals, keys or access keys. */
enum err store_account_delete(struct store *store, const char *id);

/** A role's trust policy is put afterwards. ERR_EXISTS: the account has one of that kind and name. */
enum err store_principal_insert(struct store *store, const struct store_principal *principal, int64_t *ret_row);
enum err store_principal_find(struct store *store, const char *account, enum store_principal_kind kind,
	const char *name, struct store_principal *ret);
enum err store_principal_get(struct store *store, int64_t row, struct store_principal *ret);
/** In order of names; the store may not be used from @each. */
enum err store_principal_list(struct store *store, const char *account,
	enum err (*each)(void *context, const struct store_principal *principal), void *context);
/** With its policies, access keys and user ids. */
enum err store_principal_delete(struct store *store, int64_t row);
/** Who has this unique id. */
enum err store_principal_identify(struct store *store, const char *unique_id, struct store_principal *ret);
/** Of a user, "". */
enum err store_principal_trust(struct store *store, int64_t row, struct store_document *ret);
enum err store_principal_set_trust(struct store *store, int64_t row, const char *text, const char *principals);

/** Replace or add. */
enum err store_principal_policy_put(struct store *store, int64_t row, const char *name, const char *document);
enum err store_principal_policy_delete(struct store *store, int64_t row, const char *name); /* ERR_NOT_FOUND */
enum err store_principal_policy_list(struct store *store, int64_t row,
	enum err (*each)(void *context, const char *name, const char *document), void *context);

enum err store_uid_set(struct store *store, uint32_t uid, int64_t principal);
enum err store_uid_find(struct store *store, uint32_t uid, int64_t *ret_principal); /* ERR_NOT_FOUND */
enum err store_uid_delete(struct store *store, uint32_t uid);                       /* ERR_NOT_FOUND */
enum err store_uid_list(
	struct store *store, enum err (*each)(void *context, uint32_t uid, int64_t principal), void *context);

/* ---- Grants ---- */

enum { STORE_GRANT_ID_SIZE = 32, STORE_GRANT_NAME_SIZE = 257, STORE_CONSTRAINTS_SIZE = 16384 };

enum store_constraint { STORE_CONSTRAINT_NONE, STORE_CONSTRAINT_EQUALS, STORE_CONSTRAINT_SUBSET };

/* A user or role is who its id says; who is no such principal, or whom an older keystore could not tell, has none. */
struct store_grantee {
	char arn[STORE_ARN_SIZE]; /* "": nobody */
	char id[STORE_UNIQUE_ID_SIZE];
};

struct store_grant {
	int64_t row; /* ascending with creation, never reused */
	uint8_t id[STORE_GRANT_ID_SIZE];
	int64_t key;
	char name[STORE_GRANT_NAME_SIZE]; /* "": none */
	struct store_grantee grantee, retiring;
	char issuing[STORE_ARN_SIZE];
	uint32_t operations; /* bits; the engine knows which */
	enum store_constraint constraint;
	char *constraints; /* JSON object of strings in order of names; "" without. store_grant_free() */
	uint64_t created;
};

void store_grant_free(struct store_grant *grant);
#define AUTO_GRANT __attribute__((cleanup(store_grant_free)))

enum err store_grant_insert(struct store *store, const struct store_grant *grant, int64_t *ret_row);
enum err store_grant_find(struct store *store, const uint8_t id[STORE_GRANT_ID_SIZE], struct store_grant *ret);
enum err store_grant_delete(struct store *store, int64_t row); /* ERR_NOT_FOUND */
enum err store_grant_count(struct store *store, int64_t key, size_t *ret);

/* What ends a listing early. The store may not be used from it; it does not own the grant. */
typedef enum err (*store_grant_fn)(void *context, const struct store_grant *grant);
/** The grants of @key for @grantee (NULL: all) that have one of @operations (0: whatever), behind row @after, at most @limit (0: all). */
enum err store_grant_list(struct store *store, int64_t key, const struct store_grantee *grantee, uint32_t operations,
	int64_t after, size_t limit, store_grant_fn each, void *context);
/** Of all keys of a region, whatever their account, those that @retiring may retire. */
enum err store_grant_list_retirable(struct store *store, const char *region, const struct store_grantee *retiring,
	int64_t after, size_t limit, store_grant_fn each, void *context);

/* ---- Access keys ---- */

struct store_access_key {
	char id[STORE_ACCESS_KEY_ID_SIZE];
	char account[STORE_ACCOUNT_SIZE];
	char arn[STORE_ARN_SIZE];
	uint64_t created;
	uint8_t sealed[128];
	size_t sealed_len;
	int64_t principal; /* 0: the account's root */
};

enum err store_access_key_insert(struct store *store, const struct store_access_key *key);         /* ERR_EXISTS */
enum err store_access_key_find(struct store *store, const char *id, struct store_access_key *ret); /* remembered */
enum err store_access_key_count(struct store *store, int64_t principal, size_t *ret);
enum err store_access_key_list(
	struct store *store, enum err (*each)(void *context, const struct store_access_key *key), void *context);
enum err store_access_key_delete(struct store *store, const char *id); /* ERR_NOT_FOUND */

/* ---- Audit records ---- */

enum { STORE_CHAIN_SIZE = 32 };

struct store_audit {
	int64_t seq; /* the chain's number, see kms/engine/audit_chain.h */
	uint64_t time;
	const char *account;
	const char *key_arn; /* NULL: about no key */
	const char *operation;
	const char *error; /* exception name; NULL: success */
	const char *record;
	int chained; /* 0: written before there was a chain */
	uint8_t chain[STORE_CHAIN_SIZE];
};

/** Where the chain begins and ends; the tag says that the engine wrote it. */
struct store_audit_head {
	int64_t base_seq; /* records up to here are gone or older than the chain */
	uint8_t base_chain[STORE_CHAIN_SIZE];
	int64_t last_seq;
	uint8_t last_chain[STORE_CHAIN_SIZE];
	uint8_t tag[STORE_CHAIN_SIZE];
};

struct store_audit_filter {
	uint64_t from, to;     /* from ≤ time < to; to 0 = open */
	const char *key_arn;   /* NULL: any */
	const char *operation; /* NULL: any */
	const char *error;     /* NULL: any; "": only successes */
	const char *principal; /* ARN, its last part, or access key id; NULL: any */
	size_t limit;          /* the newest so many; 0 = all */
};

/* In a transaction. */
enum err store_audit_insert(struct store *store, const struct store_audit *record);
enum err store_audit_head_set(struct store *store, const struct store_audit_head *head);
/** Remove the records up to @seq. */
enum err store_audit_drop(struct store *store, int64_t seq);

/** ERR_NOT_FOUND: there is none yet. */
enum err store_audit_head_get(struct store *store, struct store_audit_head *ret);
/** The highest number there is, 0 without records. */
enum err store_audit_last(struct store *store, int64_t *ret);
/** Calls that succeeded, from ≤ time < to, by key and operation. The store may be read from @each. */
struct store_audit_count {
	const char *operation, *key_arn; /* NULL: about no key */
	const char *pair_spec;           /* of GenerateDataKeyPair; NULL */
	uint64_t count;
};
enum err store_audit_count(struct store *store, uint64_t from, uint64_t to,
	enum err (*each)(void *context, const struct store_audit_count *n), void *context);
/** At most @limit records behind @after, in order. The store may not be used from @each; what it returns but ERR_OK ends the walk. */
enum err store_audit_walk(struct store *store, int64_t after, size_t limit,
	enum err (*each)(void *context, const struct store_audit *record), void *context, size_t *ret_count);
/** Newest last. The store may not be used from @each. */
enum err store_audit_list(struct store *store, const struct store_audit_filter *filter,
	enum err (*each)(void *context, const char *record), void *context);

#endif
