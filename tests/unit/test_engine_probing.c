/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "kms/engine/iam.h"
#include "kms/engine/names.h"
#include "tests/support/iam.h"

/* What another account, and nobody at all, can learn of keys and aliases: from refusals nothing. */

#define OTHER    "111122223333"
#define NO_GRANT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void become_other(struct keystore *k)
{
	k->caller = (struct engine_caller){
		.account = OTHER, .arn = "arn:aws:iam::" OTHER ":root", .region = KEYSTORE_REGION, .secure = 1};
}

static const char *refusal_of(const char *operation, const char *resource)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		"User: arn:aws:iam::" OTHER
		":root is not authorized to perform: kms:%s on resource: %s because the resource does "
		"not exist in this Region, no resource-based policies allow access, or a resource-based policy "
		"explicitly denies access",
		operation, resource);
	return text;
}

static void forbidden_and_missing_are_the_same(void **state)
{
	static const char *const aliases[] = {"arn:aws:kms:" KEYSTORE_REGION ":000000000000:alias/there",
		"arn:aws:kms:" KEYSTORE_REGION ":000000000000:alias/not-there",
		"arn:aws:kms:" KEYSTORE_REGION ":000000000000:alias/aws/signetfs"};
	static const char *const missing =
		"arn:aws:kms:" KEYSTORE_REGION ":000000000000:key/12345678-1234-1234-1234-1234567890ab";
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];

	keystore_new_key(k, id, arn);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/there','TargetKeyId':'%s'}", id);
	assert_int_equal(engine_account_create(k->engine, OTHER, "other"), ERR_OK);
	become_other(k);
	for (int disabled = 0; disabled < 2; disabled++) {
		for (size_t i = 0; i < 3; i++) {
			keystore_fails(k, ERR_KMS_ACCESS_DENIED, refusal_of("Encrypt", aliases[i]), "Encrypt",
				"{'KeyId':'%s','Plaintext':'aGVsbG8='}", aliases[i]);
			keystore_fails(k, ERR_KMS_ACCESS_DENIED, refusal_of("DescribeKey", aliases[i]), "DescribeKey",
				"{'KeyId':'%s'}", aliases[i]);
		}
		keystore_fails(k, ERR_KMS_ACCESS_DENIED, refusal_of("Encrypt", arn), "Encrypt",
			"{'KeyId':'%s','Plaintext':'aGVsbG8='}", arn);
		keystore_fails(k, ERR_KMS_ACCESS_DENIED, refusal_of("Encrypt", missing), "Encrypt",
			"{'KeyId':'%s','Plaintext':'aGVsbG8='}", missing);
		iam_become(k, "root");
		keystore_do(k, "DisableKey", "{'KeyId':'%s'}", id);
		become_other(k);
	}
	/* A key id without its account is looked for in the caller's own. */
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", id);
}

/* Nothing makes a key of the service itself yet; one that is there belongs to no account, not even to the one in its row. */
static void a_key_of_the_service_is_nobodys(void **state)
{
	struct keystore *k = *state;
	struct store *store = keystore_store(k);
	char id[64], arn[ENGINE_ARN_SIZE], blob[512];
	struct store_key key;
	struct key_name name;
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	keystore_do(k, "CreateAlias", "{'AliasName':'alias/s','TargetKeyId':'%s'}", id);
	assert_int_equal(names_parse(id, &name), ERR_OK);
	assert_int_equal(store_begin(store), ERR_OK);
	assert_int_equal(store_key_find(store, KEYSTORE_REGION, name.id, &key), ERR_OK);
	assert_int_equal(store_key_destroy(store, key.row), ERR_OK);
	key.manager = KEY_MANAGER_SERVICE;
	assert_int_equal(store_key_insert(store, &key, "", &key.row), ERR_OK);
	assert_int_equal(store_commit(store), ERR_OK);
	store_close(store);
	keystore_reopen(k);
	body = keystore_ok(k, "ListKeys", "{}");
	assert_int_equal(json_array_size(json_object_get(body, "Keys")), 0);
	json_decref(body);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "DescribeKey", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "GetKeyPolicy", "{'KeyId':'%s'}", arn);
	keystore_fails(k, ERR_KMS_NOT_FOUND, NULL, "ScheduleKeyDeletion", "{'KeyId':'%s'}", id);
	keystore_fails(k, ERR_KMS_ACCESS_DENIED, NULL, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
}

/* A blob under a key of the caller's own, to come as far as the other key. */
static void own_blob(struct keystore *k, char blob[512])
{
	char id[64], arn[ENGINE_ARN_SIZE];
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
}

static void fill(const char *request, const char *key, const char *blob, char out[2048])
{
	size_t n = 0;

	while (*request != '\0') {
		const char *word = strncmp(request, "<key>", 5) == 0    ? key
				   : strncmp(request, "<blob>", 6) == 0 ? blob
									: NULL;

		if (word != NULL) {
			n += (size_t)snprintf(out + n, 2048 - n, "%s", word);
			request = strchr(request, '>') + 1;
		} else {
			out[n++] = *request++;
		}
		assert_true(n < 2000);
	}
	out[n] = '\0';
}

