/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fuse/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kms/base/encode.h"
#include "kms/base/io.h"

extern char **environ;

enum { WORD_SIZE = 4096 };

/* ---- /proc/self/mountinfo ---- */

/* Spaces and such are written as \040; undone in place. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
			s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* One line: "36 35 98:0 /root /mount/point options … - type source super-options" */
struct line {
	char *device, *point, *type, *source, *options;
};

static int parse_line(char *text, struct line *ret)
{
	char *save, *word = strtok_r(text, " \n", &save);

	for (int i = 0; word && i < 4; i++) {
		if (i == 2)
			ret->device = word;
		word = strtok_r(NULL, " \n", &save);
	}
	ret->point = word;
	while (word && strcmp(word, "-"))
		word = strtok_r(NULL, " \n", &save);
	if (!word)
		return 0;
	ret->type = strtok_r(NULL, " \n", &save);
	ret->source = strtok_r(NULL, " \n", &save);
	ret->options = strtok_r(NULL, " \n", &save);
	if (!ret->type || !ret->source || !ret->options)
		return 0;
	unescape(ret->point);
	unescape(ret->source);
	return 1;
}

static void info_from(const struct line *l, struct mount_info *ret)
{
	const char *owner = strstr(l->options, "user_id=");

	memset(ret, 0, sizeof *ret);
	snprintf(ret->type, sizeof ret->type, "%s", l->type);
	snprintf(ret->source, sizeof ret->source, "%s", l->source);
	char *minor_text = strchr(l->device, ':');
	ret->major = (unsigned)strtoul(l->device, NULL, 10);
	ret->minor = minor_text ? (unsigned)strtoul(minor_text + 1, NULL, 10) : 0;
	ret->owner = owner ? (uid_t)strtoul(owner + strlen("user_id="), NULL, 10) : 0;
}

/* Calls @is_it for each mount; the last one that it likes wins, because it is on top. Returns whether there is one. */
static int find_mount(int (*is_it)(const struct line *l, const char *text), const char *text, struct mount_info *ret)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *buffer = NULL;
	struct line line = {.point = NULL};
	size_t size = 0;
	int found = 0;

	while (f && getline(&buffer, &size, f) > 0) {
		if (!parse_line(buffer, &line) || !is_it(&line, text))
			continue;
		info_from(&line, ret);
		found = 1;
	}
	free(buffer);
	if (f)
		fclose(f);
	return found;
}

static int is_at(const struct line *l, const char *point)
{
	return !strcmp(l->point, point);
}

static int is_ours_from(const struct line *l, const char *source)
{
	return !strcmp(l->type, MOUNT_TYPE) && !strcmp(l->source, source);
}

void mount_each(void (*each)(void *context, const struct mount_info *info), void *context)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *buffer = NULL;
	struct line line = {.point = NULL};
	struct mount_info info;
	size_t size = 0;

	while (f && getline(&buffer, &size, f) > 0) {
		if (!parse_line(buffer, &line) || strcmp(line.type, MOUNT_TYPE) != 0)
			continue;
		info_from(&line, &info);
		each(context, &info);
	}
	free(buffer);
	if (f)
		fclose(f);
}

enum err mount_what(const char *mount_point, struct mount_info *ret)
{
	if (find_mount(is_at, mount_point, ret))
		return ERR_OK;
	return err_fail(ERR_NOT_FOUND, "%s is not a mount point", mount_point);
}

int mount_is_shown(const char *source)
{
	struct mount_info info;

	return find_mount(is_ours_from, source, &info);
}

enum err mount_find_source(const char *source, struct mount_info *ret)
{
	return find_mount(is_ours_from, source, ret) ? ERR_OK : err_fail(ERR_NOT_FOUND, "%s is not mounted", source);
}

/* ---- Checking ---- */

static enum err check_not_mounted(const char *path)
{
	struct mount_info info;

	if (mount_what(path, &info) != ERR_OK)
		return ERR_OK;
	if (!strcmp(info.type, MOUNT_TYPE)) {
		char word[WORD_SIZE];

		return err_fail(ERR_MOUNT_POINT,
			"%s is mounted already, from %s: unmount it first with `signetfs umount %s`", path, info.source,
			encode_shell(path, word, sizeof word));
	}
	return err_fail(ERR_MOUNT_POINT, "%s is a mount point already (%s, from %s): choose another directory", path,
		info.type, info.source);
}

