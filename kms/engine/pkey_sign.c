/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>
#include "kms/base/ossl.h"
#include "kms/base/secret.h"
#include "kms/engine/pkey_internal.h"

/* What is given to OpenSSL: a digest, or the message itself where the scheme hashes it in its own way. */
struct to_sign {
	const void *p;
	size_t len;
	uint8_t digest[EVP_MAX_MD_SIZE];
};

static int is_prehashed(const struct key_algorithm *a)
{
	return a->digest != NULL;
}

static enum err check_kind(const struct key_algorithm *a, enum pkey_message kind, size_t len)
{
	static const char *const names[] = {
		[PKEY_RAW] = "RAW", [PKEY_DIGEST] = "DIGEST", [PKEY_EXTERNAL_MU] = "EXTERNAL_MU"};
	int fits = is_prehashed(a)                  ? kind != PKEY_EXTERNAL_MU
		   : a->scheme == SCHEME_ED25519_PH ? kind == PKEY_DIGEST
		   : a->scheme == SCHEME_ML_DSA     ? kind != PKEY_DIGEST
						    : kind == PKEY_RAW;

	if (!fits)
		return err_fail(ERR_KMS_VALIDATION, "MessageType %s is not valid for the signing algorithm %s.",
			names[kind], a->name);
	if (kind != PKEY_RAW && len != a->digest_len)
		return err_fail(ERR_KMS_VALIDATION, "Digest is invalid length for algorithm %s.", a->name);
	return ERR_OK;
}

static enum err prepare(
	const struct key_algorithm *a, enum pkey_message kind, const void *message, size_t len, struct to_sign *ret)
{
	size_t digest_len;

	TRY(check_kind(a, kind, len));
	ret->p = message;
	ret->len = len;
	if (!is_prehashed(a) || kind == PKEY_DIGEST)
		return ERR_OK;
	if (EVP_Q_digest(NULL, a->digest, NULL, message, len, ret->digest, &digest_len) != 1)
		return pkey_failed("hash a message");
	ret->p = ret->digest;
	ret->len = digest_len;
	return ERR_OK;
}

/* PSS as AWS has it: MGF1 with the same hash, a salt as long as the hash; nothing else verifies. */
static int set_scheme(EVP_PKEY_CTX *ctx, const struct key_algorithm *a, const EVP_MD *md)
{
	if (EVP_PKEY_CTX_set_signature_md(ctx, md) != 1)
		return 0;
	if (a->scheme == SCHEME_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	if (a->scheme != SCHEME_PSS)
		return 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static enum err sign_digest(
	const struct key_algorithm *a, EVP_PKEY *key, const struct to_sign *in, struct pkey_bytes *out)
{
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 || !set_scheme(ctx, a, EVP_get_digestbyname(a->digest)) ||
		EVP_PKEY_sign(ctx, out->p, &out->len, in->p, in->len) != 1)
		return pkey_failed("sign");
	return ERR_OK;
}

/* Ed25519, its prehashed form, ML-DSA: what they differ in are parameters. */
static const OSSL_PARAM *parameters_of(const struct key_algorithm *a, enum pkey_message kind, OSSL_PARAM ret[2])
{
	static char prehashed[] = "Ed25519ph";
	static int yes = 1;

	ret[0] = ret[1] = OSSL_PARAM_construct_end();
	if (a->scheme == SCHEME_ED25519_PH)
		ret[0] = OSSL_PARAM_construct_utf8_string("instance", prehashed, 0);
	if (kind == PKEY_EXTERNAL_MU)
		ret[0] = OSSL_PARAM_construct_int("mu", &yes);
	return ret;
}

static enum err sign_message(const struct key_algorithm *a, enum pkey_message kind, EVP_PKEY *key,
	const struct to_sign *in, struct pkey_bytes *out)
{
	EVP_MD_CTX *ctx AUTO_DIGEST = EVP_MD_CTX_new();
	OSSL_PARAM params[2];

	if (ctx == NULL ||
		EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key, parameters_of(a, kind, params)) != 1 ||
		EVP_DigestSign(ctx, out->p, &out->len, in->p, in->len) != 1)
		return pkey_failed("sign");
	return ERR_OK;
}

enum err pkey_sign(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key, enum pkey_message kind,
	const void *message, size_t len, struct pkey_bytes *ret_signature)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {NULL, 0};
	EVP_PKEY *key AUTO_PKEY = NULL;
	struct to_sign in;

	TRY(prepare(algorithm, kind, message, len, &in));
	TRY(pkey_load(private_key, &key));
	TRY(pkey_bytes_new((size_t)EVP_PKEY_get_size(key), &out));
	TRY(is_prehashed(algorithm) ? sign_digest(algorithm, key, &in, &out)
				    : sign_message(algorithm, kind, key, &in, &out));
	ret_signature->len = out.len;
	ret_signature->p = STEAL(out.p);
	return ERR_OK;
}

static int digest_verifies(
	const struct key_algorithm *a, EVP_PKEY *key, const struct to_sign *in, const void *signature, size_t len)
{
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	return ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 && set_scheme(ctx, a, EVP_get_digestbyname(a->digest)) &&
	       EVP_PKEY_verify(ctx, signature, len, in->p, in->len) == 1;
}

static int message_verifies(const struct key_algorithm *a, enum pkey_message kind, EVP_PKEY *key,
	const struct to_sign *in, const void *signature, size_t len)
{
	EVP_MD_CTX *ctx AUTO_DIGEST = EVP_MD_CTX_new();
	OSSL_PARAM params[2];

	return ctx != NULL &&
	       EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, parameters_of(a, kind, params)) == 1 &&
	       EVP_DigestVerify(ctx, signature, len, in->p, in->len) == 1;
}

enum err pkey_verify(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key,
	enum pkey_message kind, const void *message, size_t len, const void *signature, size_t signature_len)
{
	EVP_PKEY *key AUTO_PKEY = NULL;
	struct to_sign in;

	TRY(prepare(algorithm, kind, message, len, &in));
	TRY(pkey_load(private_key, &key));
	if (is_prehashed(algorithm) ? digest_verifies(algorithm, key, &in, signature, signature_len)
				    : message_verifies(algorithm, kind, key, &in, signature, signature_len))
		return ERR_OK;
	return err_fail(ERR_KMS_INVALID_SIGNATURE, "%s", "");
}
