/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>
#include "kms/engine/engine.h"
#include "kms/engine/names.h"
#include "kms/engine/states.h"

/*
 * OK  allowed            DIS  DisabledException
 * INV KMSInvalidState    UNS  UnsupportedOperation: key material that KMS did not make
 *
 * Where the guide allows DisabledException or KMSInvalidStateException for a key that is pending deletion, the choice
 * here is KMSInvalidStateException, which is what the service was seen to answer.
 * Columns: Enabled, Disabled, PendingDeletion, PendingImport, Unavailable, Creating, Updating.
 */
enum cell { OK, DIS, INV, UNS };
enum { STATE_COLUMNS = 7 };

static const struct row {
	const char *operation;
	enum cell cell[STATE_COLUMNS];
} table[] = {
	{"CancelKeyDeletion", {INV, INV, OK, INV, INV, INV, INV}},
	{"CreateAlias", {OK, OK, INV, OK, OK, OK, OK}},
	{"CreateGrant", {OK, DIS, INV, INV, OK, INV, OK}},
	{"Decrypt", {OK, DIS, INV, INV, INV, INV, OK}},
	{"DeleteAlias", {OK, OK, OK, OK, OK, OK, OK}},
	{"DeleteImportedKeyMaterial", {OK, OK, OK, OK, OK, INV, INV}},
	{"DeriveSharedSecret", {OK, DIS, INV, INV, INV, INV, OK}},
	{"DescribeKey", {OK, OK, OK, OK, OK, OK, OK}},
	{"DisableKey", {OK, OK, INV, INV, OK, INV, INV}},
	{"DisableKeyRotation", {OK, DIS, INV, UNS, UNS, INV, OK}},
	{"EnableKey", {OK, OK, INV, INV, OK, INV, INV}},
	{"EnableKeyRotation", {OK, DIS, INV, UNS, UNS, INV, OK}},
	{"Encrypt", {OK, DIS, INV, INV, INV, INV, OK}},
	{"GenerateDataKey", {OK, DIS, INV, INV, INV, INV, OK}},
	{"GenerateDataKeyPair", {OK, DIS, INV, INV, INV, INV, OK}},
	{"GenerateDataKeyPairWithoutPlaintext", {OK, DIS, INV, INV, INV, INV, OK}},
	{"GenerateDataKeyWithoutPlaintext", {OK, DIS, INV, INV, INV, INV, OK}},
	{"GenerateMac", {OK, DIS, INV, INV, INV, INV, OK}},
	{"GetKeyPolicy", {OK, OK, OK, OK, OK, OK, OK}},
	{"GetKeyRotationStatus", {OK, OK, OK, UNS, UNS, OK, OK}},
	{"GetParametersForImport", {OK, OK, INV, OK, UNS, INV, INV}},
	{"GetPublicKey", {OK, DIS, INV, INV, INV, INV, OK}},
	{"ImportKeyMaterial", {OK, OK, INV, OK, UNS, INV, OK}},
	{"ListAliases", {OK, OK, OK, OK, OK, OK, OK}},
	{"ListGrants", {OK, OK, OK, OK, OK, OK, OK}},
	{"ListKeyPolicies", {OK, OK, OK, OK, OK, OK, OK}},
	{"ListKeyRotations", {OK, OK, OK, OK, OK, OK, OK}},
	{"ListResourceTags", {OK, OK, OK, OK, OK, OK, OK}},
	{"PutKeyPolicy", {OK, OK, OK, OK, OK, OK, OK}},
	{"ReEncrypt", {OK, DIS, INV, INV, INV, INV, OK}},
	{"ReplicateKey", {OK, DIS, INV, INV, INV, INV, INV}},
	{"RetireGrant", {OK, OK, OK, OK, OK, OK, OK}},
	{"RevokeGrant", {OK, OK, OK, OK, OK, OK, OK}},
	{"RotateKeyOnDemand", {OK, DIS, INV, UNS, UNS, INV, OK}},
	{"ScheduleKeyDeletion", {OK, OK, INV, OK, OK, OK, INV}},
	{"Sign", {OK, DIS, INV, INV, INV, INV, OK}},
	{"TagResource", {OK, OK, INV, OK, OK, OK, OK}},
	{"UntagResource", {OK, OK, INV, OK, OK, OK, OK}},
	{"UpdateAlias", {OK, OK, INV, OK, OK, OK, OK}}, /* the key is the new target */
	{"UpdateKeyDescription", {OK, OK, INV, OK, OK, OK, OK}},
	{"UpdatePrimaryRegion", {OK, DIS, INV, INV, INV, INV, OK}},
	{"Verify", {OK, DIS, INV, INV, INV, INV, OK}},
	{"VerifyMac", {OK, DIS, INV, INV, INV, INV, OK}},
};

static const struct {
	const char *name;
	int column;
	const char *is; /* as AWS's messages say it */
} states[KEY_STATES] = {
	[KEY_ENABLED] = {"Enabled", 0, "enabled"},
	[KEY_DISABLED] = {"Disabled", 1, "disabled"},
	[KEY_PENDING_DELETION] = {"PendingDeletion", 2, "pending deletion"},
	[KEY_PENDING_REPLICA_DELETION] = {"PendingReplicaDeletion", 2, "pending replica deletion"},
	[KEY_PENDING_IMPORT] = {"PendingImport", 3, "pending import"},
	[KEY_UNAVAILABLE] = {"Unavailable", 4, "unavailable"},
	[KEY_CREATING] = {"Creating", 5, "creating"},
	[KEY_UPDATING] = {"Updating", 6, "updating"},
};

static const struct row *row_of(const char *operation)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].operation, operation) == 0)
			return &table[i];
	return NULL;
}

enum err states_check(const char *operation, const struct store_key *key)
{
	const struct row *row = row_of(operation);
	enum cell cell = row != NULL ? row->cell[states[key->state].column] : OK;
	char arn[ENGINE_ARN_SIZE];

	names_key_arn(key, arn);
	if (cell == OK)
		return ERR_OK;
	if (cell == UNS)
		return err_fail(ERR_KMS_UNSUPPORTED_OPERATION, "%s is not supported for %s, which is %s.", operation,
			arn, states[key->state].is);
	/* CancelKeyDeletion is the one operation that wants a key to be pending deletion. */
	if (cell == INV && row->cell[2] == OK && row->cell[0] == INV)
		return err_fail(ERR_KMS_INVALID_STATE, "%s is not pending deletion.", arn);
	return err_fail(
		cell == DIS ? ERR_KMS_DISABLED : ERR_KMS_INVALID_STATE, "%s is %s.", arn, states[key->state].is);
}

const char *states_name(enum key_state state)
{
	return states[state].name;
}
