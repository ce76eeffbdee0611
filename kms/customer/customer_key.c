/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/customer/customer_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"
#include "kms/base/json.h"
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "kms/base/random.h"
#include "kms/base/secret.h"
#include "kms/base/xaes.h"
#include "kms/rootkey/rootkey.h"

/* doc/format.md, "Customer-provided keys" */
enum { BLOB_VERSION = 2, ID_SIZE = 16, BLOB_SIZE = 1 + KEY_SIZE + XAES_OVERHEAD, AAD_MAX = 1024 };
_Static_assert(BLOB_SIZE == 73, "doc/format.md, customer-provided keys");

struct customer_key {
	struct kms kms;
	char *path;
	char arn[sizeof(CUSTOMER_KEY_ARN) + 2 * (size_t)ID_SIZE];
};

/* ---- The file ---- */

/* A pipe gives its key once, and would keep the second call waiting for ever. */
static enum err check_file(const char *path)
{
	struct stat st;

	if (path[0] != '/')
		return err_fail(ERR_USAGE, "%s: write the key file's absolute path", path);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_fail(ERR_USAGE, "%s is not a regular file: it is read again whenever keys are needed", path);
	return ERR_OK;
}

/* A file that has no key is no damage to anything: the person gave another one. */
static enum err read_file(const char *path, struct cmk_key *ret)
{
	enum err e = rootkey_read_keyfile(path, ret->b);

	return e == ERR_FORMAT ? err_fail(ERR_USAGE, "%s", err_text(e)) : e;
}

static enum err derive(const struct cmk_key *raw, const char *label, void *out, size_t len)
{
	return kdf_hkdf(raw->b, KEY_SIZE, NULL, 0, label, strlen(label), out, len);
}

/* The key that wraps, and the name that it goes by, which tells nothing of it. */
static enum err read_key(const char *path, struct cmk_key *ret, char ret_arn[sizeof(((struct customer_key *)0)->arn)])
{
	struct cmk_key raw AUTO_WIPE = {{0}};
	uint8_t id[ID_SIZE];

	TRY(check_file(path));
	TRY(read_file(path, &raw));
	TRY(derive(&raw, LABEL_CUSTOMER_KEY_ID, id, sizeof(id)));
	TRY(derive(&raw, LABEL_CUSTOMER_KEY_WRAP, ret->b, KEY_SIZE));
	strcpy(ret_arn, CUSTOMER_KEY_ARN);
	encode_hex(id, sizeof(id), ret_arn + strlen(CUSTOMER_KEY_ARN));
	return ERR_OK;
}

static enum err not_this_key(const struct customer_key *c, const char *holds, const char *needs)
{
	return err_fail(ERR_KMS_KEY_UNAVAILABLE,
		"the key file %s has the key %s, and this is under %s: give what that key is in", c->path, holds,
		needs);
}

/* For a call about @key_id (NULL: whichever). The file is looked at again: it may be gone, and it may be another. */
static enum err take_key(const struct customer_key *c, const char *key_id, struct cmk_key *ret)
{
	struct cmk_key key AUTO_WIPE = {{0}};
	char arn[sizeof(c->arn)];
	enum err e = read_key(c->path, &key, arn);

	if (e == ERR_NO_MEMORY)
		return e;
	if (e != ERR_OK)
		return err_fail(ERR_KMS_UNREACHABLE, "the key file cannot be used: %s", err_text(e));
	if (strcmp(arn, c->arn) != 0)
		return not_this_key(c, arn, c->arn);
	if (key_id && strcmp(key_id, c->arn) != 0)
		return not_this_key(c, c->arn, key_id);
	*ret = key;
	return ERR_OK;
}

/* ---- Blobs ---- */

/* A blob moved elsewhere does not open: the context, its names in order, is authenticated. */
static enum err aad_of(const json_t *context, char aad[AAD_MAX], size_t *ret_len)
{
	const size_t head = strlen(LABEL_CUSTOMER_KEY_BLOB);
	size_t len = 2;

	memcpy(aad, LABEL_CUSTOMER_KEY_BLOB "{}", head + len);
	if (context)
		len = json_dumpb(context, aad + head, AAD_MAX - head, JSON_COMPACT | JSON_SORT_KEYS);
	if (len == 0 || len > AAD_MAX - head)
		return err_fail(
			ERR_KMS_VALIDATION, "the encryption context is longer than a customer-provided key takes");
	*ret_len = head + len;
	return ERR_OK;
}

static enum err seal(
	const struct cmk_key *key, const json_t *context, const uint8_t plain[KEY_SIZE], uint8_t ret[BLOB_SIZE])
{
	char aad[AAD_MAX];
	size_t len;

	TRY(aad_of(context, aad, &len));
	ret[0] = BLOB_VERSION;
	return xaes_seal(key->b, aad, len, plain, KEY_SIZE, ret + 1);
}

static enum err open_blob(const struct cmk_key *key, const json_t *request, const char *context, uint8_t ret[KEY_SIZE])
{
	uint8_t *blob AUTO_SECRET = NULL;
	char aad[AAD_MAX];
	size_t len, aad_len;
	enum err e = json_get_blob(request, "CiphertextBlob", &blob, &len);

