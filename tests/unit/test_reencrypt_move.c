/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a vault to other keys: what moves, what the KMS is asked, and every refusal, over the fake KMS. */
#include "tests/support/move_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "fs/reencrypt/journal.h"

/* ---- What moves ---- */

static void rewrap_moves_everything_and_counts(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	fake_kms_reset_counts(m.x.fake);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES);
	assert_int_equal(m.result.failed, 0);
	assert_int_equal(fake_kms_calls(m.x.fake, "GenerateDataKey"), 1);
	assert_int_equal(fake_kms_calls(m.x.fake, "ReEncrypt"), 1);
	/* The proof of the volume key; the bucket key is in the cache of the vault that wrote the files. */
	assert_int_equal(fake_kms_calls(m.x.fake, "Decrypt"), 1);
	move_check_all_under(&m, "alias/new");
	fake_kms_set_state(m.x.fake, "alias/old", FAKE_KMS_DELETED);
	vault_fixture_reopen(&m.x);
	move_check_contents(&m);
	move_fixture_done(&m);
}

static void an_old_bucket_key_costs_one_decrypt(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	vault_fixture_reopen(&m.x);
	fake_kms_reset_counts(m.x.fake);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new", .jobs = 4}), ERR_OK);
	assert_int_equal(fake_kms_calls(m.x.fake, "Decrypt"), 2);
	assert_int_equal(fake_kms_calls(m.x.fake, "GenerateDataKey"), 1);
	move_fixture_done(&m);
}

static void running_it_again_moves_only_what_its_key_did_not_make(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new", .only = "d"}), ERR_OK);
	assert_int_equal(m.result.moved, 2);
	move_check_contents(&m);
	assert_string_equal(vault_descriptor(m.x.v)->key_id, "alias/old");
	/* The fake KMS does not tell backing keys, so what the run before wrapped is wrapped once more. */
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES);
	move_check_all_under(&m, "alias/new");
	move_fixture_done(&m);
}

static void from_leaves_other_keys_alone(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new", .from = "alias/third"}), ERR_OK);
	assert_int_equal(m.result.moved, 0);
	assert_int_equal(m.result.kept, MOVE_FILES);
	assert_string_equal(vault_descriptor(m.x.v)->key_id, "alias/old");
	assert_int_equal(
		move_run(&m, &(struct move_how){.to = "alias/new", .from = fake_kms_arn(m.x.fake, "alias/old")}),
		ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES);
	move_check_all_under(&m, "alias/new");
	move_fixture_done(&m);
}

static void data_gives_every_file_another_key(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	move_note_file_ids(&m);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new", .data = 1}), ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES);
	move_check_file_ids_changed(&m);
	move_check_all_under(&m, "alias/new");
	fake_kms_set_state(m.x.fake, "alias/old", FAKE_KMS_DELETED);
	vault_fixture_reopen(&m.x);
	move_check_contents(&m);
	move_fixture_done(&m);
}

static void bucket_keys_off_becomes_on(void **state)
{
	const struct vault_create_options off = {.key_id = "alias/old", .bucket_keys = 0};
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, &off);
	fake_kms_reset_counts(m.x.fake);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_OK);
	/* Each data key is under the CMK itself: that many calls to get away from it, and one as the proof. */
	assert_int_equal(fake_kms_calls(m.x.fake, "Decrypt"), MOVE_FILES + 1);
	assert_int_equal(fake_kms_calls(m.x.fake, "GenerateDataKey"), 1);
	assert_int_equal(vault_descriptor(m.x.v)->bucket_keys, 1);
	vault_fixture_reopen(&m.x);
	fake_kms_reset_counts(m.x.fake);
	move_check_contents(&m);
	assert_int_equal(fake_kms_calls(m.x.fake, NULL), 1);
	move_fixture_done(&m);
}

static void two_kms(void **state)
{
	struct fake_kms *other = fake_kms_new();
	struct move_fixture m;

	(void)state;
	fake_kms_add_key(other, "alias/first");
	fake_kms_add_key(other, "alias/there");
	move_fixture_init(&m, NULL);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/there", .other = other}), ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES);
	assert_int_equal(fake_kms_calls(other, "Encrypt"), 1);
	assert_int_equal(fake_kms_calls(other, "Decrypt"), 1);
	assert_int_equal(fake_kms_calls(other, "GenerateDataKey"), 1);
	assert_int_equal(fake_kms_calls(m.x.fake, "ReEncrypt"), 0);
	assert_string_equal(vault_descriptor(m.x.v)->endpoint, "unix:/other");
	vault_fixture_close(&m.x);
	struct fake_kms *old = m.x.fake;
	m.x.fake = other;
	vault_fixture_open(&m.x);
	move_check_contents(&m);
	vault_fixture_close(&m.x);
	m.x.fake = old;
	move_fixture_done(&m);
	fake_kms_free(other);
}

