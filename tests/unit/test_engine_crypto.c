/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/encode.h"
#include "kms/base/random.h"
#include "tests/support/keystore.h"

enum { BLOB_TEXT = 8192 };

static const char *text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static size_t decode(const char *base64, uint8_t *out, size_t size)
{
	size_t len;

	assert_int_equal(decode_base64(base64, strlen(base64), out, size, &len), ERR_OK);
	return len;
}

/* Encrypt "hello" and keep the blob's text. */
static void encrypt_hello(struct keystore *k, const char *key, const char *context, char ret[512])
{
	json_t *body =
		keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8=','EncryptionContext':%s}", key, context);

	keystore_text(body, "CiphertextBlob", ret);
	json_decref(body);
}

static void decrypts_to_hello(struct keystore *k, const char *blob, const char *context, const char *arn)
{
	json_t *body = keystore_ok(k, "Decrypt", "{'CiphertextBlob':'%s','EncryptionContext':%s}", blob, context);

	assert_string_equal(text(body, "Plaintext"), "aGVsbG8=");
	assert_string_equal(text(body, "KeyId"), arn);
	assert_string_equal(text(body, "EncryptionAlgorithm"), "SYMMETRIC_DEFAULT");
	assert_int_equal(strlen(text(body, "KeyMaterialId")), 64);
	assert_int_equal(json_object_size(body), 4);
	json_decref(body);
}

static void encrypt_answers_as_aws_does(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	assert_string_equal(text(body, "KeyId"), arn);
	assert_string_equal(text(body, "EncryptionAlgorithm"), "SYMMETRIC_DEFAULT");
	assert_int_equal(json_object_size(body), 3);
	json_decref(body);
}

static void context_is_bound_and_order_free(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];
	static const char *const wrong[] = {"{}", "{'a':'1'}", "{'a':'1','b':'3'}", "{'a':'1','b':'2','c':'3'}",
		"{'A':'1','b':'2'}", "{'a':'1b','':'2'}", "{'a':'2','b':'1'}", "null"};

	keystore_new_key(k, id, arn);
	encrypt_hello(k, id, "{'a':'1','b':'2'}", blob);
	decrypts_to_hello(k, blob, "{'b':'2','a':'1'}", arn);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt",
			"{'CiphertextBlob':'%s','EncryptionContext':%s}", blob, wrong[i]);
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt", "{'CiphertextBlob':'%s'}", blob);
	encrypt_hello(k, id, "{}", blob);
	decrypts_to_hello(k, blob, "null", arn);
}

static void naming_the_key_asserts_it(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn_a[ENGINE_ARN_SIZE], arn_b[ENGINE_ARN_SIZE], blob[512];

	keystore_new_key(k, a, arn_a);
	keystore_new_key(k, b, arn_b);
	encrypt_hello(k, a, "{}", blob);
	keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s','KeyId':'%s'}", blob, arn_a);
	keystore_fails(k, ERR_KMS_INCORRECT_KEY,
		"The key ID in the request does not identify a CMK that can perform this operation.", "Decrypt",
		"{'CiphertextBlob':'%s','KeyId':'%s'}", blob, b);
	keystore_fails(
		k, ERR_KMS_NOT_FOUND, "Invalid keyId 'x'", "Decrypt", "{'CiphertextBlob':'%s','KeyId':'x'}", blob);
}

static void every_changed_byte_is_refused(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512], changed[512];
	uint8_t bytes[256];
	size_t len;

	keystore_new_key(k, id, arn);
	encrypt_hello(k, id, "{}", blob);
	len = decode(blob, bytes, sizeof(bytes));
	assert_int_equal(len, 98 + 5);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			bytes[i] ^= (uint8_t)bit;
			encode_base64(bytes, len, changed);
			keystore_fails(
				k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt", "{'CiphertextBlob':'%s'}", changed);
			bytes[i] ^= (uint8_t)bit;
		}
	}
	encode_base64(bytes, len, changed);
	keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s'}", changed);
}

static void every_other_length_is_refused(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512], changed[512];
	uint8_t bytes[256] = {0};
	size_t len;

	keystore_new_key(k, id, arn);
	encrypt_hello(k, id, "{}", blob);
	len = decode(blob, bytes, sizeof(bytes));
	for (size_t n = 1; n < len + 20; n++) {
		if (n == len)
			continue;
		encode_base64(bytes, n, changed);
		keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt", "{'CiphertextBlob':'%s'}", changed);
	}
}

