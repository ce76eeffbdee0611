/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/random.h"
#include "kms/base/secret.h"
#include "tests/support/child.h"
#include "tests/support/keystore.h"
#include "tests/support/prng.h"

/* The keystore as a file: made once, opened with the right key, told apart when wrong, damaged, newer, cut. */

static enum err try_open(const char *path, const struct root_key *root)
{
	const struct engine_config config = {.keystore = path, .root_key = root};
	struct engine *engine;
	enum err e = engine_open(&config, &engine);

	if (e == ERR_OK)
		engine_close(engine);
	return e;
}

static void read_all(const char *path, uint8_t **ret, size_t *ret_len)
{
	assert_int_equal(io_read_file(AT_FDCWD, path, 64 << 20, ret, ret_len), ERR_OK);
}

static void write_all(const char *path, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, p, len), ERR_OK);
	close(fd);
}

static void patch(const char *path, off_t offset, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, len, offset), len);
	close(fd);
}

static void creation_is_private_and_never_overwrites(void **state)
{
	struct keystore *k = *state;
	struct stat st;
	uint8_t *before, *after;
	size_t len_before, len_after;
	char nested[160];

	assert_int_equal(stat(k->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	engine_close(k->engine);
	k->engine = NULL;
	read_all(k->path, &before, &len_before);
	assert_int_equal(engine_create(k->path, &k->root, "other", 5), ERR_EXISTS);
	assert_non_null(strstr(err_text(ERR_EXISTS), k->path));
	read_all(k->path, &after, &len_after);
	assert_int_equal(len_before, len_after);
	assert_memory_equal(before, after, len_before);
	secret_free(before);
	secret_free(after);
	snprintf(nested, sizeof(nested), "%s/a/b/kms.db", k->dir);
	assert_int_equal(engine_create(nested, &k->root, "", 0), ERR_OK);
	assert_int_equal(try_open(nested, &k->root), ERR_OK);
	unlink(nested);
	snprintf(nested, sizeof(nested), "%s/a/b", k->dir);
	assert_int_equal(stat(nested, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(rmdir(nested), 0); /* nothing half-made was left beside it */
	snprintf(nested, sizeof(nested), "%s/a", k->dir);
	rmdir(nested);
}

static void note(void *context, enum report_level level, const char *text)
{
	assert_int_equal(level, REPORT_WARNING);
	snprintf(context, 512, "%s", text);
}

static void a_keystore_that_others_can_read_is_reported(void **state)
{
	struct keystore *k = *state;
	char said[512] = "";
	const struct reporter reporter = {note, said};
	const struct engine_config config = {.keystore = k->path, .root_key = &k->root, .reporter = &reporter};
	struct engine *engine;

	assert_int_equal(engine_open(&config, &engine), ERR_OK);
	engine_close(engine);
	assert_string_equal(said, "");
	assert_int_equal(chmod(k->path, 0640), 0);
	assert_int_equal(engine_open(&config, &engine), ERR_OK);
	engine_close(engine);
	assert_non_null(strstr(said, "chmod 600"));
}

static void root_params_need_no_key(void **state)
{
	struct keystore *k = *state;
	uint8_t *params;
	size_t len;

	assert_int_equal(store_read_root_params(k->path, &params, &len), ERR_OK);
	assert_int_equal(len, 6);
	assert_memory_equal(params, "params", 6);
	free(params);
	assert_int_equal(store_read_root_params("/nonexistent/kms.db", &params, &len), ERR_NOT_FOUND);
}

static void a_wrong_root_key_is_not_damage(void **state)
{
	struct keystore *k = *state;
	struct root_key wrong = k->root;

	wrong.b[31] ^= 1;
	assert_int_equal(try_open(k->path, &wrong), ERR_ROOT_KEY);
	assert_non_null(strstr(err_text(ERR_ROOT_KEY), "the keystore itself is sound"));
	assert_int_equal(try_open(k->path, NULL), ERR_ROOT_KEY);
	assert_int_equal(try_open(k->path, &k->root), ERR_OK);
}

/* Where in the file do the bytes of a meta record lie? */
static off_t find(const char *path, const void *needle, size_t needle_len, size_t skip)
{
	uint8_t *all, *at;
	size_t len;
	off_t offset;

	read_all(path, &all, &len);
	at = memmem(all, len, needle, needle_len);
	assert_non_null(at);
	offset = at - all + (off_t)skip;
	secret_free(all);
	return offset;
}

static void damage_is_not_a_wrong_root_key(void **state)
{
	static const struct {
		const char *record;
		size_t len;
	} cases[] = {{STORE_META_VERIFIER, 64}, {STORE_META_SECRET, 72}, {STORE_META_ID, 16}};
	struct keystore *k = *state;

	engine_close(k->engine); /* the log is merged into the file */
	k->engine = NULL;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t name_len = strlen(cases[i].record);
		off_t offset = find(k->path, cases[i].record, name_len, name_len);

		for (size_t at = 0; at < cases[i].len; at++) {
			uint8_t *all;
			size_t len;

			read_all(k->path, &all, &len);
			all[offset + (off_t)at] ^= 0x40;
			patch(k->path, offset + (off_t)at, &all[offset + (off_t)at], 1);
			assert_int_equal(try_open(k->path, &k->root), ERR_KEYSTORE);
			all[offset + (off_t)at] ^= 0x40;
			patch(k->path, offset + (off_t)at, &all[offset + (off_t)at], 1);
			secret_free(all);
		}
	}
	assert_int_equal(try_open(k->path, &k->root), ERR_OK);
}

static void what_is_no_keystore(void **state)
{
	struct keystore *k = *state;
	char path[160];

	assert_int_equal(try_open("/nonexistent/kms.db", &k->root), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(ERR_NOT_FOUND), "signetfs kms init"));
	assert_int_equal(try_open(k->dir, &k->root), ERR_KEYSTORE);
	snprintf(path, sizeof(path), "%s/other", k->dir);
	write_all(path, "", 0);
	assert_int_equal(try_open(path, &k->root), ERR_KEYSTORE);
	write_all(path, "not a database, but text that somebody wrote", 44);
	assert_int_equal(try_open(path, &k->root), ERR_KEYSTORE);
	unlink(path);
}

/* user_version is the 4 big-endian bytes at offset 60 of an SQLite file, application_id those at 68. */
static void a_newer_schema_names_both_versions(void **state)
{
	static const uint8_t newer[4] = {0, 0, 0, 99}, foreign[4] = {0, 0, 0, 1};
	struct keystore *k = *state;
	char known[32];

	engine_close(k->engine);
	k->engine = NULL;
	patch(k->path, 60, newer, 4);
	assert_int_equal(try_open(k->path, &k->root), ERR_UNSUPPORTED);
	assert_non_null(strstr(err_text(ERR_UNSUPPORTED), "version 99"));
	snprintf(known, sizeof(known), "up to %d;", STORE_SCHEMA_VERSION);
	assert_non_null(strstr(err_text(ERR_UNSUPPORTED), known));
	patch(k->path, 68, foreign, 4);
	assert_int_equal(try_open(k->path, &k->root), ERR_KEYSTORE);
	assert_non_null(strstr(err_text(ERR_KEYSTORE), "not a signetfs keystore"));
}

static void every_truncation_is_damage(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], path[160];
	uint8_t *all;
	size_t len, tried = 0;

	for (int i = 0; i < 20; i++)
		keystore_new_key(k, id, arn);
	engine_close(k->engine);
	k->engine = NULL;
	read_all(k->path, &all, &len);
	snprintf(path, sizeof(path), "%s/cut", k->dir);
	for (size_t n = 0; n < len; n += n < 128 ? 1 : 1021, tried++) {
		enum err e;

		write_all(path, all, n);
		e = try_open(path, &k->root);
		if (e != ERR_KEYSTORE)
			fail_msg("cut to %zu of %zu bytes: %s %s", n, len, err_name(e), err_text(e));
	}
	assert_true(tried > 128);
	secret_free(all);
	unlink(path);
}

/* Any byte may be anything: no crash, and never an answer that is not the right one. */
static void random_damage_never_gives_a_wrong_answer(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], blob[512], path[160];
	uint8_t *all, *damaged;
	size_t len, refused = 0;
	struct prng rng;
	json_t *body;

	prng_init(&rng);
	keystore_new_key(k, id, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", id);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	engine_close(k->engine);
	read_all(k->path, &all, &len);
	damaged = malloc(len);
	snprintf(path, sizeof(path), "%s", k->path);
	for (int i = 0; i < 300; i++) {
		const struct engine_config config = {
			.keystore = path, .root_key = &k->root, .region = KEYSTORE_REGION, .clock = &k->clock.clock};

		memcpy(damaged, all, len);
		for (int n = 0; n < 20; n++)
			damaged[prng_below(&rng, len)] = (uint8_t)prng_below(&rng, 256);
		write_all(path, damaged, len);
		if (engine_open(&config, &k->engine) != ERR_OK) {
			refused++;
			continue;
		}
		{
			json_t *request = json_pack("{s:s}", "CiphertextBlob", blob);
			struct engine_reply reply;

			engine_call(k->engine, &k->caller, "Decrypt", request, &reply);
			if (reply.error == ERR_OK)
				assert_string_equal(
					json_string_value(json_object_get(reply.body, "Plaintext")), "aGVsbG8=");
			json_decref(reply.body);
			json_decref(request);
		}
		engine_close(k->engine);
	}
	k->engine = NULL;
	assert_true(refused > 0);
	free(damaged);
	secret_free(all);
}

static size_t occurrences(const char *path, const uint8_t *needle, size_t len)
{
	uint8_t *all;
	size_t total, n = 0;

	if (access(path, F_OK) != 0)
		return 0;
	read_all(path, &all, &total);
	for (size_t i = 0; i + len <= total; i++)
		n += memcmp(all + i, needle, len) == 0;
	secret_free(all);
	return n;
}

/* A stolen file and log hold neither key material nor access key secrets, as bytes or as text. */
static void a_stolen_file_holds_no_secret(void **state)
{
	struct keystore *k = *state;
	char id[ENGINE_ACCESS_KEY_ID_SIZE], secret[ENGINE_SECRET_KEY_SIZE], key[64], arn[ENGINE_ARN_SIZE], wal[128];
	uint8_t data_key[64];
	size_t len;
	json_t *body;
	char text[512];

	snprintf(wal, sizeof(wal), "%s-wal", k->path);
	keystore_new_key(k, key, arn);
	assert_int_equal(engine_access_key_create(k->engine, NULL, NULL, id, secret), ERR_OK);
	body = keystore_ok(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", key);
	keystore_text(body, "Plaintext", text);
	json_decref(body);
	assert_int_equal(decode_base64(text, strlen(text), data_key, sizeof(data_key), &len), ERR_OK);
	for (int merged = 0; merged < 2; merged++) {
		assert_int_equal(occurrences(k->path, k->root.b, 32) + occurrences(wal, k->root.b, 32), 0);
		assert_int_equal(
			occurrences(k->path, (uint8_t *)secret, 40) + occurrences(wal, (uint8_t *)secret, 40), 0);
		assert_int_equal(occurrences(k->path, data_key, 32) + occurrences(wal, data_key, 32), 0);
		assert_int_equal(occurrences(k->path, (uint8_t *)text, 43) + occurrences(wal, (uint8_t *)text, 43), 0);
		/* The search finds what is there. */
		assert_true(occurrences(k->path, (uint8_t *)id, 20) + occurrences(wal, (uint8_t *)id, 20) > 0);
		keystore_reopen(k);
	}
}

/* The sealed bytes of a backing key, so that a test can look for them. */
static size_t sealed_of(struct keystore *k, const char *key_id, uint8_t *buf, size_t size)
{
	struct store *store = keystore_store(k);
	struct store_key key;
	uint8_t id[UUID_SIZE];
	size_t len;

	assert_int_equal(decode_uuid(key_id, strlen(key_id), id), ERR_OK);
	assert_int_equal(store_key_find(store, KEYSTORE_REGION, id, &key), ERR_OK);
	assert_int_equal(store_backing_sealed(store, key.row, key.current, buf, size, &len), ERR_OK);
	store_close(store);
	return len;
}

static void deletion_leaves_nothing_in_file_or_log(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE], wal[128];
	uint8_t sealed[128];
	uint64_t next;
	size_t len;

	snprintf(wal, sizeof(wal), "%s-wal", k->path);
	keystore_new_key(k, id, arn);
	len = sealed_of(k, id, sealed, sizeof(sealed));
	assert_true(occurrences(k->path, sealed, len) + occurrences(wal, sealed, len) > 0);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", id);
	clock_fake_advance(&k->clock, UINT64_C(8) * 86400 * CLOCK_SECOND);
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	assert_int_equal(occurrences(k->path, sealed, len), 0);
	assert_int_equal(occurrences(wal, sealed, len), 0);
}

static int open_without_write_permission(void *context)
{
	struct keystore *k = context;
	char shm[160];

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 1;
	snprintf(shm, sizeof(shm), "%s-shm", k->path);
	if (chmod(k->path, 0400) != 0 || try_open(k->path, &k->root) != ERR_SYSTEM)
		return 2;
	if (err_errno() != EACCES || strstr(err_text(ERR_SYSTEM), "permissions") == NULL)
		return 3;
	if (access(shm, F_OK) == 0)
		return 4;
	if (chmod(k->path, 0600) != 0 || try_open(k->path, &k->root) != ERR_OK)
		return 5;
	return 0;
}

/*
 * SQLite makes its shared memory file with the keystore's mode: a try on one that was read-only left a read-only file behind, and
 * the keystore could not be opened even after chmod.
 */
static void a_keystore_that_was_read_only_opens_after_chmod(void **state)
{
	struct keystore *k = *state;

	engine_close(k->engine);
	k->engine = NULL;
	if (geteuid() == 0) {
		assert_int_equal(chown(k->path, 65534, 65534), 0);
		assert_int_equal(chown(k->dir, 65534, 65534), 0);
	}
	assert_int_equal(child_run(open_without_write_permission, k), 0);
}

/* A row's sealed material moved under another key's row does not open. */
static void swapped_rows_do_not_open(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn[ENGINE_ARN_SIZE];
	uint8_t sealed_a[128], sealed_b[128];
	off_t at;

	keystore_new_key(k, a, arn);
	keystore_new_key(k, b, arn);
	assert_int_equal(sealed_of(k, a, sealed_a, sizeof(sealed_a)), 72);
	assert_int_equal(sealed_of(k, b, sealed_b, sizeof(sealed_b)), 72);
	engine_close(k->engine);
	k->engine = NULL;
	at = find(k->path, sealed_a, 72, 0);
	patch(k->path, at, sealed_b, 72);
	keystore_reopen(k);
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", a);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", b);
}

