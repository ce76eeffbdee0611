/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and sizes: what a crash explains, and what it does not. doc/format.md, "Size, sessions and truncation". */
#include "tests/support/faulty_lower.h"
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { SIZE = 20000, HEADER = 512, STORED = 4136 };
static uint8_t pattern[SIZE];

struct world {
	struct vault_fixture x;
	struct faulty_lower faulty;
	char old[4096], recent[4096]; /* lower paths: of a session that ended cleanly, and of the one that crashes */
};

/* As if the power went: nothing of the end of the session reaches the disk. */
static void crash(struct world *w)
{
	faulty_lower_arm(&w->faulty, FAULT_POWER, 1, EIO);
	assert_int_equal(vault_close(w->x.v), ERR_SYSTEM);
	w->x.v = NULL;
	faulty_lower_disarm(&w->faulty);
}

static void world_init(struct world *w)
{
	vault_fixture_init_closed(&w->x, NULL);
	faulty_lower_init(&w->faulty);
	w->x.lower = &w->faulty.lower;
	vault_fixture_open(&w->x);
	assert_int_equal(vp_put(w->x.v, "old", pattern, SIZE), ERR_OK);
	vault_fixture_reopen(&w->x);
	assert_int_equal(vp_put(w->x.v, "recent", pattern, SIZE), ERR_OK);
	vault_fixture_lower_path(&w->x, "old", w->old);
	vault_fixture_lower_path(&w->x, "recent", w->recent);
	crash(w);
}

/* Length of @name, whose bytes are the pattern's. */
static size_t length_of(struct world *w, const char *name)
{
	uint8_t *buf;
	size_t len;
	enum err e = vp_get(w->x.v, name, &buf, &len);

	if (e != ERR_OK)
		fail_msg("%s: %s", name, err_text(e));
	assert_memory_equal(buf, pattern, len);
	free(buf);
	return len;
}

static enum err result_of(struct world *w, const char *name)
{
	uint8_t *buf;
	size_t len;
	enum err e = vp_get(w->x.v, name, &buf, &len);

	if (e == ERR_OK)
		free(buf);
	return e;
}

static void nothing_lost(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	vault_fixture_open(&w.x);
	assert_int_equal(length_of(&w, "old"), SIZE);
	assert_int_equal(length_of(&w, "recent"), SIZE);
	assert_int_equal(w.x.reports[REPORT_NOTICE], 0);
	vault_fixture_done(&w.x);
}

