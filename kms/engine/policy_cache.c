/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"
#include "kms/engine/identity.h"
#include "kms/engine/policy_cache.h"

enum { SLOTS = 1024, POLICIES_OF_PRINCIPAL_MAX = 64, ATTEMPTS = 4 };

enum policy_sort { SORT_DEFAULT, SORT_MANAGED, SORT_KEY, SORT_PRINCIPAL };

/* What a set is kept under: of the two that the KMS writes itself, the account. */
struct policy_name {
	enum policy_sort sort;
	uint64_t a, b;
};

struct policy_cache {
	pthread_mutex_t lock;
	struct {
		struct policy_name name;
		struct policy_set *set; /* NULL: empty; the cache is one of its holders */
	} slot[SLOTS];
};

/* ---- Sets ---- */

static struct policy_set *set_new(size_t room)
{
	struct policy_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->holders = 1;
	set->policy = calloc(room, sizeof(*set->policy));
	set->name = calloc(room, sizeof(*set->name));
	if (set->policy == NULL || set->name == NULL)
		policy_set_release(&set);
	return set;
}

void policy_set_release(struct policy_set **set)
{
	struct policy_set *s = *set;

	*set = NULL;
	if (s == NULL || atomic_fetch_sub(&s->holders, 1) > 1)
		return;
	for (size_t i = 0; i < s->count; i++) {
		policy_free(s->policy[i]);
		free(s->name[i]);
	}
	free(s->policy);
	free(s->name);
	free(s);
}

static enum err set_add(
	struct policy_set *set, enum policy_kind kind, const char *name, const struct store_document *document)
{
	TRY(identity_parse(kind, document, &set->policy[set->count]));
	set->name[set->count] = strdup(name);
	if (set->name[set->count] == NULL) {
		policy_free(set->policy[set->count]);
		return ERR_NO_MEMORY;
	}
	set->count++;
	return ERR_OK;
}

/* ---- The cache ---- */

struct policy_cache *policy_cache_new(void)
{
	struct policy_cache *cache = calloc(1, sizeof(*cache));

