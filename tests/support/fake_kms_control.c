/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_kms_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

unsigned fake_kms_closed(struct fake_kms *f)
{
	unsigned n;

	fake_kms_lock(f);
	n = f->closed;
	fake_kms_unlock(f);
	return n;
}

const char *fake_kms_add_key(struct fake_kms *f, const char *alias)
{
	const char *arn;

	fake_kms_lock(f);
	arn = fake_kms_new_key(f, alias)->arn;
	fake_kms_unlock(f);
	return arn;
}

const char *fake_kms_arn(struct fake_kms *f, const char *key_id)
{
	const struct fake_key *k;

	fake_kms_lock(f);
	k = fake_kms_find_key(f, key_id);
	fake_kms_unlock(f);
	return k ? k->arn : NULL;
}

void fake_kms_set_state(struct fake_kms *f, const char *key_id, enum fake_kms_state state)
{
	fake_kms_lock(f);
	if (key_id) {
		struct fake_key *k = fake_kms_find_key(f, key_id);

		assert(k);
		k->state = state;
	}
	for (size_t i = 0; !key_id && i < f->key_count; i++)
		f->keys[i].state = state;
	fake_kms_unlock(f);
}

void fake_kms_fail_next(struct fake_kms *f, const char *operation, enum err error, unsigned count)
{
	fake_kms_lock(f);
	snprintf(f->fail_operation, sizeof(f->fail_operation), "%s", operation ? operation : "");
	f->fail_error = error;
	f->fail_count = count;
	fake_kms_unlock(f);
}

unsigned fake_kms_injected(struct fake_kms *f)
{
	unsigned n;

	fake_kms_lock(f);
	n = f->injected;
	fake_kms_unlock(f);
	return n;
}

void fake_kms_set_delay(struct fake_kms *f, uint64_t ns)
{
	fake_kms_lock(f);
	f->delay = ns;
	fake_kms_unlock(f);
}

static void set_blocking(struct fake_kms *f, int blocking)
{
	fake_kms_lock(f);
	f->blocking = blocking;
	pthread_cond_broadcast(&f->changed);
	fake_kms_unlock(f);
}

void fake_kms_block(struct fake_kms *f)
{
	set_blocking(f, 1);
}

void fake_kms_release(struct fake_kms *f)
{
	set_blocking(f, 0);
}

unsigned fake_kms_wait_blocked(struct fake_kms *f, unsigned n)
{
	struct timespec until;
	unsigned blocked;
	int late = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	fake_kms_lock(f);
	while (f->blocked < n && !late)
		late = pthread_cond_timedwait(&f->changed, &f->lock, &until) == ETIMEDOUT;
	blocked = f->blocked;
	fake_kms_unlock(f);
	return blocked;
}

void fake_kms_answer_as(struct fake_kms *f, const char *arn)
{
	fake_kms_lock(f);
	snprintf(f->answer_as, sizeof(f->answer_as), "%s", arn ? arn : "");
	fake_kms_unlock(f);
}

void fake_kms_answer_plaintext_size(struct fake_kms *f, size_t len)
{
	assert(len <= FAKE_PLAIN_MAX);
	fake_kms_lock(f);
	f->plaintext_size = len;
	fake_kms_unlock(f);
}

void fake_kms_set_blob_size(struct fake_kms *f, size_t len)
{
	assert(len >= FAKE_BLOB_MIN && len <= FAKE_BLOB_MAX);
	fake_kms_lock(f);
	f->blob_size = len;
	fake_kms_unlock(f);
}

unsigned fake_kms_calls(struct fake_kms *f, const char *operation)
{
	unsigned n = 0;

	fake_kms_lock(f);
	for (size_t i = 0; operation && i < FAKE_MAX_OPERATIONS; i++)
		if (f->counts[i].n && !strcmp(f->counts[i].operation, operation))
			n = f->counts[i].n;
	if (!operation)
		n = f->total;
	fake_kms_unlock(f);
	return n;
}

void fake_kms_reset_counts(struct fake_kms *f)
{
	fake_kms_lock(f);
	memset(f->counts, 0, sizeof(f->counts));
	f->total = 0;
	f->injected = 0;
	fake_kms_unlock(f);
}

json_t *fake_kms_last_context(struct fake_kms *f)
{
	json_t *copy;

	fake_kms_lock(f);
	copy = json_deep_copy(f->last_context);
	fake_kms_unlock(f);
	return copy;
}
