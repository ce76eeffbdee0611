/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_IDENTITY_H
#define SIGNETFS_ENGINE_IDENTITY_H

/*
 * Who the principals of policies and grants are. People write ARNs, which are names, and a name can be given to somebody else after its
 * bearer was deleted; so what is kept beside each ARN is the unique id of the user or role that had it when the policy or grant was
 * made. Only who has that id is meant. What is shown is the ARN while its bearer is there, and the id afterwards.
 */

#include "kms/engine/internal.h"
#include "kms/policy/policy.h"

/** The unique id of the caller as a principal; NULL for who has none: an account's root, a federated user. */
const char *identity_of_caller(const struct engine_caller *caller, char room[STORE_UNIQUE_ID_SIZE]);

/**
 * Look for each principal that a new document names and bind the document to who they are. @ret_ids is what is to be stored beside its text;
 * free with free(). ERR_KMS_MALFORMED_POLICY: one is not there; the text begins with @complaint.
 */
enum err identity_bind(struct engine *engine, struct policy *policy, const char *complaint, char **ret_ids);
/** A document as it was stored. ERR_KEYSTORE: it cannot be read, so nobody is let in. */
enum err identity_parse(enum policy_kind kind, const struct store_document *document, struct policy **ret);
/** Its text, with the ids of those who are gone. Free with free(). */
enum err identity_show(struct engine *engine, const struct store_document *document, char **ret);

/** Who a grant is to be for. ERR_NOT_FOUND. */
enum err identity_read_grantee(struct engine *engine, const char *arn, struct store_grantee *ret);
/** Is the caller, or its role, meant? */
int identity_is_caller(const struct store_grantee *grantee, const struct engine_caller *caller);
/** @grantee->arn, or ->id when its bearer is gone. */
enum err identity_show_grantee(struct engine *engine, const struct store_grantee *grantee, const char **ret);

#endif
