/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_FILE_INTERNAL_H
#define SIGNETFS_VAULT_FILE_INTERNAL_H

/* An open file, for the files of fs/vault that work on one. */

#include <string.h>
#include "fs/vault/file_lock.h"
#include "fs/vault/rescue.h"
#include "fs/vault/scratch.h"
#include "fs/vault/vault_internal.h"

enum file_state {
	FILE_UNLOADED, /* only opened */
	FILE_FRESH,    /* has keys, and no header on the disk yet; the lower file is shorter than a header */
	FILE_EMPTY,    /* a crash left less than a header: reads as empty; the first write makes it fresh */
	FILE_LOADED,   /* the header is read, verified and in @header */
};

/* See vault_file_hold_mtime(). @moved: something was written since, and the lower file's time is another. */
struct held_mtime {
	pthread_mutex_t lock;
	struct timespec value;
	int known, moved;
};

/*
 * Invariants between two calls, of a loaded file that is not broken:
 * 1. header is what the first bytes of the lower file say.
 * 2. header.size == size. While a call is under way the header never claims more than the lower file holds: every growth
 *    writes data first and the header after it, every cut the header first. So a lower file shorter than its header is never
 *    the work of a session that goes on, and within the running session it is damage.
 * 3. The lower size is chunk_lower_size(size), except on a descriptor that recovery may not write through.
 * 4. A chunk of zeros stands in the lower file only when header.flags says that there are holes, and on the disk it said so first.
 */
struct vault_file {
	struct vault *v;
	int fd;
	int writable;
	int inner;             /* a record below .signetfs/, for which there are no records */
	struct file_lock lock; /* guards what follows; see file_lock.h for what a claim allows */

	enum file_state state;
	_Atomic uint64_t size;
	uint64_t shown; /* what the lower length stood for before recovery found less; 0: it did not, or was told */
	int excused;    /* rescue_excuse(): no crash has to explain a size */
	enum rescue_size contradicts; /* what loading found */
	uint64_t claimed;             /* by the header that it contradicts */
	int explained;                /* a crash explains it */
	struct file_keys *keys;       /* the data key itself is not kept. Secret memory; NULL: none at the moment */
	struct bucket_ref *ref;       /* what the keys' life hangs on; NULL: live_until */
	uint64_t live_until;
	pthread_mutex_t nonce_lock; /* writers of different chunks draw from it */
	struct chunk_nonce nonce;
	struct file_header header;
	struct held_mtime mtime;
	_Atomic int broken; /* an errno: something that failed could not be put back, no more writing until closed */

	_Atomic int
		sync_failed; /* an errno: Linux may have dropped the pages, so it never succeeds again (until closed) */
};

struct vault_file *file_new(struct vault *v, int writable);
void file_free(struct vault_file *f);
/** The file as a target, for attributes. */
void file_target(const struct vault_file *f, struct target *t);

void file_free(struct vault_file *f);

/* ---- file_headerless.c ---- */

/** Instead of file_free(): the file could get no header. */
void headerless_keep(struct vault_file *f);
/** The lower file of @f may hold anything: the session cannot end cleanly. */
void headerless_unknown(struct vault_file *f);

/* ---- file_times.c ---- */

/** The holder told the time: what was held before is over. */
void file_times_set(struct vault_file *f, const struct timespec *mtime);
/** The time that is held, into what fstat said. */
void file_times_show(struct vault_file *f, struct stat *st);
/** Give the lower file the time that is held. */
enum err file_times_restore(struct vault_file *f);

/* ---- file_keys.c ---- */

/** May the keys be used at this moment? */
int file_keys_live(const struct vault_file *f);
/** Draw a file id and a data key and have it wrapped: the file becomes fresh. */
enum err file_keys_make(struct vault_file *f);
/** Unwrap the header's data key, and take the keys derived from it. */
enum err file_keys_get(struct vault_file *f, const struct file_header *h);
void file_keys_drop(struct vault_file *f);
/** The data key that @h wraps. *ret_ref: what its life hangs on; NULL: *ret_live_until, which is set only then. */
enum err header_data_key(struct vault *v, const struct file_header *h, struct data_key *ret_key,
	struct bucket_ref **ret_ref, uint64_t *ret_live_until);
/** Wrap @key under the vault's current bucket key, into @h. ERR_LIMIT: the headers are too short for this CMK. */
enum err header_wrap_in_bucket(
	struct vault *v, struct file_header *h, const struct data_key *key, struct bucket_ref **ret_ref);
/** For the chunk functions. */
struct chunk_file file_chunks(const struct vault_file *f);

/* ---- file_load.c ---- */

static inline int file_is_ready(const struct vault_file *f)
{
	return f->state == FILE_EMPTY || (f->state != FILE_UNLOADED && f->keys && file_keys_live(f));
}

/**
 * Load and have live keys. Lock held exclusively. *ret_have: that many bytes from the start of the lower file are in s->stored.
 * Errors: the KMS's; ERR_FORMAT, ERR_TAMPERED, ERR_UNSUPPORTED: damage, reported.
 */
enum err file_ready(struct vault_file *f, struct scratch *s, size_t *ret_have);
/** As file_ready(), for changes: with a header on the disk, too, unless @fresh_will_do. */
enum err file_ready_to_change(struct vault_file *f, struct scratch *s, int fresh_will_do);

/** Bring the header on the disk up to date. On failure the old one is in force, or the file is broken. */
enum err file_put_header(struct vault_file *f, uint64_t size, uint32_t flags);

/** What failed could not be put back, because of @errnum: from now on the file is only read. The first reason stands. */
void file_break(struct vault_file *f, int errnum);