static void swapped_generations_do_not_open(void **state)
{
	struct keystore *k = *state;
	char id[64], arn[ENGINE_ARN_SIZE];
	uint8_t first[128], second[128];

	keystore_new_key(k, id, arn);
	assert_int_equal(sealed_of(k, id, first, sizeof(first)), 72);
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", id);
	assert_int_equal(sealed_of(k, id, second, sizeof(second)), 72);
	engine_close(k->engine);
	k->engine = NULL;
	patch(k->path, find(k->path, second, 72, 0), first, 72);
	keystore_reopen(k);
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", id);
}

/* The whole row of another key's backing key, its id included. */
static void a_grafted_row_does_not_open(void **state)
{
	struct keystore *k = *state;
	char a[64], b[64], arn[ENGINE_ARN_SIZE];
	uint8_t sealed[128], id[UUID_SIZE];
	struct store_key key_a, key_b;
	struct store_backing row;
	struct store *store;

	keystore_new_key(k, a, arn);
	keystore_new_key(k, b, arn);
	assert_int_equal(sealed_of(k, a, sealed, sizeof(sealed)), 72);
	store = keystore_store(k);
	assert_int_equal(decode_uuid(a, 36, id), ERR_OK);
	assert_int_equal(store_key_find(store, KEYSTORE_REGION, id, &key_a), ERR_OK);
	assert_int_equal(decode_uuid(b, 36, id), ERR_OK);
	assert_int_equal(store_key_find(store, KEYSTORE_REGION, id, &key_b), ERR_OK);
	assert_int_equal(store_backing_find(store, key_a.row, key_a.current, &row), ERR_OK);
	row.key = key_b.row;
	assert_int_equal(store_begin(store), ERR_OK);
	assert_int_equal(store_backing_insert(store, &row, sealed, 72), ERR_OK);
	memcpy(key_b.current, key_a.current, UUID_SIZE);
	assert_int_equal(store_key_update(store, &key_b), ERR_OK);
	assert_int_equal(store_commit(store), ERR_OK);
	store_close(store);
	keystore_do(k, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", a); /* A's is in the cache now */
	keystore_fails(k, ERR_KMS_INTERNAL, NULL, "GenerateDataKey", "{'KeyId':'%s','KeySpec':'AES_256'}", b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, keystore_setup, keystore_teardown)
		TEST(creation_is_private_and_never_overwrites),
		TEST(a_keystore_that_others_can_read_is_reported),
		TEST(root_params_need_no_key),
		TEST(a_wrong_root_key_is_not_damage),
		TEST(damage_is_not_a_wrong_root_key),
		TEST(what_is_no_keystore),
		TEST(a_newer_schema_names_both_versions),
		TEST(every_truncation_is_damage),
		TEST(random_damage_never_gives_a_wrong_answer),
		TEST(a_stolen_file_holds_no_secret),
		TEST(a_keystore_that_was_read_only_opens_after_chmod),
		TEST(deletion_leaves_nothing_in_file_or_log),
		TEST(swapped_rows_do_not_open),
		TEST(swapped_generations_do_not_open),
		TEST(a_grafted_row_does_not_open),
	};

	return cmocka_run_group_tests_name("store_file", tests, NULL, NULL);
}
