/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/copy_tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { LINKS_MAX = 64, PATHS_MAX = 4096 };

/* One copy at a time: nftw has no context. */
static struct {
	char from[PATHS_MAX], to[PATHS_MAX];
	size_t links;
	struct {
		ino_t ino;
		char path[2 * PATHS_MAX];
	} link[LINKS_MAX];
} job;

static __attribute__((noreturn)) void die(const char *what, const char *path)
{
	fprintf(stderr, "copying %s: %s: ", path, what);
	perror("");
	abort();
}

#define MUST(condition, path)                                                                                          \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			die(#condition, path);                                                                         \
	} while (0)

static void copy_range(int in, int out, off_t off, off_t end)
{
	char buf[65536];

	while (off < end) {
		size_t want = end - off < (off_t)sizeof(buf) ? (size_t)(end - off) : sizeof(buf);
		ssize_t n = pread(in, buf, want, off);

		MUST(n > 0 && pwrite(out, buf, (size_t)n, off) == n, "a file");
		off += n;
	}
}

/* Holes stay holes. */
static void copy_content(const char *from, const char *to, const struct stat *st)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	off_t off = 0, end;

	MUST(in >= 0 && out >= 0 && ftruncate(out, st->st_size) == 0, from);
	while ((off = lseek(in, off, SEEK_DATA)) >= 0) {
		end = lseek(in, off, SEEK_HOLE);
		copy_range(in, out, off, end);
		off = end;
	}
	close(in);
	close(out);
}

/* True: it was one more name of something that is there. */
static int copy_link(const char *to, const struct stat *st)
{
	for (size_t i = 0; i < job.links; i++)
		if (job.link[i].ino == st->st_ino) {
			MUST(link(job.link[i].path, to) == 0, to);
			return 1;
		}
	MUST(job.links < LINKS_MAX, to);
	job.link[job.links].ino = st->st_ino;
	snprintf(job.link[job.links++].path, sizeof(job.link[0].path), "%s", to);
	return 0;
}

static void copy_attributes(const char *from, const char *to)
{
	char list[4096], value[65536];
	ssize_t n = llistxattr(from, list, sizeof(list)), len;

	for (const char *name = list; n > 0 && name < list + n; name += strlen(name) + 1)
		if ((len = lgetxattr(from, name, value, sizeof(value))) >= 0)
			MUST(lsetxattr(to, name, value, (size_t)len, 0) == 0, from);
}

static void copy_what(const char *from, const char *to, const struct stat *st)
{
	char target[PATHS_MAX];
	ssize_t n;

	if (S_ISDIR(st->st_mode)) {
		MUST(mkdir(to, 0700) == 0, to);
	} else if (S_ISLNK(st->st_mode)) {
		n = readlink(from, target, sizeof(target) - 1);
		MUST(n >= 0, from);
		target[n] = '\0';
		MUST(symlink(target, to) == 0, to);
	} else if (S_ISREG(st->st_mode)) {
		copy_content(from, to, st);
	} else {
		MUST(mknod(to, st->st_mode, st->st_rdev) == 0, to);
	}
}

static int copy_one(const char *from, const struct stat *st, int type, struct FTW *ftw)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char to[2 * PATHS_MAX];

	(void)type;
	(void)ftw;
	snprintf(to, sizeof(to), "%s%s", job.to, from + strlen(job.from));
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1 && copy_link(to, st))
		return 0;
	copy_what(from, to, st);
	copy_attributes(from, to);
	MUST(geteuid() != 0 || lchown(to, st->st_uid, st->st_gid) == 0, to);
	MUST(S_ISLNK(st->st_mode) || S_ISDIR(st->st_mode) || chmod(to, st->st_mode & 07777) == 0, to);
	MUST(utimensat(AT_FDCWD, to, times, AT_SYMLINK_NOFOLLOW) == 0, to);
	return 0;
}

/* Directories last: what is made in them needs their permissions, and changes their times. */
static int finish_one(const char *from, const struct stat *st, int type, struct FTW *ftw)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	char to[2 * PATHS_MAX];

	(void)type;
	(void)ftw;
	snprintf(to, sizeof(to), "%s%s", job.to, from + strlen(job.from));
	if (S_ISDIR(st->st_mode))
		MUST(chmod(to, st->st_mode & 07777) == 0 && utimensat(AT_FDCWD, to, times, 0) == 0, to);
	return 0;
}

void copy_tree(const char *from, const char *to)
{
	snprintf(job.from, sizeof(job.from), "%s", from);
	snprintf(job.to, sizeof(job.to), "%s", to);
	job.links = 0;
	MUST(nftw(from, copy_one, 16, FTW_PHYS) == 0, from);
	MUST(nftw(from, finish_one, 16, FTW_PHYS | FTW_DEPTH) == 0, from);
}
