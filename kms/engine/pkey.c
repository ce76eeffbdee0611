/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include "kms/base/secret.h"
#include "kms/engine/pkey.h"
#include "kms/engine/pkey_internal.h"

void pkey_bytes_auto(struct pkey_bytes *b)
{
	secret_free(b->p);
}

void pkey_auto(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

void pkey_ctx_auto(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

enum err pkey_failed(const char *what)
{
	return err_fail(ERR_CRYPTO, "OpenSSL failed to %s", what);
}

enum err pkey_bytes_new(size_t len, struct pkey_bytes *ret)
{
	ret->p = secret_alloc(len > 0 ? len : 1);
	ret->len = len;
	return ret->p != NULL ? ERR_OK : err_fail(ERR_NO_MEMORY, "no secret memory for a key");
}

enum err pkey_load(const struct pkey_bytes *private_key, EVP_PKEY **ret)
{
	const unsigned char *p = private_key->p, *end = private_key->p + private_key->len;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)private_key->len);
	EVP_PKEY *key = info != NULL && p == end ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (key == NULL)
		return ERR_FORMAT;
	*ret = key;
	return ERR_OK;
}

/* ---- Making and showing ---- */

static EVP_PKEY *generate(const struct key_spec *spec)
{
	switch (spec->family) {
	case FAMILY_RSA:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)spec->size);
	case FAMILY_EC:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", spec->group);
	case FAMILY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case FAMILY_ML_DSA:
		return EVP_PKEY_Q_keygen(NULL, NULL, spec->group);
	default:
		return NULL;
	}
}

static enum err encode_private(EVP_PKEY *key, struct pkey_bytes *ret)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {NULL, 0};
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	int len = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
	unsigned char *p;
	enum err e = len > 0 ? pkey_bytes_new((size_t)len, &out) : pkey_failed("encode a private key");

	if (e == ERR_OK) {
		p = out.p;
		i2d_PKCS8_PRIV_KEY_INFO(info, &p);
	}
	PKCS8_PRIV_KEY_INFO_free(info);
	TRY(e);
	ret->len = out.len;
	ret->p = STEAL(out.p);
	return ERR_OK;
}

enum err pkey_generate(const struct key_spec *spec, struct pkey_bytes *ret_private)
{
	EVP_PKEY *key AUTO_PKEY = generate(spec);

	return key != NULL ? encode_private(key, ret_private) : pkey_failed("generate a key pair");
}

enum err pkey_public(const struct pkey_bytes *private_key, struct pkey_bytes *ret_public)
{
	struct pkey_bytes out = {NULL, 0};
	EVP_PKEY *key AUTO_PKEY = NULL;
	unsigned char *p;
	int len;

	TRY(pkey_load(private_key, &key));
	len = i2d_PUBKEY(key, NULL);
	if (len <= 0)
		return pkey_failed("encode a public key");
	TRY(pkey_bytes_new((size_t)len, &out));
	p = out.p;
	i2d_PUBKEY(key, &p);
	*ret_public = out;
	return ERR_OK;
}

/* ---- Is it what it should be? ---- */

static int has_group(const EVP_PKEY *key, const char *group)
{
	char name[64];
	size_t len;

	return EVP_PKEY_get_group_name(key, name, sizeof(name), &len) == 1 && strcmp(name, group) == 0;
}

static int is_of_spec(const EVP_PKEY *key, const struct key_spec *spec)
{
	switch (spec->family) {
	case FAMILY_RSA:
		return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) == (int)spec->size;
	case FAMILY_EC:
		return EVP_PKEY_is_a(key, "EC") && has_group(key, spec->group);
	case FAMILY_ED25519:
		return EVP_PKEY_is_a(key, "ED25519");
	case FAMILY_ML_DSA:
		return EVP_PKEY_is_a(key, spec->group);
	default:
		return 0;
	}
}

enum err pkey_import(const struct key_spec *spec, const struct pkey_bytes *in, struct pkey_bytes *ret_private)
{
	EVP_PKEY *key AUTO_PKEY = NULL;
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = NULL;

