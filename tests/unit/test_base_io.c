/* SPDX-License-Identifier: Apache-2.0 */
#include "kms/base/io.h"
#include "kms/base/secret.h"
#include "tests/support/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/signetfs-test-io-XXXXXX";
static int dir = -1;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close(dir);
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void assert_content(const char *path, const char *want)
{
	uint8_t *buf = NULL;
	size_t len = 0;

	assert_int_equal(io_read_file(dir, path, 1000, &buf, &len), ERR_OK);
	assert_int_equal(len, strlen(want));
	assert_string_equal((char *)buf, want);
	secret_free(buf);
}

static unsigned entries(void)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void replaces_with_the_given_mode(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(io_replace_file(dir, "f", "one", 3, 0640), ERR_OK);
	assert_content("f", "one");
	assert_int_equal(io_replace_file(dir, "f", "second", 6, 0600), ERR_OK);
	assert_content("f", "second");
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(entries(), 1);
}

static void replaces_in_a_subdirectory_and_by_absolute_path(void **state)
{
	char path[100];

	(void)state;
	assert_int_equal(mkdirat(dir, "sub", 0700), 0);
	assert_int_equal(io_replace_file(dir, "sub/f", "x", 1, 0600), ERR_OK);
	assert_content("sub/f", "x");
	snprintf(path, sizeof(path), "%s/sub/g", root);
	assert_int_equal(io_replace_file(AT_FDCWD, path, "y", 1, 0600), ERR_OK);
	assert_content("sub/g", "y");
	assert_int_equal(io_replace_file(dir, "none/f", "x", 1, 0600), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENOENT);
}

static int replace_with_full_disk(void *context)
{
	const struct rlimit limit = {4, 4};
	char big[100];

	(void)context;
	memset(big, 'n', sizeof(big));
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	if (io_replace_file(dir, "old", big, sizeof(big), 0600) != ERR_SYSTEM)
		return 2;
	return err_errno() == EFBIG && strstr(err_text(ERR_SYSTEM), "old") ? 0 : 3;
}

static void a_failed_write_leaves_the_old_file(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(io_replace_file(dir, "old", "kept", 4, 0600), ERR_OK);
	before = entries();
	assert_int_equal(child_run(replace_with_full_disk, NULL), 0);
	assert_content("old", "kept");
	assert_int_equal(entries(), before);
}

static void a_failed_rename_leaves_no_litter(void **state)
{
	unsigned before;

	(void)state;
	assert_int_equal(mkdirat(dir, "isdir", 0700), 0);
	before = entries();
	assert_int_equal(io_replace_file(dir, "isdir", "x", 1, 0600), ERR_SYSTEM);
	assert_int_equal(err_errno(), EISDIR);
	assert_int_equal(entries(), before);
}

static void too_long_a_name_is_refused(void **state)
{
	char name[5000];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(io_replace_file(dir, name, "x", 1, 0600), ERR_SYSTEM);
	assert_int_equal(err_errno(), ENAMETOOLONG);
}

static void reading_is_bounded_and_for_regular_files(void **state)
{
	uint8_t *buf = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(io_replace_file(dir, "ten", "0123456789", 10, 0600), ERR_OK);
	assert_int_equal(io_read_file(dir, "ten", 9, &buf, &len), ERR_LIMIT);
	assert_int_equal(io_read_file(dir, "missing", 9, &buf, &len), ERR_NOT_FOUND);
	assert_int_equal(io_read_file(dir, ".", 9, &buf, &len), ERR_USAGE);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(io_read_file(dir, "fifo", 9, &buf, &len), ERR_USAGE);
	assert_null(buf);
	assert_int_equal(io_read_file(dir, "ten", 10, &buf, &len), ERR_OK);
	assert_int_equal(len, 10);
	assert_int_equal(buf[10], 0);
	secret_free(buf);
	assert_int_equal(io_replace_file(dir, "empty", "", 0, 0600), ERR_OK);
	assert_int_equal(io_read_file(dir, "empty", 0, &buf, &len), ERR_OK);
	assert_int_equal(len, 0);
	secret_free(buf);
}

static void full_reads_and_writes(void **state)
{
	char buf[6] = "";
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(io_write_full(ends[1], "hello", 5), ERR_OK);
	assert_int_equal(io_read_full(ends[0], buf, 5), ERR_OK);
	assert_string_equal(buf, "hello");
	assert_int_equal(io_write_full(ends[1], "ab", 2), ERR_OK);
	close(ends[1]);
	assert_int_equal(io_read_full(ends[0], buf, 5), ERR_CLOSED);
	close(ends[0]);
	assert_int_equal(io_read_full(ends[0], buf, 1), ERR_SYSTEM);
	assert_int_equal(err_errno(), EBADF);
	assert_int_equal(io_write_full(ends[0], buf, 1), ERR_SYSTEM);
}

static void directories_are_made_as_deep_as_needed(void **state)
{
	char path[200];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s//a/b///c/", root);
	assert_int_equal(io_make_dirs(path, 0700), ERR_OK);
	assert_int_equal(io_make_dirs(path, 0700), ERR_OK);
	assert_int_equal(fstatat(dir, "a/b/c", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(io_replace_file(dir, "a/file", "", 0, 0600), ERR_OK);
	snprintf(path, sizeof(path), "%s/a/file/x", root);
	assert_int_equal(io_make_dirs(path, 0700), ERR_SYSTEM);
	assert_int_equal(io_make_dirs("", 0700), ERR_SYSTEM);
	assert_int_equal(io_make_dirs("/", 0700), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaces_with_the_given_mode),
		cmocka_unit_test(replaces_in_a_subdirectory_and_by_absolute_path),
		cmocka_unit_test(a_failed_write_leaves_the_old_file),
		cmocka_unit_test(a_failed_rename_leaves_no_litter),
		cmocka_unit_test(too_long_a_name_is_refused),
		cmocka_unit_test(reading_is_bounded_and_for_regular_files),
		cmocka_unit_test(full_reads_and_writes),
		cmocka_unit_test(directories_are_made_as_deep_as_needed),
	};

	return cmocka_run_group_tests_name("base_io", tests, set_up, tear_down);
}