static enum err check_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return err_fail(ERR_MOUNT_POINT, "cannot look into %s: %s", path, strerror(errno));
	do
		entry = readdir(dir);
	while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
	closedir(dir);
	if (entry)
		return err_fail(ERR_MOUNT_POINT,
			"%s is not empty, and what is in it would be hidden: choose an empty directory, or pass -o "
			"nonempty",
			path);
	return ERR_OK;
}

static int is_within(const char *outer, const char *inner)
{
	size_t len = strlen(outer);

	if (!strcmp(outer, "/"))
		return 1;
	return !strncmp(outer, inner, len) && (inner[len] == '/' || inner[len] == '\0');
}

static enum err check_apart(const char *vault, const char *point)
{
	if (!strcmp(vault, point))
		return err_fail(
			ERR_MOUNT_POINT, "%s is the vault itself: choose another directory to mount it on", point);
	if (is_within(vault, point))
		return err_fail(
			ERR_MOUNT_POINT, "%s lies inside the vault %s: choose a directory outside of it", point, vault);
	if (is_within(point, vault))
		return err_fail(ERR_MOUNT_POINT,
			"the vault %s lies inside %s and would be hidden by the mount: choose another directory", vault,
			point);
	return ERR_OK;
}

static enum err check_directory(const char *path)
{
	char word[WORD_SIZE];
	struct stat st;

	if (stat(path, &st)) {
		if (errno == ENOENT)
			return err_fail(ERR_MOUNT_POINT, "%s does not exist: make it with `mkdir %s`", path,
				encode_shell(path, word, sizeof word));
		if (errno == ENOTCONN)
			return err_fail(ERR_MOUNT_POINT,
				"%s is a mount whose process has died: clean it up with `signetfs umount -l %s`", path,
				encode_shell(path, word, sizeof word));
		return err_fail(ERR_MOUNT_POINT, "%s: %s", path, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return err_fail(ERR_MOUNT_POINT, "%s is not a directory", path);
	if (geteuid() != 0 && access(path, W_OK))
		return err_fail(ERR_MOUNT_POINT, "%s is not yours to write to, so you may not mount on it", path);
	return ERR_OK;
}

static int find_program(const char *name)
{
	static const char *const places[] = {"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"};
	char path[64];

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", places[i], name);
		if (!access(path, X_OK))
			return 1;
	}
	return 0;
}

static enum err check_fuse(void)
{
	if (access("/dev/fuse", F_OK))
		return err_fail(ERR_MOUNT_POINT, "there is no /dev/fuse: load the module with `modprobe fuse` (root); "
						 "in a container, start it with "
						 "`--device /dev/fuse --cap-add SYS_ADMIN`");
	if (geteuid() != 0 && !find_program("fusermount3"))
		return err_fail(ERR_MOUNT_POINT, "fusermount3 is missing: install it with `apt install fuse3`");
	int fd AUTO_CLOSE = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_fail(ERR_MOUNT_POINT,
			"cannot open /dev/fuse: %s (in a container, start it with `--device /dev/fuse --cap-add "
			"SYS_ADMIN`; "
			"elsewhere its mode should be 0666)",
			strerror(errno));
	return ERR_OK;
}

enum err mount_check(const char *vault_path, const char *mount_point, int nonempty)
{
	TRY(check_directory(mount_point));
	TRY(check_not_mounted(mount_point));
	TRY(check_apart(vault_path, mount_point));
	if (!nonempty)
		TRY(check_empty(mount_point));
	return check_fuse();
}

/* ---- Unmounting ---- */

static enum err unmount_as_root(const char *mount_point, int lazy)
{
	if (!umount2(mount_point, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return ERR_OK;
	if (errno == EBUSY)
		return err_fail(ERR_BUSY, "%s is in use", mount_point);
	if (errno == EINVAL)
		return err_fail(ERR_NOT_FOUND, "%s is not a mount point", mount_point);
	return err_system("cannot unmount %s", mount_point);
}

static enum err unmount_as_user(const char *mount_point, int lazy)
{
	char *argv[] = {"fusermount3", "-u", lazy ? "-z" : "-q", "--", (char *)(uintptr_t)mount_point, NULL};
	posix_spawn_file_actions_t actions;
	int status = 0;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	int rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc) {
		errno = rc;
		return err_system("cannot run fusermount3");
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return ERR_OK;
	struct mount_info info;
	TRY(mount_what(mount_point, &info));
	return err_fail(ERR_BUSY, "%s is in use, or not yours to unmount", mount_point);
}

enum err mount_unmount(const char *mount_point, int lazy)
{
	return geteuid() == 0 ? unmount_as_root(mount_point, lazy) : unmount_as_user(mount_point, lazy);
}
