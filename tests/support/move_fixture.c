/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/move_fixture.h"

#include <assert.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "fs/format/file_header.h"
#include "fs/reencrypt/two_kms.h"
#include "fs/vault/rekey.h"

enum { LARGE = 70000, SPARSE_TAIL = 5, MODIFIED = 1234567890 };
#define SPARSE_SIZE UINT64_C(300000)

static const struct {
	const char *path;
	size_t len;
	uint64_t gap; /* a hole before */
} files[MOVE_FILES] = {
	{"empty", 0, 0},
	{"small", 10, 0},
	{"large", LARGE, 0},
	{"sparse", SPARSE_TAIL, SPARSE_SIZE},
	{"linked", 5000, 0},
	{"d/one", 4096, 0},
	{"d/deep/two", 4097, 0},
};

static uint8_t byte_at(size_t file, uint64_t at)
{
	return (uint8_t)(at * 31 + file * 7 + at / 4096 + 1);
}

static void make_file(struct vault *v, size_t i)
{
	struct vault_attr attr = {.set = VAULT_SET_MTIME, .mtime = {.tv_sec = MODIFIED + (time_t)i, .tv_nsec = 77}};
	uint8_t *buf = malloc(files[i].len + 1);
	struct vault_object o;
	struct vault_dir *dir;
	struct vault_file *f;
	struct stat st;

	for (size_t at = 0; at < files[i].len; at++)
		buf[at] = byte_at(i, at);
	assert_int_equal(vp_create(v, files[i].path, 0640, &f), ERR_OK);
	if (files[i].len)
		assert_int_equal(vault_file_write(f, files[i].gap, buf, files[i].len), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	assert_int_equal(vault_fixture_walk(v, files[i].path, &dir, &o), ERR_OK);
	assert_int_equal(vault_setattr(o, NULL, &attr, &st), ERR_OK);
	vault_dir_release(dir);
	free(buf);
}

void move_fixture_init(struct move_fixture *m, const struct vault_create_options *options)
{
	move_fixture_init_blobs(m, options, 32);
}

void move_fixture_init_blobs(struct move_fixture *m, const struct vault_create_options *options, size_t blob_size)
{
	const struct vault_create_options usual = {.key_id = "alias/old", .bucket_keys = 1};

	memset(m, 0, sizeof(*m));
	vault_fixture_init_bare(&m->x);
	fake_kms_set_blob_size(m->x.fake, blob_size);
	fake_kms_add_key(m->x.fake, "alias/old");
	fake_kms_add_key(m->x.fake, "alias/new");
	fake_kms_add_key(m->x.fake, "alias/third");
	assert_int_equal(
		vault_create(m->x.path, options ? options : &usual, fake_kms_client(m->x.fake), &m->x.clock.clock),
		ERR_OK);
	vault_fixture_open(&m->x);
	assert_int_equal(vp_mkdir(m->x.v, "d", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(m->x.v, "d/deep", 0755), ERR_OK);
	for (size_t i = 0; i < MOVE_FILES; i++)
		make_file(m->x.v, i);
	assert_int_equal(vp_link(m->x.v, "linked", "also"), ERR_OK);
}

void move_fixture_done(struct move_fixture *m)
{
	if (m->x.v)
		vault_fixture_close(&m->x);
	while (m->moves > 0)
		kms_close(m->both[--m->moves]);
	vault_fixture_done(&m->x);
}

/* ---- Moving ---- */

static void on_event(void *context, const json_t *event)
{
	struct move_fixture *m = context;
	const char *what = json_string_value(json_object_get(event, "event"));

	if (strcmp(what, "start") == 0 && m->deny_after)
		fake_kms_set_state(m->x.fake, "alias/new", FAKE_KMS_DENIED);
	if (strcmp(what, "start") == 0 && m->gone_after_start)
		fake_kms_set_state(m->x.fake, "alias/old", FAKE_KMS_PENDING_DELETION);
	if (strcmp(what, "failed") != 0)
		return;
	snprintf(m->last_path, sizeof(m->last_path), "%s", json_string_value(json_object_get(event, "path")));
	snprintf(m->last_error, sizeof(m->last_error), "%s", json_string_value(json_object_get(event, "error")));
}

enum err move_run(struct move_fixture *m, const struct move_how *how)
{
	struct kms *old = fake_kms_client(m->x.fake), *to = how->other ? fake_kms_client(how->other) : old, *both;
	struct reencrypt_options o = {.vault = m->x.v,
		.same_kms = !how->other,
		.old_kms = old,
		.resume = how->resume,
		.to = how->to,
		.from = how->from,
		.endpoint = how->other ? "unix:/other" : NULL,
		.data = how->data,
		.only_count = how->only != NULL,
		.only = &how->only,
		.jobs = how->jobs ? how->jobs : 1,
		.host = reencrypt_alone(),
		.clock = &m->x.clock.clock,
		.event = on_event,
		.context = m};

	assert(m->moves < MOVE_KMS_MAX);
	assert_int_equal(two_kms_new(old, to, &both), ERR_OK);
	m->both[m->moves++] = both;
	o.kms = both;
	return reencrypt_run(&o, &m->result);
}

/* ---- Checks ---- */

static void check_times(const struct stat *st, size_t i)
{
	assert_int_equal(st->st_mtim.tv_sec, MODIFIED + (time_t)i);
	assert_int_equal(st->st_mtim.tv_nsec, 77);
}

static void check_file(struct vault *v, size_t i, int times)
{
	uint8_t *buf = NULL;
	struct stat st;
	size_t len;

	assert_int_equal(vp_stat(v, files[i].path, &st), ERR_OK);
	if (times)
		check_times(&st, i);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(vp_get(v, files[i].path, &buf, &len), ERR_OK);
	assert_int_equal(len, files[i].gap + files[i].len);
	for (size_t at = 0; at < len; at++)
		if (buf[at] != (at < files[i].gap ? 0 : byte_at(i, at - files[i].gap)))
			fail_msg("%s: byte %zu", files[i].path, at);
	free(buf);
}

void move_check_contents(struct move_fixture *m)
{
	struct stat a, b;

	for (size_t i = 0; i < MOVE_FILES; i++)
		check_file(m->x.v, i, !m->times_moved);
	assert_int_equal(vp_stat(m->x.v, "linked", &a), ERR_OK);
	assert_int_equal(vp_stat(m->x.v, "also", &b), ERR_OK);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_nlink, 2);
	assert_int_equal(vp_stat(m->x.v, "sparse", &a), ERR_OK);
	assert_true(a.st_blocks * 512 < (blkcnt_t)SPARSE_SIZE / 2);
}

static void header_of(struct move_fixture *m, size_t i, struct file_header *h)
{
	struct vault_object o;
	struct vault_dir *dir;
	uint64_t size;

	assert_int_equal(vault_fixture_walk(m->x.v, files[i].path, &dir, &o), ERR_OK);
	assert_int_equal(vault_peek_header(o, h, &size), ERR_OK);
	assert_int_equal(size, files[i].gap + files[i].len);
	vault_dir_release(dir);
}

void move_check_all_under(struct move_fixture *m, const char *alias)
{
	const char *arn = fake_kms_arn(m->x.fake, alias);
	struct file_header h;
	struct descriptor d;

	move_check_contents(m);
	for (size_t i = 0; i < MOVE_FILES; i++) {
		header_of(m, i, &h);
		assert_string_equal(h.kms_key.key_arn, arn);
	}
	assert_int_equal(vault_read_descriptor(m->x.path, &d), ERR_OK);
	assert_string_equal(d.key_id, alias);
	assert_string_equal(d.volume_key.key_arn, arn);
}

void move_note_file_ids(struct move_fixture *m)
{
	struct file_header h;

	for (size_t i = 0; i < MOVE_FILES; i++) {
		header_of(m, i, &h);
		memcpy(m->ids[i], h.file_id, sizeof(m->ids[i]));
	}
}

void move_check_file_ids_changed(struct move_fixture *m)
{
	struct file_header h;

	for (size_t i = 0; i < MOVE_FILES; i++) {
		header_of(m, i, &h);
		assert_memory_not_equal(m->ids[i], h.file_id, sizeof(m->ids[i]));
	}
}

/* ---- Damage ---- */

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte = 0;

	assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

void move_damage_header(struct move_fixture *m, const char *path)
{
	char lower[4096];

	vault_fixture_lower_path(&m->x, path, lower);
	/* In the MAC: all else makes sense. */
	flip(lower, 490);
}

static void journal_path(const struct move_fixture *m, char out[512])
{
	snprintf(out, 512, "%s/.signetfs/reencrypt", m->x.path);
}

size_t move_journal_size(struct move_fixture *m)
{
	char path[512];
	struct stat st;

	journal_path(m, path);
	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size;
}

void move_flip_journal(struct move_fixture *m, size_t at)
{
	char path[512];

	journal_path(m, path);
	flip(path, (off_t)at);
}

void move_cut_journal(struct move_fixture *m, size_t size)
{
	char path[512];

	journal_path(m, path);
	assert_int_equal(truncate(path, (off_t)size), 0);
}

void move_copy_journal(struct move_fixture *from, struct move_fixture *to)
{
	char a[512], b[512];

	journal_path(from, a);
	journal_path(to, b);
	assert_int_equal(rename(a, b), 0);
}
