/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fsck/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/io.h"

/* A finding is repaired, where that was asked for, and told, in this order, so that what is told says what became of it. */

struct repairing {
	const struct site *s;
	struct fsck_finding *finding;
	char moved_to[RESCUE_NAME_SIZE];
	char failed[512];
};

static void done(struct repairing *r, enum err e, enum fsck_repair repair)
{
	if (e == ERR_OK) {
		r->finding->repair = repair;
		if (repair == FSCK_MOVED)
			r->finding->moved_to = r->moved_to;
		return;
	}
	snprintf(r->failed, sizeof(r->failed), "%s", err_text(e));
	r->finding->not_repaired = r->failed;
}

/* The note goes into the vault: no plaintext name may be in it, so it says the kind, and not why. */
static void move(struct repairing *r)
{
	const struct walk_entry *e = r->s->e;

	done(r,
		rescue_set_aside(r->s->f->o.vault, e->object.dir, e->lower, r->finding->lower,
			fsck_kind_name(r->finding->kind), r->moved_to),
		FSCK_MOVED);
}

static void move_record(struct repairing *r)
{
	done(r,
		rescue_set_aside(r->s->f->o.vault, NULL, r->s->record, r->finding->lower,
			fsck_kind_name(r->finding->kind), r->moved_to),
		FSCK_MOVED);
}

static void move_xattr(struct repairing *r)
{
	done(r,
		rescue_set_xattr_aside(
			r->s->e->object, r->s->xattr, r->finding->lower, fsck_kind_name(r->finding->kind), r->moved_to),
		FSCK_MOVED);
}

static void settle(struct repairing *r)
{
	enum err e = rescue_settle(r->s->e->object);

	if (err_is_damage(e))
		move(r);
	else
		done(r, e, FSCK_SETTLED);
}

/* What holds more than it should is not removed. */
static void remove_leftover(struct repairing *r)
{
	struct vault_dir *d = r->s->e->object.dir;
	const char *lower = r->s->e->lower;
	enum err e = ERR_USAGE;

	if (r->finding->kind == FSCK_TEMPORARY)
		e = rescue_remove_tmp(d, lower);
	else if (rescue_sidecar_verifies(d, lower))
		e = rescue_remove_sidecar(d, lower);
	if (e == ERR_OK)
		done(r, e, FSCK_REMOVED);
	else
		move(r);
}

static void repair(struct repairing *r)
{
	static void (*const ways[])(struct repairing *) = {
		[REPAIR_MOVE] = move,
		[REPAIR_SETTLE] = settle,
		[REPAIR_REMOVE] = remove_leftover,
		[REPAIR_XATTR] = move_xattr,
		[REPAIR_RECORD] = move_record,
	};
	enum repair_way way = kind_repair(r->finding);

	/* The top itself cannot be moved into what lies in it. */
	if (way == REPAIR_NONE || (r->s->e && way == REPAIR_MOVE && !*r->s->e->lower))
		return;
	ways[way](r);
}

static char *path_of_record(const struct site *s)
{
	char *path;

	return asprintf(&path, STATE_DIR_NAME "%s%s", *s->record ? "/" : "", s->record) < 0 ? NULL : path;
}

void finding_tell(const struct site *s, struct fsck_finding *finding)
{
	char *plain AUTO_FREE = s->e ? walk_plain_path(s->e) : NULL;
	char *lower AUTO_FREE = s->e ? walk_lower_path(s->e) : path_of_record(s);
	char *why AUTO_FREE = strdup(finding->why ? finding->why : "");
	struct repairing r = {.s = s, .finding = finding};
	struct fsck *f = s->f;

	finding->plain = plain ? plain : "";
	finding->lower = lower ? lower : "";
	finding->why = why ? why : "";
	if (f->o.repair && finding->repair == FSCK_LEFT)
		repair(&r);
	atomic_fetch_add(&f->found[finding->state], 1);
	if (finding->repair == FSCK_LEFT && kind_is_lost(finding))
		atomic_fetch_add(&f->lost, 1);
	if (finding->repair == FSCK_LEFT)
		atomic_fetch_add(&f->left[finding->state], 1);
	pthread_mutex_lock(&f->telling);
	f->o.finding(f->o.context, finding);
	pthread_mutex_unlock(&f->telling);
}
