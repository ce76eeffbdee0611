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
};

#define CHECK(m, e)                                                                                                    \
	do {                                                                                                           \
		enum err check_ = (e);                                                                                 \
		if (check_ != ERR_OK)                                                                                  \
			fail_msg("step %u: %s: %s", (m)->step, #e, err_text(check_));                                  \
	} while (0)

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

static void do_write(struct model *m)
{
	size_t off = some_offset(m), len = some_len(m, off);

	for (size_t i = 0; i < len; i++)
		m->buf[i] = (uint8_t)(vault_fixture_random(&m->rng) >> 17);
	CHECK(m, vault_file_write(m->f, off, m->buf, len));
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

	CHECK(m, vault_file_truncate(m->f, size));
	resize_model(m, size);
}

static void do_allocate(struct model *m)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[below(m, 5)];
	size_t off = some_offset(m), len = some_len(m, off);

	CHECK(m, vault_file_allocate(m->f, mode, off, len));
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

static void reopen_vault(struct model *m)
{
	CHECK(m, vault_file_close(m->f));
	vault_fixture_reopen(&m->x);
	CHECK(m, vp_open(m->x.v, "file", 1, &m->f));
}

static void expire_keys(struct model *m)
{
	clock_fake_advance(&m->x.clock, 301 * CLOCK_SECOND);
}

static void do_sync(struct model *m)
{
	CHECK(m, vault_file_sync(m->f, below(m, 2) == 0));
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
		{4, do_sync},
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

static void run_model(const struct vault_create_options *options, const struct aead_impl *aead, const char *what)
{
	struct model m = {.rng = vault_fixture_seed(what)};

	m.bytes = calloc(1, MODEL_MAX);
	m.buf = malloc(MODEL_MAX);
	vault_fixture_init_closed(&m.x, options);
	m.x.aead = aead;
	vault_fixture_open(&m.x);
	CHECK(&m, vp_create(m.x.v, "file", 0644, &m.f));
	for (m.step = 0; m.step < STEPS; m.step++)
		step(&m);
	compare_all(&m);
	reopen_vault(&m);
	compare_all(&m);
	CHECK(&m, vault_file_close(m.f));
	assert_int_equal(m.x.reports[REPORT_ERROR], 0);
	assert_int_equal(m.x.reports[REPORT_NOTICE], 0);
	vault_fixture_done(&m.x);
	free(m.bytes);
	free(m.buf);
}

static void bucket_keys(void **state)
{
	(void)state;
	run_model(NULL, NULL, "file model, bucket keys");
}

static void a_kms_call_per_file(void **state)
{
	const struct vault_create_options options = {.bucket_keys = 0};

	(void)state;
	run_model(&options, aead_openssl(), "file model, no bucket keys, OpenSSL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_keys),
		cmocka_unit_test(a_kms_call_per_file),
	};

	return cmocka_run_group_tests_name("vault: a file against a model", tests, NULL, NULL);
}
