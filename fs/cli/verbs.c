/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/verbs.h"

#include <string.h>

/* Options that several operations share. */
#define KEY_ID                                                                                                         \
	{                                                                                                              \
		"key-id", "KeyId", VERB_STRING, 1                                                                      \
	}
#define KEY_ID_OPTIONAL                                                                                                \
	{                                                                                                              \
		"key-id", "KeyId", VERB_STRING, 0                                                                      \
	}
#define CONTEXT                                                                                                        \
	{                                                                                                              \
		"encryption-context", "EncryptionContext", VERB_MAP, 0                                                 \
	}
#define GRANT_TOKENS                                                                                                   \
	{                                                                                                              \
		"grant-tokens", "GrantTokens", VERB_LIST, 0                                                            \
	}
#define ALGORITHM                                                                                                      \
	{                                                                                                              \
		"encryption-algorithm", "EncryptionAlgorithm", VERB_STRING, 0                                          \
	}
#define DRY_RUN                                                                                                        \
	{                                                                                                              \
		"dry-run", "DryRun", VERB_BOOLEAN, 0                                                                   \
	}
#define PAGE                                                                                                           \
	{"limit", "Limit", VERB_INTEGER, 0},                                                                           \
	{                                                                                                              \
		"marker", "Marker", VERB_STRING, 0                                                                     \
	}
#define DATA_KEY                                                                                                       \
	KEY_ID, CONTEXT, {"number-of-bytes", "NumberOfBytes", VERB_INTEGER, 0},                                        \
		{"key-spec", "KeySpec", VERB_STRING, 0}, GRANT_TOKENS, DRY_RUN

#define PAIR KEY_ID, {"key-pair-spec", "KeyPairSpec", VERB_STRING, 1}, CONTEXT, GRANT_TOKENS, DRY_RUN
#define MESSAGE                                                                                                        \
	KEY_ID,                                                                                                        \
	{                                                                                                              \
		"message", "Message", VERB_BLOB, 1                                                                     \
	}
#define STRING(flag, member, required)                                                                                 \
	{                                                                                                              \
		flag, member, VERB_STRING, required                                                                    \
	}
#define STORE_ID STRING("custom-key-store-id", "CustomKeyStoreId", 1)
#define TAGS                                                                                                           \
	{                                                                                                              \
		"tags", "Tags", VERB_TAGS, 0                                                                           \
	}
#define BYPASS                                                                                                         \
	{                                                                                                              \
		"bypass-policy-lockout-safety-check", "BypassPolicyLockoutSafetyCheck", VERB_BOOLEAN, 0                \
	}

