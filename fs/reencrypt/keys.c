/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reencrypt/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/format/chunk.h"
#include "fs/format/names.h"
#include "fs/vault/rekey.h"
#include "fs/vault/vault.h"
#include "kms/base/io.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { LINKS_MAX = 1 << 18 };

struct seen_inode {
	ino_t ino;
	UT_hash_handle hh;
};

struct scan {
	const struct keys_calls *calls;
	struct descriptor d;
	struct seen_inode *seen; /* of files with several names */
	char path[PATH_MAX];     /* of the directory at hand, below the vault */
};

static int is_ours(const char *name, int at_top)
{
	size_t len = strlen(name), suffix = strlen(LONG_SUFFIX);

	if (at_top && strcmp(name, STATE_DIR_NAME) == 0)
		return 1;
	/* A long name's entry is a file like others; its sidecar is not. */
	if (strncmp(name, LONG_PREFIX, strlen(LONG_PREFIX)) == 0)
		return len > suffix && strcmp(name + len - suffix, LONG_SUFFIX) == 0;
	return strncmp(name, "signetfs.", 9) == 0;
}

static int was_seen(struct scan *s, const struct stat *st)
{
	struct seen_inode *i = NULL;

	if (st->st_nlink < 2)
		return 0;
	HASH_FIND(hh, s->seen, &st->st_ino, sizeof(st->st_ino), i);
	if (i)
		return 1;
	if (HASH_COUNT(s->seen) < LINKS_MAX && (i = calloc(1, sizeof(*i)))) {
		i->ino = st->st_ino;
		HASH_ADD(hh, s->seen, ino, sizeof(i->ino), i);
	}
	return 0;
}

static enum err read_header(const struct scan *s, int fd, struct file_header *ret)
{
	uint8_t buf[FILE_HEADER_MAX];
	ssize_t n;

	do
		n = pread(fd, buf, s->d.header_length, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_system("reading it");
	if (n < (ssize_t)s->d.header_length)
		return err_fail(ERR_NOT_FOUND, "it is empty and has no header");
	TRY(file_header_decode(buf, s->d.header_length, ret));
	if (memcmp(ret->volume_id, s->d.volume_id, VOLUME_ID_SIZE) != 0)
		return err_fail(ERR_TAMPERED, "it belongs to another vault");
	return ERR_OK;
}

static void scan_file(struct scan *s, int dirfd, const char *name, const char *path)
{
	int fd AUTO_CLOSE = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct file_header h;
	struct stat st;
	enum err e;

	if (fd < 0 && errno == ENOENT)
		return;
	e = fd < 0 || fstat(fd, &st) != 0 ? err_system("opening it") : ERR_OK;
	if (e == ERR_OK && (!S_ISREG(st.st_mode) || was_seen(s, &st)))
		return;
	if (e == ERR_OK)
		e = read_header(s, fd, &h);
	if (e == ERR_OK)
		s->calls->file(
			s->calls->context, path, &h, chunk_plain_size((uint64_t)st.st_size, s->d.header_length, NULL));
	else
		s->calls->unread(s->calls->context, path, e);
}

static enum err scan_dir(struct scan *s, int fd);

/* @used: how much of s->path is the directory's. */
static enum err scan_entry(struct scan *s, DIR *dir, const struct dirent *entry, size_t used)
{
	int n = snprintf(s->path + used, sizeof(s->path) - used, "%s%s", used ? "/" : "", entry->d_name);
	struct stat st;
	int type = entry->d_type;

	if (n < 0 || (size_t)n >= sizeof(s->path) - used)
		return err_fail(ERR_LIMIT, "a path in the vault is longer than %d bytes", PATH_MAX);
	if (type == DT_UNKNOWN && fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		type = IFTODT(st.st_mode);
	if (type == DT_REG)
		scan_file(s, dirfd(dir), entry->d_name, s->path);
	if (type != DT_DIR)
		return ERR_OK;
	int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return scan_dir(s, fd);
	if (errno != ENOENT)
		s->calls->unread(s->calls->context, s->path, err_system("opening it"));
	return ERR_OK;
}

/* Takes @fd. */
static enum err scan_dir(struct scan *s, int fd)
{
	DIR *dir = fdopendir(fd);
	size_t used = strlen(s->path);
	const struct dirent *entry;
	enum err e = ERR_OK;

	if (!dir) {
		close(fd);
		return err_system("listing a directory of the vault");
	}
	while (e == ERR_OK && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			!is_ours(entry->d_name, used == 0)) {
			e = scan_entry(s, dir, entry, used);
			s->path[used] = '\0';
		}
	closedir(dir);
	return e;
}

static void scan_things(struct scan *s, const char *vault)
{
	struct kms_wrapped_key bucket;

	s->calls->thing(s->calls->context, "volume key", &s->d.volume_key);
	if (s->d.bucket_keys && vault_peek_record(vault, &bucket) == ERR_OK)
		s->calls->thing(s->calls->context, "new files", &bucket);
}

enum err keys_scan(const char *vault, const struct keys_calls *calls)
{
	struct scan *s = calloc(1, sizeof(*s));
	struct seen_inode *i = NULL, *next = NULL;
	enum err e;
	int fd;

	if (!s)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	s->calls = calls;
	e = vault_read_descriptor(vault, &s->d);
	if (e == ERR_OK) {
		scan_things(s, vault);
		fd = open(vault, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		e = fd < 0 ? err_system("opening the vault %s", vault) : scan_dir(s, fd);
	}
	HASH_ITER (hh, s->seen, i, next) {
		HASH_DELETE(hh, s->seen, i);
		free(i);
	}
	free(s);
	return e;
}
