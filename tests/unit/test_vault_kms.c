/* SPDX-License-Identifier: Apache-2.0 */
/* What the KMS does to a vault: how often it is asked, and what happens when it refuses, goes away and comes back. */
#include "fs/format/file_header.h"
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define CACHE_TIME (300 * CLOCK_SECOND)

static void put_many(struct vault_fixture *x, unsigned from, unsigned to)
{
	char name[32];

	for (unsigned i = from; i < to; i++) {
		snprintf(name, sizeof(name), "file%u", i);
		assert_int_equal(vp_put(x->v, name, name, strlen(name)), ERR_OK);
	}
}

static void read_many(struct vault_fixture *x, unsigned from, unsigned to)
{
	char name[32];

	for (unsigned i = from; i < to; i++) {
		uint8_t *buf;
		size_t len;

		snprintf(name, sizeof(name), "file%u", i);
		assert_int_equal(vp_get(x->v, name, &buf, &len), ERR_OK);
		assert_int_equal(len, strlen(name));
		assert_memory_equal(buf, name, len);
		free(buf);
	}
}

static enum err get(struct vault_fixture *x, const char *name)
{
	uint8_t *buf;
	size_t len;
	enum err e = vp_get(x->v, name, &buf, &len);

	if (e == ERR_OK)
		free(buf);
	return e;
}

static void two_thousand_files(void **state)
{
	struct vault_fixture x;

	(void)state;
	vault_fixture_init_closed(&x, NULL);
	fake_kms_reset_counts(x.fake);
	vault_fixture_open(&x);
	put_many(&x, 0, 2000);
	/* The volume key, and the bucket key that making the vault left. */
	assert_int_equal(fake_kms_calls(x.fake, NULL), 2);
	fake_kms_reset_counts(x.fake);
	vault_fixture_reopen(&x);
	read_many(&x, 0, 2000);
	assert_int_equal(fake_kms_calls(x.fake, NULL), 2);
	assert_int_equal(fake_kms_calls(x.fake, "GenerateDataKey"), 0);
	vault_fixture_done(&x);
}

static void without_bucket_keys(void **state)
{
	const struct vault_create_options options = {.bucket_keys = 0};
	struct vault_fixture x;

	(void)state;
	vault_fixture_init_closed(&x, &options);
	assert_int_equal(fake_kms_calls(x.fake, NULL), 1);
	vault_fixture_open(&x);
	fake_kms_reset_counts(x.fake);
	put_many(&x, 0, 50);
	assert_int_equal(fake_kms_calls(x.fake, "GenerateDataKey"), 50);
	vault_fixture_reopen(&x);
	fake_kms_reset_counts(x.fake);
	read_many(&x, 0, 50);
	assert_int_equal(fake_kms_calls(x.fake, "Decrypt"), 50);
	assert_int_equal(fake_kms_calls(x.fake, NULL), 50);
	vault_fixture_done(&x);
}

/* A bucket key's lifetime in files; what older ones wrapped stays readable. */
static void bucket_keys_wear_out(void **state)
{
	const struct vault_create_options options = {.bucket_keys = 1, .lifetime_files = 100};
	struct vault_fixture x;

	(void)state;
	vault_fixture_init(&x, &options);
	fake_kms_reset_counts(x.fake);
	put_many(&x, 0, 1000);
	assert_in_range(fake_kms_calls(x.fake, "GenerateDataKey"), 9, 11);
	vault_fixture_reopen(&x);
	fake_kms_reset_counts(x.fake);
	read_many(&x, 0, 1000);
	assert_in_range(fake_kms_calls(x.fake, "Decrypt"), 10, 11);
	vault_fixture_done(&x);
}

/* Open files under one bucket key: when its time is over one call serves them all. */
static void renewal_is_one_call(void **state)
{
	struct vault_file *f[50];
	struct vault_fixture x;
	char name[32], buf[32];
	size_t len;

	(void)state;
	vault_fixture_init(&x, NULL);
	put_many(&x, 0, 50);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "file%u", i);
		assert_int_equal(vp_open(x.v, name, 1, &f[i]), ERR_OK);
		assert_int_equal(vault_file_read(f[i], 0, sizeof(buf), buf, &len), ERR_OK);
	}
	for (unsigned round = 0; round < 3; round++) {
		clock_fake_advance(&x.clock, CACHE_TIME + 1);
		fake_kms_reset_counts(x.fake);
		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(vault_file_read(f[i], 0, sizeof(buf), buf, &len), ERR_OK);
		assert_int_equal(fake_kms_calls(x.fake, NULL), 1);
	}
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(vault_file_close(f[i]), ERR_OK);
	vault_fixture_done(&x);
}

