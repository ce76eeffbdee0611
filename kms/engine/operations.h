/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_OPERATIONS_H
#define SIGNETFS_ENGINE_OPERATIONS_H

/* The operations of AWS KMS, API version 2014-11-01: all 54 names, and one of ours. */

#include "kms/base/err.h"
#include "kms/engine/internal.h"
#include "kms/engine/validate.h"

enum operation_flags {
	OP_READ_ONLY = 1,   /* CloudTrail's readOnly */
	OP_CHANGES = 2,     /* runs in a transaction together with its audit record */
	OP_ALIASES = 4,     /* the key may be named by an alias */
	OP_INVALID_ARN = 8, /* a malformed ARN is InvalidArnException, not NotFoundException */
	OP_OWN_KEYS = 16,   /* the handler itself authorises and checks the states of the keys it uses */
	OP_ACROSS = 32 /* "Cross-account use: Yes"; others are for the key's own account, whatever its policy says */
};

struct operation {
	const char *name;
	enum err (*handle)(struct call *call); /* NULL: this KMS does not have it */
	const struct member *members;
	const char *key_member; /* NULL: about no key */
	unsigned flags;
};

/** NULL: there is no such operation. */
const struct operation *operations_find(const char *name);

/* Handlers, by file. The key, when named, is resolved, authorised and in an allowed state. */
/* ops_key.c */
enum err op_create_key(struct call *call);
enum err op_describe_key(struct call *call);
enum err op_list_keys(struct call *call);
enum err op_enable_key(struct call *call);
enum err op_disable_key(struct call *call);
enum err op_update_key_description(struct call *call);
enum err op_schedule_key_deletion(struct call *call);
enum err op_cancel_key_deletion(struct call *call);
/* ops_alias.c */
enum err op_create_alias(struct call *call);
enum err op_update_alias(struct call *call);
enum err op_delete_alias(struct call *call);
enum err op_list_aliases(struct call *call);
/* ops_crypto.c */
enum err op_encrypt(struct call *call);
enum err op_decrypt(struct call *call);
enum err op_re_encrypt(struct call *call);
/* ops_generate.c */
enum err op_generate_data_key(struct call *call);
enum err op_generate_data_key_pair(struct call *call);
enum err op_generate_data_key_pair_without_plaintext(struct call *call);
enum err op_generate_data_key_without_plaintext(struct call *call);
enum err op_generate_random(struct call *call);
/* ops_policy.c */
enum err op_put_key_policy(struct call *call);
enum err op_get_key_policy(struct call *call);
enum err op_list_key_policies(struct call *call);
/* ops_grant.c */
enum err op_create_grant(struct call *call);
enum err op_list_grants(struct call *call);
enum err op_list_retirable_grants(struct call *call);
enum err op_retire_grant(struct call *call);
enum err op_revoke_grant(struct call *call);
/* ops_sign.c */
enum err op_sign(struct call *call);
enum err op_verify(struct call *call);
enum err op_generate_mac(struct call *call);
enum err op_verify_mac(struct call *call);
enum err op_get_public_key(struct call *call);
enum err op_derive_shared_secret(struct call *call);
/* ops_import.c */
enum err op_get_parameters_for_import(struct call *call);
enum err op_import_key_material(struct call *call);
enum err op_delete_imported_key_material(struct call *call);
/* ops_region.c */
enum err op_replicate_key(struct call *call);
enum err op_update_primary_region(struct call *call);
/* ops_tag.c */
enum err op_tag_resource(struct call *call);
enum err op_untag_resource(struct call *call);
enum err op_list_resource_tags(struct call *call);
/* ops_custom.c */
enum err op_create_custom_key_store(struct call *call);
enum err op_use_custom_key_store(struct call *call);
enum err op_describe_custom_key_stores(struct call *call);
/* ops_usage.c */
enum err op_get_key_last_usage(struct call *call);
/* ops_quota.c */
enum err op_signetfs_get_quotas(struct call *call);
/* ops_rotation.c */
enum err op_enable_key_rotation(struct call *call);
enum err op_disable_key_rotation(struct call *call);
enum err op_get_key_rotation_status(struct call *call);
enum err op_rotate_key_on_demand(struct call *call);
enum err op_list_key_rotations(struct call *call);

#endif
