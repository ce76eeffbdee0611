/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_TESTS_RESCUE_FIXTURE_H
#define SIGNETFS_TESTS_RESCUE_FIXTURE_H

/*
 * A vault with every kind of thing in it, sound or with every kind of damage, fsck and restore on it in this process, and an inventory of
 * what lies in a tree, so that a test sees that nothing is lost.
 */

#include "fs/fsck/fsck.h"
#include "fs/restore/restore.h"
#include "tests/support/vault_fixture.h"

/** Paths of what is sound in either vault, NULL at the end; rescue_check_sound() fails the test unless all of it reads as it was written. */
extern const char *const rescue_sound[];
void rescue_check_sound(struct vault_fixture *x);

/** A vault of rescue_sound alone, closed. */
void rescue_make_sound(struct vault_fixture *x);
/** With damage of every kind that --repair mends, and a session that did not end, closed. */
void rescue_make_damaged(struct vault_fixture *x);
enum { RESCUE_DAMAGES = 17 };

struct rescue_checked {
	enum err error; /* of opening, checking or closing */
	struct fsck_counts counts;
	unsigned told[FSCK_STATES];
	char text[4096]; /* the findings, a line each */
};
/** Open, check and close, with one job and all that fsck has. */
void rescue_check(struct vault_fixture *x, int repair, struct rescue_checked *ret);
/** Exit status 0: nobody is told of anything, but of what does no harm. */
int rescue_says_clean(const struct rescue_checked *c);

struct rescue_restored {
	enum err error;
	struct restore_counts counts;
	unsigned told;
	char text[4096];
};
void rescue_restore(struct vault_fixture *x, const char *dest, int partial, struct rescue_restored *ret);
int rescue_says_complete(const struct rescue_restored *r);
/** What of the sound vault is in @dest is as it was, file by file; @all: nothing is missing. */
void rescue_check_restored(const char *dest, int all);

/** Hashes of all contents, targets and attribute values below @path. */
struct rescue_inventory {
	struct rescue_item {
		uint64_t hash;
		char *where;
	} * item;
	size_t count, room;
};
void rescue_inventory_take(const char *path, struct rescue_inventory *ret);
/** Fails the test where something of @before is not in @now. */
void rescue_inventory_check(const struct rescue_inventory *before, const struct rescue_inventory *now);
void rescue_inventory_free(struct rescue_inventory *i);

#endif
