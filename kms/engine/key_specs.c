/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include "kms/engine/key_specs.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CRYPT    USAGE_ENCRYPT_DECRYPT
#define SIGN     USAGE_SIGN_VERIFY
#define MAC      USAGE_GENERATE_VERIFY_MAC
#define AGREE    USAGE_KEY_AGREEMENT

static const struct key_spec specs[] = {
	{"SYMMETRIC_DEFAULT", FAMILY_SYMMETRIC, CRYPT, 32, NULL},
	{"RSA_2048", FAMILY_RSA, CRYPT | SIGN, 2048, NULL},
	{"RSA_3072", FAMILY_RSA, CRYPT | SIGN, 3072, NULL},
	{"RSA_4096", FAMILY_RSA, CRYPT | SIGN, 4096, NULL},
	{"ECC_NIST_P256", FAMILY_EC, SIGN | AGREE, 0, "prime256v1"},
	{"ECC_NIST_P384", FAMILY_EC, SIGN | AGREE, 0, "secp384r1"},
	{"ECC_NIST_P521", FAMILY_EC, SIGN | AGREE, 0, "secp521r1"},
	{"ECC_SECG_P256K1", FAMILY_EC, SIGN, 0, "secp256k1"},
	{"ECC_NIST_EDWARDS25519", FAMILY_ED25519, SIGN, 0, NULL},
	{"HMAC_224", FAMILY_HMAC, MAC, 28, NULL},
	{"HMAC_256", FAMILY_HMAC, MAC, 32, NULL},
	{"HMAC_384", FAMILY_HMAC, MAC, 48, NULL},
	{"HMAC_512", FAMILY_HMAC, MAC, 64, NULL},
	{"ML_DSA_44", FAMILY_ML_DSA, SIGN, 0, "ML-DSA-44"},
	{"ML_DSA_65", FAMILY_ML_DSA, SIGN, 0, "ML-DSA-65"},
	{"ML_DSA_87", FAMILY_ML_DSA, SIGN, 0, "ML-DSA-87"},
	{"SM2", FAMILY_SM2, CRYPT | SIGN | AGREE, 0, NULL},
};

/* In AWS's order. */
static const struct key_algorithm algorithms[] = {
	{"SYMMETRIC_DEFAULT", SCHEME_SYMMETRIC, FAMILY_SYMMETRIC, CRYPT, NULL, NULL, 0},
	{"RSAES_OAEP_SHA_1", SCHEME_OAEP, FAMILY_RSA, CRYPT, NULL, "SHA1", 20},
	{"RSAES_OAEP_SHA_256", SCHEME_OAEP, FAMILY_RSA, CRYPT, NULL, "SHA256", 32},
	{"SM2PKE", SCHEME_OAEP, FAMILY_SM2, CRYPT, NULL, NULL, 0},
	{"RSASSA_PKCS1_V1_5_SHA_256", SCHEME_PKCS1, FAMILY_RSA, SIGN, NULL, "SHA256", 32},
	{"RSASSA_PKCS1_V1_5_SHA_384", SCHEME_PKCS1, FAMILY_RSA, SIGN, NULL, "SHA384", 48},
	{"RSASSA_PKCS1_V1_5_SHA_512", SCHEME_PKCS1, FAMILY_RSA, SIGN, NULL, "SHA512", 64},
	{"RSASSA_PSS_SHA_256", SCHEME_PSS, FAMILY_RSA, SIGN, NULL, "SHA256", 32},
	{"RSASSA_PSS_SHA_384", SCHEME_PSS, FAMILY_RSA, SIGN, NULL, "SHA384", 48},
	{"RSASSA_PSS_SHA_512", SCHEME_PSS, FAMILY_RSA, SIGN, NULL, "SHA512", 64},
	{"ECDSA_SHA_256", SCHEME_ECDSA, FAMILY_EC, SIGN, "ECC_NIST_P256", "SHA256", 32},
	{"ECDSA_SHA_256", SCHEME_ECDSA, FAMILY_EC, SIGN, "ECC_SECG_P256K1", "SHA256", 32},
	{"ECDSA_SHA_384", SCHEME_ECDSA, FAMILY_EC, SIGN, "ECC_NIST_P384", "SHA384", 48},
	{"ECDSA_SHA_512", SCHEME_ECDSA, FAMILY_EC, SIGN, "ECC_NIST_P521", "SHA512", 64},
	{"SM2DSA", SCHEME_ECDSA, FAMILY_SM2, SIGN, NULL, NULL, 0},
	{"ML_DSA_SHAKE_256", SCHEME_ML_DSA, FAMILY_ML_DSA, SIGN, NULL, NULL, 64},
	{"ED25519_SHA_512", SCHEME_ED25519, FAMILY_ED25519, SIGN, NULL, NULL, 0},
	{"ED25519_PH_SHA_512", SCHEME_ED25519_PH, FAMILY_ED25519, SIGN, NULL, NULL, 64},
	{"HMAC_SHA_224", SCHEME_HMAC, FAMILY_HMAC, MAC, "HMAC_224", "SHA224", 28},
	{"HMAC_SHA_256", SCHEME_HMAC, FAMILY_HMAC, MAC, "HMAC_256", "SHA256", 32},
	{"HMAC_SHA_384", SCHEME_HMAC, FAMILY_HMAC, MAC, "HMAC_384", "SHA384", 48},
	{"HMAC_SHA_512", SCHEME_HMAC, FAMILY_HMAC, MAC, "HMAC_512", "SHA512", 64},
	{"ECDH", SCHEME_ECDH, FAMILY_EC, AGREE, NULL, NULL, 0},
};

