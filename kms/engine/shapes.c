/* SPDX-License-Identifier: Apache-2.0 */
/* Made by contrib/kms-shapes from the service model of AWS KMS, API version 2014-11-01. Change the generator, not this file.
 * Model digest: 103e45e33365d007b5fe556da44a34c4773050e9d63407cd902bf20706b88442 */
/* clang-format off */
#include <stddef.h>
#include "kms/engine/shapes.h"

#define R MEMBER_REQUIRED
#define A MEMBER_AUDITED
#define S MEMBER_SENSITIVE
#define END {NULL, MEMBER_STRING, 0, 0, 0, NULL, NULL, NULL}

const struct member shape_cancel_key_deletion[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

const struct member shape_connect_custom_key_store[] = {
	{"CustomKeyStoreId", MEMBER_STRING, R | A, 1, 64, NULL, NULL, NULL},
	END};

static const struct pattern_range pattern_1_ranges[] = {
	{45, 45}, {47, 47}, {48, 57}, {58, 58}, {65, 90}, {95, 95}, {97, 122}};
static const struct pattern_op pattern_1_ops[] = {
	{PATTERN_CLASS, 0, 7}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_1 = {"^[a-zA-Z0-9:/_-]+$", pattern_1_ranges, pattern_1_ops};

const struct member shape_create_alias[] = {
	{"AliasName", MEMBER_STRING, R | A, 1, 256, NULL, &pattern_1, NULL},
	{"TargetKeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

static const struct pattern_range pattern_2_ranges[] = {
	{99, 99}, {108, 108}, {117, 117}, {115, 115}, {116, 116}, {101, 101}, {114, 114}, {45, 45}, {50, 55}, {65, 90},
	{97, 122}};
static const struct pattern_op pattern_2_ops[] = {
	{PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 1, 1}, {PATTERN_CLASS, 2, 1}, {PATTERN_CLASS, 3, 1}, {PATTERN_CLASS, 4, 1},
	{PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 6, 1}, {PATTERN_CLASS, 7, 1}, {PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3},
	{PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3},
	{PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3}, {PATTERN_CLASS, 8, 3}, {PATTERN_SPLIT, 20, 29},
	{PATTERN_CLASS, 8, 3}, {PATTERN_SPLIT, 22, 29}, {PATTERN_CLASS, 8, 3}, {PATTERN_SPLIT, 24, 29},
	{PATTERN_CLASS, 8, 3}, {PATTERN_SPLIT, 26, 29}, {PATTERN_CLASS, 8, 3}, {PATTERN_SPLIT, 28, 29},
	{PATTERN_CLASS, 8, 3}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_2 = {"cluster-[2-7a-zA-Z]{11,16}", pattern_2_ranges, pattern_2_ops};

static const char *const values_custom_key_store_type[] = {
	"AWS_CLOUDHSM", "EXTERNAL_KEY_STORE", NULL};

static const struct pattern_range pattern_3_ranges[] = {
	{104, 104}, {116, 116}, {112, 112}, {115, 115}, {58, 58}, {47, 47}, {45, 45}, {46, 46}, {48, 57}, {65, 90},
	{97, 122}};
static const struct pattern_op pattern_3_ops[] = {
	{PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 1, 1}, {PATTERN_CLASS, 1, 1}, {PATTERN_CLASS, 2, 1}, {PATTERN_CLASS, 3, 1},
	{PATTERN_CLASS, 4, 1}, {PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 6, 5}, {PATTERN_SPLIT, 8, 10},
	{PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_3 = {"^https://[a-zA-Z0-9.-]+$", pattern_3_ranges, pattern_3_ops};

static const struct pattern_range pattern_4_ranges[] = {
	{47, 47}, {45, 45}, {47, 47}, {48, 57}, {65, 90}, {95, 95}, {97, 122}, {107, 107}, {109, 109}, {115, 115},
	{120, 120}, {118, 118}};
static const struct pattern_op pattern_4_ops[] = {
	{PATTERN_SPLIT, 1, 18}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 1, 6}, {PATTERN_SPLIT, 2, 4}, {PATTERN_CLASS, 0, 1},
	{PATTERN_CLASS, 7, 1}, {PATTERN_CLASS, 8, 1}, {PATTERN_CLASS, 9, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 10, 1},
	{PATTERN_CLASS, 7, 1}, {PATTERN_CLASS, 9, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 11, 1}, {PATTERN_CLASS, 3, 1},
	{PATTERN_SPLIT, 16, 17}, {PATTERN_CLASS, 3, 1}, {PATTERN_SPLIT, 31, 31}, {PATTERN_CLASS, 0, 1},
	{PATTERN_CLASS, 7, 1}, {PATTERN_CLASS, 8, 1}, {PATTERN_CLASS, 9, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 10, 1},
	{PATTERN_CLASS, 7, 1}, {PATTERN_CLASS, 9, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 11, 1}, {PATTERN_CLASS, 3, 1},
	{PATTERN_SPLIT, 30, 31}, {PATTERN_CLASS, 3, 1}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_4 = {"^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$", pattern_4_ranges, pattern_4_ops};

static const struct pattern_range pattern_5_ranges[] = {
	{99, 99}, {111, 111}, {109, 109}, {101, 101}, {117, 117}, {46, 46}, {97, 97}, {122, 122}, {110, 110}, {119, 119},
	{115, 115}, {118, 118}, {112, 112}, {97, 122}, {45, 45}, {48, 57}, {48, 57}, {97, 122}};
static const struct pattern_op pattern_5_ops[] = {
	{PATTERN_SPLIT, 1, 5}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 1, 1}, {PATTERN_CLASS, 2, 1}, {PATTERN_SPLIT, 7, 7},
	{PATTERN_CLASS, 3, 1}, {PATTERN_CLASS, 4, 1}, {PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 6, 1}, {PATTERN_CLASS, 2, 1},
	{PATTERN_CLASS, 6, 1}, {PATTERN_CLASS, 7, 1}, {PATTERN_CLASS, 1, 1}, {PATTERN_CLASS, 8, 1}, {PATTERN_CLASS, 6, 1},
	{PATTERN_CLASS, 9, 1}, {PATTERN_CLASS, 10, 1}, {PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 11, 1}, {PATTERN_CLASS, 12, 1},
	{PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 3, 1}, {PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 13, 1}, {PATTERN_SPLIT, 23, 25},
	{PATTERN_CLASS, 14, 1}, {PATTERN_CLASS, 13, 1}, {PATTERN_SPLIT, 26, 28}, {PATTERN_CLASS, 14, 1},
	{PATTERN_SPLIT, 30, 33}, {PATTERN_CLASS, 13, 1}, {PATTERN_SPLIT, 30, 32}, {PATTERN_CLASS, 14, 1},
	{PATTERN_CLASS, 15, 1}, {PATTERN_SPLIT, 33, 35}, {PATTERN_CLASS, 5, 1}, {PATTERN_CLASS, 11, 1},
	{PATTERN_CLASS, 12, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 3, 1}, {PATTERN_CLASS, 14, 1}, {PATTERN_CLASS, 10, 1},
	{PATTERN_CLASS, 11, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 14, 1}, {PATTERN_CLASS, 16, 2},
	{PATTERN_SPLIT, 45, 47}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_5 = {"^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$", pattern_5_ranges, pattern_5_ops};

static const struct pattern_range pattern_6_ranges[] = {
	{48, 57}};
static const struct pattern_op pattern_6_ops[] = {
	{PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1},
	{PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1},
	{PATTERN_CLASS, 0, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_6 = {"[0-9]{12}", pattern_6_ranges, pattern_6_ops};

static const struct pattern_range pattern_7_ranges[] = {
	{50, 55}, {65, 90}};
static const struct pattern_op pattern_7_ops[] = {
	{PATTERN_CLASS, 0, 2}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_7 = {"^[A-Z2-7]+$", pattern_7_ranges, pattern_7_ops};

static const struct pattern_range pattern_8_ranges[] = {
	{43, 43}, {47, 47}, {48, 57}, {61, 61}, {65, 90}, {97, 122}};
static const struct pattern_op pattern_8_ops[] = {
	{PATTERN_CLASS, 0, 6}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_8 = {"^[a-zA-Z0-9\\/+=]+$", pattern_8_ranges, pattern_8_ops};

static const struct member inner_xks_proxy_authentication_credential_type[] = {
	{"AccessKeyId", MEMBER_STRING, R | S, 20, 30, NULL, &pattern_7, NULL},
	{"RawSecretAccessKey", MEMBER_STRING, R | S, 43, 64, NULL, &pattern_8, NULL},
	END};

static const char *const values_xks_proxy_connectivity_type[] = {
	"PUBLIC_ENDPOINT", "VPC_ENDPOINT_SERVICE", NULL};

const struct member shape_create_custom_key_store[] = {
	{"CustomKeyStoreName", MEMBER_STRING, R | A, 1, 256, NULL, NULL, NULL},
	{"CloudHsmClusterId", MEMBER_STRING, A, 19, 24, NULL, &pattern_2, NULL},
	{"TrustAnchorCertificate", MEMBER_STRING, 0, 1, 5000, NULL, NULL, NULL},
	{"KeyStorePassword", MEMBER_STRING, S, 7, 32, NULL, NULL, NULL},
	{"CustomKeyStoreType", MEMBER_STRING, A, 0, 0, values_custom_key_store_type, NULL, NULL},
	{"XksProxyUriEndpoint", MEMBER_STRING, A, 10, 128, NULL, &pattern_3, NULL},
	{"XksProxyUriPath", MEMBER_STRING, A, 10, 128, NULL, &pattern_4, NULL},
	{"XksProxyVpcEndpointServiceName", MEMBER_STRING, A, 20, 64, NULL, &pattern_5, NULL},
	{"XksProxyVpcEndpointServiceOwner", MEMBER_STRING, A, 12, 12, NULL, &pattern_6, NULL},
	{"XksProxyAuthenticationCredential", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_xks_proxy_authentication_credential_type},
	{"XksProxyConnectivity", MEMBER_STRING, A, 0, 0, values_xks_proxy_connectivity_type, NULL, NULL},
	END};

static const struct pattern_range pattern_9_ranges[] = {
	{43, 43}, {44, 44}, {45, 45}, {46, 46}, {47, 47}, {48, 57}, {58, 58}, {61, 61}, {64, 64}, {65, 90}, {95, 95},
	{97, 122}};
static const struct pattern_op pattern_9_ops[] = {
	{PATTERN_CLASS, 0, 12}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_9 = {"^[\\w+=,.@:/-]+$", pattern_9_ranges, pattern_9_ops};

static const char *const values_grant_operation[] = {
	"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign",
	"Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac", "DeriveSharedSecret", NULL};

static const struct member inner_grant_operation_list[] = {
	{"member", MEMBER_STRING, 0, 0, 0, values_grant_operation, NULL, NULL},
	END};

static const struct member inner_grant_constraints[] = {
	{"EncryptionContextSubset", MEMBER_MAP, 0, 0, 0, NULL, NULL, NULL},
	{"EncryptionContextEquals", MEMBER_MAP, 0, 0, 0, NULL, NULL, NULL},
	END};

static const struct member inner_grant_token_list[] = {
	{"member", MEMBER_STRING, 0, 1, 8192, NULL, NULL, NULL},
	END};

const struct member shape_create_grant[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"GranteePrincipal", MEMBER_STRING, R | A, 1, 256, NULL, &pattern_9, NULL},
	{"RetiringPrincipal", MEMBER_STRING, A, 1, 256, NULL, &pattern_9, NULL},
	{"Operations", MEMBER_LIST, R | A, 0, 0, NULL, NULL, inner_grant_operation_list},
	{"Constraints", MEMBER_STRUCTURE, A, 0, 0, NULL, NULL, inner_grant_constraints},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"Name", MEMBER_STRING, A, 1, 256, NULL, &pattern_1, NULL},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

static const struct pattern_range pattern_10_ranges[] = {
	{9, 9}, {10, 10}, {13, 13}, {32, 255}};
static const struct pattern_op pattern_10_ops[] = {
	{PATTERN_CLASS, 0, 4}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_10 = {"[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", pattern_10_ranges, pattern_10_ops};

static const char *const values_key_usage_type[] = {
	"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", NULL};

static const char *const values_customer_master_key_spec[] = {
	"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
	"SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2", NULL};

static const char *const values_key_spec[] = {
	"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
	"SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87",
	"ECC_NIST_EDWARDS25519", NULL};

static const char *const values_origin_type[] = {
	"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE", NULL};

static const struct member inner_tag[] = {
	{"TagKey", MEMBER_STRING, R, 1, 128, NULL, NULL, NULL},
	{"TagValue", MEMBER_STRING, R, 0, 256, NULL, NULL, NULL},
	END};

static const struct member inner_tag_list[] = {
	{"member", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_tag},
	END};

static const struct pattern_range pattern_11_ranges[] = {
	{45, 45}, {46, 46}, {48, 57}, {65, 90}, {95, 95}, {97, 122}};
static const struct pattern_op pattern_11_ops[] = {
	{PATTERN_CLASS, 0, 6}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_11 = {"^[a-zA-Z0-9-_.]+$", pattern_11_ranges, pattern_11_ops};

const struct member shape_create_key[] = {
	{"Policy", MEMBER_STRING, A, 1, 131072, NULL, &pattern_10, NULL},
	{"Description", MEMBER_STRING, A, 0, 8192, NULL, NULL, NULL},
	{"KeyUsage", MEMBER_STRING, A, 0, 0, values_key_usage_type, NULL, NULL},
	{"CustomerMasterKeySpec", MEMBER_STRING, A, 0, 0, values_customer_master_key_spec, NULL, NULL},
	{"KeySpec", MEMBER_STRING, A, 0, 0, values_key_spec, NULL, NULL},
	{"Origin", MEMBER_STRING, A, 0, 0, values_origin_type, NULL, NULL},
	{"CustomKeyStoreId", MEMBER_STRING, A, 1, 64, NULL, NULL, NULL},
	{"BypassPolicyLockoutSafetyCheck", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	{"Tags", MEMBER_LIST, A, 0, 0, NULL, NULL, inner_tag_list},
	{"MultiRegion", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	{"XksKeyId", MEMBER_STRING, A, 1, 128, NULL, &pattern_11, NULL},
	END};

static const char *const values_encryption_algorithm_spec[] = {
	"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE", NULL};

static const char *const values_key_encryption_mechanism[] = {
	"RSAES_OAEP_SHA_256", NULL};

static const struct member inner_recipient_info[] = {
	{"KeyEncryptionAlgorithm", MEMBER_STRING, 0, 0, 0, values_key_encryption_mechanism, NULL, NULL},
	{"AttestationDocument", MEMBER_BLOB, 0, 1, 262144, NULL, NULL, NULL},
	END};

static const char *const values_dry_run_modifier_type[] = {
	"IGNORE_CIPHERTEXT", NULL};

static const struct member inner_dry_run_modifier_list[] = {
	{"member", MEMBER_STRING, 0, 0, 0, values_dry_run_modifier_type, NULL, NULL},
	END};

const struct member shape_decrypt[] = {
	{"CiphertextBlob", MEMBER_BLOB, 0, 1, 6144, NULL, NULL, NULL},
	{"EncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"KeyId", MEMBER_STRING, A, 1, 2048, NULL, NULL, NULL},
	{"EncryptionAlgorithm", MEMBER_STRING, A, 0, 0, values_encryption_algorithm_spec, NULL, NULL},
	{"Recipient", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_recipient_info},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	{"DryRunModifiers", MEMBER_LIST, 0, 0, 0, NULL, NULL, inner_dry_run_modifier_list},
	END};

const struct member shape_delete_alias[] = {
	{"AliasName", MEMBER_STRING, R | A, 1, 256, NULL, &pattern_1, NULL},
	END};

const struct member shape_delete_custom_key_store[] = {
	{"CustomKeyStoreId", MEMBER_STRING, R | A, 1, 64, NULL, NULL, NULL},
	END};

static const struct pattern_range pattern_12_ranges[] = {
	{48, 57}, {97, 102}};
static const struct pattern_op pattern_12_ops[] = {
	{PATTERN_CLASS, 0, 2}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_12 = {"^[a-f0-9]+$", pattern_12_ranges, pattern_12_ops};

const struct member shape_delete_imported_key_material[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"KeyMaterialId", MEMBER_STRING, A, 64, 64, NULL, &pattern_12, NULL},
	END};

static const char *const values_key_agreement_algorithm_spec[] = {
	"ECDH", NULL};

const struct member shape_derive_shared_secret[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"KeyAgreementAlgorithm", MEMBER_STRING, R | A, 0, 0, values_key_agreement_algorithm_spec, NULL, NULL},
	{"PublicKey", MEMBER_BLOB, R, 1, 8192, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	{"Recipient", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_recipient_info},
	END};

static const struct pattern_range pattern_13_ranges[] = {
	{32, 255}};
static const struct pattern_op pattern_13_ops[] = {
	{PATTERN_SPLIT, 1, 3}, {PATTERN_CLASS, 0, 1}, {PATTERN_SPLIT, 0, 0}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_13 = {"[\\u0020-\\u00FF]*", pattern_13_ranges, pattern_13_ops};

const struct member shape_describe_custom_key_stores[] = {
	{"CustomKeyStoreId", MEMBER_STRING, A, 1, 64, NULL, NULL, NULL},
	{"CustomKeyStoreName", MEMBER_STRING, A, 1, 256, NULL, NULL, NULL},
	{"Limit", MEMBER_INTEGER, A, 1, 1000, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	END};

const struct member shape_describe_key[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	END};

const struct member shape_disable_key[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

const struct member shape_disable_key_rotation[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

const struct member shape_disconnect_custom_key_store[] = {
	{"CustomKeyStoreId", MEMBER_STRING, R | A, 1, 64, NULL, NULL, NULL},
	END};

const struct member shape_enable_key[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

const struct member shape_enable_key_rotation[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"RotationPeriodInDays", MEMBER_INTEGER, A, 90, 2560, NULL, NULL, NULL},
	END};

const struct member shape_encrypt[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Plaintext", MEMBER_BLOB, R | S, 1, 4096, NULL, NULL, NULL},
	{"EncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"EncryptionAlgorithm", MEMBER_STRING, A, 0, 0, values_encryption_algorithm_spec, NULL, NULL},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

static const char *const values_data_key_spec[] = {
	"AES_256", "AES_128", NULL};

const struct member shape_generate_data_key[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"EncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"NumberOfBytes", MEMBER_INTEGER, A, 1, 1024, NULL, NULL, NULL},
	{"KeySpec", MEMBER_STRING, A, 0, 0, values_data_key_spec, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"Recipient", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_recipient_info},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

static const char *const values_data_key_pair_spec[] = {
	"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "SM2",
	"ECC_NIST_EDWARDS25519", NULL};

const struct member shape_generate_data_key_pair[] = {
	{"EncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"KeyPairSpec", MEMBER_STRING, R | A, 0, 0, values_data_key_pair_spec, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"Recipient", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_recipient_info},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_generate_data_key_pair_without_plaintext[] = {
	{"EncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"KeyPairSpec", MEMBER_STRING, R | A, 0, 0, values_data_key_pair_spec, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_generate_data_key_without_plaintext[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"EncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"KeySpec", MEMBER_STRING, A, 0, 0, values_data_key_spec, NULL, NULL},
	{"NumberOfBytes", MEMBER_INTEGER, A, 1, 1024, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

static const char *const values_mac_algorithm_spec[] = {
	"HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512", NULL};

const struct member shape_generate_mac[] = {
	{"Message", MEMBER_BLOB, R | S, 1, 4096, NULL, NULL, NULL},
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"MacAlgorithm", MEMBER_STRING, R | A, 0, 0, values_mac_algorithm_spec, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_generate_random[] = {
	{"NumberOfBytes", MEMBER_INTEGER, A, 1, 1024, NULL, NULL, NULL},
	{"CustomKeyStoreId", MEMBER_STRING, A, 1, 64, NULL, NULL, NULL},
	{"Recipient", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_recipient_info},
	END};

const struct member shape_get_key_last_usage[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

static const struct pattern_range pattern_14_ranges[] = {
	{48, 57}, {65, 90}, {95, 95}, {97, 122}};
static const struct pattern_op pattern_14_ops[] = {
	{PATTERN_CLASS, 0, 4}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_14 = {"[\\w]+", pattern_14_ranges, pattern_14_ops};

const struct member shape_get_key_policy[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"PolicyName", MEMBER_STRING, A, 1, 128, NULL, &pattern_14, NULL},
	END};

const struct member shape_get_key_rotation_status[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

static const char *const values_algorithm_spec[] = {
	"RSAES_PKCS1_V1_5", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256",
	"SM2PKE", NULL};

static const char *const values_wrapping_key_spec[] = {
	"RSA_2048", "RSA_3072", "RSA_4096", "SM2", NULL};

const struct member shape_get_parameters_for_import[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"WrappingAlgorithm", MEMBER_STRING, R | A, 0, 0, values_algorithm_spec, NULL, NULL},
	{"WrappingKeySpec", MEMBER_STRING, R | A, 0, 0, values_wrapping_key_spec, NULL, NULL},
	END};

const struct member shape_get_public_key[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	END};

static const char *const values_expiration_model_type[] = {
	"KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE", NULL};

static const char *const values_import_type[] = {
	"NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL", NULL};

static const struct pattern_range pattern_15_ranges[] = {
	{9, 13}, {32, 32}, {45, 45}, {46, 46}, {47, 47}, {48, 57}, {58, 58}, {65, 90}, {95, 95}, {97, 122}};
static const struct pattern_op pattern_15_ops[] = {
	{PATTERN_CLASS, 0, 10}, {PATTERN_SPLIT, 0, 2}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_15 = {"^[a-zA-Z0-9:/_\\s.-]+$", pattern_15_ranges, pattern_15_ops};

const struct member shape_import_key_material[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"ImportToken", MEMBER_BLOB, R, 1, 6144, NULL, NULL, NULL},
	{"EncryptedKeyMaterial", MEMBER_BLOB, R, 1, 6144, NULL, NULL, NULL},
	{"ValidTo", MEMBER_TIMESTAMP, A, 0, 0, NULL, NULL, NULL},
	{"ExpirationModel", MEMBER_STRING, A, 0, 0, values_expiration_model_type, NULL, NULL},
	{"ImportType", MEMBER_STRING, A, 0, 0, values_import_type, NULL, NULL},
	{"KeyMaterialDescription", MEMBER_STRING, A, 0, 256, NULL, &pattern_15, NULL},
	{"KeyMaterialId", MEMBER_STRING, A, 64, 64, NULL, &pattern_12, NULL},
	END};

const struct member shape_list_aliases[] = {
	{"KeyId", MEMBER_STRING, A, 1, 2048, NULL, NULL, NULL},
	{"Limit", MEMBER_INTEGER, A, 1, 100, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	END};

const struct member shape_list_grants[] = {
	{"Limit", MEMBER_INTEGER, A, 1, 100, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"GrantId", MEMBER_STRING, A, 1, 128, NULL, NULL, NULL},
	{"GranteePrincipal", MEMBER_STRING, A, 1, 256, NULL, &pattern_9, NULL},
	END};

const struct member shape_list_key_policies[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Limit", MEMBER_INTEGER, A, 1, 1000, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	END};

static const char *const values_include_key_material[] = {
	"ALL_KEY_MATERIAL", "ROTATIONS_ONLY", NULL};

const struct member shape_list_key_rotations[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"IncludeKeyMaterial", MEMBER_STRING, A, 0, 0, values_include_key_material, NULL, NULL},
	{"Limit", MEMBER_INTEGER, A, 1, 1000, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	END};

const struct member shape_list_keys[] = {
	{"Limit", MEMBER_INTEGER, A, 1, 1000, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	END};

const struct member shape_list_resource_tags[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Limit", MEMBER_INTEGER, A, 1, 50, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	END};

const struct member shape_list_retirable_grants[] = {
	{"Limit", MEMBER_INTEGER, A, 1, 100, NULL, NULL, NULL},
	{"Marker", MEMBER_STRING, A, 1, 1024, NULL, &pattern_13, NULL},
	{"RetiringPrincipal", MEMBER_STRING, R | A, 1, 256, NULL, &pattern_9, NULL},
	END};

const struct member shape_put_key_policy[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"PolicyName", MEMBER_STRING, A, 1, 128, NULL, &pattern_14, NULL},
	{"Policy", MEMBER_STRING, R | A, 1, 131072, NULL, &pattern_10, NULL},
	{"BypassPolicyLockoutSafetyCheck", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_re_encrypt[] = {
	{"CiphertextBlob", MEMBER_BLOB, 0, 1, 6144, NULL, NULL, NULL},
	{"SourceEncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"SourceKeyId", MEMBER_STRING, A, 1, 2048, NULL, NULL, NULL},
	{"DestinationKeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"DestinationEncryptionContext", MEMBER_MAP, A, 0, 0, NULL, NULL, NULL},
	{"SourceEncryptionAlgorithm", MEMBER_STRING, A, 0, 0, values_encryption_algorithm_spec, NULL, NULL},
	{"DestinationEncryptionAlgorithm", MEMBER_STRING, A, 0, 0, values_encryption_algorithm_spec, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	{"DryRunModifiers", MEMBER_LIST, 0, 0, 0, NULL, NULL, inner_dry_run_modifier_list},
	END};

static const struct pattern_range pattern_16_ranges[] = {
	{97, 122}, {45, 45}, {48, 57}};
static const struct pattern_op pattern_16_ops[] = {
	{PATTERN_CLASS, 0, 1}, {PATTERN_SPLIT, 0, 2}, {PATTERN_CLASS, 1, 1}, {PATTERN_CLASS, 0, 1}, {PATTERN_SPLIT, 3, 5},
	{PATTERN_CLASS, 1, 1}, {PATTERN_SPLIT, 7, 10}, {PATTERN_CLASS, 0, 1}, {PATTERN_SPLIT, 7, 9}, {PATTERN_CLASS, 1, 1},
	{PATTERN_CLASS, 2, 1}, {PATTERN_SPLIT, 10, 12}, {PATTERN_MATCH, 0, 0}};
static const struct pattern pattern_16 = {"^([a-z]+-){2,3}\\d+$", pattern_16_ranges, pattern_16_ops};

const struct member shape_replicate_key[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"ReplicaRegion", MEMBER_STRING, R | A, 1, 32, NULL, &pattern_16, NULL},
	{"Policy", MEMBER_STRING, A, 1, 131072, NULL, &pattern_10, NULL},
	{"BypassPolicyLockoutSafetyCheck", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	{"Description", MEMBER_STRING, A, 0, 8192, NULL, NULL, NULL},
	{"Tags", MEMBER_LIST, A, 0, 0, NULL, NULL, inner_tag_list},
	END};

const struct member shape_retire_grant[] = {
	{"GrantToken", MEMBER_STRING, 0, 1, 8192, NULL, NULL, NULL},
	{"KeyId", MEMBER_STRING, A, 1, 2048, NULL, NULL, NULL},
	{"GrantId", MEMBER_STRING, A, 1, 128, NULL, NULL, NULL},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_revoke_grant[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"GrantId", MEMBER_STRING, R | A, 1, 128, NULL, NULL, NULL},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_rotate_key_on_demand[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

const struct member shape_schedule_key_deletion[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"PendingWindowInDays", MEMBER_INTEGER, A, 1, 365, NULL, NULL, NULL},
	END};

static const char *const values_message_type[] = {
	"RAW", "DIGEST", "EXTERNAL_MU", NULL};

static const char *const values_signing_algorithm_spec[] = {
	"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_256",
	"RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512", "ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512",
	"SM2DSA", "ML_DSA_SHAKE_256", "ED25519_SHA_512", "ED25519_PH_SHA_512", NULL};

const struct member shape_sign[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Message", MEMBER_BLOB, R | S, 1, 4096, NULL, NULL, NULL},
	{"MessageType", MEMBER_STRING, A, 0, 0, values_message_type, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"SigningAlgorithm", MEMBER_STRING, R | A, 0, 0, values_signing_algorithm_spec, NULL, NULL},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_tag_resource[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Tags", MEMBER_LIST, R | A, 0, 0, NULL, NULL, inner_tag_list},
	END};

static const struct member inner_tag_key_list[] = {
	{"member", MEMBER_STRING, 0, 1, 128, NULL, NULL, NULL},
	END};

const struct member shape_untag_resource[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"TagKeys", MEMBER_LIST, R | A, 0, 0, NULL, NULL, inner_tag_key_list},
	END};

const struct member shape_update_alias[] = {
	{"AliasName", MEMBER_STRING, R | A, 1, 256, NULL, &pattern_1, NULL},
	{"TargetKeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	END};

const struct member shape_update_custom_key_store[] = {
	{"CustomKeyStoreId", MEMBER_STRING, R | A, 1, 64, NULL, NULL, NULL},
	{"NewCustomKeyStoreName", MEMBER_STRING, A, 1, 256, NULL, NULL, NULL},
	{"KeyStorePassword", MEMBER_STRING, S, 7, 32, NULL, NULL, NULL},
	{"CloudHsmClusterId", MEMBER_STRING, A, 19, 24, NULL, &pattern_2, NULL},
	{"XksProxyUriEndpoint", MEMBER_STRING, A, 10, 128, NULL, &pattern_3, NULL},
	{"XksProxyUriPath", MEMBER_STRING, A, 10, 128, NULL, &pattern_4, NULL},
	{"XksProxyVpcEndpointServiceName", MEMBER_STRING, A, 20, 64, NULL, &pattern_5, NULL},
	{"XksProxyVpcEndpointServiceOwner", MEMBER_STRING, A, 12, 12, NULL, &pattern_6, NULL},
	{"XksProxyAuthenticationCredential", MEMBER_STRUCTURE, 0, 0, 0, NULL, NULL, inner_xks_proxy_authentication_credential_type},
	{"XksProxyConnectivity", MEMBER_STRING, A, 0, 0, values_xks_proxy_connectivity_type, NULL, NULL},
	END};

const struct member shape_update_key_description[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Description", MEMBER_STRING, R | A, 0, 8192, NULL, NULL, NULL},
	END};

const struct member shape_update_primary_region[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"PrimaryRegion", MEMBER_STRING, R | A, 1, 32, NULL, &pattern_16, NULL},
	END};

const struct member shape_verify[] = {
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"Message", MEMBER_BLOB, R | S, 1, 4096, NULL, NULL, NULL},
	{"MessageType", MEMBER_STRING, A, 0, 0, values_message_type, NULL, NULL},
	{"Signature", MEMBER_BLOB, R, 1, 6144, NULL, NULL, NULL},
	{"SigningAlgorithm", MEMBER_STRING, R | A, 0, 0, values_signing_algorithm_spec, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};

const struct member shape_verify_mac[] = {
	{"Message", MEMBER_BLOB, R | S, 1, 4096, NULL, NULL, NULL},
	{"KeyId", MEMBER_STRING, R | A, 1, 2048, NULL, NULL, NULL},
	{"MacAlgorithm", MEMBER_STRING, R | A, 0, 0, values_mac_algorithm_spec, NULL, NULL},
	{"Mac", MEMBER_BLOB, R, 1, 6144, NULL, NULL, NULL},
	{"GrantTokens", MEMBER_LIST, 0, 0, 10, NULL, NULL, inner_grant_token_list},
	{"DryRun", MEMBER_BOOLEAN, A, 0, 0, NULL, NULL, NULL},
	END};