const struct verb verbs[] = {
	{"create-key", "CreateKey", "make a KMS key", NULL,
		{{"description", "Description", VERB_STRING, 0}, {"key-spec", "KeySpec", VERB_STRING, 0},
			{"key-usage", "KeyUsage", VERB_STRING, 0}, {"origin", "Origin", VERB_STRING, 0},
			{"customer-master-key-spec", "CustomerMasterKeySpec", VERB_STRING, 0},
			{"policy", "Policy", VERB_STRING, 0}, {"administrators", VERB_ADMINISTRATORS, VERB_LIST, 0},
			{"users", VERB_USERS, VERB_LIST, 0},
			{"bypass-policy-lockout-safety-check", "BypassPolicyLockoutSafetyCheck", VERB_BOOLEAN, 0},
			{"tags", "Tags", VERB_TAGS, 0}, {"multi-region", "MultiRegion", VERB_BOOLEAN, 0}}},
	{"describe-key", "DescribeKey", "what the KMS knows of a key", NULL, {KEY_ID, GRANT_TOKENS}},
	{"list-keys", "ListKeys", "all keys", "Keys", {PAGE}},
	{"enable-key", "EnableKey", "make a disabled key usable again", NULL, {KEY_ID}},
	{"disable-key", "DisableKey", "make a key unusable until it is enabled", NULL, {KEY_ID}},
	{"update-key-description", "UpdateKeyDescription", "change a key's description", NULL,
		{KEY_ID, {"description", "Description", VERB_STRING, 1}}},
	{"create-alias", "CreateAlias", "give a key a name", NULL,
		{{"alias-name", "AliasName", VERB_STRING, 1}, {"target-key-id", "TargetKeyId", VERB_STRING, 1}}},
	{"update-alias", "UpdateAlias", "point a name at another key", NULL,
		{{"alias-name", "AliasName", VERB_STRING, 1}, {"target-key-id", "TargetKeyId", VERB_STRING, 1}}},
	{"delete-alias", "DeleteAlias", "remove a name; the key stays", NULL,
		{{"alias-name", "AliasName", VERB_STRING, 1}}},
	{"list-aliases", "ListAliases", "all names, or those of one key", "Aliases", {KEY_ID_OPTIONAL, PAGE}},
	{"generate-data-key", "GenerateDataKey", "a new data key, plain and encrypted", NULL, {DATA_KEY}},
	{"generate-data-key-without-plaintext", "GenerateDataKeyWithoutPlaintext", "a new data key, encrypted only",
		NULL, {DATA_KEY}},
	{"generate-random", "GenerateRandom", "random bytes", NULL,
		{{"number-of-bytes", "NumberOfBytes", VERB_INTEGER, 0},
			{"custom-key-store-id", "CustomKeyStoreId", VERB_STRING, 0}}},
	{"encrypt", "Encrypt", "encrypt up to 4096 bytes", NULL,
		{KEY_ID, {"plaintext", "Plaintext", VERB_BLOB, 1}, CONTEXT, GRANT_TOKENS, ALGORITHM, DRY_RUN}},
	{"decrypt", "Decrypt", "decrypt what the KMS encrypted", NULL,
		{{"ciphertext-blob", "CiphertextBlob", VERB_BLOB, 0}, KEY_ID_OPTIONAL, CONTEXT, GRANT_TOKENS, ALGORITHM,
			DRY_RUN, {"dry-run-modifiers", "DryRunModifiers", VERB_LIST, 0}}},
	{"re-encrypt", "ReEncrypt", "encrypt anew under another key, inside the KMS", NULL,
		{{"ciphertext-blob", "CiphertextBlob", VERB_BLOB, 0},
			{"source-encryption-context", "SourceEncryptionContext", VERB_MAP, 0},
			{"source-key-id", "SourceKeyId", VERB_STRING, 0},
			{"destination-key-id", "DestinationKeyId", VERB_STRING, 1},
			{"destination-encryption-context", "DestinationEncryptionContext", VERB_MAP, 0},
			{"source-encryption-algorithm", "SourceEncryptionAlgorithm", VERB_STRING, 0},
			{"destination-encryption-algorithm", "DestinationEncryptionAlgorithm", VERB_STRING, 0},
			GRANT_TOKENS, DRY_RUN, {"dry-run-modifiers", "DryRunModifiers", VERB_LIST, 0}}},
	{"enable-key-rotation", "EnableKeyRotation", "rotate a key's material automatically", NULL,
		{KEY_ID, {"rotation-period-in-days", "RotationPeriodInDays", VERB_INTEGER, 0}}},
	{"disable-key-rotation", "DisableKeyRotation", "stop automatic rotation", NULL, {KEY_ID}},
	{"get-key-rotation-status", "GetKeyRotationStatus", "is a key rotated, and when next", NULL, {KEY_ID}},
	{"rotate-key-on-demand", "RotateKeyOnDemand", "rotate a key's material now", NULL, {KEY_ID}},
	{"list-key-rotations", "ListKeyRotations", "rotations that took place", "Rotations",
		{KEY_ID, {"include-key-material", "IncludeKeyMaterial", VERB_STRING, 0}, PAGE}},
	{"schedule-key-deletion", "ScheduleKeyDeletion", "destroy a key after 7 to 30 days", NULL,
		{KEY_ID, {"pending-window-in-days", "PendingWindowInDays", VERB_INTEGER, 0}}},
	{"cancel-key-deletion", "CancelKeyDeletion", "keep a key that was to be destroyed", NULL, {KEY_ID}},
	{"put-key-policy", "PutKeyPolicy", "say who may use and administer a key", NULL,
		{KEY_ID, {"policy-name", "PolicyName", VERB_STRING, 0}, {"policy", "Policy", VERB_STRING, 1},
			{"bypass-policy-lockout-safety-check", "BypassPolicyLockoutSafetyCheck", VERB_BOOLEAN, 0}}},
	{"get-key-policy", "GetKeyPolicy", "who may use and administer a key", NULL,
		{KEY_ID, {"policy-name", "PolicyName", VERB_STRING, 0}}},
	{"list-key-policies", "ListKeyPolicies", "names of a key's policies: one", "PolicyNames", {KEY_ID, PAGE}},
	{"create-grant", "CreateGrant", "let somebody do some operations with a key", NULL,
		{KEY_ID, {"grantee-principal", "GranteePrincipal", VERB_STRING, 1},
			{"retiring-principal", "RetiringPrincipal", VERB_STRING, 0},
			{"operations", "Operations", VERB_LIST, 1}, {"constraints", "Constraints", VERB_JSON, 0},
			GRANT_TOKENS, {"name", "Name", VERB_STRING, 0}, DRY_RUN}},
	{"list-grants", "ListGrants", "the grants of a key", "Grants",
		{KEY_ID, {"grant-id", "GrantId", VERB_STRING, 0},
			{"grantee-principal", "GranteePrincipal", VERB_STRING, 0}, PAGE}},
	{"list-retirable-grants", "ListRetirableGrants", "the grants that somebody may retire", "Grants",
		{{"retiring-principal", "RetiringPrincipal", VERB_STRING, 1}, PAGE}},
	{"retire-grant", "RetireGrant", "end a grant that is not needed any more", NULL,
		{{"grant-token", "GrantToken", VERB_STRING, 0}, KEY_ID_OPTIONAL,
			{"grant-id", "GrantId", VERB_STRING, 0}, DRY_RUN}},
	{"revoke-grant", "RevokeGrant", "take a grant away", NULL,
		{KEY_ID, {"grant-id", "GrantId", VERB_STRING, 1}, DRY_RUN}},
	{"get-key-last-usage", "GetKeyLastUsage", "when a key was last used, and for what", NULL, {KEY_ID}},
	{"tag-resource", "TagResource", "set tags of a key", NULL, {KEY_ID, {"tags", "Tags", VERB_TAGS, 1}}},
	{"untag-resource", "UntagResource", "remove tags of a key", NULL,
		{KEY_ID, {"tag-keys", "TagKeys", VERB_LIST, 1}}},
	{"list-resource-tags", "ListResourceTags", "the tags of a key", "Tags", {KEY_ID, PAGE}},
	{"get-public-key", "GetPublicKey", "the public half of a key pair", NULL, {KEY_ID, GRANT_TOKENS}},
	{"sign", "Sign", "sign a message, or its digest", NULL,
		{MESSAGE, STRING("message-type", "MessageType", 0), STRING("signing-algorithm", "SigningAlgorithm", 1),
			GRANT_TOKENS, DRY_RUN}},
	{"verify", "Verify", "verify a signature", NULL,
		{MESSAGE, STRING("message-type", "MessageType", 0), {"signature", "Signature", VERB_BLOB, 1},
			STRING("signing-algorithm", "SigningAlgorithm", 1), GRANT_TOKENS, DRY_RUN}},
	{"generate-mac", "GenerateMac", "compute an HMAC", NULL,
		{MESSAGE, STRING("mac-algorithm", "MacAlgorithm", 1), GRANT_TOKENS, DRY_RUN}},
	{"verify-mac", "VerifyMac", "verify an HMAC", NULL,
		{MESSAGE, STRING("mac-algorithm", "MacAlgorithm", 1), {"mac", "Mac", VERB_BLOB, 1}, GRANT_TOKENS,
			DRY_RUN}},
	{"derive-shared-secret", "DeriveSharedSecret", "agree on a secret with another's public key", NULL,
		{KEY_ID, STRING("key-agreement-algorithm", "KeyAgreementAlgorithm", 1),
			{"public-key", "PublicKey", VERB_BLOB, 1}, GRANT_TOKENS, DRY_RUN}},
	{"generate-data-key-pair", "GenerateDataKeyPair", "a new key pair, private key plain and encrypted", NULL,
		{PAIR}},
	{"generate-data-key-pair-without-plaintext", "GenerateDataKeyPairWithoutPlaintext",
		"a new key pair, private key encrypted only", NULL, {PAIR}},
	{"get-parameters-for-import", "GetParametersForImport", "what key material is wrapped with for import", NULL,
		{KEY_ID, STRING("wrapping-algorithm", "WrappingAlgorithm", 1),
			STRING("wrapping-key-spec", "WrappingKeySpec", 1)}},
	{"import-key-material", "ImportKeyMaterial", "bring wrapped key material into a key", NULL,
		{KEY_ID, {"import-token", "ImportToken", VERB_BLOB, 1},
			{"encrypted-key-material", "EncryptedKeyMaterial", VERB_BLOB, 1},
			{"valid-to", "ValidTo", VERB_TIME, 0}, STRING("expiration-model", "ExpirationModel", 0),
			STRING("import-type", "ImportType", 0),
			STRING("key-material-description", "KeyMaterialDescription", 0),
			STRING("key-material-id", "KeyMaterialId", 0)}},
	{"delete-imported-key-material", "DeleteImportedKeyMaterial", "take imported key material out of a key", NULL,
		{KEY_ID, STRING("key-material-id", "KeyMaterialId", 0)}},
	{"replicate-key", "ReplicateKey", "make a multi-Region key known in another Region", NULL,
		{KEY_ID, STRING("replica-region", "ReplicaRegion", 1), STRING("policy", "Policy", 0), BYPASS,
			STRING("description", "Description", 0), TAGS}},
	{"update-primary-region", "UpdatePrimaryRegion", "make a replica the primary key", NULL,
		{KEY_ID, STRING("primary-region", "PrimaryRegion", 1)}},
	{"create-custom-key-store", "CreateCustomKeyStore", "not supported: there are no custom key stores", NULL,
		{STRING("custom-key-store-name", "CustomKeyStoreName", 1),
			STRING("custom-key-store-type", "CustomKeyStoreType", 0)}},
	{"describe-custom-key-stores", "DescribeCustomKeyStores", "custom key stores: none", "CustomKeyStores",
		{STRING("custom-key-store-id", "CustomKeyStoreId", 0),
			STRING("custom-key-store-name", "CustomKeyStoreName", 0), PAGE}},
	{"connect-custom-key-store", "ConnectCustomKeyStore", "not found: there are no custom key stores", NULL,
		{STORE_ID}},
	{"disconnect-custom-key-store", "DisconnectCustomKeyStore", "not found: there are no custom key stores", NULL,
		{STORE_ID}},
	{"update-custom-key-store", "UpdateCustomKeyStore", "not found: there are no custom key stores", NULL,
		{STORE_ID}},
	{"delete-custom-key-store", "DeleteCustomKeyStore", "not found: there are no custom key stores", NULL,
		{STORE_ID}},
	{NULL, NULL, NULL, NULL, {{NULL, NULL, VERB_STRING, 0}}},
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}
