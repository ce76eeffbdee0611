/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "kms/base/clock.h"
#include "kms/engine/condition_keys.h"
#include "kms/engine/condition_tags.h"
#include "kms/engine/condition_values.h"

/* ---- Of the caller ---- */

static const char *last_part(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash != NULL ? slash + 1 : "";
}

static enum err principal_type(const struct engine_caller *c, struct policy_values *ret)
{
	static const char *const types[] = {[POLICY_CALLER_ROOT] = "Account",
		[POLICY_CALLER_USER] = "User",
		[POLICY_CALLER_ROLE_SESSION] = "AssumedRole",
		[POLICY_CALLER_FEDERATED_USER] = "FederatedUser"};
	enum policy_caller_kind kind = policy_caller_kind(c->arn, c->account);

	return kind == POLICY_CALLER_UNKNOWN ? ERR_OK : condition_give(ret, types[kind]);
}

static int is_address(const char *text)
{
	unsigned char buf[16];

	return inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1;
}

enum caller_key {
	K_PRINCIPAL_ARN,
	K_ACCOUNT,
	K_PRINCIPAL_TYPE,
	K_USERID,
	K_USERNAME,
	K_SOURCE_IP,
	K_USER_AGENT,
	K_SECURE,
	K_TOKEN_ISSUED,
	K_NOW,
	K_EPOCH,
	K_REGION,
	K_FALSE
};

static const struct {
	const char *name;
	enum caller_key what;
} caller_keys[] = {
	{"aws:PrincipalArn", K_PRINCIPAL_ARN},
	{"aws:PrincipalAccount", K_ACCOUNT},
	{"kms:CallerAccount", K_ACCOUNT},
	{"aws:PrincipalType", K_PRINCIPAL_TYPE},
	{"aws:userid", K_USERID},
	{"aws:username", K_USERNAME},
	{"aws:SourceIp", K_SOURCE_IP},
	{"aws:UserAgent", K_USER_AGENT},
	{"aws:SecureTransport", K_SECURE},
	{"aws:TokenIssueTime", K_TOKEN_ISSUED},
	{"aws:CurrentTime", K_NOW},
	{"aws:EpochTime", K_EPOCH},
	{"aws:RequestedRegion", K_REGION},
	{"aws:PrincipalIsAWSService", K_FALSE},
	{"aws:ViaAWSService", K_FALSE},
};

static enum err of_caller(const struct call *call, enum caller_key what, struct policy_values *ret)
{
	const struct engine_caller *c = call->caller;

	switch (what) {
	case K_PRINCIPAL_ARN:
		return condition_give(ret, c->role[0] != '\0' ? c->role : c->arn);
	case K_ACCOUNT:
		return condition_give(ret, c->account);
	case K_PRINCIPAL_TYPE:
		return principal_type(c, ret);
	case K_USERID:
		return c->user_id[0] != '\0' ? condition_give(ret, c->user_id) : ERR_OK;
	case K_USERNAME:
		return policy_caller_kind(c->arn, c->account) == POLICY_CALLER_USER
			       ? condition_give(ret, last_part(c->arn))
			       : ERR_OK;
	case K_SOURCE_IP:
		return is_address(c->source_ip) ? condition_give(ret, c->source_ip) : ERR_OK;
	case K_USER_AGENT:
		return c->user_agent[0] != '\0' ? condition_give(ret, c->user_agent) : ERR_OK;
	case K_SECURE:
		return condition_give_bool(ret, c->secure);
	case K_TOKEN_ISSUED:
		return c->token_issued != 0 ? condition_give_date(ret, c->token_issued) : ERR_OK;
	case K_NOW:
		return condition_give_date(ret, call->now);
	case K_EPOCH:
		return condition_give_number(ret, (int64_t)(call->now / CLOCK_SECOND));
	case K_REGION:
		return condition_give(ret, call->region);
	case K_FALSE:
		return condition_give_bool(ret, 0);
	}
	return ERR_OK;
}

/* ---- Of the request ---- */

