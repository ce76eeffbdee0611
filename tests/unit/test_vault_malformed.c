/* SPDX-License-Identifier: Apache-2.0 */
/* Damage and tampering, by name, each with the exact error it must give; and every time the neighbours are still whole. */
#include "fs/vault/vault_internal.h"
#include "tests/support/vault_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

enum { SIZE = 20000, STORED = 4136 };
static uint8_t pattern[SIZE];

/* ---- The lower tree, changed behind the vault's back ---- */

static uint8_t *slurp(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *buf;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size >= 0);
	buf = calloc(1, (size_t)st.st_size + STORED);
	assert_int_equal(read(fd, buf, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return buf;
}

static void spit(const char *path, const uint8_t *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buf, len), len);
	close(fd);
}

static void flip(const char *path, size_t off)
{
	size_t len;
	uint8_t *buf = slurp(path, &len);

	assert_true(off < len);
	buf[off] ^= 0x10;
	spit(path, buf, len);
	free(buf);
}

/* ---- One case ---- */

struct world {
	struct vault_fixture x;
	char file[4096], other[4096], dir[4096]; /* lower paths */
	uint8_t *saved;                          /* of file */
	size_t saved_len;
};

static void world_init(struct world *w)
{
	vault_fixture_init(&w->x, NULL);
	assert_int_equal(vp_mkdir(w->x.v, "dir", 0755), ERR_OK);
	assert_int_equal(vp_put(w->x.v, "file", pattern, SIZE), ERR_OK);
	assert_int_equal(vp_put(w->x.v, "other", pattern, SIZE), ERR_OK);
	assert_int_equal(vp_put(w->x.v, "dir/inside", pattern, 100), ERR_OK);
	vault_fixture_lower_path(&w->x, "file", w->file);
	vault_fixture_lower_path(&w->x, "other", w->other);
	vault_fixture_lower_path(&w->x, "dir", w->dir);
	/* So that no session is on the list as unclean: damage is not excused. */
	vault_fixture_reopen(&w->x);
	w->saved = slurp(w->file, &w->saved_len);
}

static void world_done(struct world *w)
{
	free(w->saved);
	vault_fixture_done(&w->x);
}

static void restore_file(struct world *w)
{
	spit(w->file, w->saved, w->saved_len);
}

static void assert_whole(struct world *w, const char *path, size_t len)
{
	uint8_t *buf;
	size_t n;
	enum err e = vp_get(w->x.v, path, &buf, &n);

	if (e != ERR_OK)
		fail_msg("%s: %s", path, err_text(e));
	assert_int_equal(n, len);
	assert_memory_equal(buf, pattern, len);
	free(buf);
}

static enum err read_result(struct world *w)
{
	uint8_t *buf;
	size_t n;
	enum err e = vp_get(w->x.v, "file", &buf, &n);

	if (e == ERR_OK)
		free(buf);
	return e;
}

/* Damaged: the error, a report, no bytes; a listing still shows everything; the neighbour reads. Then all is put back, and well. */
static void expect(struct world *w, const char *what, enum err expected)
{
	unsigned reports = w->x.reports[REPORT_ERROR];
	char names[4096];
	struct stat st;
	size_t n;
	enum err e;

	/* Every report in a minute of its own. */
	clock_fake_advance(&w->x.clock, 61 * CLOCK_SECOND);
	e = read_result(w);
	if (e != expected)
		fail_msg("%s: %s instead of %s (%s)", what, err_name(e), err_name(expected), err_text(e));
	if (expected != ERR_OK && w->x.reports[REPORT_ERROR] == reports)
		fail_msg("%s: not reported", what);
	assert_int_equal(vp_list(w->x.v, "", names, sizeof(names), &n), ERR_OK);
	assert_int_equal(n, 3);
	assert_int_equal(vp_stat(w->x.v, "file", &st), ERR_OK);
	assert_whole(w, "other", SIZE);
	restore_file(w);
	assert_whole(w, "file", SIZE);
}