/** Report damage of this file: @index is a chunk's, or NO_CHUNK. Returns @e. */
#define NO_CHUNK UINT64_MAX
enum err file_damage(struct vault_file *f, uint64_t index, enum err e);

/* ---- file_rewrap.c, file_finish.c: see rekey.h ---- */

#define UNDO_PREFIX "undo." /* the header that a longer one than a write takes is being written over */
#define REDO_PREFIX "redo." /* the whole file as it is to be, under its new key, being copied over the old one */
enum { UNDO_NAME_SIZE = 8 + 2 * FILE_ID_SIZE };
/** The file below .signetfs/ that belongs to @file_id. */
void undo_name(const char *kind, const uint8_t file_id[FILE_ID_SIZE], char ret[UNDO_NAME_SIZE]);
/** Write @new over the header @old, so that after a crash one of them is there. Lock held. On failure @old is, or the file is broken. */
enum err file_replace_header(struct vault_file *f, const uint8_t *new, const uint8_t *old);
/** After a crash: put right what a move left of this file. @header: what its first bytes are, and will be. Lock held, nothing loaded. */
enum err file_finish(struct vault_file *f, uint8_t header[FILE_HEADER_MAX]);
/** Make the file what the lower file @from is, times included, and sync it. */
enum err file_copy_over(struct vault_file *f, int from);
/** Remove the record of a file that was at @old_id and is at @new_id, durably. */
enum err file_forget_redo(struct vault_file *f, const uint8_t *old_id, const uint8_t *new_id);

/* ---- file_recover.c ---- */

/** The lower size contradicts the header. doc/format.md, "Size, sessions and truncation". Sets f->size, repairs where it may. */
enum err file_recover(struct vault_file *f, struct scratch *s, uint64_t lower_size);
/** The lower file is shorter than a header: an empty file, or damage? */
enum err file_recover_empty(struct vault_file *f, uint64_t lower_size);
/** Holes verify unread: the first chunk at or behind @index that may hold something. */
uint64_t file_skip_hole(struct vault_file *f, uint64_t index, uint64_t size);

/* ---- file_read.c ---- */

/** Plaintext bytes in chunk @index of a file of @size bytes; 0 beyond the end. */
static inline size_t chunk_len_in(uint64_t size, uint64_t index)
{
	uint64_t start = index * CHUNK_SIZE;

	if (start >= size)
		return 0;
	return size - start < CHUNK_SIZE ? (size_t)(size - start) : CHUNK_SIZE;
}

static inline size_t header_length(const struct vault_file *f)
{
	return f->v->desc.header_length;
}

/** Where chunk @index is stored. */
static inline uint64_t offset_of(const struct vault_file *f, uint64_t index)
{
	return chunk_offset(index, f->v->desc.header_length);
}

/** A stored chunk of zeros: where the header says that there are holes, it is one, at any length. */
static inline int stored_is_hole(const uint8_t *stored, size_t len)
{
	return stored[0] == 0 && memcmp(stored, stored + 1, len - 1) == 0;
}

/** pread of exactly @len bytes, ERR_TAMPERED when the file ends early. */
enum err file_pread(struct vault_file *f, void *buf, size_t len, uint64_t off);
/** Read chunk @index (of f->size) into s->plain; its stored form is in s->one then. */
enum err file_read_chunk(struct vault_file *f, struct scratch *s, uint64_t index, size_t *ret_len);

/* ---- file_write.c, file_size.c ---- */

/** Seal and write; chunks that are not wholly covered keep their other bytes. @size: the file's from now on. Lock held. */
enum err file_put_chunks(struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len,
	uint64_t size, int *ret_torn);

/** Seal at most WIDE_PLAIN bytes of whole chunks, the last of the file, into s->wide (scratch_widen() it first). */
enum err file_seal_wide(
	struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len, size_t *ret_len);

/**
 * Write whole chunks behind the end of a file that ends at a chunk border, while others do the same. *ret_done is 0 where that
 * is not the case; nothing has changed then, and the caller goes the long way. In file_append.c.
 */
enum err file_append(
	struct vault_file *f, struct scratch *s, uint64_t off, const uint8_t *buf, size_t len, int *ret_done);

/** Where holes may be, ask for room first: a full disk shows before anything inside the file is overwritten. */
enum err file_reserve(struct vault_file *f, uint64_t off, size_t len);

/* What a growing file looked like. The stored last chunk, if it is not full, is in s->undo. */
struct growth {
	uint64_t size;
	uint32_t flags;
	size_t tail_len; /* 0: there is none */
};
enum err growth_begin(struct vault_file *f, struct scratch *s, struct growth *g);
/** Put everything back; the file is broken if that fails. */
void growth_undo(struct vault_file *f, struct scratch *s, const struct growth *g);
/** Zeros up to @size, as a hole where there is room for one. Between begin and undo; the header's size is not touched. */
enum err file_extend(struct vault_file *f, struct scratch *s, uint64_t size);
enum err file_shrink(struct vault_file *f, struct scratch *s, uint64_t size);
/** Grow or shrink. Lock held, ready to change. */
enum err file_resize(struct vault_file *f, struct scratch *s, uint64_t size);

enum err file_check_writable(const struct vault_file *f);

/* ---- file_recover.c, for who repairs ---- */

/** Of a file that was longer than its header said: does any chunk verify behind where what verifies in a row ends? Opening would cut it. */
enum err file_tail_verifies(struct vault_file *f, struct scratch *s, uint64_t lower_size, int *ret);

#endif