/* Cut at every kind of place: the length that is left is that of the chunks that verify. */
static void cut_by_the_crash(void **state)
{
	static const struct {
		size_t lower;
		size_t left;
	} table[] = {
		{HEADER + 4 * STORED + 3656, SIZE}, /* all of it: 20000 = 4 × 4096 + 3616 */
		{HEADER + 4 * STORED + 3655, 16384},
		{HEADER + 4 * STORED + 41, 16384},
		{HEADER + 4 * STORED + 40, 16384},
		{HEADER + 4 * STORED, 16384},
		{HEADER + 3 * STORED + 1, 12288},
		{HEADER + STORED, 4096},
		{HEADER + STORED - 1, 0},
		{HEADER, 0},
		{HEADER - 1, 0},
		{1, 0},
		{0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct world w;
		struct vault_file *f;

		world_init(&w);
		assert_int_equal(truncate(w.recent, (off_t)table[i].lower), 0);
		vault_fixture_open(&w.x);
		/* A reader first, who may not repair; then a writer, who does. */
		assert_int_equal(length_of(&w, "recent"), table[i].left);
		assert_int_equal(vp_open(w.x.v, "recent", 1, &f), ERR_OK);
		assert_int_equal(vault_file_write(f, table[i].left, "more", 4), ERR_OK);
		assert_int_equal(vault_file_truncate(f, table[i].left), ERR_OK);
		assert_int_equal(vault_file_close(f), ERR_OK);
		if (table[i].left < SIZE && table[i].lower >= HEADER)
			assert_true(w.x.reports[REPORT_NOTICE] > 0);
		/* Repaired: from now on nothing is said. */
		vault_fixture_reopen(&w.x);
		w.x.reports[REPORT_NOTICE] = 0;
		assert_int_equal(length_of(&w, "recent"), table[i].left);
		assert_int_equal(w.x.reports[REPORT_NOTICE], 0);
		assert_int_equal(w.x.reports[REPORT_ERROR], 0);
		vault_fixture_done(&w.x);
	}
}

/* A crash of one session does not excuse what happened to the files of another. */
static void not_by_the_crash(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(truncate(w.old, HEADER + STORED), 0);
	vault_fixture_open(&w.x);
	assert_int_equal(result_of(&w, "old"), ERR_TAMPERED);
	assert_true(w.x.reports[REPORT_ERROR] > 0);
	assert_int_equal(length_of(&w, "recent"), SIZE);
	vault_fixture_done(&w.x);
}

/* The crashed session stays on the list through clean ones: the file may be opened for the first time much later. */
static void found_later(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(truncate(w.recent, HEADER + 2 * STORED), 0);
	vault_fixture_open(&w.x);
	for (int i = 0; i < 5; i++)
		vault_fixture_reopen(&w.x);
	assert_int_equal(length_of(&w, "recent"), 8192);
	vault_fixture_done(&w.x);
}

/* A vault open for reading computes the same and changes nothing. */
static void read_only(void **state)
{
	struct world w;
	struct stat st;

	(void)state;
	world_init(&w);
	assert_int_equal(truncate(w.recent, HEADER + 2 * STORED + 100), 0);
	w.x.read_only = 1;
	vault_fixture_open(&w.x);
	assert_int_equal(length_of(&w, "recent"), 8192);
	assert_int_equal(length_of(&w, "recent"), 8192);
	vault_fixture_close(&w.x);
	assert_int_equal(stat(w.recent, &st), 0);
	assert_int_equal(st.st_size, HEADER + 2 * STORED + 100);
	w.x.read_only = 0;
	vault_fixture_open(&w.x);
	assert_int_equal(length_of(&w, "recent"), 8192);
	vault_fixture_done(&w.x);
}

/* Damage in the middle stays damage: it must not pass for the end of the file. */
static void damage_is_no_crash(void **state)
{
	struct world w;
	uint8_t buf[4096];
	struct vault_file *f;
	size_t len;
	FILE *lower;

	(void)state;
	world_init(&w);
	assert_int_equal(truncate(w.recent, HEADER + 4 * STORED), 0);
	lower = fopen(w.recent, "r+");
	assert_non_null(lower);
	assert_int_equal(fseek(lower, HEADER + STORED + 50, SEEK_SET), 0);
	assert_int_equal(fwrite("damage", 1, 6, lower), 6);
	fclose(lower);
	vault_fixture_open(&w.x);
	assert_int_equal(vp_open(w.x.v, "recent", 0, &f), ERR_OK);
	assert_int_equal(vault_file_read(f, 3 * 4096, 4096, buf, &len), ERR_OK);
	assert_memory_equal(buf, pattern + 12288, 4096);
	assert_int_equal(vault_file_read(f, 4096, 4096, buf, &len), ERR_TAMPERED);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_done(&w.x);
}

/* The old header over longer content: an interrupted append. And over a longer, sparse file: an interrupted growth. */
static void longer_than_the_header(void **state)
{
	struct world w;
	uint8_t *before;
	struct vault_file *f;
	uint8_t *buf;
	size_t len;
	FILE *lower;

	(void)state;
	world_init(&w);
	before = malloc(HEADER);
	lower = fopen(w.old, "r+");
	assert_non_null(lower);
	assert_int_equal(fread(before, 1, HEADER, lower), HEADER);
	vault_fixture_open(&w.x);
	assert_int_equal(vp_open(w.x.v, "old", 1, &f), ERR_OK);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(vault_file_write(f, SIZE + i * SIZE, pattern, SIZE), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_close(&w.x);
	assert_int_equal(fseek(lower, 0, SEEK_SET), 0);
	assert_int_equal(fwrite(before, 1, HEADER, lower), HEADER);
	fclose(lower);
	free(before);
	vault_fixture_open(&w.x);
	assert_int_equal(vp_get(w.x.v, "old", &buf, &len), ERR_OK);
	/* vp_get reads some more than stat says at the time it is asked; here stat is right from the start. */
	assert_int_equal(len, 6 * SIZE);
	for (size_t i = 0; i < 6; i++)
		assert_memory_equal(buf + i * SIZE, pattern, SIZE);
	free(buf);
	assert_true(w.x.reports[REPORT_NOTICE] > 0);
	vault_fixture_done(&w.x);
}

/* A file that could get no header because the disk was full, in a session that then ends. */
static void no_room_for_a_header(void **state)
{
	struct world w;
	struct vault_file *f;

	(void)state;
	world_init(&w);
	vault_fixture_open(&w.x);
	assert_int_equal(vp_create(w.x.v, "new", 0644, &f), ERR_OK);
	faulty_lower_arm(&w.faulty, FAULT_CHANGE, 1, ENOSPC);
	assert_int_equal(vault_file_close(f), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENOSPC);
	assert_int_equal(w.faulty.injected, 1);
	faulty_lower_disarm(&w.faulty);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(length_of(&w, "new"), 0);
		vault_fixture_reopen(&w.x);
	}
	vault_fixture_done(&w.x);
}

/* After a failed fsync the pages may be gone: no later one may claim success, until the file was closed. */
static void failed_fsync_stays_failed(void **state)
{
	struct world w;
	struct vault_file *f;

	(void)state;
	world_init(&w);
	vault_fixture_open(&w.x);
	assert_int_equal(vp_open(w.x.v, "old", 1, &f), ERR_OK);
	assert_int_equal(vault_file_write(f, 0, pattern, 10), ERR_OK);
	faulty_lower_arm(&w.faulty, FAULT_CHANGE, 1, EIO);
	assert_int_equal(vault_file_sync(f, 0), ERR_SYSTEM);
	assert_int_equal(w.faulty.injected, 1);
	faulty_lower_disarm(&w.faulty);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vault_file_sync(f, i & 1), ERR_SYSTEM);
		assert_int_equal(err_errno(), EIO);
	}
	assert_int_equal(vault_file_close(f), ERR_OK);
	assert_int_equal(vp_open(w.x.v, "old", 1, &f), ERR_OK);
	assert_int_equal(vault_file_sync(f, 0), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_done(&w.x);
}

