/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fsck/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/format/chunk.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { BUFFER = 1 << 20, TRIES = 3 };

/* What became of a file, so that its other names can be told, too. */
struct verdict {
	int bad;
	enum fsck_kind kind;
	enum fsck_state state;
	char why[512];
	uint64_t first, end, chunks; /* bytes that do not verify */
};

/* ---- Chunks ---- */

static void bad_chunk(void *context, uint64_t off, uint64_t len)
{
	struct verdict *v = context;

	if (v->chunks++ == 0)
		v->first = off;
	v->end = off + len;
}

static uint8_t *buffer_of(struct fsck *f, unsigned job)
{
	if (!f->buffer[job])
		f->buffer[job] = malloc(BUFFER);
	return f->buffer[job];
}

static enum err read_range(
	struct fsck *f, struct vault_file *file, unsigned job, uint64_t off, uint64_t end, struct verdict *v)
{
	uint8_t *buffer = buffer_of(f, job);

	if (!buffer)
		return err_fail(ERR_NO_MEMORY, "no memory to read with");
	while (off < end) {
		size_t n;

		TRY(rescue_read(
			file, off, end - off < BUFFER ? (size_t)(end - off) : BUFFER, buffer, &n, bad_chunk, v));
		if (n == 0)
			break;
		atomic_fetch_add(&f->bytes, n);
		off += n;
	}
	return ERR_OK;
}

static enum err seek(struct vault_file *file, uint64_t off, uint64_t size, int whence, uint64_t *ret)
{
	enum err e = vault_file_seek(file, off, whence, ret);

	if (e == ERR_SYSTEM && err_errno() == ENXIO)
		*ret = size;
	else
		TRY(e);
	return ERR_OK;
}

/* Holes have no bytes to check. */
static enum err read_all(
	struct fsck *f, struct vault_file *file, const struct walk_entry *e, uint64_t size, struct verdict *v)
{
	uint64_t off = 0, end = size;

	while (off < size) {
		TRY(seek(file, off, size, SEEK_DATA, &off));
		if (off >= size)
			break;
		TRY(seek(file, off, size, SEEK_HOLE, &end));
		TRY(read_range(f, file, e->job, off, end, v));
		off = end;
	}
	return ERR_OK;
}

/* ---- Header and size ---- */

__attribute__((format(printf, 4, 5))) static void set(
	struct verdict *v, enum fsck_kind kind, enum fsck_state state, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, args);
	va_end(args);
	v->bad = 1;
	v->kind = kind;
	v->state = state;
}

/* What the KMS says of a header whose ARN or ciphertext was changed. */
static int is_of_the_blob(enum err e)
{
	return e == ERR_KMS_INVALID_CIPHERTEXT || e == ERR_KMS_INCORRECT_KEY || e == ERR_KMS_INVALID_ARN ||
	       e == ERR_KMS_VALIDATION || e == ERR_KMS_WRONG_ANSWER;
}

static void judge_failure(const struct fsck *f, const struct walk_entry *e, const struct rescue_look *look,
	enum err err, struct verdict *v)
{
	static const enum fsck_kind sizes[] = {FSCK_HEADER, FSCK_LONGER, FSCK_SHORTER, FSCK_NO_HEADER};
	enum fsck_kind kind = sizes[look->size];
	enum fsck_state state = FSCK_DAMAGED;

	if (err <= ERR_KMS_UNREACHABLE && !is_of_the_blob(err))
		set(v, FSCK_KEY, FSCK_UNCHECKED, "%s", err_text(err));
	else if (!err_is_damage(err) && err > ERR_KMS_UNREACHABLE)
		set(v, FSCK_UNREADABLE, FSCK_UNCHECKED, "%s", err_text(err));
	else {
		/* A header that does not verify may have been half written; a size is excused by sessions alone. */
		if (rescue_is_held(f->o.vault) || (kind == FSCK_HEADER && fsck_in_flight(f, e->st)))
			state = FSCK_IN_FLIGHT;
		set(v, kind, state, "%s", err_text(err));
	}
}

static void judge_size(const struct rescue_look *look, struct verdict *v)
{
	switch (look->size) {
	case RESCUE_AGREES:
		break;
	case RESCUE_LONGER:
		set(v, FSCK_LONGER, FSCK_IN_FLIGHT,
			"longer than the %" PRIu64 " bytes that its header says; %" PRIu64 " verify", look->header_size,
			look->size_now);
		break;
	case RESCUE_SHORTER:
		set(v, FSCK_SHORTER, FSCK_IN_FLIGHT,
			"shorter than the %" PRIu64 " bytes that its header says; %" PRIu64 " verify",
			look->header_size, look->size_now);
		break;
	case RESCUE_NO_HEADER:
		set(v, FSCK_NO_HEADER, FSCK_IN_FLIGHT, "created and not written to: it is empty");
		break;
	}
}

