/* SPDX-License-Identifier: Apache-2.0 */
/* Property test: one file of a vault against bytes in memory, over a random sequence of everything that can be done to it. */
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "kms/base/aead.h"

enum { MODEL_MAX = 600 * 1024, STEPS = 20000 };

struct model {
	struct vault_fixture x;
	struct vault_file *f;
	uint64_t rng;
	uint8_t *bytes; /* beyond size: zeros */
	size_t size;
	uint8_t *buf;
	unsigned step;
	int small_disk; /* ENOSPC is to be expected */
	unsigned full;  /* how often it came */
	struct vault_file *ballast;
};

#define CHECK(m, e)                                                                                                    \
	do {                                                                                                           \
		enum err check_ = (e);                                                                                 \
		if (check_ != ERR_OK)                                                                                  \
			fail_msg("step %u: %s: %s", (m)->step, #e, err_text(check_));                                  \
	} while (0)

/* True where the disk was full; any other error fails the test. */
static int disk_was_full(struct model *m, enum err e, const char *what)
{
	if (e == ERR_OK)
		return 0;
	if (!m->small_disk || e != ERR_SYSTEM || err_errno() != ENOSPC)
		fail_msg("step %u: %s: %s", m->step, what, err_text(e));
	m->full++;
	return 1;
}

static size_t below(struct model *m, size_t bound)
{
	return (size_t)vault_fixture_below(&m->rng, bound);
}

/* Near chunk borders, near the end, or anywhere. */
static size_t some_offset(struct model *m)
{
	size_t off;

	switch (below(m, 4)) {
	case 0:
		off = below(m, MODEL_MAX / 4096) * 4096 + below(m, 5);
		break;
	case 1:
		off = m->size + below(m, 9000);
		off = off > 4500 ? off - 4500 : off;
		break;
	case 2:
		off = below(m, m->size + 1);
		break;
	default:
		off = below(m, MODEL_MAX);
		break;
	}
	return off < MODEL_MAX ? off : MODEL_MAX - 1;
}

static size_t some_len(struct model *m, size_t off)
{
	static const size_t most[] = {16, 4100, 9000, 70000, 300000};
	size_t len = 1 + below(m, most[below(m, 5)]);

	return len < MODEL_MAX - off ? len : MODEL_MAX - off;
}

static void do_read(struct model *m)
{
	size_t off = some_offset(m), len = some_len(m, off), got;
	size_t expected = off >= m->size ? 0 : len < m->size - off ? len : m->size - off;

	CHECK(m, vault_file_read(m->f, off, len, m->buf, &got));
	assert_int_equal(got, expected);
	if (memcmp(m->buf, m->bytes + off, got) != 0)
		fail_msg("step %u: read of %zu at %zu differs", m->step, len, off);
}

/* Of a write into holes a part may have been done, chunk by chunk; of one that grows the file, nothing. */
static void accept_written_part(struct model *m, size_t off, size_t len)
{
	static uint8_t now[4096];

	for (size_t at = off, n; off + len <= m->size && at < off + len; at += n) {
		size_t got;

		n = 4096 - at % 4096 < off + len - at ? 4096 - at % 4096 : off + len - at;
		CHECK(m, vault_file_read(m->f, at, n, now, &got));
		assert_int_equal(got, n);
		if (memcmp(now, m->bytes + at, n) != 0 && memcmp(now, m->buf + (at - off), n) != 0)
			fail_msg("step %u: at %zu neither old nor new", m->step, at);
		memcpy(m->bytes + at, now, n);
	}
}

static void do_write(struct model *m)
{
	size_t off = some_offset(m), len = some_len(m, off);

	for (size_t i = 0; i < len; i++)
		m->buf[i] = (uint8_t)(vault_fixture_random(&m->rng) >> 17);
	if (disk_was_full(m, vault_file_write(m->f, off, m->buf, len), "write")) {
		accept_written_part(m, off, len);
		return;
	}
	memcpy(m->bytes + off, m->buf, len);
	if (off + len > m->size)
		m->size = off + len;
}

static void resize_model(struct model *m, size_t size)
{
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

static void do_truncate(struct model *m)
{
	size_t size = below(m, 20) == 0 ? 0 : some_offset(m);

	if (disk_was_full(m, vault_file_truncate(m->f, size), "truncate"))
		return;
	resize_model(m, size);
}

/* Of a range that was to be zeroed a part may be; nothing else may differ. */
static void accept_part(struct model *m, int mode, size_t off, size_t len)
{
	size_t got;

	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) || off >= m->size)
		return;
	len = len < m->size - off ? len : m->size - off;
	CHECK(m, vault_file_read(m->f, off, len, m->buf, &got));
	assert_int_equal(got, len);
	for (size_t i = 0; i < len; i++)
		assert_true(m->buf[i] == 0 || m->buf[i] == m->bytes[off + i]);
	memcpy(m->bytes + off, m->buf, len);
}

static void do_allocate(struct model *m)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[below(m, 5)];
	size_t off = some_offset(m), len = some_len(m, off);

	if (disk_was_full(m, vault_file_allocate(m->f, mode, off, len), "allocate")) {
		accept_part(m, mode, off, len);
		return;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && off < m->size)
		memset(m->bytes + off, 0, len < m->size - off ? len : m->size - off);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + len > m->size)
		m->size = off + len;
}