/* What a request member says; some have a value also when the request leaves them out. */
static const struct {
	const char *name, *member;
	const char *action; /* NULL: any */
	const char *fallback;
} request_keys[] = {
	{"kms:EncryptionAlgorithm", "SourceEncryptionAlgorithm", "ReEncryptFrom", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "DestinationEncryptionAlgorithm", "ReEncryptTo", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "EncryptionAlgorithm", "Encrypt", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "EncryptionAlgorithm", "Decrypt", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "", "GenerateDataKey", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "", "GenerateDataKeyWithoutPlaintext", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "", "GenerateDataKeyPair", "SYMMETRIC_DEFAULT"},
	{"kms:EncryptionAlgorithm", "", "GenerateDataKeyPairWithoutPlaintext", "SYMMETRIC_DEFAULT"},
	{"sts:ExternalId", "ExternalId", "sts:AssumeRole", NULL},
	{"sts:RoleSessionName", "RoleSessionName", "sts:AssumeRole", NULL},
	{"kms:SigningAlgorithm", "SigningAlgorithm", NULL, NULL},
	{"kms:MacAlgorithm", "MacAlgorithm", NULL, NULL},
	{"kms:KeyAgreementAlgorithm", "KeyAgreementAlgorithm", NULL, NULL},
	{"kms:DataKeyPairSpec", "KeyPairSpec", NULL, NULL},
	{"kms:MessageType", "MessageType", "Sign", "RAW"},
	{"kms:MessageType", "MessageType", "Verify", "RAW"},
	{"kms:WrappingAlgorithm", "WrappingAlgorithm", NULL, NULL},
	{"kms:WrappingKeySpec", "WrappingKeySpec", NULL, NULL},
	{"kms:ExpirationModel", "ExpirationModel", "ImportKeyMaterial", "KEY_MATERIAL_EXPIRES"},
	{"kms:ValidTo", "ValidTo", NULL, NULL},
	{"kms:ReplicaRegion", "ReplicaRegion", NULL, NULL},
	{"kms:PrimaryRegion", "PrimaryRegion", NULL, NULL},
	{"kms:RotationPeriodInDays", "RotationPeriodInDays", "EnableKeyRotation", NULL},
	{"kms:ScheduleKeyDeletionPendingWindowInDays", "PendingWindowInDays", "ScheduleKeyDeletion", "30"},
	{"kms:BypassPolicyLockoutSafetyCheck", "BypassPolicyLockoutSafetyCheck", "CreateKey", "false"},
	{"kms:BypassPolicyLockoutSafetyCheck", "BypassPolicyLockoutSafetyCheck", "PutKeyPolicy", "false"},
	{"kms:BypassPolicyLockoutSafetyCheck", "BypassPolicyLockoutSafetyCheck", "ReplicateKey", "false"},
	{"kms:GranteePrincipal", "GranteePrincipal", "CreateGrant", NULL},
	{"kms:RetiringPrincipal", "RetiringPrincipal", "CreateGrant", NULL},
	{"kms:GrantOperations", "Operations", "CreateGrant", NULL},
	/* Grants for a service that acts on somebody's behalf: there is no such service here. */
	{"kms:GrantIsForAWSResource", "", "CreateGrant", "false"},
	{"kms:GrantIsForAWSResource", "", "ListGrants", "false"},
	{"kms:GrantIsForAWSResource", "", "RevokeGrant", "false"},
};

static enum err of_member(const json_t *value, const char *fallback, struct policy_values *ret)
{
	if (json_is_string(value))
		return condition_give(ret, json_string_value(value));
	if (json_is_boolean(value))
		return condition_give_bool(ret, json_is_true(value));
	if (json_is_integer(value))
		return condition_give_number(ret, json_integer_value(value));
	if (json_is_real(value))
		return condition_give_number(ret, (int64_t)json_real_value(value));
	if (json_is_array(value))
		return condition_give_strings(ret, value);
	return fallback != NULL ? condition_give(ret, fallback) : ERR_OK;
}

static enum err of_request(const struct condition_scope *s, const char *key, struct policy_values *ret)
{
	for (size_t i = 0; i < sizeof(request_keys) / sizeof(request_keys[0]); i++) {
		const char *action = request_keys[i].action;

		if (strcasecmp(request_keys[i].name, key) == 0 && (action == NULL || strcmp(action, s->action) == 0))
			return of_member(call_member(s->call, request_keys[i].member), request_keys[i].fallback, ret);
	}
	return ERR_OK;
}

static enum err constraint_type(const struct condition_scope *s, struct policy_values *ret)
{
	const json_t *constraints = call_member(s->call, "Constraints");

