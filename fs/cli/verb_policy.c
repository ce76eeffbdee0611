/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/verbs.h"

#include <string.h>
#include "kms/base/json.h"
#include "kms/base/secret.h"

/*
 * create-key --administrators … --users …: a key policy that separates them. Administrators can change and delete the key,
 * but neither use it nor hand out grants; users can use it and nothing else; the account's root administers, so that the key cannot be lost
 * with its administrators.
 */

#define DEFAULT_ACCOUNT "000000000000"
#define IAM             "arn:aws:iam::"

static const char *const administration[] = {"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias",
	"kms:DeleteImportedKeyMaterial", "kms:Describe*", "kms:Disable*", "kms:Enable*", "kms:Get*",
	"kms:ImportKeyMaterial", "kms:List*", "kms:PutKeyPolicy", "kms:ReplicateKey", "kms:RevokeGrant",
	"kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:Update*",
	NULL};
static const char *const use[] = {"kms:Decrypt", "kms:DeriveSharedSecret", "kms:DescribeKey", "kms:Encrypt",
	"kms:GenerateDataKey*", "kms:GenerateMac", "kms:GetPublicKey", "kms:ReEncrypt*", "kms:Sign", "kms:Verify",
	"kms:VerifyMac", NULL};

static json_t *words(const char *const *list)
{
	json_t *array = json_array();

	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

/* The account of the first ARN that is given; bare names belong to the default one. */
static const char *account_in(const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		const char *text = json_string_value(item);

		if (strncmp(text, IAM, strlen(IAM)) == 0 && strlen(text) > strlen(IAM) + 12)
			return text + strlen(IAM);
	}
	return NULL;
}

/* "alice", "user/alice", "role/app", or an ARN. */
static json_t *principal(const char *who)
{
	const char *kind = strncmp(who, "user/", 5) == 0 || strncmp(who, "role/", 5) == 0 ? "" : "user/";

	if (strncmp(who, "arn:", 4) == 0)
		return json_string(who);
	return json_sprintf(IAM DEFAULT_ACCOUNT ":%s%s", kind, who);
}

static json_t *statement(const char *sid, const json_t *list, const char *const *actions)
{
	json_t *who = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		json_array_append_new(who, principal(json_string_value(item)));
	}
	return json_pack("{s:s, s:s, s:{s:o}, s:o, s:s}", "Sid", sid, "Effect", "Allow", "Principal", "AWS", who,
		"Action", words(actions), "Resource", "*");
}

static json_t *root_statement(const char *account)
{
	json_t *root = json_pack("[o]", json_sprintf(IAM "%.12s:root", account)), *s;

	s = statement("Account root administers", root, administration);
	json_decref(root);
	return s;
}

enum err verb_key_policy(json_t *request)
{
	json_t *administrators = json_object_get(request, VERB_ADMINISTRATORS),
	       *users = json_object_get(request, VERB_USERS);
	const char *account = account_in(administrators);
	json_t *statements, *policy AUTO_JSON = NULL;
	char *text;

	if (!administrators && !users)
		return ERR_OK;
	if (json_object_get(request, "Policy"))
		return err_fail(
			ERR_USAGE, "--administrators and --users make the policy: --policy cannot be given with them");
	if (!account)
		account = account_in(users);
	statements = json_pack("[o]", root_statement(account ? account : DEFAULT_ACCOUNT));
	policy = json_pack(
		"{s:s, s:s, s:o}", "Version", "2012-10-17", "Id", "signetfs-separated-1", "Statement", statements);
	if (administrators)
		json_array_append_new(statements, statement("Administrators", administrators, administration));
	if (users)
		json_array_append_new(statements, statement("Users", users, use));
	json_object_del(request, VERB_ADMINISTRATORS);
	json_object_del(request, VERB_USERS);
	text = json_text(policy, NULL);
	if (!text || json_object_set_new(request, "Policy", json_string(text)) != 0)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	secret_heap_free(text);
	return ERR_OK;
}
