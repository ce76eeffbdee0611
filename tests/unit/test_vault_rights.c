/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners, modes and permissions: a vault driven by root for others, and one driven by an ordinary user, who has to get at files
 * that their own modes close. The second half runs in a child process with another user id, when the test runs as root.
 */
#include "tests/support/vault_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

enum { ANYBODY = 65534, UID = 1234, GID = 2345 };

static struct vault_object object_in(struct vault_dir *d, const char *name)
{
	struct vault_object o = {.dir = d, .name = name, .len = strlen(name)};

	return o;
}

static struct stat stat_of(struct vault *v, const char *path)
{
	struct stat st = {0};

	assert_int_equal(vp_stat(v, path, &st), ERR_OK);
	return st;
}

/* ---- Driven by root ---- */

static void made_for_others(void **state)
{
	const struct vault_owner owner = {.uid = UID, .gid = GID, .set = 1};
	struct vault_fixture x;
	struct vault_dir *root;
	struct vault_file *f;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	vault_fixture_init(&x, NULL);
	root = vault_root(x.v);
	assert_int_equal(vault_file_create(object_in(root, "f"), 04755, owner, &f, &st), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	assert_int_equal(st.st_uid, UID);
	assert_int_equal(st.st_gid, GID);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(vault_mkdir(object_in(root, "d"), 0700, owner, &st), ERR_OK);
	assert_int_equal(st.st_uid, UID);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(vault_symlink(object_in(root, "l"), "t", owner, &st), ERR_OK);
	assert_int_equal(st.st_uid, UID);
	assert_int_equal(st.st_gid, GID);
	assert_int_equal(vault_mknod(object_in(root, "p"), S_IFIFO | 0600, 0, owner, &st), ERR_OK);
	assert_int_equal(st.st_uid, UID);
	assert_int_equal(vault_mknod(object_in(root, "r"), S_IFREG | 0640, 0, owner, &st), ERR_OK);
	assert_int_equal(st.st_gid, GID);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	vault_dir_release(root);
	vault_fixture_done(&x);
}

/* In a set-group-ID directory its group wins, and directories inherit the bit. */
static void set_group_id_directories(void **state)
{
	const struct vault_owner owner = {.uid = UID, .gid = GID, .set = 1};
	const struct vault_attr group = {.set = VAULT_SET_GID | VAULT_SET_MODE, .gid = 777, .mode = 02775};
	struct vault_fixture x;
	struct vault_dir *root, *d;
	struct vault_file *f;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	vault_fixture_init(&x, NULL);
	root = vault_root(x.v);
	assert_int_equal(vp_mkdir(x.v, "d", 0755), ERR_OK);
	assert_int_equal(vault_setattr(object_in(root, "d"), NULL, &group, &st), ERR_OK);
	assert_int_equal(st.st_mode, S_IFDIR | 02775);
	assert_int_equal(vault_dir_open(object_in(root, "d"), &d), ERR_OK);
	assert_int_equal(vault_file_create(object_in(d, "f"), 0644, owner, &f, &st), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	assert_int_equal(st.st_uid, UID);
	assert_int_equal(st.st_gid, 777);
	assert_int_equal(vault_mkdir(object_in(d, "sub"), 0750, owner, &st), ERR_OK);
	assert_int_equal(st.st_gid, 777);
	assert_int_equal(st.st_mode, S_IFDIR | 02750);
	vault_dir_release(d);
	vault_dir_release(root);
	vault_fixture_done(&x);
}

/* u::rwx,g::r-x,o::---,u:1234:rwx,m::rwx as system.posix_acl_default. */
static const uint8_t acl[] = {2, 0, 0, 0, 0x01, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 7, 0, 0xd2, 0x04, 0, 0, 0x04,
	0, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};

static void default_acls_are_inherited(void **state)
{
	struct vault_fixture x;
	uint8_t value[256];
	struct stat st;
	size_t len;

	(void)state;
	vault_fixture_init(&x, NULL);
	assert_int_equal(vp_mkdir(x.v, "d", 0755), ERR_OK);
	if (vp_setxattr(x.v, "d", "system.posix_acl_default", acl, sizeof(acl), 0) != ERR_OK) {
		vault_fixture_done(&x);
		skip();
	}
	assert_int_equal(vp_put(x.v, "d/f", "x", 1), ERR_OK);
	assert_int_equal(vp_mkdir(x.v, "d/sub", 0777), ERR_OK);
	assert_int_equal(vp_getxattr(x.v, "d/f", "system.posix_acl_access", value, sizeof(value), &len), ERR_OK);
	assert_int_equal(vp_getxattr(x.v, "d/sub", "system.posix_acl_default", value, sizeof(value), &len), ERR_OK);
	assert_int_equal(len, sizeof(acl));
	assert_memory_equal(value, acl, len);
	st = stat_of(x.v, "d/sub");
	assert_int_equal(st.st_mode, S_IFDIR | 0770);
	vault_fixture_done(&x);
}

static void times_and_owners(void **state)
{
	struct vault_attr a = {
		.set = VAULT_SET_ATIME | VAULT_SET_MTIME, .atime = {1000, 1}, .mtime = {2000, 999999999}};
	struct vault_fixture x;
	struct vault_dir *root;
	struct vault_file *f;
	struct stat st;
	int pin;

	(void)state;
	vault_fixture_init(&x, NULL);
	root = vault_root(x.v);
	assert_int_equal(vp_put(x.v, "f", "abc", 3), ERR_OK);
	assert_int_equal(vault_setattr(object_in(root, "f"), NULL, &a, &st), ERR_OK);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st_mtim.tv_nsec, 999999999);
	assert_int_equal(st.st_atim.tv_nsec, 1);
	assert_int_equal(st.st_size, 3);
	/* Through an open file, and through a pin of something that has no name any more. */
	assert_int_equal(vp_open(x.v, "f", 1, &f), ERR_OK);
	assert_int_equal(vault_pin(object_in(root, "f"), &pin), ERR_OK);
	assert_int_equal(vp_unlink(x.v, "f"), ERR_OK);
	a.set = VAULT_SET_MTIME | VAULT_SET_MODE;
	a.mtime.tv_sec = 3000;
	a.mode = 0600;
	assert_int_equal(vault_setattr(object_in(root, "f"), f, &a, &st), ERR_OK);
	assert_int_equal(st.st_mtim.tv_sec, 3000);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(vault_file_close(f), ERR_OK);
	a.mode = 0640;
	assert_int_equal(vault_setattr((struct vault_object){.pin = pin}, NULL, &a, &st), ERR_OK);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(vault_stat((struct vault_object){.pin = pin}, &st), ERR_OK);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(vault_file_open(x.v, (struct vault_object){.pin = pin}, 1, &f), ERR_OK);
	assert_int_equal(vault_file_write(f, 3, "def", 3), ERR_OK);
	assert_int_equal(vault_file_close(f), ERR_OK);
	vault_unpin(x.v, pin);
	assert_int_equal(vault_stat((struct vault_object){.pin = pin}, &st), ERR_SYSTEM);
	assert_int_equal(err_errno(), EBADF);
	vault_dir_release(root);
	vault_fixture_done(&x);
}

static void pinned_symlink_and_directory(void **state)
{
	struct vault_fixture x;
	struct vault_dir *root, *d;
	struct stat st;
	char text[64];
	size_t len;
	int link, dir;

	(void)state;
	vault_fixture_init(&x, NULL);
	root = vault_root(x.v);
	assert_int_equal(vp_symlink(x.v, "target", "l"), ERR_OK);
	assert_int_equal(vp_mkdir(x.v, "d", 0755), ERR_OK);
	assert_int_equal(vp_put(x.v, "d/f", "x", 1), ERR_OK);
	assert_int_equal(vault_pin(object_in(root, "l"), &link), ERR_OK);
	assert_int_equal(vault_pin(object_in(root, "d"), &dir), ERR_OK);
	assert_int_equal(vp_rename(x.v, "d", "e", 0), ERR_OK);
	assert_int_equal(vp_unlink(x.v, "l"), ERR_OK);
	assert_int_equal(vault_readlink((struct vault_object){.pin = link}, text, sizeof(text), &len), ERR_OK);
	assert_int_equal(len, 6);
	assert_memory_equal(text, "target", 6);
	assert_int_equal(vault_stat((struct vault_object){.pin = link}, &st), ERR_OK);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(vault_dir_open((struct vault_object){.pin = dir}, &d), ERR_OK);
	assert_int_equal(vault_stat(object_in(d, "f"), &st), ERR_OK);
	vault_dir_release(d);
	vault_unpin(x.v, link);
	vault_unpin(x.v, dir);
	vault_dir_release(root);
	vault_fixture_done(&x);
}

/* ---- Driven by an ordinary user: in a child, where cmocka's jumps do not reach ---- */

#define MUST(what)                                                                                                     \
	do {                                                                                                           \
		if (!(what)) {                                                                                         \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #what, strerror(err_errno()));         \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

static mode_t lower_mode(struct vault *v, const char *path)
{
	struct stat st = {0};

	MUST(vp_stat(v, path, &st) == ERR_OK);
	return st.st_mode & 07777;
}

static void change_mode(struct vault *v, const char *path, mode_t mode)
{
	const struct vault_attr a = {.set = VAULT_SET_MODE, .mode = mode};
	struct vault_object o;
	struct vault_dir *d;
	struct stat st;

	MUST(vault_fixture_walk(v, path, &d, &o) == ERR_OK);
	MUST(vault_setattr(o, NULL, &a, &st) == ERR_OK);
	vault_dir_release(d);
}

/* Who may open is decided above; here every mode of an own file opens, and is as before afterwards. */
static void closed_files(struct vault *v)
{
	static const mode_t modes[] = {0444, 0200, 0000, 0600, 0222};
	char buf[8];
	size_t len;

	MUST(vp_put(v, "f", "hello", 5) == ERR_OK);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct vault_file *f;

		change_mode(v, "f", modes[i]);
		MUST(vp_open(v, "f", 1, &f) == ERR_OK);
		MUST(vault_file_read(f, 0, 5, buf, &len) == ERR_OK && len == 5 && memcmp(buf, "hello", 5) == 0);
		MUST(vault_file_write(f, 0, "hello", 5) == ERR_OK);
		MUST(vault_file_close(f) == ERR_OK);
		MUST(lower_mode(v, "f") == modes[i]);
		MUST(vp_open(v, "f", 0, &f) == ERR_OK);
		MUST(vault_file_read(f, 0, 5, buf, &len) == ERR_OK);
		MUST(vault_file_close(f) == ERR_OK);
		MUST(lower_mode(v, "f") == modes[i]);
	}
	MUST(vp_unlink(v, "f") == ERR_OK);
}

static void closed_directories(struct vault *v)
{
	static const mode_t modes[] = {0000, 0100, 0200, 0400, 0500, 0300, 0055};
	char names[256];
	size_t n;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		MUST(vp_mkdir(v, "d", modes[i]) == ERR_OK);
		MUST(lower_mode(v, "d") == modes[i]);
		MUST(vp_rename(v, "d", "e", 0) == ERR_OK);
		MUST(vp_rmdir(v, "e") == ERR_OK);
	}
	/* Its names can be listed where it may be read, though its id could not be read without search permission. */
	MUST(vp_mkdir(v, "d", 0700) == ERR_OK);
	MUST(vp_put(v, "d/f", "x", 1) == ERR_OK);
	change_mode(v, "d", 0500);
	MUST(vp_list(v, "d", names, sizeof(names), &n) == ERR_OK && n == 1);
	MUST(vp_rmdir(v, "d") == ERR_SYSTEM && err_errno() == ENOTEMPTY);
	MUST(vp_unlink(v, "d/f") == ERR_SYSTEM && err_errno() == EACCES);
	MUST(lower_mode(v, "d") == 0500);
	change_mode(v, "d", 0700);
	MUST(vp_unlink(v, "d/f") == ERR_OK);
	change_mode(v, "d", 0500);
	MUST(vp_rmdir(v, "d") == ERR_OK);
}

static void as_somebody(void)
{
	struct vault_fixture x;

	if (geteuid() == 0 && (setresgid(ANYBODY, ANYBODY, ANYBODY) != 0 || setresuid(ANYBODY, ANYBODY, ANYBODY) != 0))
		_exit(2);
	vault_fixture_init(&x, NULL);
	closed_files(x.v);
	closed_directories(x.v);
	vault_fixture_reopen(&x);
	vault_fixture_done(&x);
	_exit(0);
}

static void ordinary_user(void **state)
{
	pid_t child;
	int status;

	(void)state;
	fflush(stdout);
	child = fork();
	if (child == 0)
		as_somebody();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_for_others),
		cmocka_unit_test(set_group_id_directories),
		cmocka_unit_test(default_acls_are_inherited),
		cmocka_unit_test(times_and_owners),
		cmocka_unit_test(pinned_symlink_and_directory),
		cmocka_unit_test(ordinary_user),
	};

	return cmocka_run_group_tests_name("vault: owners and rights", tests, NULL, NULL);
}
