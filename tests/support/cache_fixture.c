/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cache_fixture.h"
#include "kms/base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const struct bucket_id cache_fixture_vault;

static enum err load(void *context, const struct bucket_id *id, struct bucket_record *ret)
{
	struct cache_fixture *x = context;

	(void)id;
	atomic_fetch_add(&x->loads, 1);
	if (x->load_error != ERR_OK)
		return err_fail(x->load_error, "the test's record cannot be read");
	if (!x->has_record)
		return err_fail(ERR_NOT_FOUND, "no record");
	*ret = x->record;
	return ERR_OK;
}

static enum err save(void *context, const struct bucket_id *id, const struct bucket_record *record)
{
	struct cache_fixture *x = context;

	(void)id;
	atomic_fetch_add(&x->saves, 1);
	if (x->save_error != ERR_OK)
		return err_fail(x->save_error, "the test's disk is full");
	x->record = *record;
	x->has_record = 1;
	return ERR_OK;
}

static void emit(void *context, enum report_level level, const char *text)
{
	struct cache_fixture *x = context;

	/* Reports come from any thread. */
	pthread_mutex_lock(&x->report_lock);
	atomic_fetch_add(&x->reports[level], 1);
	snprintf(x->last_report, sizeof(x->last_report), "%s", text);
	pthread_mutex_unlock(&x->report_lock);
}

void cache_fixture_setup(struct cache_fixture *x)
{
	memset(x, 0, sizeof(*x));
	pthread_mutex_init(&x->report_lock, NULL);
	x->kms = fake_kms_new();
	x->arn = fake_kms_add_key(x->kms, "alias/vault");
	clock_fake_init(&x->clock, FIXTURE_START);
	x->reporter = (struct reporter){emit, x};
	x->config = (struct bucket_cache_config){
		.kms = fake_kms_client(x->kms),
		.key_id = "alias/vault",
		.store = {load, save, x},
		.clock = &x->clock.clock,
		.reporter = &x->reporter,
	};
	memset(x->config.volume_id, 0xa7, sizeof(x->config.volume_id));
	assert_int_equal(bucket_cache_new(&x->config, &x->cache), ERR_OK);
}

void cache_fixture_reopen(struct cache_fixture *x)
{
	bucket_cache_free(x->cache);
	x->cache = NULL;
	assert_int_equal(bucket_cache_new(&x->config, &x->cache), ERR_OK);
}

void cache_fixture_teardown(struct cache_fixture *x)
{
	bucket_cache_free(x->cache);
	fake_kms_free(x->kms);
}

struct bucket_ref *cache_fixture_wrap(struct cache_fixture *x)
{
	struct bucket_ref *ref = NULL;

	assert_int_equal(bucket_cache_acquire_for_wrap(x->cache, &cache_fixture_vault, &ref), ERR_OK);
	return ref;
}

struct bucket_ref *cache_fixture_unwrap(struct cache_fixture *x, const struct kms_wrapped_key *wrapped)
{
	struct bucket_ref *ref = NULL;

	assert_int_equal(bucket_cache_acquire_for_unwrap(x->cache, &cache_fixture_vault, wrapped, &ref), ERR_OK);
	return ref;
}

struct bucket_cache_stats cache_fixture_stats(const struct cache_fixture *x)
{
	struct bucket_cache_stats s;

	bucket_cache_stats(x->cache, &s);
	return s;
}

unsigned cache_fixture_generates(const struct cache_fixture *x)
{
	return fake_kms_calls(x->kms, "GenerateDataKey");
}

unsigned cache_fixture_decrypts(const struct cache_fixture *x)
{
	return fake_kms_calls(x->kms, "Decrypt");
}

struct kms_wrapped_key cache_fixture_foreign_key(struct cache_fixture *x, const struct bucket_id *id)
{
	struct kms_context c = {.count = 2};
	struct kms_wrapped_key wrapped;
	uint8_t key[KEY_SIZE];

	c.pair[0].name = "signetfs:volume";
	encode_uuid(x->config.volume_id, c.pair[0].value);
	c.pair[1].name = "signetfs:bucket";
	encode_hex(id->b, sizeof(id->b), c.pair[1].value);
	assert_int_equal(kms_generate_data_key(fake_kms_client(x->kms), "alias/vault", &c, key, &wrapped), ERR_OK);
	return wrapped;
}
