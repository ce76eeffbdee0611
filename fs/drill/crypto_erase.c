/* SPD, const char *copy)
{
	char state-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "fs/drill/drill.h"
#include "fs/drill/traces.h"
#include "kms/base/json.h"

static enum err key_state(struct stage *s, const char *key, char ret[STORY_WORD])
{
	json_t *answer AUTO_JSON = NULL;

	TRY(world_kms(s->world, "DescribeKey", json_pack("{s:s}", "KeyId", key), &answer));
	const char *state = json_string_value(json_object_get(json_object_get(answer, "KeyMetadata"), "KeyState"));
	snprintf(ret, STORY_WORD, "%s", state ? state : "?");
	return ERR_OK;
}

static enum err schedule(struct stage *s, const struct scene *scene)
{
	char state[STORY_WORD];

	TRY(world_kms(s->world, "ScheduleKeyDeletion",
		json_pack("{s:s, s:i}", "KeyId", scene->key, "PendingWindowInDays", 7), NULL));
	story_event(s->record, REPORT_CAUTION, "The key's deletion is scheduled, in 7 days");
	story_phase(s->record, REPORT_CAUTION, "key", "pending deletion");
	TRY(key_state(s, scene->key, state));
	story_check(s->record, strcmp(state, "PendingDeletion") == 0, "The waiting period runs", "%s", state);
	return ERR_OK;
}

/* A day early nothing may have happened yet. */
static enum err days_later(struct stage *s, const char *days)
{
	const char *options[] = {"--clock-ahead", days, NULL};

	world_stop(s->world, SIGTERM);
	TRY(world_serve(s->world, "none", options));
	story_event(s->record, REPORT_PLAIN, "The scratch KMS's clock is %s ahead", days);
	return ERR_OK;
}

static enum err check_destroyed(struct stage *s, const struct scene *scene, const char *copy)
{
	char state[STORY_WORD] = "", point[WORLD_PATH];
	enum err e = key_state(s, scene->key, state);

	story_check(s->record, e == ERR_KMS_NOT_FOUND, "The KMS has no such key any more", "%s",
		e == ERR_OK ? state : err_text(e));
	e = world_kms(s->world, "CancelKeyDeletion", json_pack("{s:s}", "KeyId", scene->key), NULL);
	story_check(s->record, e == ERR_KMS_NOT_FOUND, "It cannot be brought back", "%s",
		e == ERR_OK ? "it could" : err_text(e));
	e = world_mount(s->world, s->world->endpoint, scene->vault, "again", point);
	story_check(
		s->record, e != ERR_OK, "The vault cannot be mounted", "%s", e == ERR_OK ? "it could" : err_text(e));
	e = world_mount(s->world, s->world->endpoint, copy, "copied", point);
	story_check(
		s->record, e != ERR_OK, "Nor a copy of it from before", "%s", e == ERR_OK ? "it could" : err_text(e));
	return ERR_OK;
}

/* The service's own record of it: nobody asked for that operation. */
static enum err check_trail(struct stage *s)
{
	uint64_t deleted;

	TRY(world_audited(s->world, NULL, "DeleteKey", "", &deleted));
	story_check(s->record, deleted == 1, "The audit trail says that its material was destroyed",
		"%llu DeleteKey events", (unsigned long long)deleted);
	return ERR_OK;
}

static enum err end_reads(struct stage *s, const struct scene *scene)
{
	double seconds;

	TRY(scene_until_refused(s, story_now(s->record), &seconds));
	story_check(s->record, s->load->last_errno == EACCES, "Already during the waiting period no file can be read",
		"%s", strerror((int)s->load->last_errno));
	workload_stop(s->load);
	return world_umount(s->world, scene->point);
}

/* Byte by byte in the keystore's files: what SQL does not show any more may still lie there. */
static enum err check_traces(struct stage *s, const struct traces *t)
{
	struct traces_found after;

	TRY(traces_search(t, s->world->keystore, &after));
	story_check(s->record, after.pieces == 0, "No byte of its sealed material is left in the keystore's files",
		"%llu MiB searched in %llu files; %llu pieces left", (unsigned long long)(after.bytes >> 20),
		(unsigned long long)after.files, (unsigned long long)after.pieces);
	return ERR_OK;
}

static enum err remember(struct stage *s, const struct scene *scene, struct traces *t)
{
	struct traces_found before;

	TRY(traces_remember(s->world->keystore, scene->key, t));
	TRY(traces_search(t, s->world->keystore, &before));
	story_check(s->record, t->count == 1 && before.pieces > 0, "Its sealed material is in the keystore before",
		"%zu material, %llu pieces of it in %llu files: %s", t->count, (unsigned long long)before.pieces,
		(unsigned long long)before.files, before.where);
	return ERR_OK;
}

static enum err play(struct stage *s, struct scene *scene, const char *copy)
{
	char state[STORY_WORD];
	struct traces traces;

	TRY(workload_start(s->load, 0));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(remember(s, scene, &traces));
	TRY(schedule(s, scene));
	TRY(end_reads(s, scene));
	TRY(days_later(s, "6d"));
	TRY(key_state(s, scene->key, state));
	story_check(
		s->record, strcmp(state, "PendingDeletion") == 0, "A day early the key is still there", "%s", state);
	TRY(days_later(s, "8d"));
	story_phase(s->record, REPORT_BAD, "key", "destroyed");
	TRY(check_destroyed(s, scene, copy));
	TRY(check_traces(s, &traces));
	return check_trail(s);
}

enum err play_crypto_erase(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "2s", NULL};
	char copy[WORLD_PATH];
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	TRY(scene_copy(s, &scene, copy));
	story_phase(s->record, REPORT_GOOD, "key", "enabled");
	TRY(play(s, &scene, copy));
	story_caution(s->record,
		"Destroyed: the key's material in the keystore, in its write-ahead log, and in the memory of the KMS.",
		"Not destroyed: backups of the keystore, which with the root key are the key; and the wrapped keys in "
		"the "
		"vault and its copies, which nobody can unwrap without it.");
	return ERR_OK;
}
