/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "kms/engine/authorize.h"
#include "kms/engine/create_key.h"
#include "kms/engine/import.h"
#include "kms/engine/key_use.h"
#include "kms/engine/prepare.h"
#include "kms/engine/operations.h"
#include "kms/engine/resolve.h"
#include "kms/engine/unwrap.h"

static enum err make_pair(struct call *call, const struct key_spec *spec)
{
	TRY(key_spec_available(spec));
	return call->prepared.p != NULL ? ERR_OK : pkey_generate(spec, &call->prepared);
}

static enum err for_create_key(struct call *call)
{
	struct create_key_kind kind;

	TRY(authorize(call, call->op->name, NULL));
	TRY(create_key_kind(call, &kind));
	if (kind.spec->family == FAMILY_SYMMETRIC || kind.spec->family == FAMILY_HMAC || kind.external)
		return ERR_OK;
	return make_pair(call, kind.spec);
}

/* The key that the request names, if the caller may use it so. */
static enum err look_at_key(struct call *call, struct store_key *ret)
{
	TRY(resolve_key(call, call_string(call, "KeyId"), ret));
	return call_use_key(call, ret, call->op->name);
}

static enum err for_data_key_pair(struct call *call)
{
	struct store_key key;

	TRY(key_use_no_recipient(call));
	TRY(look_at_key(call, &key));
	TRY(key_use_check(call, &key, "ENCRYPT_DECRYPT", NULL, NULL));
	TRY(key_spec_available(key_spec_find(call_string(call, "KeyPairSpec"))));
	if (call_true(call, "DryRun"))
		return ERR_OK;
	return make_pair(call, key_spec_find(call_string(call, "KeyPairSpec")));
}

static enum err for_parameters(struct call *call)
{
	const char *spec = call_string(call, "WrappingKeySpec");
	struct store_key key;

	TRY(look_at_key(call, &key));
	TRY(import_require_external(&key));
	TRY(unwrap_check(key_spec_find(key.spec), call_string(call, "WrappingAlgorithm"), spec));
	return make_pair(call, key_spec_find(spec));
}

/* Checking a long RSA key for soundness takes a while, too. */
static enum err for_import(struct call *call)
{
	struct store_key key;

	TRY(look_at_key(call, &key));
	TRY(import_require_external(&key));
	return call->prepared.p != NULL ? ERR_OK : import_unwrap(call, &key);
}

static const struct {
	const char *operation;
	enum err (*prepare)(struct call *call);
} table[] = {
	{"CreateKey", for_create_key},
	{"GetParametersForImport", for_parameters},
	{"ImportKeyMaterial", for_import},
	{"GenerateDataKeyPair", for_data_key_pair},
	{"GenerateDataKeyPairWithoutPlaintext", for_data_key_pair},
};

enum err prepare_call(struct call *call)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].operation, call->op->name) == 0)
			return table[i].prepare(call);
	return ERR_OK;
}
