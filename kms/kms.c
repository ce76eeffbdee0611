/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/kms.h"
#include "kms/base/encode.h"
#include "kms/base/json.h"

#include <string.h>

enum err kms_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	return kms->ops->call(kms, operation, request, ret_response);
}

void kms_stats(struct kms *kms, struct kms_stats *ret)
{
	*ret = (struct kms_stats){0};
	if (kms->ops->stats)
		kms->ops->stats(kms, ret);
}

void kms_close(struct kms *kms)
{
	if (kms)
		kms->ops->close(kms);
}

static enum err no_memory(const char *operation)
{
	return err_fail(ERR_NO_MEMORY, "no memory for a %s request", operation);
}

/* An empty context is left out, as AWS's own clients do. Returns 0, or -1 when memory is out. */
static int set_context_as(json_t *request, const char *member, const struct kms_context *context)
{
	json_t *pairs;

	if (!context || context->count == 0)
		return 0;
	pairs = json_object();
	for (size_t i = 0; i < context->count; i++) {
		json_t *value = json_string(context->pair[i].value);

		if (json_object_set_new(pairs, context->pair[i].name, value) != 0) {
			json_decref(pairs);
			return -1;
		}
	}
	return json_object_set_new(request, member, pairs);
}

static int set_context(json_t *request, const struct kms_context *context)
{
	return set_context_as(request, "EncryptionContext", context);
}

static enum err protocol_error(const char *operation, const char *about)
{
	return err_fail(ERR_KMS_PROTOCOL, "the KMS answered %s with %s", operation, about);
}

/* The answer's KeyId as an ARN that fits what we store. */
static enum err take_arn(const char *operation, const json_t *response, char ret[KMS_ARN_MAX + 1])
{
	const json_t *member = json_object_get(response, "KeyId");
	const char *arn = json_string_value(member);
	size_t len = json_string_length(member);

	if (!arn || strncmp(arn, "arn:", 4) != 0)
		return protocol_error(operation, "no key ARN");
	if (strlen(arn) != len || strpbrk(arn, "\r\n\t "))
		return protocol_error(operation, "a malformed key ARN");
	if (len > KMS_ARN_MAX)
		return err_fail(
			ERR_LIMIT, "the KMS's key ARN has %zu bytes, at most %d are supported", len, (int)KMS_ARN_MAX);
	memcpy(ret, arn, len + 1);
	return ERR_OK;
}

static enum err take_key(const char *operation, const json_t *response, uint8_t ret[KEY_SIZE])
{
	uint8_t *plaintext AUTO_SECRET = NULL;
	size_t len;
	enum err e = json_get_blob(response, "Plaintext", &plaintext, &len);

	if (e == ERR_NO_MEMORY)
		return e;
	if (e != ERR_OK)
		return protocol_error(operation, "no plaintext key");
	if (len != KEY_SIZE)
		return protocol_error(operation, "a plaintext key of the wrong size");
	memcpy(ret, plaintext, KEY_SIZE);
	return ERR_OK;
}

static enum err take_blob(const char *operation, const json_t *response, struct kms_wrapped_key *wrapped)
{
	uint8_t *blob AUTO_SECRET = NULL;
	size_t len;
	enum err e = json_get_blob(response, "CiphertextBlob", &blob, &len);

	if (e == ERR_NO_MEMORY)
		return e;
	if (e != ERR_OK || len == 0)
		return protocol_error(operation, "no ciphertext blob");
	if (len > KMS_BLOB_MAX)
		return err_fail(ERR_LIMIT, "the KMS's ciphertext blob has %zu bytes, at most %d are supported", len,
			(int)KMS_BLOB_MAX);
	memcpy(wrapped->blob, blob, len);
	wrapped->blob_len = (uint16_t)len;
	return ERR_OK;
}

enum err kms_generate_data_key(struct kms *kms, const char *key_id, const struct kms_context *context,
	uint8_t ret_key[KEY_SIZE], struct kms_wrapped_key *ret_wrapped)
{
	static const char operation[] = "GenerateDataKey";
	json_t *request AUTO_JSON = json_pack("{s:s, s:s}", "KeyId", key_id, "KeySpec", "AES_256");
	json_t *response AUTO_JSON = NULL;
	struct kms_wrapped_key wrapped = {.blob_len = 0};
	struct data_key key AUTO_WIPE;

	if (!request || set_context(request, context) != 0)
		return no_memory(operation);
	TRY(kms_call(kms, operation, request, &response));
	TRY(take_arn(operation, response, wrapped.key_arn));
	TRY(take_blob(operation, response, &wrapped));
	TRY(take_key(operation, response, key.b));
	memcpy(ret_key, key.b, KEY_SIZE);
	*ret_wrapped = wrapped;
	return ERR_OK;
}