	if (e == ERR_NO_MEMORY)
		return e;
	if (e != ERR_OK || len != BLOB_SIZE || blob[0] != BLOB_VERSION)
		return err_fail(ERR_KMS_INVALID_CIPHERTEXT, "this is not what a customer-provided key wrapped");
	TRY(aad_of(json_object_get(request, context), aad, &aad_len));
	e = xaes_open(key->b, aad, aad_len, blob + 1, BLOB_SIZE - 1, ret);
	if (e == ERR_TAMPERED)
		return err_fail(ERR_KMS_INVALID_CIPHERTEXT,
			"what the customer-provided key wrapped was changed, or belongs elsewhere");
	return e;
}

/* ---- Operations: what of them a file system asks for ---- */

static const char *text(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

static enum err answer(const struct customer_key *c, const uint8_t *blob, const uint8_t *plain, json_t **ret)
{
	json_t *response AUTO_JSON = json_pack("{s:s}", "KeyId", c->arn);

	if (!response || (blob && json_set_blob(response, "CiphertextBlob", blob, BLOB_SIZE) != 0) ||
		(plain && json_set_blob(response, "Plaintext", plain, KEY_SIZE) != 0))
		return err_fail(ERR_NO_MEMORY, "out of memory");
	*ret = STEAL(response);
	return ERR_OK;
}

static enum err generate(const struct customer_key *c, const json_t *request, json_t **ret)
{
	struct cmk_key key AUTO_WIPE = {{0}};
	struct data_key plain AUTO_WIPE = {{0}};
	uint8_t blob[BLOB_SIZE];

	TRY(take_key(c, text(request, "KeyId"), &key));
	random_bytes(plain.b, KEY_SIZE);
	TRY(seal(&key, json_object_get(request, "EncryptionContext"), plain.b, blob));
	return answer(c, blob, plain.b, ret);
}

static enum err encrypt(const struct customer_key *c, const json_t *request, json_t **ret)
{
	struct cmk_key key AUTO_WIPE = {{0}};
	uint8_t *plain AUTO_SECRET = NULL;
	uint8_t blob[BLOB_SIZE];
	size_t len;

	TRY(take_key(c, text(request, "KeyId"), &key));
	TRY(json_get_blob(request, "Plaintext", &plain, &len));
	if (len != KEY_SIZE)
		return err_fail(ERR_KMS_VALIDATION, "a customer-provided key wraps keys of %d bytes", (int)KEY_SIZE);
	TRY(seal(&key, json_object_get(request, "EncryptionContext"), plain, blob));
	return answer(c, blob, NULL, ret);
}

static enum err decrypt(const struct customer_key *c, const json_t *request, json_t **ret)
{
	struct cmk_key key AUTO_WIPE = {{0}};
	struct data_key plain AUTO_WIPE = {{0}};

	TRY(take_key(c, text(request, "KeyId"), &key));
	TRY(open_blob(&key, request, "EncryptionContext", plain.b));
	return answer(c, NULL, plain.b, ret);
}

/* To the same key, which is the only one there is. */
static enum err re_encrypt(const struct customer_key *c, const json_t *request, json_t **ret)
{
	struct cmk_key key AUTO_WIPE = {{0}};
	struct data_key plain AUTO_WIPE = {{0}};
	uint8_t blob[BLOB_SIZE];

	TRY(take_key(c, text(request, "SourceKeyId"), &key));
	TRY(take_key(c, text(request, "DestinationKeyId"), &key));
	TRY(open_blob(&key, request, "SourceEncryptionContext", plain.b));
	TRY(seal(&key, json_object_get(request, "DestinationEncryptionContext"), plain.b, blob));
	return answer(c, blob, NULL, ret);
}

static enum err call(struct kms *kms, const char *operation, const json_t *request, json_t **ret)
{
	static const struct {
		const char *name;
		enum err (*run)(const struct customer_key *c, const json_t *request, json_t **ret);
	} operations[] = {
		{"GenerateDataKey", generate}, {"Decrypt", decrypt}, {"Encrypt", encrypt}, {"ReEncrypt", re_encrypt}};

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (strcmp(operations[i].name, operation) == 0)
			return operations[i].run((const struct customer_key *)kms, request, ret);
	return err_fail(ERR_KMS_UNSUPPORTED_OPERATION,
		"%s needs a KMS: a customer-provided key is a file, which has neither states nor policies", operation);
}

static void close_key(struct kms *kms)
{
	struct customer_key *c = (struct customer_key *)kms;

	free(c->path);
	free(c);
}

enum err customer_key_open(const char *path, struct kms **ret)
{
	static const struct kms_ops ops = {.call = call, .close = close_key};
	struct cmk_key key AUTO_WIPE = {{0}};
	struct customer_key *c = calloc(1, sizeof(*c));
	enum err e = ERR_NO_MEMORY;

	if (c && (c->path = strdup(path)))
		e = read_key(path, &key, c->arn);
	else
		err_fail(e, "out of memory");
	if (e != ERR_OK) {
		if (c)
			close_key(&c->kms);
		return e;
	}
	c->kms.ops = &ops;
	*ret = &c->kms;
	return ERR_OK;
}

const char *customer_key_arn(const struct kms *kms)
{
	return ((const struct customer_key *)kms)->arn;
}
