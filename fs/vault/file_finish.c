/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vault/dirents.h"
#include "fs/vault/file_internal.h"
#include "fs/vault/rekey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * What a crash left of files that were on their way to other keys. A record below .signetfs/ is named after the file id in the header
 * on the disk, so a file is found by what it says of itself, under whatever name it is met. Records are what headers and files
 * are: they carry MACs and tags of their own, and what does not verify is not used.
 */

enum { COPY_SIZE = 256 * 1024 };

/* ---- A header that was being written over ---- */

static enum err header_mac_key(struct vault_file *f, const uint8_t *in, struct header_key *ret)
{
	struct data_key key AUTO_WIPE;
	struct file_header h;
	struct bucket_ref *ref;
	uint64_t live_until;
	enum err e;

	TRY(file_header_decode(in, header_length(f), &h));
	if (memcmp(h.volume_id, f->v->desc.volume_id, VOLUME_ID_SIZE) != 0)
		return err_fail(ERR_TAMPERED, "the record of a header belongs to another vault");
	TRY(header_data_key(f->v, &h, &key, &ref, &live_until));
	e = file_header_key(&key, h.file_id, ret);
	bucket_ref_release(ref);
	return e == ERR_OK ? file_header_verify(in, header_length(f), ret) : e;
}

static int is_whole(struct vault_file *f, const uint8_t *in, const struct header_key *mac)
{
	struct file_header h;

	return file_header_decode(in, header_length(f), &h) == ERR_OK &&
	       file_header_verify(in, header_length(f), mac) == ERR_OK;
}

static enum err put_back(struct vault_file *f, const uint8_t *old)
{
	const struct lower *l = f->v->lower;
	size_t done;

	if (!f->writable)
		return ERR_OK;
	vault_file_hold_mtime(f);
	if (write_all(l, f->fd, old, header_length(f), 0, &done) != 0 || l->fdatasync(l, f->fd) != 0)
		return err_system("putting a file's header back");
	return ERR_OK;
}

static void forget(struct vault_file *f, const char *kind, const uint8_t *file_id)
{
	char name[UNDO_NAME_SIZE];

	undo_name(kind, file_id, name);
	if (!f->v->read_only)
		f->v->lower->unlinkat(f->v->lower, f->v->state_fd, name, 0);
}

/* Both headers have the MAC key of one data key: which of them is whole is found out with the old one's, whatever the new CMK says. */
static enum err finish_header(struct vault_file *f, uint8_t *header)
{
	uint8_t old[FILE_HEADER_MAX], file_id[FILE_ID_SIZE];
	struct header_key mac AUTO_WIPE;
	char name[UNDO_NAME_SIZE];
	size_t len;
	enum err e;

	memcpy(file_id, file_header_id(header), FILE_ID_SIZE);
	undo_name(UNDO_PREFIX, file_id, name);
	e = state_read(f->v->lower, f->v->state_fd, name, old, sizeof(old), &len);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	TRY(e);
	if (len != header_length(f) || memcmp(file_header_id(old), file_id, FILE_ID_SIZE) != 0)
		return ERR_OK;
	/* It cannot be judged: then the header speaks for itself. */
	if (header_mac_key(f, old, &mac) != ERR_OK)
		return ERR_OK;
	if (!is_whole(f, header, &mac)) {
		TRY(put_back(f, old));
		memcpy(header, old, len);
	}
	if (f->writable)
		forget(f, UNDO_PREFIX, file_id);
	return ERR_OK;
}

/* ---- A file that was being replaced by what it is under its new key ---- */

static enum err copy_run(struct vault_file *f, int from, uint8_t *buf, off_t at, off_t end)
{
	const struct lower *l = f->v->lower;

	while (at < end) {
		size_t want = end - at < COPY_SIZE ? (size_t)(end - at) : COPY_SIZE, done;
		ssize_t n = l->pread(l, from, buf, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_system("reading a file under its new key")
				     : err_fail(ERR_TAMPERED, "a file under its new key is cut");
		if (write_all(l, f->fd, buf, (size_t)n, (uint64_t)at, &done) != 0)
			return err_system("writing a file of the vault");
		at += n;
	}
	return ERR_OK;
}

/* Holes stay: where the copy has none the file has none either, for both have their chunks of zeros at the same places. */
static enum err copy_data(struct vault_file *f, int from, uint8_t *buf, off_t size)
{
	const struct lower *l = f->v->lower;

	for (off_t at = 0, end; at < size; at = end) {
		at = l->lseek(l, from, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? ERR_OK : err_system("reading a file under its new key");
		end = l->lseek(l, from, at, SEEK_HOLE);
		if (end < 0)
			return err_system("reading a file under its new key");
		TRY(copy_run(f, from, buf, at, end));
	}
	return ERR_OK;
}

enum err file_copy_over(struct vault_file *f, int from)
{
	const struct lower *l = f->v->lower;
	uint8_t *buf;
	struct stat st;
	enum err e;

