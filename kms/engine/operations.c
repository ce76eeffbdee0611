/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/engine/operations.h"
#include "kms/engine/shapes.h"

#define ARN      OP_INVALID_ARN
#define CHANGE   OP_CHANGES
#define READ     OP_READ_ONLY
#define CRYPTO   (OP_READ_ONLY | OP_ALIASES)
#define NOT_HERE NULL, NULL, NULL, 0

static const struct operation table[] = {
	{"CancelKeyDeletion", op_cancel_key_deletion, shape_cancel_key_deletion, "KeyId", CHANGE | ARN},
	{"ConnectCustomKeyStore", NOT_HERE},
	{"CreateAlias", op_create_alias, shape_create_alias, "TargetKeyId", CHANGE},
	{"CreateCustomKeyStore", NOT_HERE},
	{"CreateGrant", NOT_HERE},
	{"CreateKey", op_create_key, shape_create_key, NULL, CHANGE},
	/* Decrypt reads its blob before it looks at the key that the request asserts. */
	{"Decrypt", op_decrypt, shape_decrypt, NULL, CRYPTO | OP_OWN_KEYS},
	{"DeleteAlias", op_delete_alias, shape_delete_alias, NULL, CHANGE},
	{"DeleteCustomKeyStore", NOT_HERE},
	{"DeleteImportedKeyMaterial", NOT_HERE},
	{"DeriveSharedSecret", NOT_HERE},
	{"DescribeCustomKeyStores", NOT_HERE},
	{"DescribeKey", op_describe_key, shape_describe_key, "KeyId", READ | OP_ALIASES | ARN},
	{"DisableKey", op_disable_key, shape_disable_key, "KeyId", CHANGE | ARN},
	{"DisableKeyRotation", op_disable_key_rotation, shape_disable_key_rotation, "KeyId", CHANGE | ARN},
	{"DisconnectCustomKeyStore", NOT_HERE},
	{"EnableKey", op_enable_key, shape_enable_key, "KeyId", CHANGE | ARN},
	{"EnableKeyRotation", op_enable_key_rotation, shape_enable_key_rotation, "KeyId", CHANGE | ARN},
	{"Encrypt", op_encrypt, shape_encrypt, "KeyId", CRYPTO},
	{"GenerateDataKey", op_generate_data_key, shape_generate_data_key, "KeyId", CRYPTO},
	{"GenerateDataKeyPair", NOT_HERE},
	{"GenerateDataKeyPairWithoutPlaintext", NOT_HERE},
	{"GenerateDataKeyWithoutPlaintext", op_generate_data_key_without_plaintext,
		shape_generate_data_key_without_plaintext, "KeyId", CRYPTO},
	{"GenerateMac", NOT_HERE},
	{"GenerateRandom", op_generate_random, shape_generate_random, NULL, READ},
	{"GetKeyLastUsage", NOT_HERE},
	{"GetKeyPolicy", NOT_HERE},
	{"GetKeyRotationStatus", op_get_key_rotation_status, shape_get_key_rotation_status, "KeyId", READ | ARN},
	{"GetParametersForImport", NOT_HERE},
	{"GetPublicKey", NOT_HERE},
	{"ImportKeyMaterial", NOT_HERE},
	{"ListAliases", op_list_aliases, shape_list_aliases, "KeyId", READ | ARN},
	{"ListGrants", NOT_HERE},
	{"ListKeyPolicies", NOT_HERE},
	{"ListKeyRotations", op_list_key_rotations, shape_list_key_rotations, "KeyId", READ | ARN},
	{"ListKeys", op_list_keys, shape_list_keys, NULL, READ},
	{"ListResourceTags", NOT_HERE},
	{"ListRetirableGrants", NOT_HERE},
	{"PutKeyPolicy", NOT_HERE},
	{"ReEncrypt", op_re_encrypt, shape_re_encrypt, "DestinationKeyId", CRYPTO | OP_OWN_KEYS},
	{"ReplicateKey", NOT_HERE},
	{"RetireGrant", NOT_HERE},
	{"RevokeGrant", NOT_HERE},
	{"RotateKeyOnDemand", op_rotate_key_on_demand, shape_rotate_key_on_demand, "KeyId", CHANGE | ARN},
	{"ScheduleKeyDeletion", op_schedule_key_deletion, shape_schedule_key_deletion, "KeyId", CHANGE | ARN},
	{"Sign", NOT_HERE},
	{"TagResource", NOT_HERE},
	{"UntagResource", NOT_HERE},
	{"UpdateAlias", op_update_alias, shape_update_alias, "TargetKeyId", CHANGE},
	{"UpdateCustomKeyStore", NOT_HERE},
	{"UpdateKeyDescription", op_update_key_description, shape_update_key_description, "KeyId", CHANGE | ARN},
	{"UpdatePrimaryRegion", NOT_HERE},
	{"Verify", NOT_HERE},
	{"VerifyMac", NOT_HERE},
};
_Static_assert(sizeof(table) / sizeof(table[0]) == 54, "the service model has 54 operations");

const struct operation *operations_find(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