/* Symmetric, RSA, or not there: whatever is asked, and however the request is wrong besides, the answer is the same. */
static void no_other_answer_tells_which_keys_there_are(void **state)
{
	static const struct {
		const char *operation, *action, *request; /* <blob>: of the caller's own */
	} requests[] = {
		{"Decrypt", "Decrypt", "{'KeyId':'<key>','CiphertextBlob':'<blob>'}"},
		{"Decrypt", "Decrypt", "{'KeyId':'<key>','CiphertextBlob':'AAAA'}"},
		{"Decrypt", "Decrypt",
			"{'KeyId':'<key>','CiphertextBlob':'AAAA','EncryptionAlgorithm':'RSAES_OAEP_SHA_256'}"},
		{"Decrypt", "Decrypt", "{'KeyId':'<key>'}"},
		{"ReEncrypt", "ReEncryptFrom",
			"{'SourceKeyId':'<key>','DestinationKeyId':'<key>','CiphertextBlob':'<blob>'}"},
		{"ReEncrypt", "ReEncryptTo", "{'DestinationKeyId':'<key>','CiphertextBlob':'<blob>'}"},
		{"RetireGrant", "RetireGrant", "{'KeyId':'<key>','GrantId':'" NO_GRANT "'}"},
	};
	struct keystore *k = *state;
	char id[64], arn[3][ENGINE_ARN_SIZE] = {"", "",
			     "arn:aws:kms:" KEYSTORE_REGION ":000000000000:key/12345678-1234-1234-1234-1234567890ab"};
	char blob[512], request[2048];
	json_t *body;

	keystore_new_key(k, id, arn[0]);
	body = keystore_ok(k, "CreateKey", "{'KeySpec':'RSA_2048','KeyUsage':'ENCRYPT_DECRYPT'}");
	snprintf(arn[1], sizeof(arn[1]), "%s",
		json_string_value(json_object_get(json_object_get(body, "KeyMetadata"), "Arn")));
	json_decref(body);
	assert_int_equal(engine_account_create(k->engine, OTHER, "other"), ERR_OK);
	become_other(k);
	own_blob(k, blob);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		for (int n = 0; n < 3; n++) {
			fill(requests[i].request, arn[n], blob, request);
			keystore_fails(k, ERR_KMS_ACCESS_DENIED, refusal_of(requests[i].action, arn[n]),
				requests[i].operation, "%s", request);
		}
	for (int n = 0; n < 3; n++) {
		keystore_fails(k, ERR_KMS_INVALID_GRANT_TOKEN, NULL, "DescribeKey",
			"{'KeyId':'%s','GrantTokens':['x']}", arn[n]);
		keystore_fails(k, ERR_KMS_INVALID_CIPHERTEXT, NULL, "ReEncrypt",
			"{'DestinationKeyId':'%s','CiphertextBlob':'AAAA'}", arn[n]);
	}
}

/* Nor does a refusal by the caller's own policies, whose conditions could ask of a key what it is like. */
static void own_denials_tell_nothing_of_others(void **state)
{
	static const char missing[] =
		"arn:aws:kms:" KEYSTORE_REGION ":000000000000:key/12345678-1234-1234-1234-1234567890ab";
	const struct engine_principal_spec spec = {.account = OTHER, .name = "bea"};
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], message[1024], blob[512];
	struct engine_principal bea;
	json_t *body;

	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	assert_int_equal(engine_account_create(k->engine, OTHER, "other"), ERR_OK);
	assert_int_equal(engine_principal_create(k->engine, &spec, &bea), ERR_OK);
	iam_attach(k, bea.arn, "no",
		"{'Effect':'Deny','Action':'kms:*','Resource':'*','Condition':{'StringEquals':{'kms:KeySpec':'"
		"SYMMETRIC_"
		"DEFAULT'}}}");
	iam_become(k, bea.arn);
	for (int n = 0; n < 2; n++) {
		const char *named = n == 0 ? arn : missing;

		snprintf(message, sizeof(message),
			"User: arn:aws:iam::" OTHER ":user/bea is not authorized to perform: kms:DescribeKey on "
			"resource: %s because the resource does not exist in this Region, no resource-based policies "
			"allow access, or a resource-based policy explicitly denies access",
			named);
		keystore_fails(k, ERR_KMS_ACCESS_DENIED, message, "DescribeKey", "{'KeyId':'%s'}", named);
	}
	/* Whoever brings a ciphertext alone is told what AWS says of it, and neither the key's name nor whether it is there still. */
	keystore_fails(k, ERR_KMS_ACCESS_DENIED,
		"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or "
		"you are not allowed to access.",
		"Decrypt", "{'CiphertextBlob':'%s'}", blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(forbidden_and_missing_are_the_same),
		TEST(no_other_answer_tells_which_keys_there_are),
		TEST(own_denials_tell_nothing_of_others),
		TEST(a_key_of_the_service_is_nobodys),
	};

	return cmocka_run_group_tests_name("engine_probing", tests, NULL, NULL);
}