struct open_files {
	struct vault_fixture x;
	struct vault_file *old;   /* has content */
	struct vault_file *fresh; /* created, nothing written */
};

static void open_files_init(struct open_files *o)
{
	vault_fixture_init(&o->x, NULL);
	assert_int_equal(vp_put(o->x.v, "old", "content", 7), ERR_OK);
	assert_int_equal(vp_open(o->x.v, "old", 1, &o->old), ERR_OK);
	assert_int_equal(vp_create(o->x.v, "fresh", 0644, &o->fresh), ERR_OK);
}

/* Everything that needs a key: reading, writing, creating, on open and on newly opened files. */
static void assert_all(struct open_files *o, enum err expected, int errnum)
{
	char buf[16] = "untouched";
	struct vault_file *f;
	struct stat st;
	size_t len = 99;
	enum err e = vault_file_read(o->old, 0, 7, buf, &len);

	assert_int_equal(e, expected);
	assert_memory_equal(buf, expected == ERR_OK ? "contentd" : "untouched", 7);
	if (expected != ERR_OK)
		assert_int_equal(err_to_errno(e), errnum);
	assert_int_equal(vault_file_write(o->old, 0, "content", 7), expected);
	assert_int_equal(vault_file_write(o->fresh, 0, "fresh", 5), expected);
	assert_int_equal(get(&o->x, "old"), expected);
	e = vp_create(o->x.v, "another", 0644, &f);
	assert_int_equal(e, expected);
	if (e == ERR_OK) {
		assert_int_equal(vault_file_close(f), ERR_OK);
		assert_int_equal(vp_unlink(o->x.v, "another"), ERR_OK);
	} else {
		assert_int_equal(vp_stat(o->x.v, "another", &st), ERR_SYSTEM);
		assert_int_equal(err_errno(), ENOENT);
	}
	/* What needs no file key goes on. */
	assert_int_equal(vp_stat(o->x.v, "old", &st), ERR_OK);
	assert_int_equal(vp_mkdir(o->x.v, "d", 0700), ERR_OK);
	assert_int_equal(vp_rmdir(o->x.v, "d"), ERR_OK);
}

static void trouble(enum fake_kms_state kms, enum err expected, int errnum)
{
	struct open_files o;

	open_files_init(&o);
	fake_kms_set_state(o.x.fake, NULL, kms);
	/* What is cached works until its time is over, and not a moment longer. */
	clock_fake_advance(&o.x.clock, CACHE_TIME - CLOCK_SECOND);
	assert_all(&o, ERR_OK, 0);
	clock_fake_advance(&o.x.clock, CLOCK_SECOND);
	assert_all(&o, expected, errnum);
	clock_fake_advance(&o.x.clock, 10 * CACHE_TIME);
	assert_all(&o, expected, errnum);
	/* Healed without reopening anything. */
	fake_kms_set_state(o.x.fake, NULL, FAKE_KMS_ENABLED);
	clock_fake_advance(&o.x.clock, 60 * CLOCK_SECOND);
	assert_all(&o, ERR_OK, 0);
	assert_int_equal(vault_file_close(o.old), ERR_OK);
	assert_int_equal(vault_file_close(o.fresh), ERR_OK);
	vault_fixture_reopen(&o.x);
	assert_int_equal(get(&o.x, "fresh"), ERR_OK);
	vault_fixture_done(&o.x);
}

static void disabled(void **state)
{
	(void)state;
	trouble(FAKE_KMS_DISABLED, ERR_KMS_DISABLED, EACCES);
}

static void denied(void **state)
{
	(void)state;
	trouble(FAKE_KMS_DENIED, ERR_KMS_ACCESS_DENIED, EACCES);
}

static void unreachable(void **state)
{
	(void)state;
	trouble(FAKE_KMS_UNREACHABLE, ERR_KMS_UNREACHABLE, EIO);
}

