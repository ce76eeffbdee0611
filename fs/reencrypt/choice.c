/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "kms/base/kdf.h"

static enum err digest_of(const struct kms_wrapped_key *w, uint8_t ret[SHA256_SIZE])
{
	uint8_t in[KMS_ARN_MAX + 1 + KMS_BLOB_MAX];
	size_t arn_len = strlen(w->key_arn) + 1;

	memcpy(in, w->key_arn, arn_len);
	memcpy(in + arn_len, w->blob, w->blob_len);
	return kdf_sha256(in, arn_len + w->blob_len, ret);
}

static int is_same(const struct kms_wrapped_key *a, const struct kms_wrapped_key *b)
{
	return a->blob_len == b->blob_len && memcmp(a->blob, b->blob, a->blob_len) == 0 &&
	       strcmp(a->key_arn, b->key_arn) == 0;
}

static int is_noted(const struct move *m, const uint8_t digest[SHA256_SIZE])
{
	for (size_t i = m->j->key_count; i > 0; i--)
		if (memcmp(m->j->keys[i - 1], digest, SHA256_SIZE) == 0)
			return 1;
	return 0;
}

/* Under a bucket key that this move made? */
static int is_made_here(struct move *m, const struct kms_wrapped_key *w)
{
	uint8_t digest[SHA256_SIZE];
	int found;

	pthread_mutex_lock(&m->lock);
	found = is_same(w, &m->last) || (digest_of(w, digest) == ERR_OK && is_noted(m, digest));
	pthread_mutex_unlock(&m->lock);
	return found;
}

/* "arn:…:key/ID" and "ID" */
static int is_id_of(const char *id, const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash && strcmp(slash + 1, id) == 0;
}

int choice_is_from(const struct move *m, const struct kms_wrapped_key *wrapped)
{
	char backing[KMS_BACKING_SIZE];

	if (!m->j->from)
		return 1;
	if (strcmp(wrapped->key_arn, m->from_arn) == 0 || is_id_of(m->from_arn, wrapped->key_arn))
		return 1;
	kms_backing_key(wrapped, backing);
	return backing[0] && strcmp(backing, m->j->from) == 0;
}

/* Where the KMS does not tell backing keys, only what the move itself made is known to be under the current one. */
static int is_current(const struct move *m, const struct file_header *h)
{
	char backing[KMS_BACKING_SIZE];

	if (h->wrap != WRAP_BUCKET || !m->backing[0] || strcmp(h->kms_key.key_arn, m->target.key_arn) != 0)
		return 0;
	kms_backing_key(&h->kms_key, backing);
	return strcmp(backing, m->backing) == 0;
}

int choice_wants(void *context, const struct file_header *h)
{
	struct move *m = context;

	if (!choice_is_from(m, &h->kms_key) || is_made_here(m, &h->kms_key))
		return 0;
	return m->j->data || !is_current(m, h);
}

static void remember(struct journal *j, const uint8_t digest[SHA256_SIZE])
{
	if (j->key_count == JOURNAL_KEYS_MAX) {
		memmove(j->keys[0], j->keys[1], sizeof(j->keys) - sizeof(j->keys[0]));
		j->key_count--;
	}
	memcpy(j->keys[j->key_count++], digest, SHA256_SIZE);
}

enum err choice_note(void *context, const struct kms_wrapped_key *wrapped)
{
	struct move *m = context;
	uint8_t digest[SHA256_SIZE];
	enum err e = ERR_OK;

	pthread_mutex_lock(&m->lock);
	if (!is_same(wrapped, &m->last)) {
		e = digest_of(wrapped, digest);
		if (e == ERR_OK && !is_noted(m, digest)) {
			remember(m->j, digest);
			e = journal_write(m->v, m->j);
		}
		if (e == ERR_OK)
			m->last = *wrapped;
	}
	pthread_mutex_unlock(&m->lock);
	return e;
}

static void be_stuck(void *context, enum err e)
{
	struct move *m = context;

	pthread_mutex_lock(&m->lock);
	if (!atomic_load(&m->stuck)) {
		snprintf(m->why, sizeof(m->why), "%s", err_text(e));
		atomic_store(&m->stuck, e);
	}
	pthread_mutex_unlock(&m->lock);
}

struct vault_rekey_choice choice_of(struct move *m)
{
	return (struct vault_rekey_choice){.wants = choice_wants, .note = choice_note, .stuck = be_stuck, .context = m};
}
