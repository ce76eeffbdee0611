/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fsck/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/format/descriptor.h"

static enum fsck_state damaged_or_in_flight(const struct fsck *f, const struct walk_entry *e)
{
	return e->st && fsck_in_flight(f, e->st) ? FSCK_IN_FLIGHT : FSCK_DAMAGED;
}

static void tell(
	struct fsck *f, const struct walk_entry *e, enum fsck_kind kind, enum fsck_state state, const char *why)
{
	const struct site s = {.f = f, .e = e};
	struct fsck_finding finding = {.kind = kind, .state = state, .why = why};

	finding_tell(&s, &finding);
}

/* ---- Links and attributes ---- */

static void check_link(struct fsck *f, const struct walk_entry *e)
{
	char target[NAME_SYMLINK_LOWER_MAX + 1];
	size_t len;
	enum err err = vault_readlink(e->object, target, sizeof(target), &len);

	if (err == ERR_OK || (err == ERR_SYSTEM && err_errno() == ENOENT))
		return;
	if (err_is_damage(err))
		tell(f, e, FSCK_LINK, damaged_or_in_flight(f, e), err_text(err));
	else
		tell(f, e, FSCK_UNREADABLE, FSCK_UNCHECKED, err_text(err));
}

static void bad_xattr(void *context, const char *lower, const char *plain, enum err why)
{
	struct site s = *(const struct site *)context;
	struct fsck_finding finding = {.kind = FSCK_ATTRIBUTE, .state = damaged_or_in_flight(s.f, s.e)};
	char text[1024];

	/* Its ciphertext name where the name is lost. */
	snprintf(text, sizeof(text), "%s: %s", plain ? plain : lower, err_text(why));
	finding.why = text;
	if (!err_is_damage(why)) {
		finding.kind = FSCK_UNREADABLE;
		finding.state = FSCK_UNCHECKED;
	}
	s.xattr = lower;
	finding_tell(&s, &finding);
}

void names_check_entry(struct fsck *f, struct walk_entry *e)
{
	struct site s = {.f = f, .e = e};
	enum err err;

	if (e->type == DT_LNK)
		check_link(f, e);
	err = rescue_check_xattrs(e->object, bad_xattr, &s);
	if (err == ERR_SYSTEM && err_errno() == ENOENT)
		return;
	if (err != ERR_OK)
		tell(f, e, FSCK_UNREADABLE, FSCK_UNCHECKED, err_text(err));
}

/* ---- What belongs to the vault itself ---- */

/* True: it is there, as the listing said. Where that cannot be known, so it is told. */
static int is_there(struct fsck *f, const struct walk_entry *e, const char *lower, int unknown)
{
	int there = unknown;

	if (rescue_exists(e->object.dir, lower, &there) != ERR_OK)
		tell(f, e, FSCK_UNREADABLE, FSCK_UNCHECKED, err_text(ERR_SYSTEM));
	return there;
}

static void check_sidecar(struct fsck *f, const struct walk_entry *e)
{
	char entry[NAME_LOWER_MAX + 1];

	snprintf(entry, sizeof(entry), "%.*s", (int)(strlen(e->lower) - strlen(LONG_SUFFIX)), e->lower);
	if (is_there(f, e, entry, 1) || !is_there(f, e, e->lower, 0))
		return;
	tell(f, e, FSCK_SIDECAR, rescue_is_held(f->o.vault) ? FSCK_IN_FLIGHT : FSCK_LEFTOVER,
		"the companion file of a long name, without the entry");
}

static int belongs(const struct walk_entry *e)
{
	return strcmp(e->lower, DIR_FILE_NAME) == 0 ||
	       (e->depth == 1 && (strcmp(e->lower, DESCRIPTOR_NAME) == 0 || strcmp(e->lower, STATE_DIR_NAME) == 0));
}

void names_check_ours(struct fsck *f, const struct walk_entry *e, enum name_kind kind)
{
	if (kind == NAME_LONG_SIDECAR) {
		check_sidecar(f, e);
	} else if (strncmp(e->lower, "signetfs.tmp.", strlen("signetfs.tmp.")) == 0) {
		if (is_there(f, e, e->lower, 0))
			tell(f, e, FSCK_TEMPORARY, rescue_is_held(f->o.vault) ? FSCK_IN_FLIGHT : FSCK_LEFTOVER,
				"an interrupted mkdir or rmdir left it");
	} else if (!belongs(e)) {
		tell(f, e, FSCK_STRANGER, FSCK_LEFTOVER, "a name of the vault's own that this version does not know");
	}
}

/* ---- What the walk could not get past ---- */

/* A copy may have an entry that was made between two looks at its directory, without the sidecar, or the other way round. */
static int directory_in_flight(const struct fsck *f, const struct walk_entry *e)
{
	const struct vault_object directory = {.dir = e->object.dir};
	struct stat st;

	return e->object.dir && vault_stat(directory, &st) == ERR_OK && fsck_in_flight(f, &st);
}

void names_fault(struct fsck *f, const struct walk_entry *e, enum walk_fault what, enum err why)
{
	static const enum fsck_kind kinds[] = {
		[WALK_NAME] = FSCK_NAME,
		[WALK_LOOK] = FSCK_UNREADABLE,
		[WALK_OPEN] = FSCK_DIRECTORY,
		[WALK_LIST] = FSCK_LISTING,
	};
	char text[1024];

	snprintf(text, sizeof(text), "%s", err_text(why));
	if (!err_is_damage(why) || what == WALK_LIST || what == WALK_LOOK)
		tell(f, e, what == WALK_LIST ? FSCK_LISTING : FSCK_UNREADABLE, FSCK_UNCHECKED, text);
	else
		tell(f, e, kinds[what], directory_in_flight(f, e) ? FSCK_IN_FLIGHT : FSCK_DAMAGED, text);
}

/* ---- .signetfs ---- */

static void bad_record(void *context, const char *name, const char *why, enum rescue_record state)
{
	static const enum fsck_state states[] = {
		[RESCUE_DAMAGED] = FSCK_DAMAGED,
		[RESCUE_LEFTOVER] = FSCK_LEFTOVER,
		[RESCUE_UNREAD] = FSCK_UNCHECKED,
	};
	struct fsck *f = context;
	const struct site s = {.f = f, .record = name};
	struct fsck_finding finding = {.state = states[state], .why = why};

	finding.kind = state == RESCUE_LEFTOVER          ? FSCK_STATE_REST
		       : state == RESCUE_UNREAD          ? FSCK_UNREADABLE
		       : strncmp(name, "bucket", 6) == 0 ? FSCK_BUCKET
							 : FSCK_SESSIONS;
	/* Opening for writing has put it aside already, and begun a new one. */
	if (finding.kind == FSCK_SESSIONS && f->o.repair)
		finding.repair = FSCK_REWRITTEN;
	finding_tell(&s, &finding);
}

enum err names_check_state(struct fsck *f)
{
	return rescue_check_state(f->o.vault, bad_record, f);
}
