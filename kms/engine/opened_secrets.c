/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/engine/opened_secrets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/secret.h"

enum { ENTRIES = 64 };

struct entry {
	struct store_access_key row; /* sealed_len 0: free */
	char secret[ENGINE_SECRET_KEY_SIZE];
};

struct opened_secrets {
	pthread_mutex_t lock;
	struct entry *entry; /* secret memory */
};

struct opened_secrets *opened_secrets_new(void)
{
	struct opened_secrets *opened = calloc(1, sizeof(*opened));

	if (opened == NULL)
		return NULL;
	opened->entry = secret_alloc(ENTRIES * sizeof(*opened->entry));
	if (opened->entry == NULL) {
		free(opened);
		return NULL;
	}
	pthread_mutex_init(&opened->lock, NULL);
	return opened;
}

void opened_secrets_free(struct opened_secrets *opened)
{
	if (opened == NULL)
		return;
	secret_free(opened->entry);
	pthread_mutex_destroy(&opened->lock);
	free(opened);
}

/* Ids are random: their ends are as good as a hash. */
static struct entry *place_of(struct opened_secrets *opened, const struct store_access_key *row)
{
	size_t len = strlen(row->id), h = 0;

	for (size_t i = len > 4 ? len - 4 : 0; i < len; i++)
		h = h * 31 + (unsigned char)row->id[i];
	return &opened->entry[h % ENTRIES];
}

static int is_of(const struct entry *e, const struct store_access_key *row)
{
	return row->sealed_len > 0 && e->row.sealed_len == row->sealed_len &&
	       memcmp(e->row.sealed, row->sealed, row->sealed_len) == 0 && strcmp(e->row.id, row->id) == 0 &&
	       strcmp(e->row.arn, row->arn) == 0;
}

int opened_secrets_get(
	struct opened_secrets *opened, const struct store_access_key *row, char ret_secret[ENGINE_SECRET_KEY_SIZE])
{
	const struct entry *e = place_of(opened, row);
	int found;

	pthread_mutex_lock(&opened->lock);
	found = is_of(e, row);
	if (found)
		memcpy(ret_secret, e->secret, ENGINE_SECRET_KEY_SIZE);
	pthread_mutex_unlock(&opened->lock);
	return found;
}

void opened_secrets_put(
	struct opened_secrets *opened, const struct store_access_key *row, const char secret[ENGINE_SECRET_KEY_SIZE])
{
	struct entry *e = place_of(opened, row);

	pthread_mutex_lock(&opened->lock);
	e->row = *row;
	memcpy(e->secret, secret, ENGINE_SECRET_KEY_SIZE);
	pthread_mutex_unlock(&opened->lock);
}

void opened_secrets_forget(struct opened_secrets *opened)
{
	pthread_mutex_lock(&opened->lock);
	secret_wipe(opened->entry, ENTRIES * sizeof(*opened->entry));
	pthread_mutex_unlock(&opened->lock);
}