	if (strcmp(s->action, "CreateGrant") != 0)
		return ERR_OK;
	if (json_object_get(constraints, "EncryptionContextEquals") != NULL)
		return condition_give(ret, "EncryptionContextEquals");
	return json_object_get(constraints, "EncryptionContextSubset") != NULL
		       ? condition_give(ret, "EncryptionContextSubset")
		       : ERR_OK;
}

/* ---- The encryption context ---- */

const json_t *condition_keys_context(const struct call *call, const char *action)
{
	const json_t *constraints = call_member(call, "Constraints"), *context;

	if (strcmp(action, "ReEncryptFrom") == 0)
		return call_member(call, "SourceEncryptionContext");
	if (strcmp(action, "ReEncryptTo") == 0)
		return call_member(call, "DestinationEncryptionContext");
	if (strcmp(action, "CreateGrant") != 0)
		return call_member(call, "EncryptionContext");
	context = json_object_get(constraints, "EncryptionContextEquals");
	return context != NULL ? context : json_object_get(constraints, "EncryptionContextSubset");
}

/* The values of all pairs of that name; @name NULL: all names. */
static enum err context_values(const struct condition_scope *s, const char *wanted, struct policy_values *ret)
{
	const json_t *context = condition_keys_context(s->call, s->action);
	const char *name;
	json_t *value;

	if (json_object_size(context) == 0)
		return ERR_OK;
	TRY(condition_room(ret, json_object_size(context)));
	json_object_foreach ((json_t *)context, name, value) {
		if (wanted == NULL)
			ret->list[ret->count++] = name;
		else if (strcasecmp(name, wanted) == 0 && json_is_string(value))
			ret->list[ret->count++] = json_string_value(value);
	}
	return ERR_OK;
}

/* ---- Of the key ---- */

static const char *created_with(const struct call *call, const char *member, const char *older, const char *fallback)
{
	const char *text = call_string(call, member);

	if (text == NULL && older != NULL)
		text = call_string(call, older);
	return text != NULL ? text : fallback;
}

/* CreateKey is about a key that is not there yet: what it is to be. */
static enum err of_new_key(const struct condition_scope *s, const char *key, struct policy_values *ret)
{
	if (strcmp(s->action, "CreateKey") != 0)
		return ERR_OK;
	if (strcasecmp(key, "kms:KeySpec") == 0)
		return condition_give(
			ret, created_with(s->call, "KeySpec", "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"));
	if (strcasecmp(key, "kms:KeyUsage") == 0)
		return condition_give(ret, created_with(s->call, "KeyUsage", NULL, "ENCRYPT_DECRYPT"));
	if (strcasecmp(key, "kms:KeyOrigin") == 0)
		return condition_give(ret, created_with(s->call, "Origin", NULL, "AWS_KMS"));
	if (strcasecmp(key, "kms:MultiRegion") == 0)
		return condition_give_bool(ret, call_true(s->call, "MultiRegion"));
	return ERR_OK;
}

static const char *multi_region_type(const struct store_key *key)
{
	if (!key->multi_region)
		return NULL;
	return strcmp(key->primary_region, key->region) == 0 ? "PRIMARY" : "REPLICA";
}

static enum err of_key(const struct condition_scope *s, const char *key, struct policy_values *ret)
{
	const struct store_key *k = s->key;

	if (k == NULL)
		return of_new_key(s, key, ret);
	if (strcasecmp(key, "kms:KeySpec") == 0 || strcasecmp(key, "kms:CustomerMasterKeySpec") == 0)
		return condition_give(ret, k->spec);
	if (strcasecmp(key, "kms:KeyUsage") == 0 || strcasecmp(key, "kms:CustomerMasterKeyUsage") == 0)
		return condition_give(ret, k->usage);
	if (strcasecmp(key, "kms:KeyOrigin") == 0)
		return condition_give(ret, k->origin);
	if (strcasecmp(key, "kms:MultiRegion") == 0)
		return condition_give_bool(ret, k->multi_region);
	if (strcasecmp(key, "aws:ResourceAccount") == 0)
		return condition_give(ret, k->account);
	if (strcasecmp(key, "kms:MultiRegionKeyType") == 0 && multi_region_type(k) != NULL)
		return condition_give(ret, multi_region_type(k));
	return ERR_OK;
}

