/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_MOVE_FIXTURE_H
#define SIGNETFS_TESTS_MOVE_FIXTURE_H

/* A vault with files of every kind under the fake KMS's alias/old, and moves of it to alias/new. */

#include "fs/reencrypt/reencrypt.h"
#include "tests/support/vault_fixture.h"

/* Inodes that have a header: empty, small, large, sparse, linked (one of two names), and two in a directory. */
enum { MOVE_FILES = 7, MOVE_KMS_MAX = 64 };

struct move_fixture {
	struct vault_fixture x;
	struct kms *both[MOVE_KMS_MAX]; /* of every move so far: the vault may ask it until it is closed */
	unsigned moves;
	struct reencrypt_result result;
	char last_path[256], last_error[64]; /* of the last file that failed */
	unsigned deny_after;  /* so many bucket keys alias/new makes, then it refuses; 0: as many as wanted */
	int gone_after_start; /* alias/old is scheduled for deletion as soon as the files' turn comes */
	int times_moved;      /* a fault may have come between a write and giving the file its time back */
	uint8_t ids[MOVE_FILES][16];
};

struct move_how {
	const char *to, *from, *only; /* only: one path */
	int data, resume;
	unsigned jobs; /* 0: one */
	struct fake_kms *other;
};

/** @options NULL: bucket keys, under alias/old. The vault is open afterwards. */
void move_fixture_init(struct move_fixture *m, const struct vault_create_options *options);
/** With a KMS whose blobs are so long: above 300 bytes headers are longer than 512. */
void move_fixture_init_blobs(struct move_fixture *m, const struct vault_create_options *options, size_t blob_size);
void move_fixture_done(struct move_fixture *m);

enum err move_run(struct move_fixture *m, const struct move_how *how);

/** Every file holds what it held, with its size and time of modification. */
void move_check_contents(struct move_fixture *m);
/** That, and every header, the volume key and the descriptor are under @alias. */
void move_check_all_under(struct move_fixture *m, const char *alias);
void move_note_file_ids(struct move_fixture *m);
void move_check_file_ids_changed(struct move_fixture *m);

void move_damage_header(struct move_fixture *m, const char *path);
size_t move_journal_size(struct move_fixture *m);
void move_flip_journal(struct move_fixture *m, size_t at);
void move_cut_journal(struct move_fixture *m, size_t size);
void move_copy_journal(struct move_fixture *from, struct move_fixture *to);

#endif