static const struct {
	const char *name;
	enum key_usage usage;
	const char *list; /* the member of the answers that lists the algorithms */
} usages[] = {
	{"ENCRYPT_DECRYPT", CRYPT, "EncryptionAlgorithms"},
	{"SIGN_VERIFY", SIGN, "SigningAlgorithms"},
	{"GENERATE_VERIFY_MAC", MAC, "MacAlgorithms"},
	{"KEY_AGREEMENT", AGREE, "KeyAgreementAlgorithms"},
};

const struct key_spec *key_spec_find(const char *name)
{
	for (size_t i = 0; i < COUNT(specs); i++)
		if (strcmp(specs[i].name, name) == 0)
			return &specs[i];
	return NULL;
}

unsigned key_spec_usage(const char *name)
{
	for (size_t i = 0; i < COUNT(usages); i++)
		if (strcmp(usages[i].name, name) == 0)
			return usages[i].usage;
	return 0;
}

static int openssl_has(const char *group)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, group, NULL);

	EVP_PKEY_CTX_free(ctx);
	return ctx != NULL;
}

enum err key_spec_available(const struct key_spec *spec)
{
	if (spec->family == FAMILY_SM2)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"The key spec SM2 is not supported in this Region: it is there in China Regions alone.");
	if (spec->family == FAMILY_ML_DSA && !openssl_has(spec->group))
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"The key spec %s is not supported here: it needs OpenSSL 3.5, and this is %s.", spec->name,
			OpenSSL_version(OPENSSL_VERSION_STRING));
	return ERR_OK;
}

const struct key_algorithm *key_algorithm_find(const char *name)
{
	for (size_t i = 0; i < COUNT(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static int fits(const struct key_algorithm *a, const struct key_spec *spec)
{
	if (a->scheme == SCHEME_ECDH)
		return (spec->usages & AGREE) != 0 && spec->family == FAMILY_EC;
	return a->family == spec->family && (a->only == NULL || strcmp(a->only, spec->name) == 0);
}

/* One name may have several rows. */
int key_algorithm_fits(const struct key_algorithm *algorithm, const struct key_spec *spec)
{
	for (size_t i = 0; i < COUNT(algorithms); i++)
		if (strcmp(algorithms[i].name, algorithm->name) == 0 && fits(&algorithms[i], spec))
			return 1;
	return 0;
}

enum err key_algorithm_available(const struct key_algorithm *algorithm)
{
	/* Older ones ignore the parameter that asks for it, and would sign as plain Ed25519. */
	if (algorithm->scheme == SCHEME_ED25519_PH && OpenSSL_version_num() < 0x30200000UL)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
			"%s is not supported here: it needs OpenSSL 3.2, and this is %s.", algorithm->name,
			OpenSSL_version(OPENSSL_VERSION_STRING));
	return ERR_OK;
}

enum err key_specs_list_algorithms(json_t *object, const char *spec_name, const char *usage_name)
{
	const struct key_spec *spec = key_spec_find(spec_name);
	json_t *list = json_array();
	size_t u = 0;

	while (u < COUNT(usages) && strcmp(usages[u].name, usage_name) != 0)
		u++;
	if (spec == NULL || u == COUNT(usages)) {
		json_decref(list);
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a key has an unknown spec or usage");
	}
	for (size_t i = 0; i < COUNT(algorithms); i++)
		if (algorithms[i].usage == usages[u].usage && fits(&algorithms[i], spec) &&
			key_algorithm_available(&algorithms[i]) == ERR_OK)
			json_array_append_new(list, json_string(algorithms[i].name));
	return json_object_set_new(object, usages[u].list, list) == 0 ? ERR_OK : ERR_NO_MEMORY;
}