/* However many they are: what is not looked at could not be denied. */
static enum err resource_aliases(const struct condition_scope *s, struct policy_values *ret)
{
	struct store *store = s->call->engine->store;
	struct store_alias *rows;
	size_t n = 0;

	if (s->key == NULL)
		return ERR_OK;
	TRY(store_alias_count(store, s->key->row, &n));
	rows = calloc(n + 1, sizeof(*rows));
	ret->text = (char *)rows; /* with the names */
	if (rows == NULL)
		return ERR_NO_MEMORY;
	TRY(store_alias_list(store, s->key->account, s->key->region, s->key->row, "", n, rows, &n));
	TRY(condition_room(ret, n));
	for (; ret->count < n; ret->count++)
		ret->list[ret->count] = rows[ret->count].name;
	return ERR_OK;
}

/* The alias by which the request names the key, without what stands before "alias/". */
static enum err request_alias(const struct condition_scope *s, struct policy_values *ret)
{
	const char *member = strcmp(s->action, "ReEncryptFrom") == 0 ? "SourceKeyId"
			     : strcmp(s->action, "ReEncryptTo") == 0 ? "DestinationKeyId"
								     : "KeyId";
	const char *text = call_string(s->call, member), *alias;

	if (text == NULL)
		return ERR_OK;
	alias = names_starts_with(text, "arn:") ? strstr(text, ":" NAMES_ALIAS_PREFIX) : text - 1;
	return alias != NULL && names_starts_with(alias + 1, NAMES_ALIAS_PREFIX) ? condition_give(ret, alias + 1)
										 : ERR_OK;
}

/* The source of a ReEncrypt is authorised first and is the call's first resource. */
static enum err same_key(const struct condition_scope *s, struct policy_values *ret)
{
	const struct call *call = s->call;
	char arn[ENGINE_ARN_SIZE];

	if (s->key == NULL || strncmp(s->action, "ReEncrypt", 9) != 0)
		return ERR_OK;
	if (strcmp(s->action, "ReEncryptFrom") == 0)
		return condition_give_bool(ret, call->has_key && memcmp(call->key.id, s->key->id, UUID_SIZE) == 0);
	names_key_arn(s->key, arn);
	return condition_give_bool(ret, call->resource_count > 0 && strcmp(call->resource[0], arn) == 0);
}

/* ---- All of them ---- */

static const char *behind(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncasecmp(key, prefix, len) == 0 && key[len] != '\0' ? key + len : NULL;
}

static enum err of_family(const struct condition_scope *s, const char *key, struct policy_values *ret, int *ret_is)
{
	const char *rest;

	*ret_is = 1;
	if ((rest = behind(key, "kms:EncryptionContext:")) != NULL)
		return context_values(s, rest, ret);
	if ((rest = behind(key, "aws:ResourceTag/")) != NULL)
		return condition_resource_tag(s, rest, ret);
	if ((rest = behind(key, "aws:RequestTag/")) != NULL)
		return condition_request_tag(s, rest, ret);
	*ret_is = 0;
	return ERR_OK;
}

static const struct {
	const char *name;
	enum err (*give)(const struct condition_scope *s, struct policy_values *ret);
} scope_keys[] = {
	{"aws:TagKeys", condition_tag_keys},
	{"kms:ResourceAliases", resource_aliases},
	{"kms:RequestAlias", request_alias},
	{"kms:ReEncryptOnSameKey", same_key},
	{"kms:GrantConstraintType", constraint_type},
};

enum err condition_keys_lookup(void *context, const char *key, struct policy_values *ret)
{
	const struct condition_scope *s = context;
	int is;

	TRY(of_family(s, key, ret, &is));
	if (is)
		return ERR_OK;
	if (strcasecmp(key, "kms:EncryptionContextKeys") == 0)
		return context_values(s, NULL, ret);
	for (size_t i = 0; i < sizeof(caller_keys) / sizeof(caller_keys[0]); i++)
		if (strcasecmp(caller_keys[i].name, key) == 0)
			return of_caller(s->call, caller_keys[i].what, ret);
	for (size_t i = 0; i < sizeof(scope_keys) / sizeof(scope_keys[0]); i++)
		if (strcasecmp(scope_keys[i].name, key) == 0)
			return scope_keys[i].give(s, ret);
	TRY(of_key(s, key, ret));
	return ret->count > 0 ? ERR_OK : of_request(s, key, ret);
}
