/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/kdf.h"
#include "kms/base/labels.h"
#include "kms/base/random.h"
#include "kms/base/xaes.h"
#include "kms/engine/audit.h"
#include "kms/engine/audit_chain.h"
#include "kms/engine/audit_queue.h"
#include "kms/engine/deletion.h"
#include "kms/engine/import.h"
#include "kms/engine/internal.h"
#include "kms/engine/material.h"
#include "kms/engine/opened_secrets.h"
#include "kms/engine/policy_cache.h"
#include "kms/engine/principals.h"
#include "kms/engine/quota.h"
#include "kms/engine/refusals.h"
#include "kms/engine/rotation.h"
#include "kms/engine/usage.h"

/*
 * The root key's verifier: HKDF(root key, keystore id, LABEL_KEYSTORE_VERIFY) ‖ SHA-256 of those bytes and the keystore id. The second
 * half tells a damaged verifier from a wrong root key without knowing any key.
 */
enum { VERIFIER_SIZE = KEY_SIZE + SHA256_SIZE };

#define CHECKPOINT_RETRY (60 * CLOCK_SECOND)
enum { PRUNE_BATCH = 5000 };

static enum err derive(const uint8_t key[KEY_SIZE], const uint8_t id[UUID_SIZE], const char *label, uint8_t *ret)
{
	return kdf_hkdf(key, KEY_SIZE, id, UUID_SIZE, label, strlen(label), ret, KEY_SIZE);
}

static enum err verifier_sum(const uint8_t id[UUID_SIZE], const uint8_t *verifier, uint8_t ret[SHA256_SIZE])
{
	uint8_t both[UUID_SIZE + KEY_SIZE];

	memcpy(both, id, UUID_SIZE);
	memcpy(both + UUID_SIZE, verifier, KEY_SIZE);
	return kdf_sha256(both, sizeof(both), ret);
}

static enum err make_verifier(const struct root_key *root, const uint8_t id[UUID_SIZE], uint8_t ret[VERIFIER_SIZE])
{
	TRY(derive(root->b, id, LABEL_KEYSTORE_VERIFY, ret));
	return verifier_sum(id, ret, ret + KEY_SIZE);
}

static struct sealed_subject secret_subject(const uint8_t id[UUID_SIZE], enum sealed_kind kind)
{
	return (struct sealed_subject){.kind = kind, .keystore = id};
}

/* ---- Creating ---- */

static enum err seal_secret(const struct root_key *root, const uint8_t id[UUID_SIZE], uint8_t *ret)
{
	struct sealed_subject subject = secret_subject(id, SEALED_KEYSTORE_SECRET);
	struct cmk_key seal AUTO_WIPE, secret AUTO_WIPE;

	TRY(derive(root->b, id, LABEL_KEYSTORE_SEAL, seal.b));
	random_bytes(secret.b, sizeof(secret.b));
	return material_seal(seal.b, &subject, secret.b, sizeof(secret.b), ret);
}

enum err engine_create(
	const char *keystore, const struct root_key *root_key, const void *root_params, size_t root_params_len)
{
	uint8_t id[UUID_SIZE], verifier[VERIFIER_SIZE], secret[KEY_SIZE + XAES_OVERHEAD];
	const struct store_item items[] = {{STORE_META_ID, id, sizeof(id)},
		{STORE_META_ROOT_PARAMS, root_params_len > 0 ? root_params : "", root_params_len},
		{STORE_META_VERIFIER, verifier, sizeof(verifier)}, {STORE_META_SECRET, secret, sizeof(secret)}};
	enum err e;

	random_uuid(id);
	TRY(make_verifier(root_key, id, verifier));
	TRY(seal_secret(root_key, id, secret));
	e = store_create(keystore, items, sizeof(items) / sizeof(items[0]));
	return e == ERR_OK ? ERR_OK : err_wrap(e, "creating the keystore %s", keystore);
}

/* ---- Opening ---- */

static enum err wrong_size(const char *path)
{
	return err_fail(ERR_KEYSTORE,
		"the keystore %s is damaged: a record has the wrong size; restore it from a backup", path);
}

static enum err read_exact(struct engine *engine, const char *path, const char *name, void *buf, size_t len)
{
	size_t found;

	TRY(store_meta_get(engine->store, name, buf, len, &found));
	return found == len ? ERR_OK : wrong_size(path);
}

static enum err verify_root_key(struct engine *engine, const char *path, const struct root_key *root)
{
	uint8_t stored[VERIFIER_SIZE], expected[VERIFIER_SIZE], sum[SHA256_SIZE];

	TRY(read_exact(engine, path, STORE_META_VERIFIER, stored, sizeof(stored)));
	TRY(verifier_sum(engine->id, stored, sum));
	if (!secret_equal(sum, stored + KEY_SIZE, SHA256_SIZE))
		return err_fail(ERR_KEYSTORE,
			"the keystore %s is damaged: its root key verifier does not add up; restore it from a backup",
			path);
	TRY(make_verifier(root, engine->id, expected));
	if (!secret_equal(expected, stored, VERIFIER_SIZE))
		return err_fail(ERR_ROOT_KEY,
			"wrong passphrase or root key for the keystore %s; the keystore itself is sound", path);
	return ERR_OK;
}