	TRY(pkey_load(in, &key));
	if (!is_of_spec(key, spec))
		return ERR_FORMAT;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL)
		return pkey_failed("check a private key");
	return EVP_PKEY_check(ctx) == 1 ? encode_private(key, ret_private) : ERR_FORMAT;
}

enum err pkey_size(const struct pkey_bytes *private_key, size_t *ret)
{
	EVP_PKEY *key AUTO_PKEY = NULL;

	TRY(pkey_load(private_key, &key));
	*ret = (size_t)EVP_PKEY_get_size(key);
	return ERR_OK;
}

/* ---- Encryption and agreement ---- */

size_t pkey_encrypt_max(const struct key_algorithm *algorithm, const struct key_spec *spec)
{
	return spec->size / 8 - 2 * algorithm->digest_len - 2; /* RFC 8017 section 7.1.1 */
}

static int set_oaep(EVP_PKEY_CTX *ctx, const char *digest)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, digest, NULL) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, digest, NULL) == 1;
}

enum err pkey_encrypt(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key, const void *in,
	size_t len, struct pkey_bytes *ret)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {NULL, 0};
	EVP_PKEY *key AUTO_PKEY = NULL;
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = NULL;

	TRY(pkey_load(private_key, &key));
	TRY(pkey_bytes_new((size_t)EVP_PKEY_get_size(key), &out));
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1 || !set_oaep(ctx, algorithm->digest) ||
		EVP_PKEY_encrypt(ctx, out.p, &out.len, in, len) != 1)
		return pkey_failed("encrypt with an RSA key");
	ret->len = out.len;
	ret->p = STEAL(out.p);
	return ERR_OK;
}

enum err pkey_decrypt(const struct key_algorithm *algorithm, const struct pkey_bytes *private_key, const void *in,
	size_t len, struct pkey_bytes *ret)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {NULL, 0};
	EVP_PKEY *key AUTO_PKEY = NULL;
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = NULL;

	TRY(pkey_load(private_key, &key));
	TRY(pkey_bytes_new((size_t)EVP_PKEY_get_size(key), &out));
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_decrypt_init(ctx) != 1 || !set_oaep(ctx, algorithm->digest))
		return pkey_failed("decrypt with an RSA key");
	if (len != out.len || EVP_PKEY_decrypt(ctx, out.p, &out.len, in, len) != 1)
		return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "%s", "");
	ret->len = out.len;
	ret->p = STEAL(out.p);
	return ERR_OK;
}

static enum err refuse_public(void)
{
	return err_fail(ERR_KMS_VALIDATION,
		"The public key is not a DER-encoded SubjectPublicKeyInfo of a point on the curve of the KMS key.");
}

static enum err load_peer(const EVP_PKEY *own, const void *public_key, size_t len, EVP_PKEY **ret)
{
	const unsigned char *p = public_key;
	EVP_PKEY *peer AUTO_PKEY = d2i_PUBKEY(NULL, &p, (long)len);
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = peer != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL) : NULL;

	/* Parameters too, and that the point lies on the curve: a point off it would draw the private key out bit by bit. */
	if (ctx == NULL || p != (const unsigned char *)public_key + len || !EVP_PKEY_is_a(peer, "EC") ||
		EVP_PKEY_parameters_eq(own, peer) != 1 || EVP_PKEY_public_check(ctx) != 1)
		return refuse_public();
	*ret = STEAL(peer);
	return ERR_OK;
}

enum err pkey_derive(const struct pkey_bytes *private_key, const void *public_key, size_t len, struct pkey_bytes *ret)
{
	struct pkey_bytes out AUTO_PKEY_BYTES = {NULL, 0};
	EVP_PKEY *key AUTO_PKEY = NULL, *peer AUTO_PKEY = NULL;
	EVP_PKEY_CTX *ctx AUTO_PKEY_CTX = NULL;

	TRY(pkey_load(private_key, &key));
	TRY(load_peer(key, public_key, len, &peer));
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
		EVP_PKEY_derive(ctx, NULL, &out.len) != 1)
		return refuse_public();
	TRY(pkey_bytes_new(out.len, &out));
	if (EVP_PKEY_derive(ctx, out.p, &out.len) != 1)
		return refuse_public();
	ret->len = out.len;
	ret->p = STEAL(out.p);
	return ERR_OK;
}
