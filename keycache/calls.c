/* SPDX-License-Identifier: Apache-2.0 */
#include "keycache/keycache_internal.h"
#include "kms/base/encode.h"

#include <stdio.h>
#include <string.h>

#define CONTEXT_VOLUME "signetfs:volume"
#define CONTEXT_BUCKET "signetfs:bucket"
#define CONTEXT_FILE   "signetfs:file"

static struct kms_context make_context(const struct bucket_cache *cache, const char *name, const uint8_t id[16])
{
	struct kms_context c = {.count = 2};

	c.pair[0].name = CONTEXT_VOLUME;
	encode_uuid(cache->volume_id, c.pair[0].value);
	c.pair[1].name = name;
	encode_hex(id, 16, c.pair[1].value);
	return c;
}

struct kms_context call_bucket_context(const struct bucket_cache *cache, const struct bucket_id *id)
{
	return make_context(cache, CONTEXT_BUCKET, id->b);
}

struct kms_context call_file_context(const struct bucket_cache *cache, const uint8_t file_id[FILE_ID_SIZE])
{
	return make_context(cache, CONTEXT_FILE, file_id);
}

/* ---- Remembered failures ---- */

void failure_set(struct failure *f, enum err error, uint64_t until)
{
	f->error = error;
	f->until = until;
	snprintf(f->text, sizeof(f->text), "%s", err_text(error));
}

enum err failure_repeat(const struct failure *f)
{
	return err_fail(f->error, "%s", f->text);
}

int failure_is_fresh(const struct failure *f, uint64_t now)
{
	return f->error != ERR_OK && now < f->until;
}

uint64_t attempt_failure_until(const struct attempt *a, uint64_t now)
{
	return a->called ? now + BUCKET_FAILURE_TIME : now;
}

/* ---- What a person is told ---- */

enum news { NEWS_NONE, NEWS_REFUSED, NEWS_UNREACHABLE, NEWS_FAILED, NEWS_WORKS };

static struct troubled *find_troubled(struct bucket_cache *cache, const char *name)
{
	for (size_t i = 0; i < TROUBLED_MAX; i++)
		if (cache->troubled[i].name[0] && !strcmp(cache->troubled[i].name, name))
			return &cache->troubled[i];
	return NULL;
}

/* A free place, or the one whose trouble is oldest. */
static struct troubled *new_troubled(struct bucket_cache *cache)
{
	struct troubled *oldest = &cache->troubled[0];

	for (size_t i = 0; i < TROUBLED_MAX; i++) {
		if (!cache->troubled[i].name[0])
			return &cache->troubled[i];
		if (cache->troubled[i].since < oldest->since)
			oldest = &cache->troubled[i];
	}
	return oldest;
}

/* Exceptions, no answer, and answers that make no sense. */
static int is_of_kms(enum err e)
{
	return e <= ERR_KMS_UNREACHABLE;
}

/* These speak of one blob (a damaged header, another CMK's), not of the key: whoever opens the file says so. */
static int is_about_blob(enum err e)
{
	return e == ERR_KMS_INVALID_CIPHERTEXT || e == ERR_KMS_INCORRECT_KEY;
}

/* Trouble is news when it begins or becomes another; so is its end. With the lock held. */
static enum news note(struct bucket_cache *cache, const char *name, enum err e, uint64_t now)
{
	struct troubled *t = find_troubled(cache, name);

	if (e == ERR_OK && t) {
		t->name[0] = '\0';
		return NEWS_WORKS;
	}
	if (!is_of_kms(e) || is_about_blob(e) || (t && t->error == e))
		return NEWS_NONE;
	if (!t)
		t = new_troubled(cache);
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->error = e;
	t->since = now;
	if (kms_error_is_refusal(e))
		return NEWS_REFUSED;
	return e == ERR_KMS_UNREACHABLE ? NEWS_UNREACHABLE : NEWS_FAILED;
}

