/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/rescue.h"
#include "fs/vault/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* .signetfs/: the lock and the list of sessions. */

static ssize_t read_all(const struct lower *l, int fd, void *buf, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = l->pread(l, fd, (uint8_t *)buf + used, size - used, (off_t)used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

/* A link, a directory, a pipe or a socket where a file should be is damage; the disk has not failed. */
static enum err fail_read(const char *doing, const char *name)
{
	if (errno == ELOOP || errno == EISDIR || errno == ESPIPE || errno == ENXIO)
		return err_fail(ERR_TAMPERED, "%s is no file", name);
	return err_system("%s %s", doing, name);
}

enum err state_read(const struct lower *l, int dirfd, const char *name, void *buf, size_t size, size_t *ret_len)
{
	int fd = l->openat(l, dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	enum err e = ERR_OK;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return err_fail(ERR_NOT_FOUND, "%s is missing", name);
	if (fd < 0)
		return fail_read("opening", name);
	n = read_all(l, fd, buf, size);
	if (n < 0)
		e = fail_read("reading", name);
	l->close(l, fd);
	TRY(e);
	*ret_len = (size_t)n;
	return ERR_OK;
}

/* @fd, just opened, holds @buf and nothing else from then on, and does so durably. What it held is overwritten before it is cut. */
static enum err fill_and_close(struct vault *v, int fd, const char *name, const void *buf, size_t len)
{
	const struct lower *l = v->lower;
	enum err e = ERR_OK;
	size_t done;

	if (fd < 0)
		return err_system("writing %s of the vault %s", name, v->path);
	if (write_all(l, fd, buf, len, 0, &done) != 0 || l->ftruncate(l, fd, (off_t)len) != 0 || l->fsync(l, fd) != 0)
		e = err_system("writing %s of the vault %s", name, v->path);
	l->close(l, fd);
	return e;
}

static int open_new(const struct lower *l, int dirfd, const char *name, int flags)
{
	return l->openat(l, dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
}

enum err state_replace(struct vault *v, int dirfd, const char *name, const void *buf, size_t len)
{
	const struct lower *l = v->lower;
	char tmp[96];
	enum err e;

	snprintf(tmp, sizeof(tmp), "%s.new", name);
	e = fill_and_close(v, open_new(l, dirfd, tmp, O_TRUNC), tmp, buf, len);
	if (e == ERR_OK && (l->renameat2(l, dirfd, tmp, dirfd, name, 0) != 0 || l->fsync(l, dirfd) != 0))
		e = err_system("replacing %s of the vault %s", name, v->path);
	if (e != ERR_OK)
		l->unlinkat(l, dirfd, tmp, 0);
	return e;
}

/* ---- The lock: flock, which ends with its holder, so a stale file locks nobody out ---- */

static enum err fail_locked(struct vault *v, int fd)
{
	char text[400];
	ssize_t n = read_all(v->lower, fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return err_fail(ERR_BUSY, "the vault %s is in use: %s. Unmount it there first.", v->path,
		*text ? text : "its lock is held by an unknown process");
}

static void write_holder(struct vault *v, const char *holder)
{
	char host[65] = "unknown", text[400];
	size_t done;
	int n;

	gethostname(host, sizeof(host) - 1);
	n = snprintf(text, sizeof(text), "pid %d, host %s, %s\n", (int)getpid(), host, holder ? holder : "a program");
	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	/* For people only; what counts is the lock. Cut last, so that the room is there on a full disk. */
	if (write_all(v->lower, v->lock_fd, text, (size_t)n, 0, &done) == 0)
		(void)v->lower->ftruncate(v->lower, v->lock_fd, n);
}

static int open_lock(struct vault *v)
{
	const struct lower *l = v->lower;
	int fd = v->read_only
			 ? -1
			 : l->openat(l, v->state_fd, STATE_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0 || !v->read_only)
		return fd;
	return l->openat(l, v->state_fd, STATE_LOCK_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
}

enum { LOCK_POLL_NS = 20000000 };

/* 0, or -1 and errno: EWOULDBLOCK when the holder has not let go for @patience seconds. */
static int take_lock(const struct vault *v, int fd, unsigned patience)
{
	uint64_t end = v->clock->monotonic(v->clock) + patience * CLOCK_SECOND;
	int rc;

	while ((rc = flock(fd, (v->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB)) != 0 && errno == EWOULDBLOCK &&
		v->clock->monotonic(v->clock) < end)
		v->clock->sleep(v->clock, LOCK_POLL_NS);
	return rc;
}

/* The lock was not had; errno says why. Who reads beside a writer goes on without. */
static enum err refused(struct vault *v, int fd)
{
	if (errno != EWOULDBLOCK)
		return err_system("locking the vault %s", v->path);
	v->held = v->beside;
	return v->beside ? ERR_OK : fail_locked(v, fd);
}

enum err state_lock(struct vault *v, const char *holder, unsigned patience)
{
	int fd;

	/* Who only reads a vault that has no state (a copy on read-only media) has nothing to lock against. */
	if (v->state_fd < 0 && v->read_only)
		return ERR_OK;
	fd = open_lock(v);
	if (fd < 0 && v->read_only && errno == ENOENT)
		return ERR_OK;
	if (fd < 0 && errno == EROFS)
		return err_system("the vault %s lies where nothing can be written: mount it with -o ro", v->path);
	if (fd < 0)
		return err_system("opening the lock of the vault %s", v->path);
	if (take_lock(v, fd, patience) != 0) {
		enum err e = refused(v, fd);

		v->lower->close(v->lower, fd);
		return e;
	}
	v->lock_fd = fd;
	if (!v->read_only)
		write_holder(v, holder);
	return ERR_OK;
}

/* ---- Sessions ---- */

/*
 * fsck goes on without the list: nothing counts as unclean. Where it may write, the damaged one is put aside, and the new one begins at
 * a number that no session had: they count one by one, this is a time in seconds.
 */
static enum err without_sessions(struct vault *v, enum err why, const char *text)
{
	char name[RESCUE_NAME_SIZE];

	snprintf(v->sessions_fault, sizeof(v->sessions_fault), "%s", text);
	memset(&v->sessions, 0, sizeof(v->sessions));
	if (v->read_only)
		return ERR_OK;
	v->sessions.last = v->clock->wall(v->clock) / CLOCK_SECOND;
	if (why == ERR_NOT_FOUND)
		return ERR_OK;
	return rescue_set_aside(v, NULL, SESSIONS_NAME, STATE_DIR_NAME "/" SESSIONS_NAME, v->sessions_fault, name);
}

/* The list is written when a session begins. Where the last one did not end, that is when the list was modified. */
static void note_unclean(struct vault *v)
{
	struct stat st;

	if (sessions_is_unclean(&v->sessions, v->sessions.last) &&
		v->lower->fstatat(v->lower, v->state_fd, SESSIONS_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		v->unclean_since = st.st_mtim;
}

enum err state_load_sessions(struct vault *v)
{
	uint8_t buf[SESSIONS_MAX_SIZE + 1];
	size_t len;
	enum err e;

	/* Without a list no session counts as unclean: the strict side, and reading is all that is possible then. */
	if (v->state_fd < 0)
		return v->forgiving ? without_sessions(v, ERR_NOT_FOUND, STATE_DIR_NAME " is missing") : ERR_OK;
	e = state_read(v->lower, v->state_fd, SESSIONS_NAME, buf, sizeof(buf), &len);
	if (e == ERR_OK)
		e = sessions_decode(buf, len, v->key, v->desc.volume_id, &v->sessions);
	if (e == ERR_OK)
		note_unclean(v);
	if (v->forgiving && (e == ERR_NOT_FOUND || e == ERR_FORMAT || e == ERR_TAMPERED))
		return without_sessions(v, e, err_text(e));
	if (e == ERR_NOT_FOUND && v->read_only)
		return ERR_OK;
	if (e == ERR_NOT_FOUND || e == ERR_FORMAT || e == ERR_TAMPERED)
		return err_wrap(err_fail(ERR_VAULT, "%s", err_text(e)),
			"the list of sessions, " STATE_DIR_NAME "/" SESSIONS_NAME
			", of the vault %s is damaged; put it back from a backup, or open the vault without it, for "
			"reading only",
			v->path);
	return e;
}

/* Where files cannot be exchanged (NFS), or where there is no list yet, there is none to keep either. */
static int exchange_sessions(struct vault *v)
{
	const struct lower *l = v->lower;
	int fd = v->state_fd;

	return l->renameat2(l, fd, SESSIONS_SPARE_NAME, fd, SESSIONS_NAME, RENAME_EXCHANGE) == 0
		       ? 0
		       : l->renameat2(l, fd, SESSIONS_SPARE_NAME, fd, SESSIONS_NAME, 0);
}

/*
 * The list before the last stays: its blocks hold the next one, so that a session can end, and begin, on a disk that is full to the
 * last block. The list of a session's end is no longer than that of its beginning was, which is written in the same way.
 */
static enum err replace_sessions(struct vault *v, const uint8_t *buf, size_t len)
{
	const struct lower *l = v->lower;

	TRY(fill_and_close(v, open_new(l, v->state_fd, SESSIONS_SPARE_NAME, 0), SESSIONS_SPARE_NAME, buf, len));
	if (exchange_sessions(v) != 0 || l->fsync(l, v->state_fd) != 0)
		return err_system("replacing " SESSIONS_NAME " of the vault %s", v->path);
	return ERR_OK;
}

enum err state_save_sessions(struct vault *v)
{
	uint8_t buf[SESSIONS_MAX_SIZE];
	size_t len;

	TRY(sessions_encode(&v->sessions, v->key, v->desc.volume_id, buf, &len));
	enum err e = replace_sessions(v, buf, len);
	return e == ERR_SYSTEM && reserve_give(v, err_errno()) ? replace_sessions(v, buf, len) : e;
}

enum err state_begin_session(struct vault *v)
{
	if (v->read_only)
		return ERR_OK;
	v->session = sessions_begin(&v->sessions);
	TRY(state_save_sessions(v));
	reserve_make(v);
	return ERR_OK;
}

/* Clean means that everything of it is on the disk: the sync comes first, and any doubt leaves the session on the list. */
enum err state_end_session(struct vault *v)
{
	if (v->read_only)
		return ERR_OK;
	int whole = headerless_settle(v);
	if (v->lower->syncfs(v->lower, v->top_fd) != 0)
		return err_system("syncing the vault %s", v->path);
	if (!whole)
		return ERR_OK;
	sessions_end_clean(&v->sessions, v->session);
	return state_save_sessions(v);
}
