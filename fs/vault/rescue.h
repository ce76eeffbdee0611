/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_RESCUE_H
#define SIGNETFS_VAULT_RESCUE_H

/*
 * What fsck and restore do with a vault and a mount never does: look at damage instead of failing on it, read what is left of a
 * damaged file, and put things aside. Threads: safe, but where it says otherwise.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/vault/vault.h"
#include "kms/base/err.h"

/**
 * Opened `beside` (vault_open_options) while another process has the vault open for writing. What is read then may be in flight: between
 * two steps of a call of that process.
 */
int rescue_is_held(const struct vault *v);
/** Did a session end in a crash, or is this a copy of a vault that was mounted? Or is it held (a session goes on)? */
int rescue_is_unclean(const struct vault *v);
/**
 * When the last session began, where it did not end: whatever was being written then was modified since. Zero: it ended. From the time of
 * modification of the list of sessions, which copies keep; so it is a hint, and no proof.
 */
struct timespec rescue_unclean_since(const struct vault *v);

/* ---- Files ---- */

enum rescue_size {
	RESCUE_AGREES,    /* lower size and header agree, or there is no header to ask */
	RESCUE_LONGER,    /* more than the header says */
	RESCUE_SHORTER,   /* less */
	RESCUE_NO_HEADER, /* too short for a header */
};

struct rescue_look {
	enum rescue_size size;
	int excused;          /* a session that did not end cleanly explains the size */
	uint64_t header_size; /* plaintext bytes that the header says; 0 without one */
	uint64_t size_now;    /* plaintext bytes that can be read */
};

/** Before its first use: read a file that is shorter than its header as far as it goes, whether or not a crash explains that. */
void rescue_excuse(struct vault_file *f);

/**
 * Load the file and compare header and size. *ret is filled on failure too, as far as it is known. Errors: those of reading; ERR_TAMPERED
 * where the size is not excused.
 */
enum err rescue_look(struct vault_file *f, struct rescue_look *ret);

/**
 * As vault_file_read(), but chunks that do not verify read as zeros, and each of them is told: @bad may be called several times, in
 * order. Other errors end it.
 */
enum err rescue_read(struct vault_file *f, uint64_t off, size_t len, void *buf, size_t *ret_len,
	void (*bad)(void *context, uint64_t off, uint64_t len), void *context);

/**
 * Attributes of ours that cannot be had: @bad gets the lower name, the plaintext name (NULL where it is lost, too) and why: err_is_damage(),
 * or that it could not be read. Returns the lower tree's errors.
 */
enum err rescue_check_xattrs(struct vault_object o,
	void (*bad)(void *context, const char *lower, const char *plain, enum err why), void *context);

/* ---- The vault's own records ---- */

enum rescue_record {
	RESCUE_DAMAGED,
	RESCUE_LEFTOVER, /* a crash left it, it does no harm */
	RESCUE_UNREAD,   /* nothing is known of it */
};
/** @bad gets the name below .signetfs ("sessions", "bucket", "" for the folder itself) and why. */
enum err rescue_check_state(struct vault *v,
	void (*bad)(void *context, const char *name, const char *why, enum rescue_record state), void *context);

/** Is this sidecar what its name says? */
int rescue_sidecar_verifies(struct vault_dir *d, const char *lower);
/** Does an entry of this lower name exist? ERR_SYSTEM: that is not known. */
enum err rescue_exists(struct vault_dir *d, const char *lower, int *ret);

/* ---- Repair: the vault is open for writing ---- */

/**
 * Move an entry to .signetfs/lost+found, its sidecar with it, beside a note that says where it was and why: durable, and never over
 * anything. @dir NULL: .signetfs itself. @where: its lower path, for the note. Plaintext names have no place in @why: whoever reads the
 * vault reads the note.
 */
enum { RESCUE_NAME_SIZE = 64 };
enum err rescue_set_aside(struct vault *v, struct vault_dir *dir, const char *lower, const char *where, const char *why,
	char ret_name[RESCUE_NAME_SIZE]);
/** The same for an extended attribute: its value goes to lost+found as a file, and the attribute is removed. */
enum err rescue_set_xattr_aside(
	struct vault_object o, const char *lower, const char *where, const char *why, char ret_name[RESCUE_NAME_SIZE]);
/** Remove what an interrupted mkdir or rmdir left, if nothing but a directory's id is in it. ERR_SYSTEM/ENOTEMPTY otherwise. */
enum err rescue_remove_tmp(struct vault_dir *d, const char *lower);
/** Remove a sidecar that verifies and has no entry. */
enum err rescue_remove_sidecar(struct vault_dir *d, const char *lower);
/** Give a file that a crash left without a header one, or bring the header up to date with what verifies, as opening it for writing does. */
enum err rescue_settle(struct vault_object o);
/** Every session before this one counts as having ended cleanly: after everything was checked. */
enum err rescue_forget_unclean(struct vault *v);

#endif
