/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "tests/support/keystore.h"

/*
 * Every cell of operation × key state for what is not done with a plain symmetric key (test_engine_states.c has those), from the developer
 * guide's table: o allowed, d DisabledException, i KMSInvalidStateException, u UnsupportedOperationException.
 * Columns: Enabled, Disabled, PendingDeletion, PendingImport, Unavailable, Creating, Updating.
 */
static const enum key_state columns[] = {KEY_ENABLED, KEY_DISABLED, KEY_PENDING_DELETION, KEY_PENDING_IMPORT,
	KEY_UNAVAILABLE, KEY_CREATING, KEY_UPDATING};

#define SYMMETRIC "{}"
#define PAIR      "{'KeySpec':'ECC_NIST_P256','KeyUsage':'SIGN_VERIFY'}"
#define AGREEMENT "{'KeySpec':'ECC_NIST_P256','KeyUsage':'KEY_AGREEMENT'}"
#define MAC       "{'KeySpec':'HMAC_256','KeyUsage':'GENERATE_VERIFY_MAC'}"
#define EXTERNAL  "{'Origin':'EXTERNAL'}"
#define REGIONAL  "{'MultiRegion':true}"
#define ALLOWED   "'arn:aws:iam::000000000000:root'"

/* @past: what an allowed call comes to, for some are given nonsense on purpose: it is behind the check of the state. */
static const struct {
	const char *operation, *cells, *create, *request;
	enum err past;
} table[] = {
	{"GenerateDataKeyPair", "odiiiio", SYMMETRIC, "{'KeyId':'%s','KeyPairSpec':'ECC_NIST_P256'}", ERR_OK},
	{"GenerateDataKeyPairWithoutPlaintext", "odiiiio", SYMMETRIC, "{'KeyId':'%s','KeyPairSpec':'ECC_NIST_P256'}",
		ERR_OK},
	{"Sign", "odiiiio", PAIR, "{'KeyId':'%s','Message':'eA==','SigningAlgorithm':'ECDSA_SHA_256'}", ERR_OK},
	{"Verify", "odiiiio", PAIR,
		"{'KeyId':'%s','Message':'eA==','Signature':'eA==','SigningAlgorithm':'ECDSA_SHA_256'}",
		ERR_KMS_INVALID_SIGNATURE},
	{"GetPublicKey", "odiiiio", PAIR, "{'KeyId':'%s'}", ERR_OK},
	{"DeriveSharedSecret", "odiiiio", AGREEMENT, "{'KeyId':'%s','KeyAgreementAlgorithm':'ECDH','PublicKey':'eA=='}",
		ERR_KMS_VALIDATION},
	{"GenerateMac", "odiiiio", MAC, "{'KeyId':'%s','Message':'eA==','MacAlgorithm':'HMAC_SHA_256'}", ERR_OK},
	{"VerifyMac", "odiiiio", MAC, "{'KeyId':'%s','Message':'eA==','Mac':'eA==','MacAlgorithm':'HMAC_SHA_256'}",
		ERR_KMS_INVALID_MAC},
	{"DeleteImportedKeyMaterial", "oooooii", EXTERNAL, "{'KeyId':'%s'}", ERR_OK},
	{"ImportKeyMaterial", "ooiouio", EXTERNAL, "{'KeyId':'%s','ImportToken':'eA==','EncryptedKeyMaterial':'eA=='}",
		ERR_KMS_INVALID_IMPORT_TOKEN},
	{"ReplicateKey", "odiiiii", REGIONAL, "{'KeyId':'%s','ReplicaRegion':'us-west-2'}", ERR_OK},
	{"UpdatePrimaryRegion", "odiiiio", REGIONAL, "{'KeyId':'%s','PrimaryRegion':'us-west-2'}", ERR_KMS_NOT_FOUND},
	{"TagResource", "ooioooo", SYMMETRIC, "{'KeyId':'%s','Tags':[{'TagKey':'a','TagValue':'b'}]}", ERR_OK},
	{"UntagResource", "ooioooo", SYMMETRIC, "{'KeyId':'%s','TagKeys':['a']}", ERR_OK},
	{"ListResourceTags", "ooooooo", SYMMETRIC, "{'KeyId':'%s'}", ERR_OK},
	{"GetKeyLastUsage", "ooooooo", SYMMETRIC, "{'KeyId':'%s'}", ERR_OK},
	{"GetKeyPolicy", "ooooooo", SYMMETRIC, "{'KeyId':'%s'}", ERR_OK},
	{"ListKeyPolicies", "ooooooo", SYMMETRIC, "{'KeyId':'%s'}", ERR_OK},
	{"ListGrants", "ooooooo", SYMMETRIC, "{'KeyId':'%s'}", ERR_OK},
	{"CreateGrant", "odiioio", SYMMETRIC, "{'KeyId':'%s','GranteePrincipal':" ALLOWED ",'Operations':['Decrypt']}",
		ERR_OK},
};

static enum err expected(char cell, enum err past)
{
	return cell == 'o'   ? past
	       : cell == 'd' ? ERR_KMS_DISABLED
	       : cell == 'i' ? ERR_KMS_INVALID_STATE
			     : ERR_KMS_UNSUPPORTED_OPERATION;
}

static enum err perform(struct keystore *k, size_t row, enum key_state in)
{
	json_t *body = keystore_ok(k, "CreateKey", "%s", table[row].create);
	char id[512], request[1024];

	keystore_text(json_object_get(body, "KeyMetadata"), "KeyId", id);
	json_decref(body);
	keystore_force_state(k, id, in);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(request, sizeof(request), table[row].request, id);
#pragma GCC diagnostic pop
	return keystore_try(k, table[row].operation, "%s", request);
}

static void every_cell(void **state)
{
	struct keystore *k = *state;
	size_t cells = 0;

	for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
		for (size_t column = 0; column < sizeof(columns) / sizeof(columns[0]); column++, cells++) {
			enum err want = expected(table[row].cells[column], table[row].past);
			enum err e = perform(k, row, columns[column]);

			if (e != want)
				fail_msg("%s, column %zu: %s instead of %s", table[row].operation, column, err_name(e),
					err_name(want));
		}
	}
	assert_int_equal(cells, 20 * 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_cell, keystore_setup, keystore_teardown),
	};

	return cmocka_run_group_tests_name("engine_states_pairs", tests, NULL, NULL);
}