	if (cache != NULL)
		pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void policy_cache_free(struct policy_cache *cache)
{
	if (cache == NULL)
		return;
	for (int i = 0; i < SLOTS; i++)
		policy_set_release(&cache->slot[i].set);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static size_t slot_of(const struct policy_name *n)
{
	uint64_t h = (n->a * UINT64_C(0x9E3779B97F4A7C15)) ^ (n->b * UINT64_C(0xC2B2AE3D27D4EB4F)) ^ (uint64_t)n->sort;

	return (size_t)((h ^ (h >> 32)) % SLOTS);
}

static int same_name(const struct policy_name *x, const struct policy_name *y)
{
	return x->sort == y->sort && x->a == y->a && x->b == y->b;
}

static struct policy_set *cache_get(struct policy_cache *cache, const struct policy_name *name)
{
	size_t i = slot_of(name);
	struct policy_set *set = NULL;

	pthread_mutex_lock(&cache->lock);
	if (cache->slot[i].set != NULL && same_name(&cache->slot[i].name, name)) {
		set = cache->slot[i].set;
		atomic_fetch_add(&set->holders, 1);
	}
	pthread_mutex_unlock(&cache->lock);
	return set;
}

static void cache_put(struct policy_cache *cache, const struct policy_name *name, struct policy_set *set)
{
	size_t i = slot_of(name);
	struct policy_set *old;

	atomic_fetch_add(&set->holders, 1);
	pthread_mutex_lock(&cache->lock);
	old = cache->slot[i].set;
	cache->slot[i].name = *name;
	cache->slot[i].set = set;
	pthread_mutex_unlock(&cache->lock);
	policy_set_release(&old);
}

/* ---- Policies of keys ---- */

#define HEAD "{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"%s\",\n  \"Statement\" : [ {\n    \"Sid\" : \"%s\",\n"
#define PRINCIPAL                                                                                                      \
	"    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \"AWS\" : \"arn:aws:iam::%s:root\"\n    },\n"
#define TAIL "    \"Resource\" : \"*\"\n  } ]\n}"

/* What an AWS managed key's own policy leaves to its account: use it and look at it. */
#define ON_MANAGED                                                                                                     \
	"\"kms:Decrypt\", \"kms:DescribeKey\", \"kms:Encrypt\", \"kms:GenerateDataKey\", "                             \
	"\"kms:GenerateDataKeyWithoutPlaintext\", \"kms:GetKeyLastUsage\", \"kms:GetKeyPolicy\", "                     \
	"\"kms:GetKeyRotationStatus\", \"kms:ListAliases\", \"kms:ListGrants\", \"kms:ListKeyPolicies\", "             \
	"\"kms:ListKeyRotations\", \"kms:ListResourceTags\", \"kms:ReEncryptFrom\", \"kms:ReEncryptTo\""

static enum err own_document(const struct store_key *key, struct store_document *ret)
{
	struct store_document d AUTO_DOCUMENT = {NULL, strdup("{}")};
	int n;

	if (key->manager == KEY_MANAGER_AWS)
		n = asprintf(&d.text, HEAD PRINCIPAL "    \"Action\" : [ " ON_MANAGED " ],\n" TAIL, "auto-signetfs-1",
			"Use through signetfs", key->account);
	else
		n = asprintf(&d.text, HEAD PRINCIPAL "    \"Action\" : \"kms:*\",\n" TAIL, "key-default-1",
			"Enable IAM User Permissions", key->account);
	if (n < 0)
		d.text = NULL;
	if (d.text == NULL || d.principals == NULL)
		return ERR_NO_MEMORY;
	*ret = d;
	d = (struct store_document){NULL, NULL};
	return ERR_OK;
}

static enum err document_of(struct engine *engine, const struct store_key *key, struct store_document *ret)
{
	return key->policy == 0 ? own_document(key, ret) : store_key_policy(engine->store, key->policy, ret);
}

/* Between the reading of a key and of its policy another process may replace the policy: read the key again. */
static enum err document_now(struct engine *engine, struct store_key *key, struct store_document *ret)
{
	enum err e = ERR_NOT_FOUND;

	for (int i = 0; i < ATTEMPTS && e == ERR_NOT_FOUND; i++) {
		e = document_of(engine, key, ret);
		if (e == ERR_NOT_FOUND)
			TRY(store_key_find(engine->store, key->region, key->id, key));
	}
	return e;
}

enum err policy_text_of_key(struct engine *engine, const struct store_key *key, char **ret)
{
	struct store_document document AUTO_DOCUMENT = {NULL, NULL};
	struct store_key now = *key;

	TRY(document_now(engine, &now, &document));
	return identity_show(engine, &document, ret);
}

static struct policy_name name_of_key(const struct store_key *key)
{
	if (key->policy != 0)
		return (struct policy_name){SORT_KEY, (uint64_t)key->policy, 0};
	return (struct policy_name){
		key->manager == KEY_MANAGER_AWS ? SORT_MANAGED : SORT_DEFAULT, strtoull(key->account, NULL, 10), 0};
}

enum err policies_of_key(struct engine *engine, const struct store_key *key, struct policy_set **ret)
{
	struct policy_set *set AUTO_POLICIES = NULL;
	struct policy_name name = name_of_key(key);
	struct store_document document AUTO_DOCUMENT = {NULL, NULL};
	struct store_key now = *key;

	*ret = cache_get(engine->policies, &name);
	if (*ret != NULL)
		return ERR_OK;
	TRY(document_now(engine, &now, &document));
	set = set_new(1);
	if (set == NULL)
		return ERR_NO_MEMORY;
	TRY(set_add(set, POLICY_KEY, "default", &document));
	name = name_of_key(&now);
	cache_put(engine->policies, &name, set);
	*ret = STEAL(set);
	return ERR_OK;
}

/* ---- Policies of principals ---- */

static enum err take_attached(void *context, const char *name, const char *document)
{
	const struct store_document whole = {(char *)(uintptr_t)document, (char[]){"{}"}}; /* names no principals */
	struct policy_set *set = context;

	if (set->count == POLICIES_OF_PRINCIPAL_MAX)
		return err_fail(ERR_KEYSTORE, "a principal has too many policies, so it is not let in");
	return set_add(set, POLICY_IDENTITY, name, &whole);
}

enum err policies_of_principal(struct engine *engine, int64_t principal, struct policy_set **ret)
{
	struct policy_set *set AUTO_POLICIES = NULL;
	struct store_principal row, after;
	struct policy_name name;

	TRY(store_principal_get(engine->store, principal, &row));
	name = (struct policy_name){SORT_PRINCIPAL, (uint64_t)row.row, (uint64_t)row.version};
	*ret = cache_get(engine->policies, &name);
	if (*ret != NULL)
		return ERR_OK;
	set = set_new(POLICIES_OF_PRINCIPAL_MAX);
	if (set == NULL)
		return ERR_NO_MEMORY;
	TRY(store_principal_policy_list(engine->store, principal, take_attached, set));
	/* What was read is newer than the version when they differ: good for this call, and not to be kept. */
	TRY(store_principal_get(engine->store, principal, &after));
	if (after.version == row.version)
		cache_put(engine->policies, &name, set);
	*ret = STEAL(set);
	return ERR_OK;
}
