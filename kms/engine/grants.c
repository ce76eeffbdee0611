/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "kms/base/json.h"
#include "kms/base/kdf.h"
#include "kms/base/random.h"
#include "kms/engine/condition_keys.h"
#include "kms/engine/grants.h"
#include "kms/engine/identity.h"
#include "kms/engine/principals.h"

/* ---- Operations ---- */

enum { FOR_SYMMETRIC = 1, FOR_ASYMMETRIC = 2, FOR_SIGNING = 4, FOR_MAC = 8, FOR_AGREEMENT = 16, FOR_ALL = 31 };

/* The bit of each is its place: a keystore holds it, so the order never changes. */
static const struct {
	const char *name;
	unsigned keys;
	int has_context;
} operations[] = {
	{"Decrypt", FOR_SYMMETRIC | FOR_ASYMMETRIC, 1},
	{"Encrypt", FOR_SYMMETRIC | FOR_ASYMMETRIC, 1},
	{"GenerateDataKey", FOR_SYMMETRIC, 1},
	{"GenerateDataKeyWithoutPlaintext", FOR_SYMMETRIC, 1},
	{"ReEncryptFrom", FOR_SYMMETRIC | FOR_ASYMMETRIC, 1},
	{"ReEncryptTo", FOR_SYMMETRIC | FOR_ASYMMETRIC, 1},
	{"Sign", FOR_SIGNING, 0},
	{"Verify", FOR_SIGNING, 0},
	{"GetPublicKey", FOR_ASYMMETRIC | FOR_SIGNING | FOR_AGREEMENT, 0},
	{"CreateGrant", FOR_ALL, 0},
	{"RetireGrant", FOR_ALL, 0},
	{"DescribeKey", FOR_ALL, 0},
	{"GenerateDataKeyPair", FOR_SYMMETRIC, 1},
	{"GenerateDataKeyPairWithoutPlaintext", FOR_SYMMETRIC, 1},
	{"GenerateMac", FOR_MAC, 0},
	{"VerifyMac", FOR_MAC, 0},
	{"DeriveSharedSecret", FOR_AGREEMENT, 0},
};
enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]) };

static int place_of(const char *name)
{
	for (int i = 0; i < OPERATIONS; i++)
		if (strcmp(operations[i].name, name) == 0)
			return i;
	return -1;
}

uint32_t grant_operation(const char *name)
{
	int i = place_of(name);

	return i >= 0 ? UINT32_C(1) << i : 0;
}

json_t *grant_operations(uint32_t set)
{
	json_t *list = json_array();

	for (int i = 0; i < OPERATIONS; i++)
		if (set & UINT32_C(1) << i)
			json_array_append_new(list, json_string(operations[i].name));
	return list;
}

static unsigned sort_of_key(const struct store_key *key)
{
	if (strcmp(key->spec, "SYMMETRIC_DEFAULT") == 0)
		return FOR_SYMMETRIC;
	if (strcmp(key->usage, "SIGN_VERIFY") == 0)
		return FOR_SIGNING;
	if (strcmp(key->usage, "GENERATE_VERIFY_MAC") == 0)
		return FOR_MAC;
	return strcmp(key->usage, "KEY_AGREEMENT") == 0 ? FOR_AGREEMENT : FOR_ASYMMETRIC;
}

int grant_fits_key(uint32_t set, const struct store_key *key)
{
	unsigned sort = sort_of_key(key);

	for (int i = 0; i < OPERATIONS; i++)
		if (set & UINT32_C(1) << i && !(operations[i].keys & sort))
			return 0;
	return 1;
}

/* ---- Ids and tokens ---- */

enum err grant_read_id(const char *text, uint8_t ret[STORE_GRANT_ID_SIZE])
{
	size_t len = 0;

	if (strlen(text) != 2 * STORE_GRANT_ID_SIZE ||
		decode_hex(text, strlen(text), ret, STORE_GRANT_ID_SIZE, &len) != ERR_OK)
		return err_fail(ERR_KMS_INVALID_GRANT_ID, "The grant ID '%.128s' is not valid.", text);
	return ERR_OK;
}