/* ---- Header and chunks ---- */

static void every_header_field(void **state)
{
	/* What a changed byte of each field gives. Behind the fields lie ARN and blob, padding, MAC. */
	static const struct {
		const char *name;
		size_t off;
		enum err expected;
	} table[] = {
		{"magic", 0, ERR_FORMAT},
		{"magic, last byte", 7, ERR_FORMAT},
		{"version", 8, ERR_UNSUPPORTED},
		{"suite", 9, ERR_UNSUPPORTED},
		{"wrap", 10, ERR_UNSUPPORTED},
		{"header length", 11, ERR_FORMAT},
		{"unknown flag", 12, ERR_UNSUPPORTED},
		{"volume id", 16, ERR_TAMPERED},
		{"volume id, last byte", 31, ERR_TAMPERED},
		{"file id", 32, ERR_TAMPERED},
		{"file id, last byte", 47, ERR_TAMPERED},
		{"size", 48, ERR_TAMPERED},
		{"size, high byte", 55, ERR_TAMPERED},
		{"session", 56, ERR_TAMPERED},
		{"wrapped key, nonce", 64, ERR_TAMPERED},
		{"wrapped key, ciphertext", 80, ERR_TAMPERED},
		{"wrapped key, tag", 123, ERR_TAMPERED},
		{"ARN length", 125, ERR_FORMAT},
		{"blob length", 127, ERR_FORMAT},
		{"MAC", 480, ERR_TAMPERED},
		{"MAC, last byte", 511, ERR_TAMPERED},
		{"padding", 470, ERR_FORMAT},
	};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		flip(w.file, table[i].off);
		expect(&w, table[i].name, table[i].expected);
	}
	world_done(&w);
}

static void every_byte_of_the_header(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t off = 0; off < 512; off++) {
		enum err e;

		flip(w.file, off);
		e = read_result(&w);
		/* The bucket id and the blob go to the KMS, which refuses them; the ARN names a key that is not there. */
		if (e != ERR_TAMPERED && e != ERR_FORMAT && e != ERR_UNSUPPORTED && e != ERR_KMS_INVALID_CIPHERTEXT &&
			e != ERR_KMS_NOT_FOUND && e != ERR_KMS_INCORRECT_KEY)
			fail_msg("byte %zu of the header: %s", off, err_name(e));
		restore_file(&w);
	}
	assert_whole(&w, "file", SIZE);
	world_done(&w);
}

static void every_part_of_a_chunk(void **state)
{
	static const size_t inside[] = {0, 12, 23, 24, 4119, 4120, 4135};
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t chunk = 0; chunk < 4; chunk++)
		for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
			flip(w.file, 512 + chunk * 4136 + inside[i]);
			expect(&w, "a bit in a chunk", ERR_TAMPERED);
		}
	flip(w.file, w.saved_len - 1);
	expect(&w, "the last byte of the last chunk", ERR_TAMPERED);
	world_done(&w);
}

