/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_AUDIT_RECORD_H
#define SIGNETFS_ENGINE_AUDIT_RECORD_H

/* The text of audit records (audit.h), and what records of all kinds have in common. */

#include "kms/base/json_out.h"
#include "kms/engine/internal.h"

#define AUDIT_EVENT_SOURCE "kms.amazonaws.com"

/** The record of a call; free with secret_heap_free(). NULL: no memory. @message: "" has none. */
char *audit_record_of_call(const struct call *call, enum err error, const char *message);

/** CloudTrail's userIdentity. */
void audit_record_put_identity(struct json_out *out, const struct engine_caller *caller);
void audit_record_put_time(struct json_out *out, const char *name, uint64_t wall_ns);

#endif