	if (l->fstat(l, from, &st) != 0)
		return err_system("stat of a file under its new key");
	buf = malloc(COPY_SIZE);
	e = buf ? copy_data(f, from, buf, st.st_size) : err_fail(ERR_NO_MEMORY, "no memory to copy a file");
	free(buf);
	if (e == ERR_OK && l->ftruncate(l, f->fd, st.st_size) != 0)
		e = err_system("writing a file of the vault");
	if (e == ERR_OK) {
		const struct timespec times[2] = {st.st_atim, st.st_mtim};

		/* Another's file: its times move, as with any write of ours. */
		(void)l->utimensat(l, f->fd, "", times, AT_EMPTY_PATH);
	}
	if (e == ERR_OK && l->fsync(l, f->fd) != 0)
		e = err_system("fsync of a file of the vault");
	return e;
}

enum err file_forget_redo(struct vault_file *f, const uint8_t *old_id, const uint8_t *new_id)
{
	const struct lower *l = f->v->lower;

	forget(f, REDO_PREFIX, old_id);
	forget(f, REDO_PREFIX, new_id);
	/* Coming back after a power cut it would be written over what programs wrote since. */
	return l->fsync(l, f->v->state_fd) == 0 ? ERR_OK : err_system("syncing " STATE_DIR_NAME);
}

/* The record is a file of the vault: only one that opens as such, of this size, is used. */
static enum err check_redo(struct vault_file *g, const struct stat *st)
{
	struct scratch *s;
	struct stat own;
	size_t have;

	if (g->v->lower->fstat(g->v->lower, g->fd, &own) != 0)
		return err_system("stat of a file under its new key");
	if (own.st_size != st->st_size)
		return err_fail(ERR_TAMPERED, "a file under its new key has another size than the file it is of");
	TRY(scratch_get(g->v->aead, &s));
	return file_ready(g, s, &have);
}

/* Through a descriptor for reading nothing can be finished: then the record is read in the file's place. */
static enum err read_instead(struct vault_file *f, int redo_fd)
{
	int fd = f->v->lower->dup(f->v->lower, redo_fd);

	if (fd < 0)
		return err_system("opening a file under its new key");
	f->v->lower->close(f->v->lower, f->fd);
	f->fd = fd;
	return ERR_OK;
}

static enum err use_redo(struct vault_file *f, struct vault_file *g, uint8_t *header)
{
	uint8_t old_id[FILE_ID_SIZE];
	struct stat st;

	memcpy(old_id, file_header_id(header), FILE_ID_SIZE);
	if (f->v->lower->fstat(f->v->lower, f->fd, &st) != 0)
		return err_system("stat of an open file");
	TRY(check_redo(g, &st));
	TRY(file_pread(g, header, header_length(g), 0));
	if (!f->writable)
		return read_instead(f, g->fd);
	TRY(file_copy_over(f, g->fd));
	return file_forget_redo(f, old_id, file_header_id(header));
}

static enum err finish_contents(struct vault_file *f, uint8_t *header)
{
	char name[UNDO_NAME_SIZE];
	struct vault_file *g;
	enum err e;
	int fd;

	undo_name(REDO_PREFIX, file_header_id(header), name);
	fd = f->v->lower->openat(f->v->lower, f->v->state_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT ? ERR_OK : err_system("opening " STATE_DIR_NAME "/%s", name);
	g = file_new(f->v, 0);
	if (!g) {
		f->v->lower->close(f->v->lower, fd);
		return err_fail(ERR_NO_MEMORY, "no memory for an open file");
	}
	g->fd = fd;
	g->inner = 1;
	e = use_redo(f, g, header);
	file_free(g);
	return e;
}

enum err file_finish(struct vault_file *f, uint8_t header[FILE_HEADER_MAX])
{
	if (f->inner || f->v->state_fd < 0)
		return ERR_OK;
	TRY(finish_header(f, header));
	return finish_contents(f, header);
}

/* ---- Opening a vault ---- */

static int is_record(struct vault *v, const char *name)
{
	(void)v;
	return strncmp(name, UNDO_PREFIX, strlen(UNDO_PREFIX)) == 0 ||
	       strncmp(name, REDO_PREFIX, strlen(REDO_PREFIX)) == 0;
}

/* What was not finished was never in force; what was is remembered. */
static int is_in_the_making(struct vault *v, const char *name)
{
	size_t len = strlen(name);

	if (!is_record(v, name))
		return 0;
	if (len > 4 && strcmp(name + len - 4, ".new") == 0)
		return 1;
	atomic_store(&v->unfinished, 1);
	return 0;
}

static enum err sweep_records(struct vault *v, int (*goes)(struct vault *v, const char *name))
{
	const struct dirent64 *entry;
	struct dirents d;
	enum err e;
	int fd = v->lower->openat(v->lower, v->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd < 0)
		return err_system("listing " STATE_DIR_NAME " of the vault %s", v->path);
	dirents_init(&d, v->lower, fd);
	while ((e = dirents_next(&d, &entry)) == ERR_OK)
		if (goes(v, entry->d_name) && !v->read_only)
			v->lower->unlinkat(v->lower, v->state_fd, entry->d_name, 0);
	v->lower->close(v->lower, fd);
	return e == ERR_CLOSED ? ERR_OK : e;
}

enum err state_find_unfinished(struct vault *v)
{
	return v->state_fd < 0 ? ERR_OK : sweep_records(v, is_in_the_making);
}

void vault_forget_unfinished(struct vault *v)
{
	if (atomic_exchange(&v->unfinished, 0))
		(void)sweep_records(v, is_record);
}
