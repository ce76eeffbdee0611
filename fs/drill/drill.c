/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/drill.h"

#include <stdlib.h>
#include <string.h>
#include "fs/drill/real.h"

const struct drill drills[] = {
	{"rotation", "The KMS key is rotated under load: nothing breaks, new bucket keys use the new material.",
		play_rotation, real_rotation,
		"rotate its key in its KMS, once and for good (RotateKeyOnDemand; a KMS allows few of them for one "
		"key); "
		"make files in a folder of its own in the vault and remove it"},
	{"migration",
		"The mounted vault moves to a key of another account, region and KMS under load, and the old key is "
		"disabled.",
		play_migration, real_migration,
		"move all of it to the key that --to names (signetfs reencrypt), under load; the old key stays "
		"enabled"},
	{"revocation",
		"The key is disabled, denied by policy, deleted with a waiting period: how long until reads fail, and "
		"that they come back.",
		play_revocation, NULL,
		"killed in the middle, or cut off from the KMS, it would leave the key disabled, for every vault under "
		"it. "
		"By hand: signetfs kms disable-key --key-id KEY, read until it is refused, signetfs kms enable-key "
		"--key-id KEY"},
	{"compromise",
		"Everything is written anew under new data keys in the mount, because the old ones may be known.",
		play_compromise, real_compromise,
		"write every file anew under a new data key (signetfs reencrypt --data), under load; a copy of the "
		"ciphertext is kept in the scratch folder meanwhile"},
	{"throttle", "The KMS allows few requests: the mount slows down and never fails, with bucket keys and without.",
		play_throttle, NULL, "it sets the quotas of a KMS of its own; those of yours are not its to change"},
	{"outage", "The KMS goes away for a while: what works meanwhile, for how long, and that nothing is lost.",
		play_outage, NULL,
		"it kills a KMS of its own; yours others may need. By hand: stop its service, and start it again"},
	{"restore", "The original is lost; a copy made with tar is restored and mounted by another account.",
		play_restore, NULL, "it changes nothing of yours: --vault VAULT without --for-real is the real thing"},
	{"crypto-erase", "The key is deleted when its waiting period is over: nothing can be read any more.",
		play_crypto_erase, NULL,
		"it would destroy the only key to your data. By hand, when you want that: signetfs keys VAULT, then "
		"signetfs kms schedule-key-deletion --key-id KEY --pending-window-in-days 30"},
	{NULL, NULL, NULL, NULL, NULL},
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
	enum err e = s->own->for_real ? d->real(s) : d->play(s);
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
