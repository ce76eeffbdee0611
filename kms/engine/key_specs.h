/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_ENGINE_KEY_SPECS_H
#define SIGNETFS_ENGINE_KEY_SPECS_H

/* Which kinds of keys there are, what each may be used for, and with which algorithms. */

#include <jansson.h>
#include <stddef.h>
#include "kms/base/err.h"

enum key_family { FAMILY_SYMMETRIC, FAMILY_RSA, FAMILY_EC, FAMILY_ED25519, FAMILY_HMAC, FAMILY_ML_DSA, FAMILY_SM2 };

enum key_usage {
	USAGE_ENCRYPT_DECRYPT = 1,
	USAGE_SIGN_VERIFY = 2,
	USAGE_GENERATE_VERIFY_MAC = 4,
	USAGE_KEY_AGREEMENT = 8
};

struct key_spec {
	const char *name; /* AWS's KeySpec */
	enum key_family family;
	unsigned usages;   /* of enum key_usage */
	unsigned size;     /* RSA: bits; HMAC: bytes; symmetric: bytes */
	const char *group; /* OpenSSL's name of the curve, or of the ML-DSA parameter set */
};

/** NULL: no such spec. */
const struct key_spec *key_spec_find(const char *name);
/** 0: no such usage. */
unsigned key_spec_usage(const char *name);

/** ERR_KMS_UNSUPPORTED_OPERATION, saying why, for keys that this machine or region cannot make. */
enum err key_spec_available(const struct key_spec *spec);

enum algorithm_scheme {
	SCHEME_SYMMETRIC,
	SCHEME_OAEP,
	SCHEME_PSS,
	SCHEME_PKCS1,
	SCHEME_ECDSA,
	SCHEME_ED25519,
	SCHEME_ED25519_PH,
	SCHEME_ML_DSA,
	SCHEME_HMAC,
	SCHEME_ECDH
};

struct key_algorithm {
	const char *name;
	enum algorithm_scheme scheme;
	enum key_family family;
	enum key_usage usage;
	const char *only;    /* the one spec it is for; NULL: the whole family */
	const char *digest;  /* OpenSSL's name, or NULL */
	unsigned digest_len; /* bytes */
};

/** NULL: no such algorithm. */
const struct key_algorithm *key_algorithm_find(const char *name);
/** May a key of @spec be used with it? */
int key_algorithm_fits(const struct key_algorithm *algorithm, const struct key_spec *spec);
/** ERR_KMS_UNSUPPORTED_OPERATION when this machine's OpenSSL does not have it. */
enum err key_algorithm_available(const struct key_algorithm *algorithm);

/** Set EncryptionAlgorithms, SigningAlgorithms, MacAlgorithms or KeyAgreementAlgorithms, as the key's usage has it. */
enum err key_specs_list_algorithms(json_t *object, const char *spec, const char *usage);

#endif