static void tell(const struct bucket_cache *cache, enum news news, const char *name, enum err e)
{
	switch (news) {
	case NEWS_NONE:
		return;
	case NEWS_REFUSED:
		report(cache->reporter, REPORT_NOTICE,
			"KMS key %s: refused (%s: %s); files under it cannot be opened, and open ones not be used once "
			"the "
			"cache time is over, until the KMS allows the key again",
			name, err_to_exception(e), err_text(e));
		return;
	case NEWS_UNREACHABLE:
		report(cache->reporter, REPORT_NOTICE,
			"KMS key %s: the KMS cannot be reached (%s); keys in memory work until their cache time is "
			"over",
			name, err_text(e));
		return;
	case NEWS_FAILED:
		report(cache->reporter, REPORT_NOTICE,
			"KMS key %s: no usable answer from the KMS (%s); keys in memory work until their cache time is "
			"over",
			name, err_text(e));
		return;
	case NEWS_WORKS:
		report(cache->reporter, REPORT_NOTICE, "KMS key %s: works again", name);
		return;
	}
}

/* ---- Calls ---- */

struct results {
	uint64_t *ok, *refused, *failed;
};

static enum err check_reachable(struct bucket_cache *cache, struct attempt *attempt)
{
	struct failure f;

	cache_lock(cache);
	f = cache->unreachable;
	cache_unlock(cache);
	if (failure_is_fresh(&f, cache_now(cache))) {
		attempt->repeated = 1;
		return failure_repeat(&f);
	}
	attempt->called = 1;
	return ERR_OK;
}

static void account(struct bucket_cache *cache, struct results r, const char *name, enum err e)
{
	uint64_t now = cache_now(cache);
	enum news news;

	cache_lock(cache);
	++*(e == ERR_OK ? r.ok : kms_error_is_refusal(e) ? r.refused : r.failed);
	if (e == ERR_KMS_UNREACHABLE)
		failure_set(&cache->unreachable, e, now + BUCKET_FAILURE_TIME);
	else
		cache->unreachable.error = ERR_OK;
	news = note(cache, name, e, now);
	cache_unlock(cache);
	tell(cache, news, name, e);
}

static struct call_target target_now(struct bucket_cache *cache)
{
	struct call_target t;

	cache_lock(cache);
	t = cache->target;
	cache_unlock(cache);
	return t;
}

enum err call_generate(struct bucket_cache *cache, const struct kms_context *context, struct attempt *attempt,
	uint8_t ret_key[KEY_SIZE], struct kms_wrapped_key *ret_wrapped, uint64_t *ret_live_until)
{
	struct bucket_cache_stats *s = &cache->stats;
	struct results r = {&s->generate_ok, &s->generate_refused, &s->generate_failed};
	uint64_t asked = cache_now(cache);
	struct call_target t;
	enum err e;

	TRY(check_reachable(cache, attempt));
	t = target_now(cache);
	e = kms_generate_data_key(t.kms, t.key_id, context, ret_key, ret_wrapped);
	account(cache, r, t.key_id, e);
	if (e != ERR_OK)
		return err_wrap(e, "asking the KMS for a data key under %s", t.key_id);
	*ret_live_until = asked + cache->cache_time;
	return ERR_OK;
}

enum err call_decrypt(struct bucket_cache *cache, const struct kms_context *context,
	const struct kms_wrapped_key *wrapped, struct attempt *attempt, uint8_t ret_key[KEY_SIZE],
	uint64_t *ret_live_until)
{
	struct bucket_cache_stats *s = &cache->stats;
	struct results r = {&s->decrypt_ok, &s->decrypt_refused, &s->decrypt_failed};
	uint64_t asked = cache_now(cache);
	enum err e;

	TRY(check_reachable(cache, attempt));
	e = kms_decrypt_data_key(target_now(cache).kms, wrapped, context, ret_key);
	account(cache, r, wrapped->key_arn, e);
	if (e != ERR_OK)
		return err_wrap(e, "asking the KMS to decrypt a key under %s", wrapped->key_arn);
	*ret_live_until = asked + cache->cache_time;
	return ERR_OK;
}
