/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_IAM_H
#define SIGNETFS_ENGINE_IAM_H

/*
 * A small IAM: accounts, users and roles, what is attached to them, access keys, and user ids of this machine that are users. For
 * whoever has the root key; every change is one transaction with its record on the audit trail, and is felt by the next call of
 * every process.
 *
 * @who names a user or role: its ARN, or "NAME", "user/NAME", "role/NAME" in the default account.
 * Errors: ERR_NOT_FOUND, ERR_EXISTS, ERR_USAGE (a name that is none), ERR_LIMIT, ERR_KMS_MALFORMED_POLICY, ERR_KMS_LIMIT_EXCEEDED.
 */

#include "kms/engine/engine.h"

enum { ENGINE_NAME_SIZE = 65, ENGINE_UNIQUE_ID_SIZE = 22 };

struct engine_principal {
	int is_role;
	char account[ENGINE_ACCOUNT_SIZE];
	char name[ENGINE_NAME_SIZE];
	char path[ENGINE_ARN_SIZE]; /* "/" or "/dir/" */
	char arn[ENGINE_ARN_SIZE];
	char user_id[ENGINE_UNIQUE_ID_SIZE]; /* "AIDA…", "AROA…" */
	unsigned max_session;                /* seconds, of a role */
	uint64_t created;
};
typedef enum err (*engine_principal_fn)(void *context, const struct engine_principal *principal);

enum err engine_account_create(struct engine *engine, const char *id, const char *name);
/** ERR_BUSY: there is still something in it. */
enum err engine_account_delete(struct engine *engine, const char *id);
enum err engine_account_list(struct engine *engine,
	enum err (*each)(void *context, const char *id, const char *name, uint64_t created), void *context);

struct engine_principal_spec {
	int is_role;
	const char *account; /* NULL: the default one */
	const char *name;
	const char *path;     /* NULL: "/" */
	const char *trust;    /* of a role: who may assume it */
	unsigned max_session; /* of a role: 3600 to 43200; 0: 3600 */
};
enum err engine_principal_create(
	struct engine *engine, const struct engine_principal_spec *spec, struct engine_principal *ret);
enum err engine_principal_find(struct engine *engine, const char *who, struct engine_principal *ret);
/** With its policies, access keys and user ids; its sessions end. */
enum err engine_principal_delete(struct engine *engine, const char *who);
/** @account NULL: of all. The engine may not be used from @each. */
enum err engine_principal_list(struct engine *engine, const char *account, engine_principal_fn each, void *context);

/** Attach an identity policy under a name, in place of the one of that name. */
enum err engine_principal_attach(struct engine *engine, const char *who, const char *policy, const char *document);
enum err engine_principal_detach(struct engine *engine, const char *who, const char *policy);
enum err engine_principal_policies(struct engine *engine, const char *who,
	enum err (*each)(void *context, const char *name, const char *document), void *context);
/** Who may assume a role: replace it; read it (free with free(), "" for a user). */
enum err engine_principal_set_trust(struct engine *engine, const char *who, const char *document);
enum err engine_principal_trust(struct engine *engine, const char *who, char **ret);

/** On a Unix socket, the user id @uid is the user @who (not a role: nobody assumed it). NULL: it is nobody again. */
enum err engine_uid_map(struct engine *engine, uint32_t uid, const char *who);
enum err engine_uid_list(
	struct engine *engine, enum err (*each)(void *context, uint32_t uid, const char *arn), void *context);

#endif