static void spliced_blobs_are_refused(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], one[512], two[512], changed[512];
	uint8_t a[256], b[256];
	size_t len;

	keystore_new_key(k, id, arn);
	encrypt_hello(k, id, "{}", one);
	encrypt_hello(k, id, "{}", two);
	assert_string_not_equal(one, two);
	len = decode(one, a, sizeof(a));
	assert_int_equal(decode(two, b, sizeof(b)), len);
	memcpy(a + 82, b + 82, len - 82); /* header of one, body of the other */
	encode_base64(a, len, changed);
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt", "{'CiphertextBlob':'%s'}", changed);
}

static void a_blob_of_another_keystore_is_refused(void **state)
{
	struct keystore *k = *state;
	struct keystore *other;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];

	assert_int_equal(keystore_setup((void **)&other), 0);
	keystore_new_key(other, id, arn);
	encrypt_hello(other, id, "{}", blob);
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt", "{'CiphertextBlob':'%s'}", blob);
	keystore_teardown((void **)&other);
}

static void sizes_from_1_to_4096(void **state)
{
	static const size_t sizes[] = {1, 15, 16, 17, 255, 4095, 4096};
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	uint8_t bytes[4096];
	char *plain = malloc(BLOB_TEXT);

	keystore_new_key(k, id, arn);
	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		json_t *body, *answer;

		encode_base64(bytes, sizes[i], plain);
		body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'%s'}", id, plain);
		answer = keystore_ok(k, "Decrypt", "{'CiphertextBlob':'%s'}", text(body, "CiphertextBlob"));
		assert_string_equal(text(answer, "Plaintext"), plain);
		json_decref(answer);
		json_decref(body);
	}
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have "
		"length greater than or equal to 1",
		"Encrypt", "{'KeyId':'%s','Plaintext':''}", id);
	memset(plain, 'A', 5464);
	plain[5464] = '\0';
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have "
		"length less than or equal to 4096",
		"Encrypt", "{'KeyId':'%s','Plaintext':'%s'}", id, plain);
	free(plain);
}

static void data_keys(void **state)
{
	static const struct {
		const char *ask;
		size_t len;
	} cases[] = {{"'KeySpec':'AES_256'", 32}, {"'KeySpec':'AES_128'", 16}, {"'NumberOfBytes':1", 1},
		{"'NumberOfBytes':64", 64}, {"'NumberOfBytes':1024", 1024}};
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *body = keystore_ok(k, "GenerateDataKey", "{'KeyId':'%s',%s}", id, cases[i].ask), *back;
		uint8_t bytes[2048];

		assert_int_equal(json_object_size(body), 4);
		assert_string_equal(text(body, "KeyId"), arn);
		assert_int_equal(strlen(text(body, "KeyMaterialId")), 64);
		assert_int_equal(decode(text(body, "Plaintext"), bytes, sizeof(bytes)), cases[i].len);
		assert_int_equal(decode(text(body, "CiphertextBlob"), bytes, sizeof(bytes)), cases[i].len + 98);
		back = keystore_ok(k, "Decrypt", "{'CiphertextBlob':'%s'}", text(body, "CiphertextBlob"));
		assert_string_equal(text(back, "Plaintext"), text(body, "Plaintext"));
		json_decref(back);
		json_decref(body);
		body = keystore_ok(k, "GenerateDataKeyWithoutPlaintext", "{'KeyId':'%s',%s}", id, cases[i].ask);
		assert_int_equal(json_object_size(body), 3);
		assert_null(json_object_get(body, "Plaintext"));
		json_decref(body);
	}
	keystore_fails(k, ERR_KMS_VALIDATION, "Please specify either number of bytes or key spec.", "GenerateDataKey",
		"{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_VALIDATION, "Please specify either number of bytes or key spec.", "GenerateDataKey",
		"{'KeyId':'%s','KeySpec':'AES_256','NumberOfBytes':32}", id);
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must "
		"satisfy enum value set: [AES_256, AES_128]",
		"GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_512'}", id);
	keystore_fails(k, ERR_KMS_VALIDATION,
		"2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be "
		"null; Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than "
		"or "
		"equal to 1024",
		"GenerateDataKey", "{'NumberOfBytes':1025}");
	keystore_fails(k, ERR_KMS_UNSUPPORTED_OPERATION, NULL, "GenerateDataKey",
		"{'KeyId':'%s','KeySpec':'AES_256','Recipient':{}}", id);
}