/*
 * The secret's record and whether it is of a keystore whose audit trail has its chain. One read serves both questions: the
 * record changes once, and it may do so between two reads.
 */
static enum err open_secret(struct engine *engine, const char *path, struct cmk_key *ret, int *ret_chained)
{
	struct sealed_subject plain = secret_subject(engine->id, SEALED_KEYSTORE_SECRET);
	struct sealed_subject chained = secret_subject(engine->id, SEALED_KEYSTORE_SECRET_CHAINED);
	const uint8_t *seal = engine->secrets->seal;
	uint8_t sealed[KEY_SIZE + XAES_OVERHEAD];

	TRY(read_exact(engine, path, STORE_META_SECRET, sealed, sizeof(sealed)));
	*ret_chained = material_open(seal, &chained, sealed, sizeof(sealed), ret->b) == ERR_OK;
	return *ret_chained ? ERR_OK : material_open(seal, &plain, sealed, sizeof(sealed), ret->b);
}

/*
 * Give the audit trail its chain, once in a keystore's life: the secret is sealed anew as one of a keystore that has a chain, and
 * nobody without the root key can make the older form again.
 */
static enum err begin_chain(struct engine *engine, const char *path)
{
	struct sealed_subject subject = secret_subject(engine->id, SEALED_KEYSTORE_SECRET_CHAINED);
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	uint8_t sealed[KEY_SIZE + XAES_OVERHEAD];
	struct cmk_key secret AUTO_WIPE;
	int chained;

	TRY(store_txn_begin(engine->store, &txn));
	TRY(open_secret(engine, path, &secret, &chained));
	if (chained)
		return ERR_OK; /* another process was first */
	TRY(material_seal(engine->secrets->seal, &subject, secret.b, sizeof(secret.b), sealed));
	TRY(store_meta_put(engine->store, STORE_META_SECRET, sealed, sizeof(sealed)));
	TRY(audit_chain_begin(engine));
	return store_txn_commit(&txn);
}

static enum err derive_secrets(struct engine *engine, const char *path, const struct root_key *root)
{
	struct engine_secrets *s = engine->secrets;
	struct cmk_key secret AUTO_WIPE;
	int chained;

	TRY(derive(root->b, engine->id, LABEL_KEYSTORE_SEAL, s->seal));
	TRY(open_secret(engine, path, &secret, &chained));
	TRY(derive(secret.b, engine->id, LABEL_KMS_BLOB_HEADER, s->blob_header));
	TRY(derive(secret.b, engine->id, LABEL_KMS_TOKENS, s->marker));
	TRY(derive(secret.b, engine->id, LABEL_KMS_TRAIL, s->trail));
	TRY(derive(secret.b, engine->id, LABEL_KMS_TRAIL_HEAD, s->trail_head));
	return chained ? ERR_OK : begin_chain(engine, path);
}

static enum err unlock(struct engine *engine, const struct engine_config *config)
{
	const char *path = config->keystore;

	engine->secrets = secret_alloc(sizeof(*engine->secrets));
	engine->cache = material_cache_new();
	engine->audit = audit_queue_new();
	engine->usage = usage_log_new();
	engine->quota = quota_new();
	engine->refusals = refusals_new();
	engine->policies = policy_cache_new();
	engine->opened = opened_secrets_new();
	if (engine->secrets == NULL || engine->cache == NULL || engine->audit == NULL || engine->policies == NULL ||
		engine->quota == NULL || engine->refusals == NULL || engine->usage == NULL || engine->opened == NULL)
		return err_fail(ERR_NO_MEMORY, "no locked memory for keys; raise the limit (ulimit -l) and try again");
	TRY(store_open(path, &engine->store));
	TRY(read_exact(engine, path, STORE_META_ID, engine->id, sizeof(engine->id)));
	if (config->root_key == NULL)
		return err_fail(ERR_ROOT_KEY, "the keystore %s needs its passphrase or root key", path);
	TRY(verify_root_key(engine, path, config->root_key));
	return derive_secrets(engine, path, config->root_key);
}

enum err engine_open(const struct engine_config *config, struct engine **ret)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	enum err e;

	if (engine == NULL)
		return ERR_NO_MEMORY;
	engine->clock = config->clock != NULL ? config->clock : clock_system();
	engine->reporter = config->reporter;
	engine->audit_retention = config->audit_retention;
	engine->grant_delay = config->grant_delay;
	engine->checkpoint_owed = 1;
	limits_init(&engine->limits);
	snprintf(engine->region, sizeof(engine->region), "%s",
		config->region != NULL && config->region[0] != '\0' ? config->region : ENGINE_DEFAULT_REGION);
	e = unlock(engine, config);
	if (e != ERR_OK) {
		engine_close(engine);
		return e;
	}
	if (store_mode(engine->store) & 077)
		report(engine->reporter, REPORT_WARNING,
			"the keystore %s can be read by others than its owner; run: chmod 600 %s", config->keystore,
			config->keystore);
	*ret = engine;
	return ERR_OK;
}