enum {
	TOKEN_RANDOM = 16,
	TOKEN_MAC = 16,
	TOKEN_SIGNED = 1 + STORE_GRANT_ID_SIZE + TOKEN_RANDOM,
	TOKEN_BYTES = TOKEN_SIGNED + TOKEN_MAC
};
_Static_assert(BASE64_LEN(TOKEN_BYTES) < GRANT_TOKEN_SIZE, "a token has room");

/* Under the same key as markers, whose MACs begin with an operation's name: this is none. */
static enum err token_mac(struct engine *engine, const uint8_t *token, uint8_t ret[TOKEN_MAC])
{
	static const char purpose[] = "grant-token";
	const struct bytes_view parts[] = {{purpose, sizeof(purpose)}, {token, TOKEN_SIGNED}};
	uint8_t mac[SHA256_SIZE];

	TRY(kdf_hmacv(engine->secrets->marker, KEY_SIZE, parts, 2, mac));
	memcpy(ret, mac, TOKEN_MAC);
	return ERR_OK;
}

enum err grant_token_make(struct engine *engine, const uint8_t id[STORE_GRANT_ID_SIZE], char ret[GRANT_TOKEN_SIZE])
{
	uint8_t token[TOKEN_BYTES] = {1};

	memcpy(token + 1, id, STORE_GRANT_ID_SIZE);
	random_bytes(token + 1 + STORE_GRANT_ID_SIZE, TOKEN_RANDOM);
	TRY(token_mac(engine, token, token + TOKEN_SIGNED));
	encode_base64(token, TOKEN_BYTES, ret);
	return ERR_OK;
}

enum err grant_token_read(struct engine *engine, const char *text, uint8_t ret[STORE_GRANT_ID_SIZE])
{
	uint8_t token[TOKEN_BYTES], mac[TOKEN_MAC];
	size_t len = 0;

	if (strlen(text) != BASE64_LEN(TOKEN_BYTES) ||
		decode_base64(text, strlen(text), token, sizeof(token), &len) != ERR_OK || len != TOKEN_BYTES ||
		token[0] != 1)
		return err_fail(ERR_KMS_INVALID_GRANT_TOKEN, "The grant token is not valid.");
	TRY(token_mac(engine, token, mac));
	if (!secret_equal(mac, token + TOKEN_SIGNED, TOKEN_MAC))
		return err_fail(ERR_KMS_INVALID_GRANT_TOKEN, "The grant token is not valid.");
	memcpy(ret, token + 1, STORE_GRANT_ID_SIZE);
	return ERR_OK;
}

enum err grants_check_tokens(const struct call *call)
{
	const json_t *tokens = call_member(call, "GrantTokens"), *token;
	uint8_t id[STORE_GRANT_ID_SIZE];
	size_t i;

	json_array_foreach ((json_t *)tokens, i, token) {
		TRY(grant_token_read(call->engine, json_string_value(token), id));
	}
	return ERR_OK;
}

/* ---- Matching ---- */

struct search {
	struct call *call;
	const char *action;
	int has_context, names_session;
	struct grant_match *match;
};

static int has_token(const struct call *call, const struct store_grant *g)
{
	const json_t *tokens = call_member(call, "GrantTokens"), *token;
	uint8_t id[STORE_GRANT_ID_SIZE];
	size_t i;

	json_array_foreach ((json_t *)tokens, i, token) {
		if (grant_token_read(call->engine, json_string_value(token), id) == ERR_OK &&
			memcmp(id, g->id, sizeof(id)) == 0)
			return 1;
	}
	return 0;
}

static int has_spread(const struct call *call, const struct store_grant *g)
{
	return call->engine->grant_delay == 0 || call->now >= g->created + call->engine->grant_delay ||
	       has_token(call, g);
}

static int has_pair(const json_t *pairs, const char *name, const json_t *value)
{
	const char *other;
	json_t *its;

	json_object_foreach ((json_t *)pairs, other, its) {
		if (strcasecmp(other, name) == 0 && json_equal(its, value))
			return 1;
	}
	return 0;
}

/* Has @pairs every pair of @wanted? In a constraint, as at AWS, names differ not by case, values do. */
static int has_pairs(const json_t *pairs, const json_t *wanted)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)wanted, name, value) {
		if (!has_pair(pairs, name, value))
			return 0;
	}
	return 1;
}

