/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_VAULT_REKEY_H
#define SIGNETFS_VAULT_REKEY_H

/*
 * What moving a vault to other keys needs of it (fs/reencrypt); doc/reencrypt.md says what it promises.
 *
 * Each file is moved by itself, under its lock, so readers and writers of an open one go on, and at every moment it is wholly under its
 * old key or wholly under its new one. What has to be written in several steps lies in .signetfs/ first, named after the file's id: a
 * vault that is opened after a crash puts it right with the first use of the file, whatever its name is by then.
 */

#include <stddef.h>
#include <stdint.h>
#include "fs/format/file_header.h"
#include "fs/vault/vault.h"

/** Is the file to be moved? @h is decoded and not authenticated yet: the answer decides only whether keys are asked for. */
struct vault_rekey_choice {
	int (*wants)(void *context, const struct file_header *h);
	/* Before a header under @wrapped is written for the first time (each thread may ask again): remember it durably. */
	enum err (*note)(void *context, const struct kms_wrapped_key *wrapped);
	/* The new bucket key cannot be had: no file can be moved now. */
	void (*stuck)(void *context, enum err e);
	void *context;
};

enum vault_rekeyed {
	VAULT_REKEY_KEPT, /* not wanted: nothing was changed, no key was used */
	VAULT_REKEY_NONE, /* an empty file without header: it has no keys */
	VAULT_REKEY_DONE,
};

/**
 * Wrap the file's data key under the current bucket key (see vault_retarget()). The contents, the times and the size stay. One write of
 * 512 bytes where headers have that length. Errors: the KMS's; damage (reported); ERR_LIMIT: the new CMK's names do not fit
 * into this vault's headers; ERR_SYSTEM, and the old header is in force.
 */
enum err vault_file_rewrap(struct vault_file *f, const struct vault_rekey_choice *choice, enum vault_rekeyed *ret);

/**
 * Give the file a new data key, wrapped under the current bucket key, and write its contents anew under it; inode, names, times, owner,
 * mode and attributes stay, and so do holes. Takes the file's stored size once more below .signetfs/ meanwhile. Errors as above.
 */
enum err vault_file_renew(struct vault_file *f, const struct vault_rekey_choice *choice, enum vault_rekeyed *ret);

/**
 * From now on @kms (borrowed; it has to open what is under the old CMK, too) is asked, and new files are under bucket keys of @key_id,
 * also where they had none. Only in this process, until vault_move() says so in the descriptor.
 */
enum err vault_retarget(struct vault *v, struct kms *kms, const char *key_id);

/** Give that up: new files are as the descriptor says, through @kms. */
enum err vault_retarget_back(struct vault *v, struct kms *kms);
/** The vault that a directory is of. */
struct vault *vault_of(const struct vault_dir *d);

/** Where the volume key is to be. */
struct vault_place {
	const char *key_id;
	const char *endpoint, *region; /* NULL: as before */
};

/** The volume key under @key_id: inside the KMS (ReEncrypt) where both CMKs are in the @same one, else by Encrypt. */
enum err vault_wrap_volume_key(
	struct vault *v, struct kms *kms, int same, const char *key_id, struct kms_wrapped_key *ret);
/** The KMS opens it again, before anything rests on that. ERR_KMS_WRONG_ANSWER: to another key. */
enum err vault_prove_volume_key(struct vault *v, struct kms *kms, const struct kms_wrapped_key *wrapped);
/** Replace the descriptor, durably and in one step: volume key under @wrapped, new files under @place, bucket keys on. */
enum err vault_move(struct vault *v, const struct kms_wrapped_key *wrapped, const struct vault_place *place);

/** Do headers hold such an ARN and blob? ERR_LIMIT with advice. */
enum err vault_check_fits(const struct vault *v, const struct kms_wrapped_key *wrapped);

/** Everything written so far is on the disk. */
enum err vault_sync_all(struct vault *v);

/**
 * What the header of a file says, without any key: for surveys. *ret_size: the plain size that the lower one stands for. ERR_NOT_FOUND: an
 * empty file without one. ERR_FORMAT, ERR_UNSUPPORTED: damage. Beside an open file that is being changed it may tell of before or after.
 */
enum err vault_peek_header(struct vault_object o, struct file_header *ret, uint64_t *ret_size);

/** The bucket key that wraps new data keys, as .signetfs/bucket says, without any key: not authenticated. ERR_NOT_FOUND, ERR_FORMAT. */
enum err vault_peek_record(const char *vault, struct kms_wrapped_key *ret);

/**
 * Every file was opened, and is whole: remove records of moved files that a crash kept from being removed. Nobody else may use the vault.
 */
void vault_forget_unfinished(struct vault *v);

/* ---- Records of others under .signetfs/, with a MAC under a key derived from the volume key with @label ---- */

struct vault_record {
	const char *name, *label;
};
/** Replace it durably. */
enum err vault_record_write(struct vault *v, const struct vault_record *record, const void *buf, size_t len);
/** ERR_NOT_FOUND; ERR_FORMAT: cut or longer than @size; ERR_TAMPERED: a wrong MAC: damaged, or another vault's. */
enum err vault_record_read(struct vault *v, const struct vault_record *record, void *buf, size_t size, size_t *ret_len);
/** It may be gone already. */
enum err vault_record_remove(struct vault *v, const struct vault_record *record);

#endif