enum err engine_set_quotas(struct engine *engine, const char *text)
{
	return quota_configure(engine->quota, text);
}

enum err engine_set_resource_quotas(struct engine *engine, const char *text)
{
	return limits_configure(&engine->limits, text);
}

enum err engine_check_quotas(const char *quotas, const char *resource_quotas)
{
	TRY(quota_check_text(quotas));
	return limits_check_text(resource_quotas);
}

void engine_set_grant_delay(struct engine *engine, uint64_t ns)
{
	engine->grant_delay = ns;
}

void engine_set_audit_retention(struct engine *engine, uint64_t ns)
{
	engine->audit_retention = ns;
}

void engine_close(struct engine *engine)
{
	if (engine == NULL)
		return;
	if (engine->refusals != NULL && engine->store != NULL && refusals_flush(engine) != ERR_OK)
		report(engine->reporter, REPORT_ERROR, "KMS: a number of refused requests went unrecorded");
	if (engine->store != NULL && engine->usage != NULL)
		(void)usage_flush(engine); /* the audit trail has it, too */
	store_close(engine->store);
	refusals_free(engine->refusals);
	material_cache_free(engine->cache);
	audit_queue_free(engine->audit);
	quota_free(engine->quota);
	usage_log_free(engine->usage);
	policy_cache_free(engine->policies);
	opened_secrets_free(engine->opened);
	secret_free(engine->secrets);
	free(engine);
}

/* ---- Callers and periodic work ---- */

/* Another user of this machine is who the keystore says, if anybody. */
static enum err caller_of_mapped_uid(struct engine *engine, uint32_t uid, struct engine_caller *caller)
{
	struct store_principal row;
	int64_t principal;
	enum err e = store_uid_find(engine->store, uid, &principal);

	if (e == ERR_OK)
		e = store_principal_get(engine->store, principal, &row);
	if (e == ERR_NOT_FOUND)
		return err_fail(ERR_KMS_ACCESS_DENIED,
			"user id %u may not use this keystore: only its owner (user id %u), root, and user ids that "
			"are "
			"mapped to a user (signetfs kms principal map-uid) may",
			uid, store_owner_uid(engine->store));
	TRY(e);
	principal_describe_user(&row, caller);
	return ERR_OK;
}

enum err engine_caller_for_uid(struct engine *engine, uint32_t uid, struct engine_caller *ret)
{
	struct engine_caller caller = {.source_ip = "local", .secure = 1};

	if (uid == 0 || uid == store_owner_uid(engine->store))
		principal_describe_root(ENGINE_DEFAULT_ACCOUNT, &caller);
	else
		TRY(caller_of_mapped_uid(engine, uid, &caller));
	snprintf(caller.region, sizeof(caller.region), "%s", engine->region);
	*ret = caller;
	return ERR_OK;
}

/*
 * The log still holds the sealed material of what was deleted until it is merged and cut, which another process's reader can
 * hold up. Owed at the start too: whoever deleted last may have been killed in between.
 */
static void pay_checkpoint(struct engine *engine)
{
	if (engine->checkpoint_owed && store_checkpoint(engine->store) == ERR_OK)
		engine->checkpoint_owed = 0;
}

/* In portions, so that the lock is not held for long. */
static enum err prune_trail(struct engine *engine, uint64_t now)
{
	uint64_t retention = engine->audit_retention;
	size_t n = retention != 0 && now > retention ? PRUNE_BATCH : 0;

	while (n == PRUNE_BATCH)
		TRY(audit_chain_prune(engine, now - retention, PRUNE_BATCH, &n));
	return ERR_OK;
}

enum err engine_next_due(struct engine *engine, uint64_t *ret_next_due)
{
	return store_key_next_due(engine->store, ret_next_due);
}

enum err engine_run_due(struct engine *engine, uint64_t *ret_next_due)
{
	uint64_t now = engine->clock->wall(engine->clock);

	TRY(usage_flush(engine));
	TRY(rotation_run_due(engine, now));
	TRY(import_run_due(engine, now));
	TRY(deletion_run_due(engine, now));
	material_cache_prune(engine);
	opened_secrets_forget(engine->opened);
	pay_checkpoint(engine);
	TRY(refusals_flush(engine));
	TRY(prune_trail(engine, now));
	TRY(engine_next_due(engine, ret_next_due));
	/* What is overdue could not be done: a damaged row, or a deletion that the clock alone says is due. */
	if ((engine->checkpoint_owed && *ret_next_due > now + CHECKPOINT_RETRY) || *ret_next_due <= now)
		*ret_next_due = now + CHECKPOINT_RETRY;
	return ERR_OK;
}