/* Equal is what has the pairs of the other in both directions, and as many: two names that differ by case alone count as two. */
static int context_fits(const struct search *s, const struct store_grant *g, const json_t *wanted)
{
	const json_t *context = condition_keys_context(s->call, s->action);

	if (g->constraint == STORE_CONSTRAINT_EQUALS &&
		(json_object_size(context) != json_object_size(wanted) || !has_pairs(wanted, context)))
		return 0;
	return has_pairs(context, wanted);
}

/* Who may make grants by a grant hands on no more than it gives: no other operations, no weaker constraint. */
static int is_narrower(const struct search *s, const struct store_grant *g, const json_t *wanted)
{
	const json_t *list = call_member(s->call, "Operations"), *item;
	const json_t *constraints = call_member(s->call, "Constraints");
	const json_t *equals = json_object_get(constraints, "EncryptionContextEquals");
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		if (!(g->operations & grant_operation(json_string_value(item))))
			return 0;
	}
	if (g->constraint == STORE_CONSTRAINT_NONE)
		return 1;
	if (g->constraint == STORE_CONSTRAINT_EQUALS && equals == NULL)
		return 0;
	return context_fits(s, g, wanted);
}

static enum err covers(const struct search *s, const struct store_grant *g, int *ret)
{
	json_t *wanted AUTO_JSON = NULL;
	int makes_grant = strcmp(s->action, "CreateGrant") == 0;

	*ret = has_spread(s->call, g);
	if (!*ret || (!makes_grant && (!s->has_context || g->constraint == STORE_CONSTRAINT_NONE)))
		return ERR_OK;
	if (g->constraint != STORE_CONSTRAINT_NONE &&
		json_parse(g->constraints, strlen(g->constraints), &wanted) != ERR_OK)
		return err_fail(ERR_KEYSTORE, "the keystore is damaged: a grant's constraint cannot be read");
	*ret = makes_grant ? is_narrower(s, g, wanted) : context_fits(s, g, wanted);
	return ERR_OK;
}

/* ERR_INTERRUPTED ends the search: found. */
static enum err look_at(void *context, const struct store_grant *g)
{
	struct search *s = context;
	int fits;

	TRY(covers(s, g, &fits));
	if (!fits)
		return ERR_OK;
	s->match->found = 1;
	s->match->names_session = s->names_session;
	encode_hex(g->id, sizeof(g->id), s->match->id);
	return ERR_INTERRUPTED;
}

/* @id: as what the ARN is bound; NULL: nobody bears it any more, or it needs none. */
static enum err search_for(struct search *s, const struct store_key *key, uint32_t bit, const char *arn, const char *id)
{
	struct store_grantee grantee = {.id = ""};
	enum err e;

	if (id == NULL && policy_arn_is_bound(arn))
		return ERR_OK;
	snprintf(grantee.arn, sizeof(grantee.arn), "%s", arn);
	snprintf(grantee.id, sizeof(grantee.id), "%s", id != NULL ? id : "");
	e = store_grant_list(s->call->engine->store, key->row, &grantee, bit, 0, 0, look_at, s);

	return e == ERR_INTERRUPTED ? ERR_OK : e;
}

enum err grants_match(struct call *call, const char *action, const struct store_key *key, struct grant_match *match)
{
	const struct engine_caller *c = call->caller;
	struct search s = {.call = call, .action = action, .names_session = c->role[0] != '\0', .match = match};
	uint32_t bit = grant_operation(action);
	char root[ENGINE_ARN_SIZE], room[STORE_UNIQUE_ID_SIZE];
	const char *id = identity_of_caller(c, room);

	if (bit == 0)
		return ERR_OK;
	s.has_context = operations[place_of(action)].has_context;
	TRY(search_for(&s, key, bit, c->arn, id));
	s.names_session = 0;
	if (!match->found && c->role[0] != '\0')
		TRY(search_for(&s, key, bit, c->role, id));
	if (match->found || !match->account_allowed)
		return ERR_OK;
	principal_root_arn(c->account, root);
	return strcmp(root, c->arn) == 0 ? ERR_OK : search_for(&s, key, bit, root, NULL);
}
