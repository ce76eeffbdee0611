/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_RESTORE_INTERNAL_H
#define SIGNETFS_RESTORE_INTERNAL_H

/*
 * restore.c  the walk and what it tells, progress
 * place.c    directories of DEST, temporary names
 * content.c  what is in a file
 * attr.c     owner, mode, times, extended attributes
 * links.c    hard links
 */

#include <pthread.h>
#include <stdatomic.h>
#include "fs/restore/restore.h"
#include "fs/vault/walk.h"

/*
 * A directory of DEST. Its descriptor, where it has one, stays open as long as it is in memory; of all of them at most PLACES_OPEN_MAX have
 * one, the others are reached through those above them. Its name leads there by single steps that follow no link.
 */
struct place {
	struct place *parent; /* a reference; NULL: DEST */
	atomic_uint refs;
	int fd;         /* -1: none */
	int made;       /* by us: its attributes are ours to set */
	struct stat st; /* of the directory in the vault */
	char name[];
};

struct link_entry;

struct restore {
	struct restore_options o;
	struct walk *walk;
	struct place *dest; /* DEST itself */
	dev_t vault_dev;    /* the vault's top, which DEST must not lead into */
	ino_t vault_ino;
	atomic_uint open;
	pthread_mutex_t telling; /* one event at a time */
	pthread_mutex_t lock;    /* links, ended_by */
	pthread_cond_t link_done;
	struct link_entry *links;
	enum err ended_by; /* ERR_OK: nothing */
	char ended_text[512];
	int ended_errno;
	uint8_t *buffer[WALK_JOBS_MAX];
	_Atomic uint64_t directories, files, others, linked, bytes, failed, incomplete, in_flight;
};

/* An entry that is being restored. */
struct item {
	struct restore *r;
	struct walk_entry *e;
	struct place *in;
	int dir;      /* descriptor of @in, */
	int dir_ours; /* to be closed */
	char tmp[48]; /* its temporary name there */
	dev_t dev;    /* what was made under it */
	ino_t ino;
	int incomplete; /* an attribute or bytes are missing */
};

/* ---- restore.c ---- */
__attribute__((format(printf, 3, 4))) void restore_tell(
	const struct item *i, enum restore_event_kind kind, const char *fmt, ...);
void restore_tell_range(const struct item *i, uint64_t off, uint64_t len);

/* ---- place.c ---- */
enum { PLACES_OPEN_MAX = 256 };
struct place *place_new(struct place *parent, const char *name, const struct stat *st);
struct place *place_hold(struct place *p);
void place_release(struct restore *r, struct place *p);
/** A descriptor of it; *ret_ours: close it after use. */
enum err place_fd(struct place *p, int *ret_fd, int *ret_ours);
/** Make the directory of entry @i, or take the one that is there. */
enum err place_make(struct item *i, struct place **ret);
/** A new temporary name. */
void place_tmp(struct item *i);
/** Is the name free, or may be replaced? */
enum err place_check(const struct item *i);
/** From the temporary name to the true one; the temporary one is gone in any case. */
enum err place_rename(struct item *i);
void place_drop(const struct item *i);

/* ---- content.c ---- */
/** Write the file's contents to @fd. */
enum err content_copy(struct item *i, int fd);

/* ---- attr.c ---- */
/** Of what is open as @fd, with O_PATH where it is no file or directory. What fails is told. @st: the vault's. */
void attr_set(struct item *i, int fd, const struct stat *st);

/* ---- links.c ---- */
/**
 * Is this the first name of its inode that comes? *ret_first: restore it, and say how it went with links_done(). Otherwise waits for the
 * first and makes a link to it. Where DEST has no hard links, or somebody changed the first meanwhile, that is told, and it is a first.
 */
enum err links_enter(struct item *i, int *ret_first);
void links_done(struct item *i, int restored);
void links_free(struct restore *r);

#endif