/* A bad chunk fails exactly the reads that touch it, and leaves nothing in the buffer. */
static void a_bad_chunk_is_no_bad_file(void **state)
{
	uint8_t buf[12000];
	struct vault_file *f;
	struct world w;
	size_t n;

	(void)state;
	world_init(&w);
	flip(w.file, 512 + 4136 + 100);
	assert_int_equal(vp_open(w.x.v, "file", 1, &f), ERR_OK);
	assert_int_equal(vault_file_read(f, 0, 4096, buf, &n), ERR_OK);
	assert_memory_equal(buf, pattern, 4096);
	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(vault_file_read(f, 0, 12000, buf, &n), ERR_TAMPERED);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(vault_file_read(f, 8192, 4096, buf, &n), ERR_OK);
	assert_memory_equal(buf, pattern + 8192, 4096);
	/* A part of it cannot be written, the whole can, and then it is well. */
	assert_int_equal(vault_file_write(f, 5000, pattern, 10), ERR_TAMPERED);
	assert_int_equal(vault_file_write(f, 4096, pattern + 4096, 4096), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	assert_whole(&w, "file", SIZE);
	world_done(&w);
}

/* Stored chunk @to of @out becomes chunk @from of @in. */
__attribute__((noinline)) static void copy_chunk(uint8_t *out, size_t to, const uint8_t *in, size_t from)
{
	memmove(out + 512 + to * STORED, in + 512 + from * STORED, STORED);
}

static void swapped(void **state)
{
	static const uint8_t zeros[512 + STORED];
	struct world w;
	uint8_t *buf, *other;
	size_t len, other_len;

	(void)state;
	world_init(&w);
	other = slurp(w.other, &other_len);

	buf = slurp(w.file, &len);
	copy_chunk(buf, 0, w.saved, 1);
	copy_chunk(buf, 1, w.saved, 0);
	spit(w.file, buf, len);
	expect(&w, "two chunks of one file", ERR_TAMPERED);

	memcpy(buf, w.saved, len);
	copy_chunk(buf, 0, other, 0);
	spit(w.file, buf, len);
	expect(&w, "the chunk of another file at the same place", ERR_TAMPERED);

	memcpy(buf, w.saved, len);
	memcpy(buf, other, 512);
	spit(w.file, buf, len);
	expect(&w, "the header of another file", ERR_TAMPERED);

	copy_chunk(buf, 0, zeros, 0);
	memcpy(buf, w.saved, 512);
	spit(w.file, buf, len);
	expect(&w, "a chunk of zeros in a file without holes", ERR_TAMPERED);

	free(buf);
	free(other);
	world_done(&w);
}

static void cut(struct world *w, size_t len, const char *what, enum err expected)
{
	assert_int_equal(truncate(w->file, (off_t)len), 0);
	expect(w, what, expected);
}

static void cut_short(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	cut(&w, 0, "to nothing", ERR_TAMPERED);
	cut(&w, 1, "to one byte", ERR_TAMPERED);
	cut(&w, 511, "inside the header", ERR_TAMPERED);
	cut(&w, 512, "to the header", ERR_TAMPERED);
	cut(&w, 512 + 4136, "to a chunk's end", ERR_TAMPERED);
	cut(&w, 512 + 4136 + 20, "inside a nonce", ERR_TAMPERED);
	cut(&w, 512 + 4136 + 2000, "inside a chunk", ERR_TAMPERED);
	cut(&w, w.saved_len - 1, "by one byte", ERR_TAMPERED);
	world_done(&w);
}

/* A file of the running session is not excused either: its own writes never leave it so. */
static void cut_short_in_the_running_session(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	assert_int_equal(vp_put(w.x.v, "fresh", pattern, SIZE), ERR_OK);
	vault_fixture_lower_path(&w.x, "fresh", w.file);
	free(w.saved);
	w.saved = slurp(w.file, &w.saved_len);
	assert_int_equal(vp_unlink(w.x.v, "file"), ERR_OK);
	assert_int_equal(vp_rename(w.x.v, "fresh", "file", 0), ERR_OK);
	vault_fixture_lower_path(&w.x, "file", w.file);
	cut(&w, 0, "to nothing", ERR_TAMPERED);
	cut(&w, 512 + 4136, "to a chunk's end", ERR_TAMPERED);
	world_done(&w);
}

/* What follows the end and does not verify is cut off, and said. */
static void something_behind_the_end(void **state)
{
	struct world w;
	uint8_t *buf;
	size_t len;
	struct vault_file *f;
	struct stat st;

	(void)state;
	world_init(&w);
	for (size_t more = 1; more < 9000; more += 997) {
		unsigned notices = w.x.reports[REPORT_NOTICE];

		buf = slurp(w.file, &len);
		buf = realloc(buf, len + more);
		memset(buf + len, 0x77, more);
		spit(w.file, buf, len + more);
		free(buf);
		assert_whole(&w, "file", SIZE);
		assert_true(w.x.reports[REPORT_NOTICE] > notices);
		assert_int_equal(vp_open(w.x.v, "file", 1, &f), ERR_OK);
		assert_int_equal(vault_file_write(f, SIZE - 5, pattern + SIZE - 5, 5), ERR_OK);
		assert_int_equal(vault_file_close(f), ERR_OK);
		assert_int_equal(stat(w.file, &st), 0);
		assert_int_equal(st.st_size, w.saved_len);
	}
	world_done(&w);
}

static void another_vaults_file(void **state)
{
	struct world a, b;

	(void)state;
	world_init(&a);
	world_init(&b);
	spit(a.file, b.saved, b.saved_len);
	expect(&a, "a file of another vault", ERR_TAMPERED);
	world_done(&b);
	world_done(&a);
}

/* Not a file at all. */
static void something_else_in_its_place(void **state)
{
	struct vault_file *f;
	uint8_t buf[16];
	struct world w;
	size_t n;

	(void)state;
	world_init(&w);
	assert_int_equal(unlink(w.file), 0);
	assert_int_equal(mkfifo(w.file, 0600), 0);
	assert_int_equal(vp_open(w.x.v, "file", 0, &f), ERR_OK);
	assert_int_equal(vault_file_read(f, 0, 16, buf, &n), ERR_SYSTEM);
	assert_int_equal(err_errno(), ESPIPE);
	assert_int_equal(vault_file_close(f), ERR_OK);
	assert_int_equal(unlink(w.file), 0);
	assert_int_equal(symlink("/etc/passwd", w.file), 0);
	assert_int_equal(vp_open(w.x.v, "file", 0, &f), ERR_SYSTEM);
	assert_int_equal(err_errno(), ELOOP);
	assert_whole(&w, "other", SIZE);
	world_done(&w);
}

/* ---- Directories and names ---- */

static enum err inside_result(struct world *w)
{
	uint8_t *buf;
	size_t n;
	enum err e = vp_get(w->x.v, "dir/inside", &buf, &n);

	if (e == ERR_OK)
		free(buf);
	return e;
}

static void directory_ids(void **state)
{
	char id[4200], root_id[4200];
	struct world w;
	uint8_t *saved, *other;
	size_t len, other_len;

	(void)state;
	world_init(&w);
	snprintf(id, sizeof(id), "%s/signetfs.dir", w.dir);
	snprintf(root_id, sizeof(root_id), "%s/signetfs.dir", w.x.path);
	saved = slurp(id, &len);
	other = slurp(root_id, &other_len);
	assert_int_equal(len, 32);
	for (size_t off = 0; off < len; off++) {
		flip(id, off);
		assert_int_equal(inside_result(&w), ERR_TAMPERED);
		spit(id, saved, len);
	}
	assert_int_equal(truncate(id, 31), 0);
	assert_int_equal(inside_result(&w), ERR_TAMPERED);
	assert_int_equal(truncate(id, 0), 0);
	assert_int_equal(inside_result(&w), ERR_TAMPERED);
	assert_int_equal(unlink(id), 0);
	assert_int_equal(inside_result(&w), ERR_TAMPERED);
	assert_true(w.x.reports[REPORT_ERROR] > 0);
	/* Another directory's id verifies, but then no name in here is the one that was asked for. */
	close(open(id, O_CREAT | O_WRONLY, 0600));
	spit(id, other, other_len);
	assert_int_equal(inside_result(&w), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENOENT);
	spit(id, saved, len);
	assert_int_equal(inside_result(&w), ERR_OK);
	assert_whole(&w, "other", SIZE);
	free(saved);
	free(other);
	world_done(&w);
}

static void root_id(void **state)
{
	char id[4200];
	struct world w;
	uint8_t *saved;
	size_t len;

	(void)state;
	world_init(&w);
	vault_fixture_close(&w.x);
	snprintf(id, sizeof(id), "%s/signetfs.dir", w.x.path);
	saved = slurp(id, &len);
	flip(id, 3);
	assert_int_equal(vault_fixture_try_open(&w.x), ERR_VAULT);
	assert_int_equal(unlink(id), 0);
	assert_int_equal(vault_fixture_try_open(&w.x), ERR_VAULT);
	close(open(id, O_CREAT | O_WRONLY, 0600));
	spit(id, saved, len);
	vault_fixture_open(&w.x);
	assert_whole(&w, "file", SIZE);
	free(saved);
	world_done(&w);
}

static void foreign_names(void **state)
{
	char path[4400], names[4096];
	struct world w;
	size_t n;

	(void)state;
	world_init(&w);
	snprintf(path, sizeof(path), "%s/README", w.x.path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/signetfs.long.AAAA", w.x.path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/signetfs.long.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", w.x.path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	/* A name of this vault, but in another directory. */
	snprintf(path, sizeof(path), "%s/%s", w.dir, strrchr(w.file, '/') + 1);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(vp_list(w.x.v, "", names, sizeof(names), &n), ERR_OK);
	assert_int_equal(n, 3);
	/* Once for README and once for the long name without a sidecar. */
	assert_int_equal(w.x.reports[REPORT_ERROR], 2);
	assert_int_equal(vp_list(w.x.v, "dir", names, sizeof(names), &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_string_equal(names, "inside");
	assert_int_equal(w.x.reports[REPORT_ERROR], 3);
	/* What cannot be read is not deleted with its directory. */
	assert_int_equal(vp_unlink(w.x.v, "dir/inside"), ERR_OK);
	assert_int_equal(vp_rmdir(w.x.v, "dir"), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENOTEMPTY);
	world_done(&w);
}

static void sidecars(void **state)
{
	char name[256], path[4400], names[4096], lower[4096];
	struct world w;
	uint8_t *saved;
	size_t len, n;

	(void)state;
	world_init(&w);
	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(path, sizeof(path), "dir/%s", name);
	assert_int_equal(vp_put(w.x.v, path, pattern, 10), ERR_OK);
	vault_fixture_lower_path(&w.x, path, lower);
	snprintf(path, sizeof(path), "%s.name", lower);
	saved = slurp(path, &len);
	for (size_t off = 0; off < len; off += 17) {
		flip(path, off);
		assert_int_equal(vp_list(w.x.v, "dir", names, sizeof(names), &n), ERR_OK);
		assert_int_equal(n, 1);
		assert_string_equal(names, "inside");
		spit(path, saved, len);
	}
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(vp_list(w.x.v, "dir", names, sizeof(names), &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(vp_list(w.x.v, "dir", names, sizeof(names), &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_true(w.x.reports[REPORT_ERROR] >= 2);
	/* The file itself is reached by its name, and a rename writes the sidecar anew. */
	snprintf(path, sizeof(path), "dir/%s", name);
	assert_int_equal(vp_rename(w.x.v, path, "moved", 0), ERR_OK);
	assert_int_equal(vp_rename(w.x.v, "moved", path, 0), ERR_OK);
	assert_int_equal(vp_list(w.x.v, "dir", names, sizeof(names), &n), ERR_OK);
	assert_int_equal(n, 2);
	free(saved);
	world_done(&w);
}

static void symlinks_and_attributes(void **state)
{
	char lower[4096], text[4096], value[64];
	struct world w;
	size_t n;
	ssize_t len;

	(void)state;
	world_init(&w);
	assert_int_equal(vp_symlink(w.x.v, "where/to", "link"), ERR_OK);
	vault_fixture_lower_path(&w.x, "link", lower);
	len = readlink(lower, text, sizeof(text) - 1);
	text[len] = '\0';
	text[5] = text[5] == 'A' ? 'B' : 'A';
	assert_int_equal(unlink(lower), 0);
	assert_int_equal(symlink(text, lower), 0);
	assert_int_equal(vp_readlink(w.x.v, "link", text, sizeof(text)), ERR_TAMPERED);
	assert_int_equal(unlink(lower), 0);
	assert_int_equal(symlink("/etc/passwd", lower), 0);
	assert_int_equal(vp_readlink(w.x.v, "link", text, sizeof(text)), ERR_FORMAT);

	if (vp_setxattr(w.x.v, "file", "user.a", "value", 5, 0) == ERR_OK) {
		char a[256], b[256];

		/* The value of one attribute under the name of another. */
		assert_int_equal(vp_setxattr(w.x.v, "other", "user.b", "OTHER", 5, 0), ERR_OK);
		assert_true(listxattr(w.file, a, sizeof(a)) > 0);
		assert_true(listxattr(w.other, b, sizeof(b)) > 0);
		len = getxattr(w.other, b, value, sizeof(value));
		assert_int_equal(len, 5 + 40);
		assert_int_equal(setxattr(w.file, a, value, (size_t)len, 0), 0);
		assert_int_equal(vp_getxattr(w.x.v, "file", "user.a", value, sizeof(value), &n), ERR_TAMPERED);
	}
	world_done(&w);
}

/* ---- The vault's own records ---- */

static void state_path(struct world *w, const char *name, char out[512])
{
	snprintf(out, 512, "%s/%s", w->x.path, name);
}

static void records(void **state)
{
	static const struct {
		const char *file;
		enum err flipped, missing, missing_read_only;
	} table[] = {
		{"signetfs.ini", ERR_VAULT, ERR_VAULT, ERR_VAULT},
		{".signetfs/sessions", ERR_VAULT, ERR_VAULT, ERR_OK},
		{".signetfs/bucket", ERR_OK, ERR_OK, ERR_OK},
		{".signetfs/lock", ERR_OK, ERR_OK, ERR_OK},
	};
	char path[512];
	struct world w;

	(void)state;
	world_init(&w);
	vault_fixture_close(&w.x);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t *saved;
		size_t len;
		enum err e;

		state_path(&w, table[i].file, path);
		saved = slurp(path, &len);
		flip(path, len / 2);
		e = vault_fixture_try_open(&w.x);
		/* An edited line of the descriptor is bad text, a bad blob for the KMS, or a wrong MAC. */
		if (e != table[i].flipped && !(i == 0 && (e == ERR_KMS_INVALID_CIPHERTEXT || e == ERR_KMS_NOT_FOUND)))
			fail_msg("%s flipped: %s", table[i].file, err_text(e));
		if (e == ERR_OK)
			vault_fixture_close(&w.x);
		spit(path, saved, len);
		assert_int_equal(unlink(path), 0);
		w.x.read_only = 1;
		e = vault_fixture_try_open(&w.x);
		assert_int_equal(e, table[i].missing_read_only);
		if (e == ERR_OK) {
			assert_whole(&w, "file", SIZE);
			vault_fixture_close(&w.x);
		}
		w.x.read_only = 0;
		e = vault_fixture_try_open(&w.x);
		assert_int_equal(e, table[i].missing);
		if (e == ERR_OK) {
			assert_whole(&w, "file", SIZE);
			vault_fixture_close(&w.x);
		}
		close(open(path, O_CREAT | O_WRONLY, 0600));
		spit(path, saved, len);
		vault_fixture_open(&w.x);
		assert_whole(&w, "file", SIZE);
		vault_fixture_close(&w.x);
		free(saved);
	}
	world_done(&w);
}

/* Well-formed, and not what was sealed. */
static void edited_descriptor(void **state)
{
	static const struct {
		const char *from, *to;
	} table[] = {
		{"cache-time = 300", "cache-time = 900"},
		{"files = 1048576", "files = 9999999"},
		{"names = encrypted", "names = plain"},
		{"header-length = 512", "header-length = 1024"},
		{"enabled = yes", "enabled = no"},
		{"key-id = alias/aws/signetfs", "key-id = alias/mine"},
	};
	char path[512], text[8192];
	struct world w;
	uint8_t *saved;
	size_t len;

	(void)state;
	world_init(&w);
	vault_fixture_close(&w.x);
	state_path(&w, "signetfs.ini", path);
	saved = slurp(path, &len);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *at;

		saved[len] = '\0';
		at = strstr((char *)saved, table[i].from);
		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - (char *)saved), (char *)saved, table[i].to,
			at + strlen(table[i].from));
		spit(path, (const uint8_t *)text, strlen(text));
		assert_int_equal(vault_fixture_try_open(&w.x), ERR_VAULT);
		assert_non_null(strstr(err_text(ERR_VAULT), "signetfs.ini"));
	}
	spit(path, saved, len);
	vault_fixture_open(&w.x);
	assert_whole(&w, "file", SIZE);
	free(saved);
	world_done(&w);
}

/* The record of the current bucket key: damage costs a KMS call and a warning, and files are made all the same. */
static void damaged_bucket_record(void **state)
{
	char path[512];
	struct world w;
	uint8_t *saved;
	size_t len;

	(void)state;
	world_init(&w);
	vault_fixture_close(&w.x);
	state_path(&w, ".signetfs/bucket", path);
	saved = slurp(path, &len);
	for (size_t off = 0; off < len; off += 7) {
		char name[32];

		flip(path, off);
		vault_fixture_open(&w.x);
		fake_kms_reset_counts(w.x.fake);
		w.x.reports[REPORT_WARNING] = 0;
		snprintf(name, sizeof(name), "new%zu", off);
		assert_int_equal(vp_put(w.x.v, name, pattern, 10), ERR_OK);
		assert_int_equal(fake_kms_calls(w.x.fake, "GenerateDataKey"), 1);
		assert_int_equal(w.x.reports[REPORT_WARNING], 1);
		vault_fixture_close(&w.x);
		spit(path, saved, len);
	}
	free(saved);
	world_done(&w);
}

static void not_a_vault(void **state)
{
	struct vault_create_options options = {.bucket_keys = 1};
	struct vault_fixture x;
	struct descriptor d;
	char path[600];

	(void)state;
	vault_fixture_init_bare(&x);
	assert_int_equal(vault_fixture_try_open(&x), ERR_NOT_FOUND);
	assert_int_equal(vault_read_descriptor(x.path, &d), ERR_NOT_FOUND);
	assert_int_equal(mkdir(x.path, 0700), 0);
	assert_int_equal(vault_fixture_try_open(&x), ERR_VAULT);
	assert_int_equal(vault_read_descriptor(x.path, &d), ERR_VAULT);
	snprintf(path, sizeof(path), "%s/something", x.path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(vault_create(x.path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_USAGE);
	assert_int_equal(vault_create(path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_USAGE);
	snprintf(path, sizeof(path), "%s/no/where", x.path);
	assert_int_equal(vault_create(path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_USAGE);
	snprintf(path, sizeof(path), "%s/something", x.path);
	unlink(path);
	fake_kms_set_state(x.fake, fake_kms_add_key(x.fake, "alias/off"), FAKE_KMS_DISABLED);
	options.key_id = "alias/off";
	assert_int_equal(vault_create(x.path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_KMS_DISABLED);
	options.key_id = "alias/none";
	assert_int_equal(vault_create(x.path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_KMS_NOT_FOUND);
	assert_int_equal(rmdir(x.path), 0); /* nothing was left behind */
	options.key_id = NULL;
	assert_int_equal(vault_create(x.path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_OK);
	assert_int_equal(vault_create(x.path, &options, fake_kms_client(x.fake), &x.clock.clock), ERR_EXISTS);
	vault_fixture_done(&x);
}

/* ---- Locked ---- */

static void in_use(void **state)
{
	struct vault_fixture x;
	struct vault *first;

	(void)state;
	vault_fixture_init(&x, NULL);
	first = x.v;
	x.v = NULL;
	fake_kms_reset_counts(x.fake);
	assert_int_equal(vault_fixture_try_open(&x), ERR_BUSY);
	assert_non_null(strstr(err_text(ERR_BUSY), "a test"));
	x.read_only = 1;
	assert_int_equal(vault_fixture_try_open(&x), ERR_BUSY);
	assert_int_equal(fake_kms_calls(x.fake, NULL), 0);
	x.read_only = 0;
	assert_int_equal(vault_close(first), ERR_OK);
	vault_fixture_open(&x);
	vault_fixture_done(&x);
}

static void read_only(void **state)
{
	struct vault_file *f;
	struct world w;

	(void)state;
	world_init(&w);
	vault_fixture_close(&w.x);
	w.x.read_only = 1;
	vault_fixture_open(&w.x);
	assert_whole(&w, "file", SIZE);
	assert_int_equal(vp_put(w.x.v, "new", "x", 1), ERR_READ_ONLY);
	assert_int_equal(vp_open(w.x.v, "file", 1, &f), ERR_READ_ONLY);
	assert_int_equal(vp_mkdir(w.x.v, "new", 0700), ERR_READ_ONLY);
	assert_int_equal(vp_unlink(w.x.v, "file"), ERR_READ_ONLY);
	assert_int_equal(vp_rmdir(w.x.v, "dir"), ERR_READ_ONLY);
	assert_int_equal(vp_rename(w.x.v, "file", "x", 0), ERR_READ_ONLY);
	assert_int_equal(vp_link(w.x.v, "file", "x"), ERR_READ_ONLY);
	assert_int_equal(vp_symlink(w.x.v, "file", "x"), ERR_READ_ONLY);
	assert_int_equal(vp_setxattr(w.x.v, "file", "user.x", "x", 1, 0), ERR_READ_ONLY);
	assert_int_equal(vp_removexattr(w.x.v, "file", "user.x"), ERR_READ_ONLY);
	assert_int_equal(vp_open(w.x.v, "file", 0, &f), ERR_OK);
	assert_int_equal(vault_file_write(f, 0, "x", 1), ERR_SYSTEM);
	assert_int_equal(err_errno(), EBADF);
	assert_int_equal(vault_file_close(f), ERR_OK);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_header_field),
		cmocka_unit_test(every_byte_of_the_header),
		cmocka_unit_test(every_part_of_a_chunk),
		cmocka_unit_test(a_bad_chunk_is_no_bad_file),
		cmocka_unit_test(swapped),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(cut_short_in_the_running_session),
		cmocka_unit_test(something_behind_the_end),
		cmocka_unit_test(another_vaults_file),
		cmocka_unit_test(something_else_in_its_place),
		cmocka_unit_test(directory_ids),
		cmocka_unit_test(root_id),
		cmocka_unit_test(foreign_names),
		cmocka_unit_test(sidecars),
		cmocka_unit_test(symlinks_and_attributes),
		cmocka_unit_test(records),
		cmocka_unit_test(edited_descriptor),
		cmocka_unit_test(damaged_bucket_record),
		cmocka_unit_test(not_a_vault),
		cmocka_unit_test(in_use),
		cmocka_unit_test(read_only),
	};

	for (size_t i = 0; i < SIZE; i++)
		pattern[i] = (uint8_t)(i * 31 + i / 4096);
	return cmocka_run_group_tests_name("vault: damage and tampering", tests, NULL, NULL);
}
