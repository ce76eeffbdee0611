/* SPDX-License-Identifier: Apache-2.0 */
/* Eight threads on one file and on one tree; meant for ThreadSanitizer as much as for what it asserts. */
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fs/format/chunk.h"

enum { THREADS = 8, ROUNDS = 300, RECORD = 6000 };

struct team {
	struct vault_fixture x;
	struct vault_file *f;
	pthread_barrier_t start;
	atomic_int failures;
};

struct member {
	struct team *team;
	unsigned number;
	pthread_t thread;
};

#define EXPECT(t, what)                                                                                                \
	do {                                                                                                           \
		if (!(what)) {                                                                                         \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                     \
			atomic_fetch_add(&(t)->failures, 1);                                                           \
		}                                                                                                      \
	} while (0)

static void run_team(struct team *t, void *(*run)(void *))
{
	struct member m[THREADS];

	pthread_barrier_init(&t->start, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		m[i] = (struct member){.team = t, .number = i};
		assert_int_equal(pthread_create(&m[i].thread, NULL, run, &m[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(m[i].thread, NULL);
	pthread_barrier_destroy(&t->start);
	assert_int_equal(atomic_load(&t->failures), 0);
}

/*
 * Even threads write their own record over and over, the whole of it in one byte value; odd ones read others' records. A read
 * sees one value all through: writes and reads of one file do not mix. Records are not aligned, so neighbours share chunks.
 */
static void *write_and_read(void *p)
{
	struct member *m = p;
	struct team *t = m->team;
	uint8_t buf[RECORD];
	struct stat st;
	size_t len;

	pthread_barrier_wait(&t->start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned record = m->number % 2 ? (i + m->number) % THREADS : m->number;

		if (m->number % 2 == 0) {
			memset(buf, (int)i + 1, RECORD);
			EXPECT(t, vault_file_write(t->f, record * RECORD, buf, RECORD) == ERR_OK);
		} else {
			EXPECT(t, vault_file_read(t->f, record * RECORD, RECORD, buf, &len) == ERR_OK);
			EXPECT(t, len == 0 || memcmp(buf, buf + 1, len - 1) == 0); /* not torn */
		}
		if (i % 50 == 0)
			clock_fake_advance(&t->x.clock, 100 * CLOCK_SECOND);
		if (i % 32 == 0)
			EXPECT(t, vault_file_sync(t->f, 1) == ERR_OK);
		EXPECT(t, vault_file_stat(t->f, &st) == ERR_OK);
		EXPECT(t, st.st_size % RECORD == 0);
	}
	return NULL;
}

static void one_file(void **state)
{
	struct team t = {.failures = 0};

	(void)state;
	vault_fixture_init(&t.x, NULL);
	assert_int_equal(vp_create(t.x.v, "f", 0644, &t.f), ERR_OK);
	run_team(&t, write_and_read);
	assert_int_equal(vault_file_close(t.f), ERR_OK);
	vault_fixture_done(&t.x);
}

/* ---- A file that grows in pieces, several at a time, as the kernel writes one back ---- */

enum { PIECE = 40960, PIECES = 400 };

static uint8_t piece_byte(unsigned piece)
{
	return (uint8_t)(piece % 255 + 1); /* never that of a hole */
}

struct pieces {
	atomic_uint next, full;
};

static struct pieces pieces;

static void *append_pieces(void *p)
{
	struct member *m = p;
	struct team *t = m->team;
	static _Thread_local uint8_t buf[PIECE];
	unsigned piece;

	pthread_barrier_wait(&t->start);
	while ((piece = atomic_fetch_add(&pieces.next, 1)) < PIECES) {
		memset(buf, piece_byte(piece), PIECE);
		enum err e = vault_file_write(t->f, (uint64_t)piece * PIECE, buf, PIECE);
		if (e == ERR_OK)
			continue;
		EXPECT(t, e == ERR_SYSTEM && err_errno() == ENOSPC);
		atomic_fetch_add(&pieces.full, 1);
	}
	return NULL;
}

/* Every chunk of a piece is there whole, or a hole whole. Does one miss? */
static int misses_a_chunk(const uint8_t *buf, unsigned piece)
{
	int hole = 0;

	for (const uint8_t *c = buf; c < buf + PIECE; c += CHUNK_SIZE) {
		assert_memory_equal(c, c + 1, CHUNK_SIZE - 1);
		assert_true(c[0] == piece_byte(piece) || c[0] == 0);
		hole |= c[0] == 0;
	}
	return hole;
}

/* The pieces that are not there: those that lie inside the file are holes where writing them failed, in whole or from a chunk on. */
static unsigned count_holes(struct team *t)
{
	static uint8_t buf[PIECE];
	struct stat st;
	unsigned holes = 0;
	size_t len;

	assert_int_equal(vault_file_stat(t->f, &st), ERR_OK);
	assert_int_equal(st.st_size % PIECE, 0);
	for (unsigned i = 0; i < (unsigned)(st.st_size / PIECE); i++) {
		assert_int_equal(vault_file_read(t->f, (uint64_t)i * PIECE, PIECE, buf, &len), ERR_OK);
		assert_int_equal(len, PIECE);
		holes += (unsigned)misses_a_chunk(buf, i);
	}
	return holes + PIECES - (unsigned)(st.st_size / PIECE);
}

static void run_pieces(struct team *t)
{
	pieces = (struct pieces){0};
	vault_fixture_init(&t->x, NULL);
	assert_int_equal(vp_create(t->x.v, "f", 0644, &t->f), ERR_OK);
	run_team(t, append_pieces);
	assert_int_equal(count_holes(t), pieces.full);
	assert_int_equal(vault_file_close(t->f), ERR_OK);
	assert_int_equal(vp_open(t->x.v, "f", 0, &t->f), ERR_OK);
	assert_int_equal(count_holes(t), pieces.full);
	assert_int_equal(vault_file_close(t->f), ERR_OK);
	assert_int_equal(vp_unlink(t->x.v, "f"), ERR_OK); /* room for the end of the session */
	vault_fixture_done(&t->x);
}

static void growing_in_pieces(void **state)
{
	struct team t = {.failures = 0};

	(void)state;
	run_pieces(&t);
	assert_int_equal(pieces.full, 0);
}

static void growing_in_pieces_on_a_full_disk(void **state)
{
	struct team t = {.failures = 0};

	(void)state;
	if (!vault_fixture_small_disk("size=4m"))
		skip();
	run_pieces(&t);
	assert_true(pieces.full > 0);
	vault_fixture_small_disk_done();
}

/* Readers alone, from the first use on: one of them loads the file. */
static void *only_read(void *p)
{
	struct member *m = p;
	struct team *t = m->team;
	uint8_t buf[RECORD];
	size_t len;

	pthread_barrier_wait(&t->start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		EXPECT(t, vault_file_read(t->f, (i * 977) % 50000, RECORD, buf, &len) == ERR_OK);
		EXPECT(t, len == RECORD && buf[0] == 7 && buf[RECORD - 1] == 7);
	}
	return NULL;
}

static void readers(void **state)
{
	struct team t = {.failures = 0};
	uint8_t *buf = malloc(60000);

	(void)state;
	memset(buf, 7, 60000);
	vault_fixture_init(&t.x, NULL);
	assert_int_equal(vp_put(t.x.v, "f", buf, 60000), ERR_OK);
	assert_int_equal(vp_open(t.x.v, "f", 0, &t.f), ERR_OK);
	run_team(&t, only_read);
	assert_int_equal(vault_file_close(t.f), ERR_OK);
	vault_fixture_done(&t.x);
	free(buf);
}

static int is_ordinary(enum err e)
{
	int errnum = e == ERR_SYSTEM ? err_errno() : 0;

	return e == ERR_OK || errnum == ENOENT || errnum == EEXIST || errnum == ENOTEMPTY || errnum == EINVAL ||
	       errnum == ENOTDIR || errnum == EISDIR || errnum == EPERM; /* a link to a directory */
}

/* Everything at once in three directories; long names too. Nothing fails but for reasons of the tree. */
static void *tree_operations(void *p)
{
	struct member *m = p;
	struct team *t = m->team;
	struct vault *v = t->x.v;
	char long_name[256], a[600], b[600], names[65536];
	uint64_t rng = 88172645463325252u + m->number;
	uint8_t *buf;
	size_t len;
	enum err e;

	memset(long_name, 'l', 200);
	long_name[200] = '\0';
	pthread_barrier_wait(&t->start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned d1 = (unsigned)vault_fixture_below(&rng, 3), d2 = (unsigned)vault_fixture_below(&rng, 3);
		unsigned n1 = (unsigned)vault_fixture_below(&rng, 5), n2 = (unsigned)vault_fixture_below(&rng, 5);

		snprintf(a, sizeof(a), "d%u/%s%u", d1, n1 > 2 ? long_name : "n", n1);
		snprintf(b, sizeof(b), "d%u/%s%u", d2, n2 > 2 ? long_name : "n", n2);
		switch (vault_fixture_below(&rng, 9)) {
		case 0:
		case 1:
			EXPECT(t, is_ordinary(vp_put(v, a, a, strlen(a))));
			break;
		case 2:
			EXPECT(t, is_ordinary(vp_mkdir(v, a, 0755)));
			break;
		case 3:
			EXPECT(t, is_ordinary(vp_rename(v, a, b, 0)));
			break;
		case 4:
			EXPECT(t, is_ordinary(vp_unlink(v, a)));
			break;
		case 5:
			EXPECT(t, is_ordinary(vp_rmdir(v, a)));
			break;
		case 6:
			EXPECT(t, is_ordinary(vp_link(v, a, b)));
			break;
		case 7:
			snprintf(b, sizeof(b), "d%u", d1);
			EXPECT(t, is_ordinary(vp_list(v, b, names, sizeof(names), &len)));
			break;
		default:
			/* Its own: one vault_file an inode is the caller's to see to. */
			snprintf(a, sizeof(a), "d%u/own%u", d1, m->number);
			EXPECT(t, vp_put(v, a, a, strlen(a)) == ERR_OK);
			e = vp_get(v, a, &buf, &len);
			EXPECT(t, e == ERR_OK && len == strlen(a) && memcmp(buf, a, len) == 0);
			if (e == ERR_OK)
				free(buf);
			EXPECT(t, vp_unlink(v, a) == ERR_OK);
			break;
		}
	}
	return NULL;
}

static void one_tree(void **state)
{
	struct team t = {.failures = 0};

	(void)state;
	vault_fixture_init(&t.x, NULL);
	for (unsigned i = 0; i < 3; i++) {
		char d[] = {'d', (char)('0' + i), '\0'};

		assert_int_equal(vp_mkdir(t.x.v, d, 0755), ERR_OK);
	}
	run_team(&t, tree_operations);
	vault_fixture_reopen(&t.x);
	if (t.x.reports[REPORT_ERROR])
		fail_msg("reported: %s", t.x.last_report);
	vault_fixture_done(&t.x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file),
		cmocka_unit_test(readers),
		cmocka_unit_test(growing_in_pieces),
		cmocka_unit_test(growing_in_pieces_on_a_full_disk),
		cmocka_unit_test(one_tree),
	};

	return cmocka_run_group_tests_name("vault: threads", tests, NULL, NULL);
}