/* ---- Refusals: nothing is lost, and nothing changed that need not be ---- */

static void a_target_that_refuses_changes_nothing(void **state)
{
	static const struct {
		enum fake_kms_state state;
		enum err expected;
	} cases[] = {
		{FAKE_KMS_DENIED, ERR_KMS_ACCESS_DENIED},
		{FAKE_KMS_DISABLED, ERR_KMS_DISABLED},
		{FAKE_KMS_PENDING_DELETION, ERR_KMS_INVALID_STATE},
		{FAKE_KMS_DELETED, ERR_KMS_NOT_FOUND},
	};
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_kms_set_state(m.x.fake, "alias/new", cases[i].state);
		assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), cases[i].expected);
		assert_int_equal(m.result.moved, 0);
		move_check_all_under(&m, "alias/old");
	}
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/none"}), ERR_KMS_NOT_FOUND);
	fake_kms_set_state(m.x.fake, "alias/new", FAKE_KMS_ENABLED);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_OK);
	move_check_all_under(&m, "alias/new");
	move_fixture_done(&m);
}

/* A bucket key wraps four times here, once to show that it can: the second one is refused. */
static void a_target_that_refuses_half_way_is_gone_on_with_later(void **state)
{
	const struct vault_create_options three = {.key_id = "alias/old", .bucket_keys = 1, .lifetime_files = 4};
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, &three);
	m.deny_after = 1;
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_KMS_ACCESS_DENIED);
	assert_int_equal(m.result.moved, 3);
	assert_int_equal(m.result.failed, 0);
	fake_kms_set_state(m.x.fake, "alias/new", FAKE_KMS_ENABLED);
	clock_fake_advance(&m.x.clock, 10 * CLOCK_SECOND);
	vault_fixture_reopen(&m.x);
	move_check_contents(&m);
	m.deny_after = 0;
	assert_int_equal(move_run(&m, &(struct move_how){.resume = 1}), ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES - 3);
	assert_int_equal(m.result.kept, 3);
	move_check_all_under(&m, "alias/new");
	move_fixture_done(&m);
}

static void an_old_key_that_is_gone_half_way_lists_what_it_kept(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	vault_fixture_reopen(&m.x);
	m.gone_after_start = 1;
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_OK);
	assert_int_equal(m.result.moved, 0);
	assert_int_equal(m.result.failed, MOVE_FILES);
	assert_string_equal(m.last_error, "ERR_KMS_INVALID_STATE");
	/* The volume key waits for them. */
	assert_string_equal(vault_descriptor(m.x.v)->key_id, "alias/old");
	fake_kms_set_state(m.x.fake, "alias/old", FAKE_KMS_ENABLED);
	clock_fake_advance(&m.x.clock, 10 * CLOCK_SECOND);
	m.gone_after_start = 0;
	assert_int_equal(move_run(&m, &(struct move_how){.resume = 1}), ERR_OK);
	assert_int_equal(m.result.moved, MOVE_FILES);
	move_check_all_under(&m, "alias/new");
	move_fixture_done(&m);
}

static void a_damaged_file_is_listed_and_the_others_go_on(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	move_damage_header(&m, "small");
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_OK);
	assert_int_equal(m.result.failed, 1);
	assert_int_equal(m.result.moved, MOVE_FILES - 1);
	assert_string_equal(m.last_path, "small");
	assert_string_equal(m.last_error, "ERR_TAMPERED");
	/* It is damaged under any key: the rest is done. */
	assert_string_equal(vault_descriptor(m.x.v)->key_id, "alias/new");
	move_fixture_done(&m);
}

static void longer_names_than_headers_hold_are_refused_at_once(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	fake_kms_set_blob_size(m.x.fake, 900);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_LIMIT);
	assert_int_equal(m.result.moved, 0);
	fake_kms_set_blob_size(m.x.fake, 32);
	move_check_all_under(&m, "alias/old");
	move_fixture_done(&m);
}

/* ---- The journal ---- */

static struct journal *some_journal(void)
{
	struct journal *j = journal_new();