enum err kms_decrypt_data_key(struct kms *kms, const struct kms_wrapped_key *wrapped, const struct kms_context *context,
	uint8_t ret_key[KEY_SIZE])
{
	static const char operation[] = "Decrypt";
	json_t *request AUTO_JSON = json_pack("{s:s}", "KeyId", wrapped->key_arn);
	json_t *response AUTO_JSON = NULL;
	char arn[KMS_ARN_MAX + 1];

	if (!request || json_set_blob(request, "CiphertextBlob", wrapped->blob, wrapped->blob_len) != 0 ||
		set_context(request, context) != 0)
		return no_memory(operation);
	TRY(kms_call(kms, operation, request, &response));
	TRY(take_arn(operation, response, arn));
	/* A service that opens the blob with another key than the one asked for vouches for nothing. */
	if (strcmp(arn, wrapped->key_arn) != 0)
		return err_fail(ERR_KMS_WRONG_ANSWER, "the KMS was asked to decrypt with %s and answered for %s",
			wrapped->key_arn, arn);
	return take_key(operation, response, ret_key);
}

static enum err take_wrapped(const char *operation, const json_t *response, struct kms_wrapped_key *ret)
{
	struct kms_wrapped_key wrapped = {.blob_len = 0};

	TRY(take_arn(operation, response, wrapped.key_arn));
	TRY(take_blob(operation, response, &wrapped));
	*ret = wrapped;
	return ERR_OK;
}

enum err kms_encrypt_data_key(struct kms *kms, const char *key_id, const struct kms_context *context,
	const uint8_t key[KEY_SIZE], struct kms_wrapped_key *ret_wrapped)
{
	static const char operation[] = "Encrypt";
	json_t *request AUTO_JSON = json_pack("{s:s}", "KeyId", key_id);
	json_t *response AUTO_JSON = NULL;

	if (!request || json_set_blob(request, "Plaintext", key, KEY_SIZE) != 0 || set_context(request, context) != 0)
		return no_memory(operation);
	TRY(kms_call(kms, operation, request, &response));
	return take_wrapped(operation, response, ret_wrapped);
}

enum err kms_re_encrypt_data_key(struct kms *kms, const struct kms_wrapped_key *wrapped,
	const struct kms_context *context, const char *to_key_id, struct kms_wrapped_key *ret_wrapped)
{
	static const char operation[] = "ReEncrypt";
	json_t *request AUTO_JSON =
		json_pack("{s:s, s:s}", "SourceKeyId", wrapped->key_arn, "DestinationKeyId", to_key_id);
	json_t *response AUTO_JSON = NULL;

	if (!request || json_set_blob(request, "CiphertextBlob", wrapped->blob, wrapped->blob_len) != 0 ||
		set_context_as(request, "SourceEncryptionContext", context) != 0 ||
		set_context_as(request, "DestinationEncryptionContext", context) != 0)
		return no_memory(operation);
	TRY(kms_call(kms, operation, request, &response));
	return take_wrapped(operation, response, ret_wrapped);
}

enum err kms_key_arn(struct kms *kms, const char *key_id, char ret_arn[KMS_ARN_MAX + 1])
{
	static const char operation[] = "DescribeKey";
	json_t *request AUTO_JSON = json_pack("{s:s}", "KeyId", key_id);
	json_t *response AUTO_JSON = NULL;

	if (!request)
		return no_memory(operation);
	TRY(kms_call(kms, operation, request, &response));
	const char *arn = json_string_value(json_object_get(json_object_get(response, "KeyMetadata"), "Arn"));

	if (!arn || strncmp(arn, "arn:", 4) != 0 || strlen(arn) > KMS_ARN_MAX)
		return protocol_error(operation, "no key ARN");
	memcpy(ret_arn, arn, strlen(arn) + 1);
	return ERR_OK;
}

void kms_backing_key(const struct kms_wrapped_key *wrapped, char ret[KMS_BACKING_SIZE])
{
	const char *slash = strrchr(wrapped->key_arn, '/');
	char key[KMS_BACKING_SIZE];

	ret[0] = '\0';
	if (!slash || wrapped->blob_len != OWN_BLOB_OVERHEAD + KEY_SIZE || wrapped->blob[0] != 1)
		return;
	encode_uuid(wrapped->blob + OWN_BLOB_OFF_KEY, key);
	/* Keys that several Regions share have names of their own, made of the same digits. */
	if (strcmp(key, slash + 1) == 0 || strncmp(slash + 1, "mrk-", 4) == 0)
		encode_uuid(wrapped->blob + OWN_BLOB_OFF_BACKING, ret);
}

int kms_error_is_refusal(enum err e)
{
	switch (e) {
	case ERR_KMS_ACCESS_DENIED:
	case ERR_KMS_DISABLED:
	case ERR_KMS_EXPIRED_TOKEN:
	case ERR_KMS_INCOMPLETE_SIGNATURE:
	case ERR_KMS_INCORRECT_KEY:
	case ERR_KMS_INVALID_ARN:
	case ERR_KMS_INVALID_CIPHERTEXT:
	case ERR_KMS_INVALID_GRANT_TOKEN:
	case ERR_KMS_INVALID_KEY_USAGE:
	case ERR_KMS_INVALID_STATE:
	case ERR_KMS_KEY_UNAVAILABLE:
	case ERR_KMS_MISSING_AUTHENTICATION:
	case ERR_KMS_NOT_FOUND:
	case ERR_KMS_SIGNATURE_MISMATCH:
	case ERR_KMS_UNRECOGNIZED_CLIENT:
		return 1;
	default:
		return 0;
	}
}