/* A file that got no header because its key ran out is empty, in this session and after it, and costs the session its clean end. */
static void closed_while_refused(void **state)
{
	struct open_files o;
	uint8_t *buf;
	size_t len;

	(void)state;
	open_files_init(&o);
	fake_kms_set_state(o.x.fake, NULL, FAKE_KMS_DISABLED);
	clock_fake_advance(&o.x.clock, CACHE_TIME + 1);
	assert_int_equal(vault_file_close(o.fresh), ERR_KMS_DISABLED);
	assert_int_equal(vault_file_close(o.old), ERR_OK);
	fake_kms_set_state(o.x.fake, NULL, FAKE_KMS_ENABLED);
	clock_fake_advance(&o.x.clock, 60 * CLOCK_SECOND);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(vp_get(o.x.v, "fresh", &buf, &len), ERR_OK);
		assert_int_equal(len, 0);
		free(buf);
		vault_fixture_reopen(&o.x);
	}
	/* And may be written. */
	assert_int_equal(vp_open(o.x.v, "fresh", 1, &o.fresh), ERR_OK);
	assert_int_equal(vault_file_write(o.fresh, 3, "late", 4), ERR_OK);
	assert_int_equal(vault_file_close(o.fresh), ERR_OK);
	vault_fixture_reopen(&o.x);
	assert_int_equal(vp_get(o.x.v, "fresh", &buf, &len), ERR_OK);
	assert_int_equal(len, 7);
	assert_memory_equal(buf, "\0\0\0late", 7);
	free(buf);
	vault_fixture_done(&o.x);
}

static void opening_refused(void **state)
{
	struct vault_fixture x;

	(void)state;
	vault_fixture_init_closed(&x, NULL);
	fake_kms_set_state(x.fake, NULL, FAKE_KMS_DISABLED);
	assert_int_equal(vault_fixture_try_open(&x), ERR_KMS_DISABLED);
	assert_non_null(strstr(err_text(ERR_KMS_DISABLED), x.path));
	fake_kms_set_state(x.fake, NULL, FAKE_KMS_UNREACHABLE);
	assert_int_equal(vault_fixture_try_open(&x), ERR_KMS_UNREACHABLE);
	fake_kms_set_state(x.fake, NULL, FAKE_KMS_ENABLED);
	fake_kms_answer_as(x.fake, "arn:aws:kms:us-east-1:000000000000:key/somebody-elses");
	assert_int_equal(vault_fixture_try_open(&x), ERR_KMS_WRONG_ANSWER);
	fake_kms_answer_as(x.fake, NULL);
	vault_fixture_open(&x);
	vault_fixture_done(&x);
}

/* Long blobs, as some services have them, make longer headers; everything else is the same. */
static void long_blobs(void **state)
{
	const struct vault_create_options options = {.bucket_keys = 1};
	struct file_header h;
	struct vault_fixture x;
	struct vault_file *f;
	struct stat st;

	(void)state;
	vault_fixture_init_bare(&x);
	fake_kms_set_blob_size(x.fake, 700);
	assert_int_equal(vault_create(x.path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_OK);
	vault_fixture_open(&x);
	assert_int_equal(vault_descriptor(x.v)->header_length, 1024);
	put_many(&x, 0, 10);
	vault_fixture_reopen(&x);
	read_many(&x, 0, 10);
	assert_int_equal(vp_stat(x.v, "file7", &st), ERR_OK);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(vp_open(x.v, "file7", 1, &f), ERR_OK);
	assert_int_equal(vault_file_truncate(f, 100000), ERR_OK);
	assert_int_equal(vault_file_header(f, &h), ERR_OK);
	assert_int_equal(h.kms_key.blob_len, 700);
	assert_int_equal(h.size, 100000);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_reopen(&x);
	assert_int_equal(vp_stat(x.v, "file7", &st), ERR_OK);
	assert_int_equal(st.st_size, 100000);
	/* A service whose blobs outgrow the headers: refused before anything is made. */
	fake_kms_set_blob_size(x.fake, 1000);
	clock_fake_advance(&x.clock, 8 * 24 * 3600 * CLOCK_SECOND);
	assert_int_equal(vp_create(x.v, "late", 0644, &f), ERR_LIMIT);
	assert_int_equal(vp_stat(x.v, "late", &st), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENOENT);
	read_many(&x, 0, 7);
	vault_fixture_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_thousand_files),
		cmocka_unit_test(without_bucket_keys),
		cmocka_unit_test(bucket_keys_wear_out),
		cmocka_unit_test(renewal_is_one_call),
		cmocka_unit_test(disabled),
		cmocka_unit_test(denied),
		cmocka_unit_test(unreachable),
		cmocka_unit_test(closed_while_refused),
		cmocka_unit_test(opening_refused),
		cmocka_unit_test(long_blobs),
	};

	return cmocka_run_group_tests_name("vault: the KMS", tests, NULL, NULL);
}