/* fsync of a file makes the ids of new directories durable too: each once, or all at once when they are many. */
static void new_directories_are_synced(void **state)
{
	struct world w;
	struct vault_dir *root;
	struct vault_file *f;
	char name[32];
	unsigned before;

	(void)state;
	world_init(&w);
	vault_fixture_open(&w.x);
	assert_int_equal(vp_open(w.x.v, "old", 1, &f), ERR_OK);
	assert_int_equal(vp_mkdir(w.x.v, "d1", 0700), ERR_OK);
	assert_int_equal(vp_mkdir(w.x.v, "d2", 0700), ERR_OK);
	assert_int_equal(vp_rename(w.x.v, "d2", "d1/d3", 0), ERR_OK);
	before = w.faulty.calls;
	assert_int_equal(vault_file_sync(f, 0), ERR_OK);
	assert_int_equal(w.faulty.calls - before, 3);
	before = w.faulty.calls;
	assert_int_equal(vault_file_sync(f, 0), ERR_OK);
	assert_int_equal(w.faulty.calls - before, 1);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(vp_mkdir(w.x.v, name, 0700), ERR_OK);
	}
	before = w.faulty.calls;
	assert_int_equal(vault_file_sync(f, 0), ERR_OK);
	assert_int_equal(w.faulty.calls - before, 2);
	/* fsync of a directory does the same, before it syncs its own entries. */
	assert_int_equal(vp_mkdir(w.x.v, "d4", 0700), ERR_OK);
	root = vault_root(w.x.v);
	before = w.faulty.calls;
	assert_int_equal(vault_dir_sync(root, 0), ERR_OK);
	assert_int_equal(w.faulty.calls - before, 2);
	assert_int_equal(vault_dir_sync(root, 1), ERR_OK);
	assert_int_equal(w.faulty.calls - before, 3);
	vault_dir_release(root);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_done(&w.x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_lost),
		cmocka_unit_test(cut_by_the_crash),
		cmocka_unit_test(not_by_the_crash),
		cmocka_unit_test(found_later),
		cmocka_unit_test(read_only),
		cmocka_unit_test(damage_is_no_crash),
		cmocka_unit_test(longer_than_the_header),
		cmocka_unit_test(no_room_for_a_header),
		cmocka_unit_test(failed_fsync_stays_failed),
		cmocka_unit_test(new_directories_are_synced),
	};

	for (size_t i = 0; i < SIZE; i++)
		pattern[i] = (uint8_t)(i * 31 + i / 4096);
	return cmocka_run_group_tests_name("vault: sessions and recovery", tests, NULL, NULL);
}