static void random_bytes_are_as_many_as_asked(void **state)
{
	struct keystore *k = *state;
	json_t *body = keystore_ok(k, "GenerateRandom", "{'NumberOfBytes':1024}");
	uint8_t bytes[1024];

	assert_int_equal(decode(text(body, "Plaintext"), bytes, sizeof(bytes)), 1024);
	assert_int_equal(json_object_size(body), 1);
	json_decref(body);
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "GenerateRandom", "{}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must "
		"have value greater than or equal to 1",
		"GenerateRandom", "{'NumberOfBytes':0}");
	keystore_fails(k, ERR_KMS_CUSTOM_KEY_STORE_NOT_FOUND, NULL, "GenerateRandom",
		"{'NumberOfBytes':1,'CustomKeyStoreId':'c'}");
}

static void re_encrypt_moves_between_keys_and_contexts(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn_a[ENGINE_ARN_SIZE], arn_b[ENGINE_ARN_SIZE], blob[512];
	json_t *body;

	keystore_new_key(k, a, arn_a);
	keystore_new_key(k, b, arn_b);
	encrypt_hello(k, a, "{'x':'1'}", blob);
	body = keystore_ok(k, "ReEncrypt",
		"{'CiphertextBlob':'%s','SourceEncryptionContext':{'x':'1'},'DestinationKeyId':'%s',"
		"'DestinationEncryptionContext':{'y':'2'}}",
		blob, b);
	assert_int_equal(json_object_size(body), 7);
	assert_string_equal(text(body, "SourceKeyId"), arn_a);
	assert_string_equal(text(body, "KeyId"), arn_b);
	assert_string_equal(text(body, "SourceEncryptionAlgorithm"), "SYMMETRIC_DEFAULT");
	assert_string_equal(text(body, "DestinationEncryptionAlgorithm"), "SYMMETRIC_DEFAULT");
	assert_string_not_equal(text(body, "SourceKeyMaterialId"), text(body, "DestinationKeyMaterialId"));
	decrypts_to_hello(k, text(body, "CiphertextBlob"), "{'y':'2'}", arn_b);
	json_decref(body);
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "ReEncrypt",
		"{'CiphertextBlob':'%s','DestinationKeyId':'%s'}", blob, b);
	keystore_fails(k, ERR_KMS_INCORRECT_KEY, NULL, "ReEncrypt",
		"{'CiphertextBlob':'%s','SourceKeyId':'%s','DestinationKeyId':'%s'}", blob, b, b);
	keystore_do(k, "DisableKey", "{'KeyId':'%s'}", a);
	keystore_fails(k, ERR_KMS_DISABLED, NULL, "ReEncrypt",
		"{'CiphertextBlob':'%s','SourceEncryptionContext':{'x':'1'},'DestinationKeyId':'%s'}", blob, b);
}

/* Like every member that an operation's model does not have. */
static void dry_run_is_nothing_to_operations_without_it(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "DescribeKey", "{'KeyId':'%s','DryRun':true}", id);
	keystore_do(k, "DisableKey", "{'KeyId':'%s','DryRun':true}", id);
	keystore_fails(k, ERR_KMS_DISABLED, NULL, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
}

static void dry_run_does_everything_but_answer(void **state)
{
	static const char message[] = "The request would have succeeded, but the DryRun option is set.";
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];

	keystore_new_key(k, id, arn);
	encrypt_hello(k, id, "{}", blob);
	keystore_fails(
		k, ERR_KMS_DRY_RUN, message, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8=','DryRun':true}", id);
	keystore_fails(k, ERR_KMS_DRY_RUN, message, "Decrypt", "{'CiphertextBlob':'%s','DryRun':true}", blob);
	keystore_fails(
		k, ERR_KMS_DRY_RUN, message, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256','DryRun':true}", id);
	keystore_fails(k, ERR_KMS_DRY_RUN, message, "GenerateDataKeyWithoutPlaintext",
		"{'KeyId':'%s','KeySpec':'AES_256','DryRun':true}", id);
	keystore_fails(k, ERR_KMS_DRY_RUN, message, "ReEncrypt",
		"{'CiphertextBlob':'%s','DestinationKeyId':'%s','DryRun':true}", blob, id);
	keystore_do(k, "Decrypt", "{'CiphertextBlob':'%s','DryRun':false}", blob);
	keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, "", "Decrypt",
		"{'CiphertextBlob':'%s','EncryptionContext':{'a':'b'},'DryRun':true}", blob);
}

