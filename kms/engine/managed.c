/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include "kms/base/random.h"
#include "kms/engine/audit.h"
#include "kms/engine/authorize.h"
#include "kms/engine/managed.h"
#include "kms/engine/material.h"
#include "kms/engine/operations.h"
#include "kms/engine/rotation.h"

static const char description[] = "Default key that protects signetfs vaults when no other key is defined";

static enum err insert_key(struct call *call, struct store_key *key)
{
	struct store_alias alias = {.created = call->now, .updated = call->now};

	random_uuid(key->id);
	key->manager = KEY_MANAGER_AWS;
	key->state = KEY_ENABLED;
	key->created = call->now;
	snprintf(key->account, sizeof(key->account), "%s", call->caller->account);
	snprintf(key->region, sizeof(key->region), "%s", call->region);
	snprintf(key->spec, sizeof(key->spec), "SYMMETRIC_DEFAULT");
	snprintf(key->usage, sizeof(key->usage), "ENCRYPT_DECRYPT");
	snprintf(key->origin, sizeof(key->origin), "AWS_KMS");
	rotation_enable(key, ROTATION_DAYS_DEFAULT, call->now);
	TRY(store_key_insert(call->engine->store, key, description, &key->row));
	TRY(material_create(call->engine, key, KEY_SIZE, BACKING_FIRST, call->now));
	TRY(store_key_update(call->engine->store, key));
	snprintf(alias.account, sizeof(alias.account), "%s", key->account);
	snprintf(alias.region, sizeof(alias.region), "%s", key->region);
	snprintf(alias.name, sizeof(alias.name), "%s", NAMES_SERVICE_ALIAS);
	alias.key = key->row;
	return store_alias_insert(call->engine->store, &alias);
}

enum err managed_key_create(struct call *call, struct store_key *ret)
{
	struct store *store = call->engine->store;
	struct store_txn txn AUTO_ROLLBACK = {NULL};
	struct store_alias alias;
	struct store_key key = {0};
	enum err e;

	/* A caller who may do nothing in this account must not make keys in it by asking. */
	TRY(authorize(call, call->op->name, NULL));
	if (!store_in_transaction(store))
		TRY(store_txn_begin(store, &txn));
	e = store_alias_find(store, call->caller->account, call->region, NAMES_SERVICE_ALIAS, &alias);
	if (e == ERR_OK)
		return store_key_find(store, call->region, alias.key_id, ret);
	if (e != ERR_NOT_FOUND)
		return e;
	TRY(insert_key(call, &key));
	TRY(audit_service_event(call->engine, call->now, "CreateKey", &key));
	if (txn.store != NULL)
		TRY(store_txn_commit(&txn));
	*ret = key;
	return ERR_OK;
}
