/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/vault_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "kms/base/random.h"

static void assert_errno(enum err e, int errnum)
{
	assert_int_equal(e, ERR_SYSTEM);
	assert_int_equal(err_errno(), errnum);
}

static void make_and_open(void **state)
{
	struct vault_fixture x;

	(void)state;
	vault_fixture_init(&x, NULL);
	/* Volume key and bucket key to make it; the volume key to open it. */
	assert_int_equal(fake_kms_calls(x.fake, "GenerateDataKey"), 2);
	assert_int_equal(fake_kms_calls(x.fake, "Decrypt"), 1);
	assert_int_equal(fake_kms_calls(x.fake, NULL), 3);
	vault_fixture_done(&x);
}

static void write_read_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 1000000};
	struct vault_fixture x;
	uint8_t *data = malloc(1000000);

	(void)state;
	random_bytes(data, 1000000);
	vault_fixture_init(&x, NULL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char name[32];
		struct stat st;
		uint8_t *back;
		size_t len;

		snprintf(name, sizeof(name), "file-%zu", sizes[i]);
		assert_int_equal(vp_put(x.v, name, data, sizes[i]), ERR_OK);
		vault_fixture_reopen(&x);
		assert_int_equal(vp_stat(x.v, name, &st), ERR_OK);
		assert_int_equal(st.st_size, sizes[i]);
		assert_int_equal(vp_get(x.v, name, &back, &len), ERR_OK);
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(back, data, len);
		free(back);
	}
	assert_int_equal(x.reports[REPORT_ERROR] + x.reports[REPORT_NOTICE], 0);
	vault_fixture_done(&x);
	free(data);
}

