/* SPDX-License-Identifier: Apache-2.0 */
/* The typed calls of kms/kms.h: what they send, and which answers they refuse. */
#include "kms/base/json.h"
#include "kms/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARN      "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
#define KEY_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

/* A KMS that says what it is told, and keeps what it was asked. */
struct parrot {
	struct kms kms;
	const char *answer; /* NULL: @error */
	enum err error;
	char operation[64];
	char *request;
	int closed;
};

static enum err parrot_call(struct kms *kms, const char *operation, const json_t *request, json_t **ret_response)
{
	struct parrot *p = (struct parrot *)kms;

	strncpy(p->operation, operation, sizeof(p->operation) - 1);
	free(p->request);
	p->request = json_dumps(request, JSON_COMPACT);
	if (!p->answer)
		return err_fail(p->error, "as told");
	*ret_response = json_loads(p->answer, 0, NULL);
	assert_non_null(*ret_response);
	return ERR_OK;
}

static void parrot_close(struct kms *kms)
{
	((struct parrot *)kms)->closed++;
}

static const struct kms_ops parrot_ops = {.call = parrot_call, .close = parrot_close};

static const struct kms_context context = {2, {{"signetfs:volume", "v"}, {"signetfs:bucket", "b"}}};

static void generate_sends_and_takes(void **state)
{
	struct parrot p = {.kms = {&parrot_ops},
		.answer = "{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQID\"}"};
	struct kms_wrapped_key wrapped;
	uint8_t key[KEY_SIZE];

	(void)state;
	assert_int_equal(kms_generate_data_key(&p.kms, "alias/x", &context, key, &wrapped), ERR_OK);
	assert_string_equal(p.operation, "GenerateDataKey");
	assert_string_equal(p.request, "{\"KeyId\":\"alias/x\",\"KeySpec\":\"AES_256\","
				       "\"EncryptionContext\":{\"signetfs:volume\":\"v\",\"signetfs:bucket\":\"b\"}}");
	for (uint8_t i = 0; i < KEY_SIZE; i++)
		assert_int_equal(key[i], i);
	assert_string_equal(wrapped.key_arn, ARN);
	assert_int_equal(wrapped.blob_len, 3);
	assert_memory_equal(wrapped.blob, "\1\2\3", 3);
	free(p.request);
}

static void no_context_is_not_sent(void **state)
{
	struct parrot p = {.kms = {&parrot_ops},
		.answer = "{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQID\"}"};
	struct kms_wrapped_key wrapped;
	uint8_t key[KEY_SIZE];

	(void)state;
	assert_int_equal(kms_generate_data_key(&p.kms, "k", NULL, key, &wrapped), ERR_OK);
	assert_string_equal(p.request, "{\"KeyId\":\"k\",\"KeySpec\":\"AES_256\"}");
	free(p.request);
}

static void generate_refuses_nonsense(void **state)
{
	static const char *const answers[] = {
		"{}",
		"{\"KeyId\":1,\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"1234abcd\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"arn:a b\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"arn:a\\nb\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"" ARN "\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"AAEC\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"" ARN
		"\",\"Plaintext\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\",\"CiphertextBlob\":\"AQ==\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"?\",\"CiphertextBlob\":\"AQID\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" KEY_TEXT "\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" KEY_TEXT "\",\"CiphertextBlob\":\"AQI\"}",
		"[]",
	};
	struct parrot p = {.kms = {&parrot_ops}};
	struct kms_wrapped_key wrapped = {.key_arn = "untouched"};
	uint8_t key[KEY_SIZE] = {42};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		p.answer = answers[i];
		if (kms_generate_data_key(&p.kms, "k", &context, key, &wrapped) != ERR_KMS_PROTOCOL)
			fail_msg("not refused: %s", answers[i]);
	}
	assert_int_equal(key[0], 42);
	assert_string_equal(wrapped.key_arn, "untouched");
	free(p.request);
}

static json_t *answer_of_sizes(size_t arn_len, size_t blob_len)
{
	json_t *answer = json_pack("{s:s}", "Plaintext", KEY_TEXT);
	char *arn = calloc(1, arn_len + 1);
	uint8_t *blob = calloc(1, blob_len);

	memset(arn, 'x', arn_len);
	memcpy(arn, "arn:", 4);
	json_object_set_new(answer, "KeyId", json_string(arn));
	json_set_blob(answer, "CiphertextBlob", blob, blob_len);
	free(arn);
	free(blob);
	return answer;
}