static void usage_and_algorithm_must_fit(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];

	keystore_new_key(k, id, arn);
	encrypt_hello(k, id, "{}", blob);
	keystore_fails(k, ERR_KMS_INVALID_KEY_USAGE, NULL, "Encrypt",
		"{'KeyId':'%s','Plaintext':'aGVsbG8=','EncryptionAlgorithm':'RSAES_OAEP_SHA_256'}", id);
	keystore_fails(k, ERR_KMS_INVALID_KEY_USAGE, NULL, "Decrypt",
		"{'CiphertextBlob':'%s','EncryptionAlgorithm':'RSAES_OAEP_SHA_1'}", blob);
}

static void old_material_decrypts_after_rotations(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[6][512];

	keystore_new_key(k, id, arn);
	for (int i = 0; i < 6; i++) {
		encrypt_hello(k, id, "{'i':'x'}", blob[i]);
		keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	}
	keystore_reopen(k);
	for (int i = 0; i < 6; i++)
		decrypts_to_hello(k, blob[i], "{'i':'x'}", arn);
}

static void wrong_types_are_serialization_errors(void **state)
{
	struct keystore *k = *state;

	keystore_fails(k, ERR_KMS_SERIALIZATION, "NUMBER_VALUE can not be converted to a String", "DescribeKey",
		"{'KeyId':1}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "Start of structure or map found where not expected", "DescribeKey",
		"{'KeyId':{}}");
	keystore_fails(
		k, ERR_KMS_SERIALIZATION, "Start of list found where not expected", "DescribeKey", "{'KeyId':[]}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "STRING_VALUE can not be converted to an Integer", "ListKeys",
		"{'Limit':'1'}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "NUMBER_VALUE can not be converted to a Boolean", "CreateKey",
		"{'MultiRegion':1}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "NUMBER_VALUE can not be converted to a String", "Encrypt",
		"{'KeyId':'x','Plaintext':'aGVsbG8=','EncryptionContext':{'a':1}}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "A blob is not valid base64", "Decrypt", "{'CiphertextBlob':'***'}");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "The request is not a JSON object", "ListKeys", "[]");
	keystore_fails(k, ERR_KMS_SERIALIZATION, "TRUE_VALUE can not be converted to a String", "CreateKey",
		"{'Tags':[{'TagKey':true,'TagValue':''}]}");
}

static void limits_of_members(void **state)
{
	struct keystore *k = *state;

	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must have "
		"length "
		"greater than or equal to 1",
		"DescribeKey", "{'KeyId':''}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have "
		"value "
		"less than or equal to 1000",
		"ListKeys", "{'Limit':1001}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: Member must have "
		"value "
		"less than or equal to 100",
		"ListAliases", "{'Limit':101}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value '[1, 2, 3, 4, 5, 6, 7, 8, 9, a, b]' at 'grantTokens' failed to "
		"satisfy constraint: Member must have "
		"length "
		"less than or equal to 10",
		"DescribeKey", "{'KeyId':'x','GrantTokens':['1','2','3','4','5','6','7','8','9','a','b']}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: Member "
		"must "
		"satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
		"DeleteAlias", "{'AliasName':'alias/a b'}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: "
		"Member "
		"must have value greater than or equal to 90",
		"EnableKeyRotation", "{'KeyId':'x','RotationPeriodInDays':89}");
	keystore_fails(k, ERR_KMS_VALIDATION,
		"1 validation error detected: Value null at 'tags.1.member.tagValue' failed to satisfy constraint: "
		"Member "
		"must not be null",
		"CreateKey", "{'Tags':[{'TagKey':'x'}]}");
	keystore_fails(k, ERR_KMS_VALIDATION, NULL, "UpdateKeyDescription", "{'KeyId':'x'}");
	keystore_fails(k, ERR_KMS_UNKNOWN_OPERATION, NULL, "NoSuchOperation", "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(encrypt_answers_as_aws_does),
		TEST(context_is_bound_and_order_free),
		TEST(naming_the_key_asserts_it),
		TEST(every_changed_byte_is_refused),
		TEST(every_other_length_is_refused),
		TEST(spliced_blobs_are_refused),
		TEST(a_blob_of_another_keystore_is_refused),
		TEST(sizes_from_1_to_4096),
		TEST(data_keys),
		TEST(random_bytes_are_as_many_as_asked),
		TEST(re_encrypt_moves_between_keys_and_contexts),
		TEST(dry_run_is_nothing_to_operations_without_it),
		TEST(dry_run_does_everything_but_answer),
		TEST(usage_and_algorithm_must_fit),
		TEST(old_material_decrypts_after_rotations),
		TEST(wrong_types_are_serialization_errors),
		TEST(limits_of_members),
	};

	return cmocka_run_group_tests_name("engine_crypto", tests, NULL, NULL);
}