/* ".", the entry in the parent (the top: itself), and ".." of each directory in it: what is ours is not counted. */
static void links_of_directories(void **state)
{
	struct vault_fixture x;
	struct stat st, lower;

	(void)state;
	vault_fixture_init(&x, NULL);
	assert_int_equal(stat(x.path, &lower), 0);
	if (lower.st_nlink != 3) {
		print_message("skip: the file system below counts no links of directories\n");
		vault_fixture_done(&x);
		return;
	}
	assert_int_equal(vp_stat(x.v, "", &st), ERR_OK);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(vp_mkdir(x.v, "d", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(x.v, "d/e", 0755), ERR_OK);
	assert_int_equal(vp_stat(x.v, "", &st), ERR_OK);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(vp_stat(x.v, "d", &st), ERR_OK);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(vp_stat(x.v, "d/e", &st), ERR_OK);
	assert_int_equal(st.st_nlink, 2);
	/* A copy that is only read may lack our folder. */
	vault_fixture_close(&x);
	snprintf(x.last_report, sizeof(x.last_report), "%s/.signetfs", x.path);
	vault_fixture_remove_tree(x.last_report);
	x.read_only = 1;
	vault_fixture_open(&x);
	assert_int_equal(vp_stat(x.v, "", &st), ERR_OK);
	assert_int_equal(st.st_nlink, 3);
	vault_fixture_done(&x);
}

/* Lower entries of the vault's top whose name ends so. */
static unsigned count_lower(struct vault_fixture *x, const char *end)
{
	DIR *d = opendir(x->path);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strlen(e->d_name) >= strlen(end) && strcmp(e->d_name + strlen(e->d_name) - strlen(end), end) == 0;
	closedir(d);
	return n;
}

/* A sidecar comes with its long name and goes with it. */
static void sidecars(void **state)
{
	struct vault_fixture x;
	char a[256], b[256];

	(void)state;
	memset(a, 'a', 255);
	memset(b, 'b', 200);
	a[255] = b[200] = '\0';
	vault_fixture_init(&x, NULL);
	assert_int_equal(vp_put(x.v, a, "", 0), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 1);
	assert_int_equal(vp_rename(x.v, a, b, 0), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 1);
	assert_int_equal(vp_link(x.v, b, a), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 2);
	/* Two names of one file: rename does nothing, and both keep theirs. */
	assert_int_equal(vp_rename(x.v, a, b, 0), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 2);
	assert_int_equal(vp_unlink(x.v, a), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 1);
	assert_int_equal(vp_rename(x.v, b, "short", 0), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 0);
	assert_int_equal(vp_symlink(x.v, "t", a), ERR_OK);
	assert_int_equal(vp_rename(x.v, "short", a, RENAME_EXCHANGE), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 1);
	assert_int_equal(vp_unlink(x.v, a), ERR_OK);
	assert_int_equal(vp_mkdir(x.v, a, 0700), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 1);
	assert_int_equal(vp_rmdir(x.v, a), ERR_OK);
	assert_int_equal(count_lower(&x, ".name"), 0);
	/* signetfs.ini, .signetfs, signetfs.dir, the symlink; "." and "..". */
	assert_int_equal(count_lower(&x, ""), 6);
	vault_fixture_done(&x);
}

static void directories_and_names(void **state)
{
	struct vault_fixture x;
	char long_name[256], path[600], list[4096];
	struct stat st;
	size_t n;

	(void)state;
	memset(long_name, 'x', 255);
	long_name[255] = '\0';
	vault_fixture_init(&x, NULL);
	assert_int_equal(vp_mkdir(x.v, "d", 0755), ERR_OK);
	assert_errno(vp_mkdir(x.v, "d", 0755), EEXIST);
	snprintf(path, sizeof(path), "d/%s", long_name);
	assert_int_equal(vp_put(x.v, path, "long", 4), ERR_OK);
	assert_errno(vp_put(x.v, path, "long", 4), EEXIST);
	assert_errno(vp_rmdir(x.v, "d"), ENOTEMPTY);
	assert_int_equal(vp_list(x.v, "d", list, sizeof(list), &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_string_equal(list, long_name);
	assert_int_equal(vp_rename(x.v, path, "short", 0), ERR_OK);
	assert_int_equal(vp_rename(x.v, "short", path, 0), ERR_OK);
	vault_fixture_reopen(&x);
	assert_int_equal(vp_stat(x.v, path, &st), ERR_OK);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(vp_unlink(x.v, path), ERR_OK);
	assert_int_equal(vp_mkdir(x.v, "e", 0755), ERR_OK);
	assert_int_equal(vp_mkdir(x.v, "e/sub", 0755), ERR_OK);
	assert_errno(vp_rename(x.v, "d", "e", 0), ENOTEMPTY);
	assert_int_equal(vp_rename(x.v, "e", "d", 0), ERR_OK);
	assert_int_equal(vp_stat(x.v, "d/sub", &st), ERR_OK);
	assert_errno(vp_stat(x.v, "e", &st), ENOENT);
	assert_int_equal(vp_rmdir(x.v, "d/sub"), ERR_OK);
	assert_int_equal(vp_rmdir(x.v, "d"), ERR_OK);
	assert_int_equal(vp_list(x.v, "", list, sizeof(list), &n), ERR_OK);
	assert_int_equal(n, 0);
	vault_fixture_done(&x);
}

static void links_and_attributes(void **state)
{
	struct vault_fixture x;
	char text[256], value[64];
	struct stat st;
	size_t len;

	(void)state;
	vault_fixture_init(&x, NULL);
	assert_int_equal(vp_symlink(x.v, "over/there", "l"), ERR_OK);
	assert_int_equal(vp_readlink(x.v, "l", text, sizeof(text)), ERR_OK);
	assert_string_equal(text, "over/there");
	assert_int_equal(vp_stat(x.v, "l", &st), ERR_OK);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_size, 10);
	assert_int_equal(vp_put(x.v, "f", "abc", 3), ERR_OK);
	assert_int_equal(vp_link(x.v, "f", "g"), ERR_OK);
	assert_int_equal(vp_stat(x.v, "g", &st), ERR_OK);
	assert_int_equal(st.st_nlink, 2);
	assert_errno(vp_getxattr(x.v, "f", "user.color", value, sizeof(value), &len), ENODATA);
	if (vp_setxattr(x.v, "f", "user.color", "green", 5, 0) == ERR_OK) {
		assert_int_equal(vp_getxattr(x.v, "g", "user.color", value, sizeof(value), &len), ERR_OK);
		assert_int_equal(len, 5);
		assert_memory_equal(value, "green", 5);
		assert_errno(vp_getxattr(x.v, "f", "user.color", value, 3, &len), ERANGE);
	}
	vault_fixture_done(&x);
}

static void holes(void **state)
{
	struct vault_fixture x;
	struct vault_file *f;
	uint8_t buf[16];
	struct stat st;
	uint64_t off;
	size_t len;

	(void)state;
	vault_fixture_init(&x, NULL);
	assert_int_equal(vp_create(x.v, "f", 0644, &f), ERR_OK);
	assert_int_equal(vault_file_write(f, 0, "head", 4), ERR_OK);
	assert_int_equal(vault_file_truncate(f, UINT64_C(1) << 40), ERR_OK);
	assert_int_equal(vault_file_read(f, UINT64_C(1) << 39, 16, buf, &len), ERR_OK);
	assert_int_equal(len, 16);
	assert_memory_equal(buf, (uint8_t[16]){0}, 16);
	assert_int_equal(vault_file_write(f, (UINT64_C(1) << 41) + 5, "tail", 4), ERR_OK);
	assert_int_equal(vault_file_stat(f, &st), ERR_OK);
	assert_int_equal(st.st_size, (INT64_C(1) << 41) + 9);
	assert_true(st.st_blocks < 128);
	assert_int_equal(vault_file_seek(f, 0, SEEK_DATA, &off), ERR_OK);
	assert_int_equal(off, 0);
	assert_int_equal(vault_file_seek(f, 0, SEEK_HOLE, &off), ERR_OK);
	assert_int_equal(off, 4096);
	assert_int_equal(vault_file_seek(f, 4096, SEEK_DATA, &off), ERR_OK);
	assert_int_equal(off, UINT64_C(1) << 41);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_reopen(&x);
	assert_int_equal(vp_open(x.v, "f", 0, &f), ERR_OK);
	assert_int_equal(vault_file_read(f, (UINT64_C(1) << 41), 16, buf, &len), ERR_OK);
	assert_int_equal(len, 9);
	assert_memory_equal(buf, "\0\0\0\0\0tail", 9);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_fixture_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(make_and_open),
		cmocka_unit_test(write_read_sizes),
		cmocka_unit_test(directories_and_names),
		cmocka_unit_test(links_of_directories),
		cmocka_unit_test(sidecars),
		cmocka_unit_test(links_and_attributes),
		cmocka_unit_test(holes),
	};

	return cmocka_run_group_tests_name("vault: basics", tests, NULL, NULL);
}
