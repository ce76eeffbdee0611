/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUDIT_IAM_H
#define SIGNETFS_ENGINE_AUDIT_IAM_H

/* Records of what concerns identities rather than keys: CloudTrail files them under IAM and STS. */

#include "kms/engine/internal.h"

struct audit_identity_event {
	const char *source; /* "iam.amazonaws.com" */
	const char *event;  /* "CreateUser" */
	const struct engine_caller *caller;
	uint64_t now;
	const char *request_id; /* NULL: a new one */
	int read_only;
	const json_t *parameters, *response; /* NULL: null */
	const char *exception, *message;     /* NULL: it was done */
};
/** Inside a transaction. */
enum err audit_identity_event(struct engine *engine, const struct audit_identity_event *what);

/** IAM's exception for one of our errors. */
const char *audit_iam_exception(enum err e);

/*
 * Change something of IAM's and record it, both or neither; a refused change is recorded too, and the refusal is what the caller
 * hears, recorded or not. @change runs inside the transaction. @response may be filled by it.
 */
struct iam_change {
	const char *event;
	json_t *parameters; /* owned by the caller */
	json_t *response;   /* likewise; NULL or an object that @change fills */
	enum err (*change)(struct engine *engine, void *context);
	void *context;
};
enum err iam_change_recorded(struct engine *engine, const struct iam_change *c);

#endif
