/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kms/base/io.h"
#include "kms/base/random.h"
#include "kms/base/secret.h"
#include "tests/support/keystore.h"
#include "tests/support/prng.h"

/*
 * What is left of deleted keys in the keystore's raw bytes, after a life of insertions and deletions: SQLite moves rows from page to
 * page and leaves what it moved behind in the gaps of a page, where neither overwriting the row nor secure_delete reaches it.
 */

enum { ROUNDS = 30, KEYS_A_ROUND = 60, SEALED = 72, PIECE = 24, BACKINGS_MAX = 16384 };

/* One backing key that was ever inserted. */
struct sealed {
	int64_t key;
	uint8_t id[UUID_SIZE];
	int dead; /* the round in which it was destroyed; 0: it lives */
	uint8_t bytes[SEALED];
};

struct life {
	struct keystore *k;
	struct store *store;
	struct prng rng;
	int imports; /* some of the material is imported, and taken out again */
	int round;
	size_t count, dead;
	struct sealed *all;
};

static void add_backing(struct life *l, int64_t key)
{
	struct store_backing backing = {.key = key, .rotation = BACKING_ON_DEMAND, .created = KEYSTORE_WALL};
	struct sealed *s = &l->all[l->count++];

	assert_true(l->count <= BACKINGS_MAX);
	s->key = key;
	random_bytes(s->bytes, sizeof(s->bytes));
	random_uuid(s->id);
	memcpy(backing.id, s->id, UUID_SIZE);
	memset(backing.material_id, 'a', 64);
	assert_int_equal(store_backing_insert(l->store, &backing, s->bytes, sizeof(s->bytes)), ERR_OK);
}

static void add_key(struct life *l)
{
	struct store_key key = {.account = KEYSTORE_ACCOUNT,
		.region = KEYSTORE_REGION,
		.spec = "SYMMETRIC_DEFAULT",
		.usage = "ENCRYPT_DECRYPT",
		.origin = "AWS_KMS",
		.state = KEY_ENABLED,
		.created = KEYSTORE_WALL};

	random_uuid(key.id);
	assert_int_equal(store_key_insert(l->store, &key, "", &key.row), ERR_OK);
	add_backing(l, key.row);
}

