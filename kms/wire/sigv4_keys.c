/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/wire/sigv4_keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/secret.h"

enum { ENTRIES = 64, SECRET_MAX = 128, DAY = 8 };

/* Derived from the day's date alone, not from the time of day. */
struct entry {
	char secret[SECRET_MAX]; /* "": free */
	char day[DAY], region[SIGV4_REGION_SIZE], service[SIGV4_SERVICE_SIZE];
	uint8_t key[SHA256_SIZE];
};

struct sigv4_keys {
	pthread_mutex_t lock;
	uint64_t found;
	struct entry *entry; /* secret memory */
};

struct sigv4_keys *sigv4_keys_new(void)
{
	struct sigv4_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return NULL;
	keys->entry = secret_alloc(ENTRIES * sizeof(*keys->entry));
	if (!keys->entry) {
		free(keys);
		return NULL;
	}
	pthread_mutex_init(&keys->lock, NULL);
	return keys;
}

void sigv4_keys_free(struct sigv4_keys *keys)
{
	if (!keys)
		return;
	secret_free(keys->entry);
	pthread_mutex_destroy(&keys->lock);
	free(keys);
}

static uint32_t add_hash(uint32_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * UINT32_C(0x01000193);
	return h;
}

static struct entry *place_of(struct sigv4_keys *keys, const char *access_key_id, const struct sigv4_scope *scope)
{
	uint32_t h = add_hash(add_hash(add_hash(UINT32_C(0x811c9dc5), access_key_id), scope->region), scope->service);

	return &keys->entry[(h ^ h >> 16) % ENTRIES];
}

static int is_of(const struct entry *e, const char *secret, const struct sigv4_scope *scope)
{
	size_t len = strlen(secret);

	return len > 0 && len < SECRET_MAX && strlen(e->secret) == len && secret_equal(e->secret, secret, len) &&
	       !memcmp(e->day, scope->date, DAY) && !strcmp(e->region, scope->region) &&
	       !strcmp(e->service, scope->service);
}

static void fill(struct entry *e, const char *secret, const struct sigv4_scope *scope, const uint8_t *key)
{
	size_t len = strlen(secret);

	if (len >= SECRET_MAX)
		return;
	secret_wipe(e, sizeof(*e));
	memcpy(e->secret, secret, len + 1);
	memcpy(e->day, scope->date, DAY);
	memcpy(e->region, scope->region, sizeof(e->region));
	memcpy(e->service, scope->service, sizeof(e->service));
	memcpy(e->key, key, SHA256_SIZE);
}

enum err sigv4_keys_get(struct sigv4_keys *keys, const char *access_key_id, const char *secret,
	const struct sigv4_scope *scope, uint8_t ret_key[SHA256_SIZE])
{
	struct entry *e = keys ? place_of(keys, access_key_id, scope) : NULL;
	int found;

	if (!e)
		return sigv4_signing_key(secret, scope, ret_key);
	pthread_mutex_lock(&keys->lock);
	found = is_of(e, secret, scope);
	if (found) {
		memcpy(ret_key, e->key, SHA256_SIZE);
		keys->found++;
	}
	pthread_mutex_unlock(&keys->lock);
	if (found)
		return ERR_OK;
	TRY(sigv4_signing_key(secret, scope, ret_key));
	pthread_mutex_lock(&keys->lock);
	fill(e, secret, scope, ret_key);
	pthread_mutex_unlock(&keys->lock);
	return ERR_OK;
}

void sigv4_keys_forget(struct sigv4_keys *keys)
{
	pthread_mutex_lock(&keys->lock);
	secret_wipe(keys->entry, ENTRIES * sizeof(*keys->entry));
	pthread_mutex_unlock(&keys->lock);
}

uint64_t sigv4_keys_found(struct sigv4_keys *keys)
{
	uint64_t n;

	pthread_mutex_lock(&keys->lock);
	n = keys->found;
	pthread_mutex_unlock(&keys->lock);
	return n;
}