static void judge_chunks(const struct fsck *f, const struct walk_entry *e, struct verdict *v)
{
	struct verdict chunks = *v;

	if (v->chunks == 0)
		return;
	set(&chunks, FSCK_CHUNK, fsck_in_flight(f, e->st) ? FSCK_IN_FLIGHT : FSCK_DAMAGED,
		"%" PRIu64 " chunks do not verify: plaintext bytes %" PRIu64 " to %" PRIu64, v->chunks, v->first,
		v->end - 1);
	*v = chunks;
}

static void look_at(struct fsck *f, const struct walk_entry *e, struct verdict *v)
{
	struct vault_file *file;
	struct rescue_look look = {0};
	enum err err = vault_file_open(f->o.vault, e->object, 0, &file);

	memset(v, 0, sizeof(*v));
	if (err == ERR_SYSTEM && err_errno() == ENOENT)
		return;
	if (err != ERR_OK) {
		judge_failure(f, e, &look, err, v);
		return;
	}
	err = rescue_look(file, &look);
	if (err == ERR_OK) {
		judge_size(&look, v);
		if (f->o.read_data)
			err = read_all(f, file, e, look.size_now, v);
		else
			/* A longer file may hold a chunk that verifies neither way; one look tells. */
			atomic_fetch_add(&f->bytes, look.size_now);
	}
	if (err != ERR_OK)
		judge_failure(f, e, &look, err, v);
	else
		judge_chunks(f, e, v);
	vault_file_close(file);
}

/* ---- Other names of a damaged inode ---- */

struct bad_inode {
	struct {
		uint64_t dev, ino;
	} key;
	char *first; /* the lower path that was told */
	struct verdict verdict;
	UT_hash_handle hh;
};

static void remember(struct fsck *f, const struct walk_entry *e, const struct verdict *v)
{
	struct bad_inode *b = calloc(1, sizeof(*b));
	unsigned before;

	if (!b)
		return;
	b->key.dev = e->st->st_dev;
	b->key.ino = e->st->st_ino;
	b->first = walk_lower_path(e);
	b->verdict = *v;
	pthread_mutex_lock(&f->lock);
	before = HASH_COUNT(f->bad);
	HASH_ADD(hh, f->bad, key, sizeof(b->key), b);
	if (HASH_COUNT(f->bad) == before) {
		free(b->first);
		free(b);
	}
	pthread_mutex_unlock(&f->lock);
}

void file_forget_bad(struct fsck *f)
{
	struct bad_inode *b, *next;

	HASH_ITER (hh, f->bad, b, next) {
		HASH_DELETE(hh, f->bad, b);
		free(b->first);
		free(b);
	}
}

/* ---- Telling ---- */

static void tell(struct fsck *f, const struct walk_entry *e, const struct verdict *v)
{
	const struct site s = {.f = f, .e = e};
	struct fsck_finding finding = {.kind = v->kind,
		.state = v->state,
		.why = v->why,
		.off = v->first,
		.len = v->end - v->first,
		.chunks = v->chunks};

	finding_tell(&s, &finding);
}

void file_check(struct fsck *f, struct walk_entry *e)
{
	struct verdict v;

	look_at(f, e, &v);
	/* Beside a mount what looks damaged may be between two steps of a call: another look, and it is whole. */
	for (int n = 1; n < TRIES && v.bad && v.state != FSCK_UNCHECKED && rescue_is_held(f->o.vault); n++)
		look_at(f, e, &v);
	if (!v.bad)
		return;
	if (e->st->st_nlink > 1)
		remember(f, e, &v);
	tell(f, e, &v);
}

static int on_other_name(void *context, struct walk_entry *e)
{
	struct fsck *f = context;
	struct {
		uint64_t dev, ino;
	} key;
	struct bad_inode *b;
	char *lower;

	if (e->type != DT_REG || e->st->st_nlink < 2)
		return 1;
	key.dev = e->st->st_dev;
	key.ino = e->st->st_ino;
	/* Nobody adds to it any more. */
	HASH_FIND(hh, f->bad, &key, sizeof(key), b);
	lower = b ? walk_lower_path(e) : NULL;
	if (b && lower && b->first && strcmp(lower, b->first) != 0)
		tell(f, e, &b->verdict);
	free(lower);
	return 1;
}

static void ignore_fault(void *context, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	(void)context;
	(void)e;
	(void)what;
	(void)why;
}

enum err file_other_names(struct fsck *f)
{
	const struct walk_options walk = {.vault = f->o.vault,
		.flags = WALK_STAT,
		.jobs = 1,
		.calls = {.entry = on_other_name, .fault = ignore_fault},
		.context = f};

	return f->bad ? walk_run(&walk) : ERR_OK;
}