/* Where data is said to be missing there must be zeros; where a hole is said to end or begin, the answer is at or behind @off. */
static void do_seek(struct model *m)
{
	size_t off = some_offset(m);
	uint64_t at;
	enum err e;

	e = vault_file_seek(m->f, off, SEEK_DATA, &at);
	if (off >= m->size) {
		assert_int_equal(e, ERR_SYSTEM);
		assert_int_equal(err_errno(), ENXIO);
		return;
	}
	if (e == ERR_SYSTEM && err_errno() == ENXIO)
		at = m->size;
	else
		CHECK(m, e);
	assert_true(at >= off && at <= m->size);
	for (size_t i = off; i < at; i++)
		if (m->bytes[i])
			fail_msg("step %u: SEEK_DATA at %zu says %zu but there is data at %zu", m->step, off,
				(size_t)at, i);
	CHECK(m, vault_file_seek(m->f, off, SEEK_HOLE, &at));
	assert_true(at >= off && at <= m->size);
	if (at < m->size)
		for (size_t i = (size_t)at; i < m->size && i < at / 4096 * 4096 + 4096; i++)
			if (m->bytes[i])
				fail_msg(
					"step %u: SEEK_HOLE says %zu but there is data at %zu", m->step, (size_t)at, i);
}

static void do_stat(struct model *m)
{
	struct stat st;

	CHECK(m, vault_file_stat(m->f, &st));
	assert_int_equal(st.st_size, m->size);
	CHECK(m, vp_stat(m->x.v, "file", &st));
	assert_int_equal(st.st_size, m->size);
}

static void reopen_file(struct model *m)
{
	CHECK(m, vault_file_close(m->f));
	CHECK(m, vp_open(m->x.v, "file", 1, &m->f));
}

static void open_ballast(struct model *m)
{
	struct stat st;

	if (!m->small_disk)
		return;
	if (vp_stat(m->x.v, "ballast", &st) == ERR_OK)
		CHECK(m, vp_open(m->x.v, "ballast", 1, &m->ballast));
	else
		CHECK(m, vp_create(m->x.v, "ballast", 0644, &m->ballast));
}

static void reopen_vault(struct model *m)
{
	CHECK(m, vault_file_close(m->f));
	if (m->small_disk) {
		/* The vault's own records need room as well. */
		CHECK(m, vault_file_truncate(m->ballast, 0));
		CHECK(m, vault_file_close(m->ballast));
	}
	vault_fixture_reopen(&m->x);
	CHECK(m, vp_open(m->x.v, "file", 1, &m->f));
	open_ballast(m);
}

static void expire_keys(struct model *m)
{
	clock_fake_advance(&m->x.clock, 301 * CLOCK_SECOND);
}

static void do_sync(struct model *m)
{
	CHECK(m, vault_file_sync(m->f, below(m, 2) == 0));
}

/* Another file takes the room and gives it back. */
static void change_ballast(struct model *m)
{
	size_t len = 1 + below(m, 200000);

	if (!m->small_disk)
		return;
	if (below(m, 2))
		CHECK(m, vault_file_truncate(m->ballast, 0));
	else
		for (size_t off = 0; off < 2000000; off += len)
			if (vault_file_write(m->ballast, off, m->buf, len) != ERR_OK)
				break;
}

static void step(struct model *m)
{
	static const struct {
		unsigned weight;
		void (*run)(struct model *m);
	} table[] = {
		{30, do_read},
		{30, do_write},
		{10, do_truncate},
		{10, do_allocate},
		{5, do_seek},
		{5, do_stat},
		{4, reopen_file},
		{1, reopen_vault},
		{1, expire_keys},
		{2, do_sync},
		{2, change_ballast},
	};
	unsigned at = (unsigned)below(m, 100);
	size_t i = 0;

	while (at >= table[i].weight)
		at -= table[i++].weight;
	table[i].run(m);
}

static void compare_all(struct model *m)
{
	size_t got;

	CHECK(m, vault_file_read(m->f, 0, MODEL_MAX, m->buf, &got));
	assert_int_equal(got, m->size);
	assert_memory_equal(m->buf, m->bytes, got);
}

static void run_model(
	const struct vault_create_options *options, const struct aead_impl *aead, int small_disk, const char *what)
{
	struct model m = {.rng = vault_fixture_seed(what), .small_disk = small_disk};

	m.bytes = calloc(1, MODEL_MAX);
	m.buf = malloc(MODEL_MAX);
	vault_fixture_init_closed(&m.x, options);
	m.x.aead = aead;
	vault_fixture_open(&m.x);
	CHECK(&m, vp_create(m.x.v, "file", 0644, &m.f));
	open_ballast(&m);
	for (m.step = 0; m.step < STEPS; m.step++)
		step(&m);
	compare_all(&m);
	reopen_vault(&m);
	compare_all(&m);
	CHECK(&m, vault_file_close(m.f));
	if (small_disk) {
		CHECK(&m, vault_file_close(m.ballast));
		assert_true(m.full > 100);
	}
	assert_int_equal(m.x.reports[REPORT_ERROR], 0);
	assert_int_equal(m.x.reports[REPORT_NOTICE], 0);
	vault_fixture_done(&m.x);
	free(m.bytes);
	free(m.buf);
}

static void bucket_keys(void **state)
{
	(void)state;
	run_model(NULL, NULL, 0, "file model, bucket keys");
}

static void a_kms_call_per_file(void **state)
{
	const struct vault_create_options options = {.bucket_keys = 0};

	(void)state;
	run_model(&options, aead_openssl(), 0, "file model, no bucket keys, OpenSSL");
}

/* A file system of one megabyte that fills up all the time. */
static void on_a_disk_that_is_full(void **state)
{
	(void)state;
	if (!vault_fixture_small_disk("size=1m"))
		skip();
	run_model(NULL, NULL, 1, "file model, small disk");
	vault_fixture_small_disk_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_keys),
		cmocka_unit_test(a_kms_call_per_file),
		cmocka_unit_test(on_a_disk_that_is_full),
	};

	return cmocka_run_group_tests_name("vault: a file against a model", tests, NULL, NULL);
}