	j->to = strdup("alias/new");
	j->only[j->only_count++] = strdup("d/deep");
	j->data = 1;
	j->key_count = 2;
	memset(j->keys, 7, 2 * SHA256_SIZE);
	return j;
}

static void a_journal_is_read_as_it_was_written(void **state)
{
	struct journal *j = some_journal(), *again = NULL;
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	assert_int_equal(journal_read(m.x.v, &again), ERR_NOT_FOUND);
	assert_int_equal(journal_write(m.x.v, j), ERR_OK);
	assert_int_equal(journal_read(m.x.v, &again), ERR_OK);
	assert_string_equal(again->to, "alias/new");
	assert_null(again->from);
	assert_int_equal(again->only_count, 1);
	assert_string_equal(again->only[0], "d/deep");
	assert_int_equal(again->data, 1);
	assert_int_equal(again->key_count, 2);
	assert_memory_equal(again->keys, j->keys, 2 * SHA256_SIZE);
	assert_int_equal(journal_remove(m.x.v), ERR_OK);
	journal_free(again);
	again = NULL;
	assert_int_equal(journal_read(m.x.v, &again), ERR_NOT_FOUND);
	journal_free(j);
	move_fixture_done(&m);
}

static void a_changed_journal_is_refused_and_nothing_is_done(void **state)
{
	struct journal *j = some_journal(), *again = NULL;
	struct move_fixture m;
	size_t size;

	(void)state;
	move_fixture_init(&m, NULL);
	assert_int_equal(journal_write(m.x.v, j), ERR_OK);
	size = move_journal_size(&m);
	for (size_t i = 0; i < size; i += 7) {
		move_flip_journal(&m, i);
		assert_int_equal(journal_read(m.x.v, &again), ERR_USAGE);
		move_flip_journal(&m, i);
	}
	move_flip_journal(&m, 3);
	assert_int_equal(move_run(&m, &(struct move_how){.to = "alias/new"}), ERR_USAGE);
	assert_int_equal(move_run(&m, &(struct move_how){.resume = 1}), ERR_USAGE);
	move_check_all_under(&m, "alias/old");
	move_cut_journal(&m, 10);
	assert_int_equal(move_run(&m, &(struct move_how){.resume = 1}), ERR_USAGE);
	journal_free(j);
	move_fixture_done(&m);
}

static void a_journal_of_another_vault_is_refused(void **state)
{
	struct journal *j = some_journal();
	struct move_fixture m, other;

	(void)state;
	move_fixture_init(&m, NULL);
	move_fixture_init(&other, NULL);
	assert_int_equal(journal_write(other.x.v, j), ERR_OK);
	move_copy_journal(&other, &m);
	assert_int_equal(move_run(&m, &(struct move_how){.resume = 1}), ERR_USAGE);
	move_check_all_under(&m, "alias/old");
	journal_free(j);
	move_fixture_done(&other);
	move_fixture_done(&m);
}

static void without_a_journal_there_is_nothing_to_resume(void **state)
{
	struct move_fixture m;

	(void)state;
	move_fixture_init(&m, NULL);
	assert_int_equal(move_run(&m, &(struct move_how){.resume = 1}), ERR_NOT_FOUND);
	move_fixture_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewrap_moves_everything_and_counts),
		cmocka_unit_test(an_old_bucket_key_costs_one_decrypt),
		cmocka_unit_test(running_it_again_moves_only_what_its_key_did_not_make),
		cmocka_unit_test(from_leaves_other_keys_alone),
		cmocka_unit_test(data_gives_every_file_another_key),
		cmocka_unit_test(bucket_keys_off_becomes_on),
		cmocka_unit_test(two_kms),
		cmocka_unit_test(a_target_that_refuses_changes_nothing),
		cmocka_unit_test(a_target_that_refuses_half_way_is_gone_on_with_later),
		cmocka_unit_test(an_old_key_that_is_gone_half_way_lists_what_it_kept),
		cmocka_unit_test(a_damaged_file_is_listed_and_the_others_go_on),
		cmocka_unit_test(longer_names_than_headers_hold_are_refused_at_once),
		cmocka_unit_test(a_journal_is_read_as_it_was_written),
		cmocka_unit_test(a_changed_journal_is_refused_and_nothing_is_done),
		cmocka_unit_test(a_journal_of_another_vault_is_refused),
		cmocka_unit_test(without_a_journal_there_is_nothing_to_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