static enum err generate_with_sizes(size_t arn_len, size_t blob_len)
{
	json_t *answer AUTO_JSON = answer_of_sizes(arn_len, blob_len);
	char *text = json_dumps(answer, 0);
	struct parrot p = {.kms = {&parrot_ops}, .answer = text};
	struct kms_wrapped_key wrapped;
	uint8_t key[KEY_SIZE];
	enum err e = kms_generate_data_key(&p.kms, "k", &context, key, &wrapped);

	if (e == ERR_OK)
		assert_true(wrapped.blob_len == blob_len && strlen(wrapped.key_arn) == arn_len);
	free(p.request);
	free(text);
	return e;
}

static void sizes_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(generate_with_sizes(KMS_ARN_MAX, KMS_BLOB_MAX), ERR_OK);
	assert_int_equal(generate_with_sizes(KMS_ARN_MAX + 1, 100), ERR_LIMIT);
	assert_int_equal(generate_with_sizes(100, KMS_BLOB_MAX + 1), ERR_LIMIT);
}

static void decrypt_names_the_key_and_checks_the_answer(void **state)
{
	struct parrot p = {.kms = {&parrot_ops}, .answer = "{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" KEY_TEXT "\"}"};
	struct kms_wrapped_key wrapped = {ARN, 3, {1, 2, 3}};
	uint8_t key[KEY_SIZE] = {0};

	(void)state;
	assert_int_equal(kms_decrypt_data_key(&p.kms, &wrapped, &context, key), ERR_OK);
	assert_string_equal(p.operation, "Decrypt");
	assert_string_equal(p.request, "{\"KeyId\":\"" ARN "\",\"CiphertextBlob\":\"AQID\",\"EncryptionContext\":"
				       "{\"signetfs:volume\":\"v\",\"signetfs:bucket\":\"b\"}}");
	assert_int_equal(key[31], 31);
	key[0] = 42;
	p.answer = "{\"KeyId\":\"" ARN "x\",\"Plaintext\":\"" KEY_TEXT "\"}";
	assert_int_equal(kms_decrypt_data_key(&p.kms, &wrapped, &context, key), ERR_KMS_WRONG_ANSWER);
	p.answer = "{\"Plaintext\":\"" KEY_TEXT "\"}";
	assert_int_equal(kms_decrypt_data_key(&p.kms, &wrapped, &context, key), ERR_KMS_PROTOCOL);
	p.answer = "{\"KeyId\":\"" ARN "\",\"Plaintext\":\"AQID\"}";
	assert_int_equal(kms_decrypt_data_key(&p.kms, &wrapped, &context, key), ERR_KMS_PROTOCOL);
	assert_int_equal(key[0], 42);
	free(p.request);
}

static void errors_come_through(void **state)
{
	struct parrot p = {.kms = {&parrot_ops}, .error = ERR_KMS_DISABLED};
	struct kms_wrapped_key wrapped = {ARN, 3, {1, 2, 3}};
	uint8_t key[KEY_SIZE];

	(void)state;
	assert_int_equal(kms_generate_data_key(&p.kms, "k", &context, key, &wrapped), ERR_KMS_DISABLED);
	assert_string_equal(err_text(ERR_KMS_DISABLED), "as told");
	assert_int_equal(kms_decrypt_data_key(&p.kms, &wrapped, &context, key), ERR_KMS_DISABLED);
	kms_close(&p.kms);
	kms_close(NULL);
	assert_int_equal(p.closed, 1);
	free(p.request);
}

static void refusals_are_told_from_trouble(void **state)
{
	static const enum err final[] = {ERR_KMS_DISABLED, ERR_KMS_ACCESS_DENIED, ERR_KMS_NOT_FOUND,
		ERR_KMS_INVALID_STATE, ERR_KMS_KEY_UNAVAILABLE, ERR_KMS_INVALID_CIPHERTEXT};
	static const enum err trouble[] = {ERR_OK, ERR_KMS_UNREACHABLE, ERR_KMS_PROTOCOL, ERR_KMS_THROTTLING,
		ERR_KMS_INTERNAL, ERR_KMS_DEPENDENCY_TIMEOUT, ERR_NO_MEMORY, ERR_SYSTEM, ERR_KMS_OTHER};

	(void)state;
	for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++)
		assert_true(kms_error_is_refusal(final[i]));
	for (size_t i = 0; i < sizeof(trouble) / sizeof(trouble[0]); i++)
		assert_false(kms_error_is_refusal(trouble[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generate_sends_and_takes),
		cmocka_unit_test(no_context_is_not_sent),
		cmocka_unit_test(generate_refuses_nonsense),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(decrypt_names_the_key_and_checks_the_answer),
		cmocka_unit_test(errors_come_through),
		cmocka_unit_test(refusals_are_told_from_trouble),
	};

	return cmocka_run_group_tests_name("kms_calls", tests, NULL, NULL);
}
