/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/engine/operations.h"
#include "kms/engine/shapes.h"

#define ARN             OP_INVALID_ARN
#define ACROSS          OP_ACROSS
#define CHANGE          OP_CHANGES
#define READ            OP_READ_ONLY
#define CRYPTO          (OP_READ_ONLY | OP_ALIASES | OP_ACROSS)
#define NOT_HERE(shape) NULL, shape, NULL, 0

static const struct operation table[] = {
	{"CancelKeyDeletion", op_cancel_key_deletion, shape_cancel_key_deletion, "KeyId", CHANGE | ARN},
	{"ConnectCustomKeyStore", op_use_custom_key_store, shape_connect_custom_key_store, NULL, CHANGE},
	{"CreateAlias", op_create_alias, shape_create_alias, "TargetKeyId", CHANGE},
	{"CreateCustomKeyStore", op_create_custom_key_store, shape_create_custom_key_store, NULL, CHANGE},
	{"CreateGrant", op_create_grant, shape_create_grant, "KeyId", CHANGE | ARN | ACROSS},
	{"CreateKey", op_create_key, shape_create_key, NULL, CHANGE},
	/* Decrypt reads its blob before it looks at the key that the request asserts. */
	{"Decrypt", op_decrypt, shape_decrypt, NULL, CRYPTO | OP_OWN_KEYS},
	{"DeleteAlias", op_delete_alias, shape_delete_alias, NULL, CHANGE | OP_OWN_KEYS},
	{"DeleteCustomKeyStore", op_use_custom_key_store, shape_delete_custom_key_store, NULL, CHANGE},
	{"DeleteImportedKeyMaterial", op_delete_imported_key_material, shape_delete_imported_key_material, "KeyId",
		CHANGE | ARN},
	{"DeriveSharedSecret", op_derive_shared_secret, shape_derive_shared_secret, "KeyId", CRYPTO},
	{"DescribeCustomKeyStores", op_describe_custom_key_stores, shape_describe_custom_key_stores, NULL, READ},
	{"DescribeKey", op_describe_key, shape_describe_key, "KeyId", READ | OP_ALIASES | ARN | ACROSS},
	{"DisableKey", op_disable_key, shape_disable_key, "KeyId", CHANGE | ARN},
	{"DisableKeyRotation", op_disable_key_rotation, shape_disable_key_rotation, "KeyId", CHANGE | ARN},
	{"DisconnectCustomKeyStore", op_use_custom_key_store, shape_disconnect_custom_key_store, NULL, CHANGE},
	{"EnableKey", op_enable_key, shape_enable_key, "KeyId", CHANGE | ARN},
	{"EnableKeyRotation", op_enable_key_rotation, shape_enable_key_rotation, "KeyId", CHANGE | ARN},
	{"Encrypt", op_encrypt, shape_encrypt, "KeyId", CRYPTO},
	{"GenerateDataKey", op_generate_data_key, shape_generate_data_key, "KeyId", CRYPTO},
	{"GenerateDataKeyPair", op_generate_data_key_pair, shape_generate_data_key_pair, "KeyId", CRYPTO},
	{"GenerateDataKeyPairWithoutPlaintext", op_generate_data_key_pair_without_plaintext,
		shape_generate_data_key_pair_without_plaintext, "KeyId", CRYPTO},
	{"GenerateDataKeyWithoutPlaintext", op_generate_data_key_without_plaintext,
		shape_generate_data_key_without_plaintext, "KeyId", CRYPTO},
	{"GenerateMac", op_generate_mac, shape_generate_mac, "KeyId", CRYPTO},
	{"GenerateRandom", op_generate_random, shape_generate_random, NULL, READ},
	{"GetKeyLastUsage", op_get_key_last_usage, shape_get_key_last_usage, "KeyId", READ | ARN},
	{"GetKeyPolicy", op_get_key_policy, shape_get_key_policy, "KeyId", READ | ARN},
	{"GetKeyRotationStatus", op_get_key_rotation_status, shape_get_key_rotation_status, "KeyId",
		READ | ARN | ACROSS},
	{"GetParametersForImport", op_get_parameters_for_import, shape_get_parameters_for_import, "KeyId",
		CHANGE | ARN},
	{"GetPublicKey", op_get_public_key, shape_get_public_key, "KeyId", CRYPTO | ARN},
	{"ImportKeyMaterial", op_import_key_material, shape_import_key_material, "KeyId", CHANGE | ARN},
	{"ListAliases", op_list_aliases, shape_list_aliases, "KeyId", READ | ARN},
	{"ListGrants", op_list_grants, shape_list_grants, "KeyId", READ | ARN | ACROSS},
	{"ListKeyPolicies", op_list_key_policies, shape_list_key_policies, "KeyId", READ | ARN},
	{"ListKeyRotations", op_list_key_rotations, shape_list_key_rotations, "KeyId", READ | ARN},
	{"ListKeys", op_list_keys, shape_list_keys, NULL, READ},
	{"ListResourceTags", op_list_resource_tags, shape_list_resource_tags, "KeyId", READ | ARN},
	{"ListRetirableGrants", op_list_retirable_grants, shape_list_retirable_grants, NULL, READ},
	{"PutKeyPolicy", op_put_key_policy, shape_put_key_policy, "KeyId", CHANGE | ARN},
	{"ReEncrypt", op_re_encrypt, shape_re_encrypt, NULL, CRYPTO | OP_OWN_KEYS},
	{"ReplicateKey", op_replicate_key, shape_replicate_key, "KeyId", CHANGE | ARN},
	{"RetireGrant", op_retire_grant, shape_retire_grant, NULL, CHANGE | ARN | OP_OWN_KEYS | ACROSS},
	{"RevokeGrant", op_revoke_grant, shape_revoke_grant, "KeyId", CHANGE | ARN | ACROSS},
	{"RotateKeyOnDemand", op_rotate_key_on_demand, shape_rotate_key_on_demand, "KeyId", CHANGE | ARN},
	{"ScheduleKeyDeletion", op_schedule_key_deletion, shape_schedule_key_deletion, "KeyId", CHANGE | ARN},
	{"Sign", op_sign, shape_sign, "KeyId", CRYPTO},
	{"TagResource", op_tag_resource, shape_tag_resource, "KeyId", CHANGE | ARN},
	{"UntagResource", op_untag_resource, shape_untag_resource, "KeyId", CHANGE | ARN},
	{"UpdateAlias", op_update_alias, shape_update_alias, "TargetKeyId", CHANGE},
	{"UpdateCustomKeyStore", op_use_custom_key_store, shape_update_custom_key_store, NULL, CHANGE},
	{"UpdateKeyDescription", op_update_key_description, shape_update_key_description, "KeyId", CHANGE | ARN},
	{"UpdatePrimaryRegion", op_update_primary_region, shape_update_primary_region, "KeyId", CHANGE | ARN},
	{"Verify", op_verify, shape_verify, "KeyId", CRYPTO},
	{"VerifyMac", op_verify_mac, shape_verify_mac, "KeyId", CRYPTO},
};
_Static_assert(sizeof(table) / sizeof(table[0]) == 54, "the service model has 54 operations");

/* Of ours. The names are none that AWS has or is likely to make. */
static const struct member no_members[] = {{.name = NULL}};
static const struct operation own[] = {
	{"SignetfsGetQuotas", op_signetfs_get_quotas, no_members, NULL, READ},
};

const struct operation *operations_find(const char *name)
{
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(own[i].name, name) == 0)
			return &own[i];
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
