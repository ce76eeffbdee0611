/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/drill.h"

#include <stdlib.h>
#include <string.h>

const struct drill drills[] = {
	{"rotation", "The KMS key is rotated under load: nothing breaks, new bucket keys use the new material.",
		play_rotation},
	{"migration",
		"The mounted vault moves to a key of another account, region and KMS under load, and the old key is "
		"disabled.",
		play_migration},
	{"revocation",
		"The key is disabled, denied by policy, deleted with a waiting period: how long until reads fail, and "
		"that they come back.",
		play_revocation},
	{"compromise",
		"Everything is written anew under new data keys in the mount, because the old ones may be known.",
		play_compromise},
	{"throttle", "The KMS allows few requests: the mount slows down and never fails, with bucket keys and without.",
		play_throttle},
	{"outage", "The KMS goes away for a while: what works meanwhile, for how long, and that nothing is lost.",
		play_outage},
	{"restore", "The original is lost; a copy made with tar is restored and mounted by another account.",
		play_restore},
	{"crypto-erase", "The key is deleted when its waiting period is over: nothing can be read any more.",
		play_crypto_erase},
	{NULL, NULL, NULL},
};

const struct drill *drill_find(const char *name)
{
	for (const struct drill *d = drills; d->name; d++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static enum err play(const struct drill *d, struct stage *s)
{
	TRY(world_open(s->world));
	s->load->record = s->record;
	TRY(own_begin(s));
	enum err e = d->play(s);
	workload_stop(s->load);
	if (s->load->files)
		workload_tell(s->load, s->record);
	own_end(s);
	return e;
}

void drill_play(const struct drill *d, uint64_t files, const struct own_vault *own, struct story *record)
{
	struct world *world = calloc(1, sizeof *world);
	struct workload *load = calloc(1, sizeof *load);
	struct stage s = {.record = record, .world = world, .load = load, .files = files, .own = own};
	enum err e = world && load ? play(d, &s) : err_fail(ERR_NO_MEMORY, "out of memory");

	if (e != ERR_OK)
		story_stopped(record, e);
	if (world)
		world_close(world);
	story_end(record);
	free(load);
	free(world);
}