/* Due for deletion at once. */
static void condemn(struct life *l, int64_t row)
{
	struct store_key key;
	size_t n;

	assert_int_equal(store_key_list(l->store, KEYSTORE_ACCOUNT, KEYSTORE_REGION, row - 1, 1, &key, &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(key.row, row);
	key.state = KEY_PENDING_DELETION;
	key.deletion_date = 1;
	assert_int_equal(store_key_update(l->store, &key), ERR_OK);
	for (size_t i = 0; i < l->count; i++) {
		if (l->all[i].key == row && !l->all[i].dead) {
			l->all[i].dead = l->round;
			l->dead++;
		}
	}
}

static struct sealed *any_alive(struct life *l)
{
	struct sealed *s;

	do {
		s = &l->all[prng_below(&l->rng, l->count)];
	} while (s->dead);
	return s;
}

/* Imported material that is taken out, and sometimes put in again. */
static void take_out(struct life *l)
{
	struct sealed *s = any_alive(l), *again = &l->all[l->count];

	assert_int_equal(store_backing_set_sealed(l->store, s->key, s->id, NULL, 0), ERR_OK);
	s->dead = l->round;
	l->dead++;
	if (prng_below(&l->rng, 2))
		return;
	assert_true(++l->count <= BACKINGS_MAX);
	*again = *s;
	again->dead = 0;
	random_bytes(again->bytes, sizeof(again->bytes));
	assert_int_equal(
		store_backing_set_sealed(l->store, again->key, again->id, again->bytes, sizeof(again->bytes)), ERR_OK);
}

static void live_a_round(struct life *l)
{
	uint64_t next;

	l->round++;
	assert_int_equal(store_begin(l->store), ERR_OK);
	for (int i = 0; i < KEYS_A_ROUND; i++) {
		add_key(l);
		add_backing(l, any_alive(l)->key);
		add_backing(l, any_alive(l)->key);
		if (i % 4)
			condemn(l, any_alive(l)->key);
		if (l->imports && i % 4 == 0)
			take_out(l);
	}
	assert_int_equal(store_commit(l->store), ERR_OK);
	assert_int_equal(engine_run_due(l->k->engine, &next), ERR_OK);
}

static void read_file(const char *path, const char *suffix, uint8_t **ret, size_t *ret_len)
{
	char name[160];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	assert_int_equal(io_read_file(AT_FDCWD, name, 64 << 20, ret, ret_len), ERR_OK);
}

/* Pieces of the material that died in this round, or with 0 of what lives, in one file. */
static size_t pieces_in(const struct life *l, const char *suffix, int dead)
{
	uint8_t *all;
	size_t len, found = 0;

	read_file(l->k->path, suffix, &all, &len);
	for (size_t i = 0; i < l->count; i++)
		for (size_t at = 0; l->all[i].dead == dead && at < SEALED; at += PIECE)
			found += memmem(all, len, l->all[i].bytes + at, PIECE) != NULL;
	secret_free(all);
	return found;
}

static void live_and_leave_nothing(struct keystore *k, struct prng rng, int imports)
{
	struct life l = {.k = k,
		.store = keystore_store(k),
		.rng = rng,
		.imports = imports,
		.all = calloc(BACKINGS_MAX, sizeof(*l.all))};

	assert_non_null(l.all);
	for (int i = 0; i < ROUNDS; i++) {
		live_a_round(&l);
		assert_int_equal(pieces_in(&l, "", l.round), 0);
		assert_int_equal(pieces_in(&l, "-wal", l.round), 0);
	}
	assert_true(l.dead > 1000 && l.count > l.dead);
	/* The search finds what is there: nothing that lives was lost on the way. */
	assert_int_equal(pieces_in(&l, "", 0), (l.count - l.dead) * (SEALED / PIECE));
	free(l.all);
	store_close(l.store);
}

/* A life after which SQLite 3.40 had left six pieces behind in spite of secure_delete. */
static void nothing_of_a_deleted_key_is_left_in_any_page(void **state)
{
	live_and_leave_nothing(*state, (struct prng){4}, 0);
}

static void nothing_is_left_after_any_life(void **state)
{
	struct prng rng;

	prng_init(&rng);
	live_and_leave_nothing(*state, rng, 1);
}

/* The log holds the pages that a transaction has changed. */
static size_t pages_changed(struct keystore *k)
{
	uint8_t *log;
	size_t len;

	read_file(k->path, "-wal", &log, &len);
	secret_free(log);
	return len / 4096;
}

/* Destroying one key's material costs the same beside ten other keys and beside three thousand. */
static void destroying_does_not_grow_with_the_keystore(void **state)
{
	struct keystore *k = *state;
	struct life l = {.k = k, .store = keystore_store(k), .all = calloc(BACKINGS_MAX, sizeof(*l.all))};
	size_t pages[2];

	assert_non_null(l.all);
	for (int many = 0; many < 2; many++) {
		assert_int_equal(store_begin(l.store), ERR_OK);
		for (int i = 0; i < (many ? 3000 : 10); i++)
			add_key(&l);
		assert_int_equal(store_commit(l.store), ERR_OK);
		assert_int_equal(store_checkpoint(l.store), ERR_OK);
		assert_int_equal(store_begin(l.store), ERR_OK);
		assert_int_equal(store_key_destroy(l.store, l.all[l.count / 2].key), ERR_OK);
		assert_int_equal(store_commit(l.store), ERR_OK);
		pages[many] = pages_changed(k);
		assert_int_equal(store_checkpoint(l.store), ERR_OK);
	}
	print_message("%zu pages, %zu pages\n", pages[0], pages[1]);
	assert_in_range(pages[0], 1, 30);
	assert_in_range(pages[1], 1, 30);
	free(l.all);
	store_close(l.store);
}

/* Deleting touches nobody else's: keys that stay keep all their generations, and other connections notice. */
static void keys_that_stay_keep_their_material(void **state)
{
	struct keystore *k = *state;
	struct engine *other = keystore_another(k), *first = k->engine;
	char doomed[64], kept[64], arn[ENGINE_ARN_SIZE], blob[512];
	uint64_t next;
	json_t *body;

	keystore_new_key(k, doomed, arn);
	keystore_new_key(k, kept, arn);
	body = keystore_ok(k, "Encrypt", "{'KeyId':'%s','Plaintext':'aGVsbG8='}", kept);
	keystore_text(body, "CiphertextBlob", blob);
	json_decref(body);
	k->engine = other;
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", kept);
	keystore_do(k, "ScheduleKeyDeletion", "{'KeyId':'%s','PendingWindowInDays':7}", doomed);
	clock_fake_advance(&k->clock, UINT64_C(8) * 86400 * CLOCK_SECOND);
	k->engine = first;
	assert_int_equal(engine_run_due(k->engine, &next), ERR_OK);
	k->engine = other;
	keystore_do(k, "RotateKeyOnDemand", "{'KeyId':'%s'}", kept);
	body = keystore_ok(k, "ListKeyRotations", "{'KeyId':'%s','IncludeKeyMaterial':'ALL_KEY_MATERIAL'}", kept);
	assert_int_equal(json_array_size(json_object_get(body, "Rotations")), 3);
	json_decref(body);
	engine_close(other);
	k->engine = first;
	keystore_reopen(k);
	body = keystore_ok(k, "Decrypt", "{'CiphertextBlob':'%s'}", blob);
	assert_string_equal(json_string_value(json_object_get(body, "Plaintext")), "aGVsbG8=");
	json_decref(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_of_a_deleted_key_is_left_in_any_page, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(nothing_is_left_after_any_life, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(
			destroying_does_not_grow_with_the_keystore, keystore_setup, keystore_teardown),
		cmocka_unit_test_setup_teardown(keys_that_stay_keep_their_material, keystore_setup, keystore_teardown),
	};

	return cmocka_run_group_tests_name("store_deletion", tests, NULL, NULL);
}
