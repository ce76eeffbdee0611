/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include "kms/engine/shapes.h"

#define R MEMBER_REQUIRED
#define A MEMBER_AUDITED

static const char *const key_usages[] = {
	"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", NULL};
static const char *const master_key_specs[] = {"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384",
	"ECC_NIST_P521", "ECC_SECG_P256K1", "SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2",
	NULL};
static const char *const key_specs[] = {"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384",
	"ECC_NIST_P521", "ECC_SECG_P256K1", "SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2",
	"ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "ECC_NIST_EDWARDS25519", NULL};
static const char *const origins[] = {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE", NULL};
static const char *const data_key_specs[] = {"AES_256", "AES_128", NULL};
static const char *const algorithms[] = {"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE", NULL};
static const char *const include_material[] = {"ALL_KEY_MATERIAL", "ROTATIONS_ONLY", NULL};

#define KEY_ID(name, flags)                                                                                            \
	{                                                                                                              \
		name, MEMBER_STRING, (flags) | A, 1, 2048, NULL, PATTERN_NONE                                          \
	}
#define WORD(name, set)                                                                                                \
	{                                                                                                              \
		name, MEMBER_STRING, A, 0, 0, set, PATTERN_NONE                                                        \
	}
#define NUMBER(name, min, max)                                                                                         \
	{                                                                                                              \
		name, MEMBER_INTEGER, A, min, max, NULL, PATTERN_NONE                                                  \
	}
#define FLAG(name)                                                                                                     \
	{                                                                                                              \
		name, MEMBER_BOOLEAN, A, 0, 0, NULL, PATTERN_NONE                                                      \
	}
#define CONTEXT(name)                                                                                                  \
	{                                                                                                              \
		name, MEMBER_MAP, A, 0, 0, NULL, PATTERN_NONE                                                          \
	}
#define STRUCTURE(name)                                                                                                \
	{                                                                                                              \
		name, MEMBER_STRUCTURE, 0, 0, 0, NULL, PATTERN_NONE                                                    \
	}
#define CIPHERTEXT                                                                                                     \
	{                                                                                                              \
		"CiphertextBlob", MEMBER_BLOB, R, 1, 6144, NULL, PATTERN_NONE                                          \
	}
#define PLAINTEXT                                                                                                      \
	{                                                                                                              \
		"Plaintext", MEMBER_BLOB, R, 1, 4096, NULL, PATTERN_NONE                                               \
	}
#define GRANT_TOKENS                                                                                                   \
	{                                                                                                              \
		"GrantTokens", MEMBER_STRINGS, 0, 0, 10, NULL, PATTERN_NONE                                            \
	}
#define MODIFIERS                                                                                                      \
	{                                                                                                              \
		"DryRunModifiers", MEMBER_STRINGS, 0, 0, 100, NULL, PATTERN_NONE                                       \
	}
#define ALIAS                                                                                                          \
	{                                                                                                              \
		"AliasName", MEMBER_STRING, R | A, 1, 256, NULL, PATTERN_ALIAS                                         \
	}
#define MARKER                                                                                                         \
	{                                                                                                              \
		"Marker", MEMBER_STRING, A, 1, 1024, NULL, PATTERN_MARKER                                              \
	}
#define STORE_ID                                                                                                       \
	{                                                                                                              \
		"CustomKeyStoreId", MEMBER_STRING, A, 1, 64, NULL, PATTERN_NONE                                        \
	}
#define DESCRIPTION(flags)                                                                                             \
	{                                                                                                              \
		"Description", MEMBER_STRING, (flags) | A, 0, 8192, NULL, PATTERN_NONE                                 \
	}
#define END                                                                                                            \
	{                                                                                                              \
		NULL, MEMBER_STRING, 0, 0, 0, NULL, PATTERN_NONE                                                       \
	}

const struct member shape_cancel_key_deletion[] = {KEY_ID("KeyId", R), END};
const struct member shape_create_alias[] = {ALIAS, KEY_ID("TargetKeyId", R), END};
const struct member shape_create_key[] = {{"Policy", MEMBER_STRING, A, 1, 131072, NULL, PATTERN_POLICY}, DESCRIPTION(0),
	WORD("KeyUsage", key_usages), WORD("CustomerMasterKeySpec", master_key_specs), WORD("KeySpec", key_specs),
	WORD("Origin", origins), STORE_ID, FLAG("BypassPolicyLockoutSafetyCheck"),
	{"Tags", MEMBER_TAGS, A, 0, 0, NULL, PATTERN_NONE}, FLAG("MultiRegion"),
	{"XksKeyId", MEMBER_STRING, A, 1, 128, NULL, PATTERN_XKS}, END};
const struct member shape_decrypt[] = {CIPHERTEXT, CONTEXT("EncryptionContext"), GRANT_TOKENS, KEY_ID("KeyId", 0),
	WORD("EncryptionAlgorithm", algorithms), STRUCTURE("Recipient"), FLAG("DryRun"), MODIFIERS, END};
const struct member shape_delete_alias[] = {ALIAS, END};
const struct member shape_describe_key[] = {KEY_ID("KeyId", R), GRANT_TOKENS, END};
const struct member shape_disable_key[] = {KEY_ID("KeyId", R), END};
const struct member shape_disable_key_rotation[] = {KEY_ID("KeyId", R), END};
const struct member shape_enable_key[] = {KEY_ID("KeyId", R), END};
const struct member shape_enable_key_rotation[] = {KEY_ID("KeyId", R), NUMBER("RotationPeriodInDays", 90, 2560), END};
const struct member shape_encrypt[] = {KEY_ID("KeyId", R), PLAINTEXT, CONTEXT("EncryptionContext"), GRANT_TOKENS,
	WORD("EncryptionAlgorithm", algorithms), FLAG("DryRun"), END};
const struct member shape_generate_data_key[] = {KEY_ID("KeyId", R), CONTEXT("EncryptionContext"),
	NUMBER("NumberOfBytes", 1, 1024), WORD("KeySpec", data_key_specs), GRANT_TOKENS, STRUCTURE("Recipient"),
	FLAG("DryRun"), END};
const struct member shape_generate_data_key_without_plaintext[] = {KEY_ID("KeyId", R), CONTEXT("EncryptionContext"),
	WORD("KeySpec", data_key_specs), NUMBER("NumberOfBytes", 1, 1024), GRANT_TOKENS, FLAG("DryRun"), END};
const struct member shape_generate_random[] = {NUMBER("NumberOfBytes", 1, 1024), STORE_ID, STRUCTURE("Recipient"), END};
const struct member shape_get_key_rotation_status[] = {KEY_ID("KeyId", R), END};
/* The model allows 1000 for ListAliases; the service and its guide stop at 100. */
const struct member shape_list_aliases[] = {KEY_ID("KeyId", 0), NUMBER("Limit", 1, 100), MARKER, END};
const struct member shape_list_key_rotations[] = {
	KEY_ID("KeyId", R), WORD("IncludeKeyMaterial", include_material), NUMBER("Limit", 1, 1000), MARKER, END};
const struct member shape_list_keys[] = {NUMBER("Limit", 1, 1000), MARKER, END};
const struct member shape_re_encrypt[] = {CIPHERTEXT, CONTEXT("SourceEncryptionContext"), KEY_ID("SourceKeyId", 0),
	KEY_ID("DestinationKeyId", R), CONTEXT("DestinationEncryptionContext"),
	WORD("SourceEncryptionAlgorithm", algorithms), WORD("DestinationEncryptionAlgorithm", algorithms), GRANT_TOKENS,
	FLAG("DryRun"), MODIFIERS, END};
const struct member shape_rotate_key_on_demand[] = {KEY_ID("KeyId", R), END};
/* 7 to 30 is asked by the operation itself, in words of its own. */
const struct member shape_schedule_key_deletion[] = {KEY_ID("KeyId", R), NUMBER("PendingWindowInDays", 1, 365), END};
const struct member shape_update_alias[] = {ALIAS, KEY_ID("TargetKeyId", R), END};
const struct member shape_update_key_description[] = {KEY_ID("KeyId", R), DESCRIPTION(R), END};
