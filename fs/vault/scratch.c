/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/scratch.h"
#include "fs/vault/vault.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

static _Thread_local struct scratch *mine;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void scratch_free(void *p)
{
	struct scratch *s = p;

	if (!s)
		return;
	chunk_cipher_free(s->cipher);
	secret_free(s->plain);
	free(s->wide);
	free(s);
}

static void make_key(void)
{
	int failed = pthread_key_create(&key, scratch_free);

	assert(!failed);
	(void)failed;
}

static struct scratch *scratch_new(const struct aead_impl *aead)
{
	struct scratch *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);

	if (!s)
		return NULL;
	s->aead = aead;
	s->wide = NULL;
	s->cipher = chunk_cipher_new(aead);
	s->plain = secret_alloc(CHUNK_SIZE);
	if (s->cipher && s->plain)
		return s;
	scratch_free(s);
	return NULL;
}

enum err scratch_get(const struct aead_impl *aead, struct scratch **ret)
{
	if (mine && mine->aead == aead) {
		*ret = mine;
		return ERR_OK;
	}
	pthread_once(&once, make_key);
	vault_thread_cleanup();
	mine = scratch_new(aead);
	if (!mine)
		return err_fail(ERR_NO_MEMORY, "no (locked) memory for a thread's chunk buffers");
	pthread_setspecific(key, mine);
	*ret = mine;
	return ERR_OK;
}

enum err scratch_widen(struct scratch *s)
{
	if (!s->wide)
		s->wide = malloc(WIDE_STORED);
	return s->wide ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

void vault_thread_cleanup(void)
{
	if (!mine)
		return;
	pthread_setspecific(key, NULL);
	scratch_free(mine);
	mine = NULL;
}
