/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fsck/internal.h"

static const struct kind {
	const char *name;
	enum repair_way repair;
	const char *advice;
} kinds[FSCK_KINDS] = {
	[FSCK_SESSIONS] = {"sessions", REPAIR_NONE,
		"A mount for writing is refused until the list is back: --repair begins a new one."},
	[FSCK_BUCKET] = {"bucket-record", REPAIR_RECORD,
		"It costs one KMS call: a new bucket key is made with the next file. --repair puts it aside."},
	[FSCK_STATE_REST] = {"record-rest", REPAIR_RECORD, "It does no harm. --repair puts it aside."},
	[FSCK_NAME] = {"name", REPAIR_MOVE,
		"What has this name cannot be reached. Restore it from a backup; --repair puts it aside."},
	[FSCK_DIRECTORY] = {"directory-id", REPAIR_MOVE,
		"Put signetfs.dir of this directory back from a backup: all names in it depend on it. --repair puts "
		"the "
		"directory aside, with all that is in it."},
	[FSCK_LISTING] = {"listing", REPAIR_NONE, "Check the disk and the file system that the vault lies on."},
	[FSCK_UNREADABLE] = {"unreadable", REPAIR_NONE,
		"Run fsck as the vault's owner or root; if it is an I/O error, check the disk."},
	[FSCK_LINK] = {"link", REPAIR_MOVE, "Restore the link from a backup; --repair puts it aside."},
	[FSCK_ATTRIBUTE] = {"attribute", REPAIR_XATTR, "Set the attribute again; --repair puts it aside."},
	[FSCK_HEADER] = {"header", REPAIR_MOVE,
		"Without its header the file cannot be read. Restore it from a backup; --repair puts it aside."},
	[FSCK_NO_HEADER] = {"no-header", REPAIR_MOVE, "Restore the file from a backup; --repair puts it aside."},
	[FSCK_SHORTER] = {"shorter", REPAIR_MOVE,
		"Restore the file from a backup, or what is left of it with signetfs restore --partial; --repair puts "
		"it "
		"aside."},
	[FSCK_LONGER] = {"longer", REPAIR_MOVE, "Opening the file for writing mends it; so does --repair."},
	[FSCK_CHUNK] = {"chunk", REPAIR_MOVE,
		"Restore the file from a backup, or what is left of it with signetfs restore --partial before anything "
		"else; --repair puts it aside."},
	[FSCK_KEY] = {"key", REPAIR_NONE, "See what the KMS says, and check again."},
	[FSCK_SIDECAR] = {"sidecar", REPAIR_REMOVE, "It does no harm. --repair removes it."},
	[FSCK_TEMPORARY] = {"temporary", REPAIR_REMOVE, "It does no harm. --repair removes it, if it is empty."},
	[FSCK_STRANGER] = {"stranger", REPAIR_MOVE,
		"A newer version may know it, or somebody put it there. --repair puts it aside."},
};

static const char *const states[FSCK_STATES] = {"damaged", "in-flight", "leftover", "unchecked"};

/* What a crash explains is mended by opening, where opening mends it. */
static int settles(const struct fsck_finding *f)
{
	return f->state == FSCK_IN_FLIGHT &&
	       (f->kind == FSCK_SHORTER || f->kind == FSCK_LONGER || f->kind == FSCK_NO_HEADER);
}

const char *fsck_kind_name(enum fsck_kind kind)
{
	return kinds[kind].name;
}

const char *fsck_state_name(enum fsck_state state)
{
	return states[state];
}

const char *fsck_advice(const struct fsck_finding *f)
{
	if (f->repair != FSCK_LEFT)
		return "";
	if (settles(f))
		return "It reads as far as it was written; opening it for writing mends it, and so does --repair.";
	if (f->state == FSCK_IN_FLIGHT)
		return "It was being written when the session ended or the copy was made: copy it again, or restore "
		       "what "
		       "is left of it with signetfs restore --partial.";
	return kinds[f->kind].advice;
}

int kind_is_lost(const struct fsck_finding *f)
{
	return f->state == FSCK_IN_FLIGHT && !settles(f) && f->kind != FSCK_SIDECAR && f->kind != FSCK_TEMPORARY;
}

enum repair_way kind_repair(const struct fsck_finding *f)
{
	return settles(f) ? REPAIR_SETTLE : f->state == FSCK_UNCHECKED ? REPAIR_NONE : kinds[f->kind].repair;
}
