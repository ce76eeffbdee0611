/* SPD, const char *copy)
{
	char state-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "fs/drill/drill.h"
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

static enum err play(struct stage *s, struct scene *scene, const char *copy)
{
	char state[STORY_WORD];

	TRY(workload_start(s->load, 0));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(schedule(s, scene));
	TRY(end_reads(s, scene));
	TRY(days_later(s, "6d"));
	TRY(key_state(s, scene->key, state));
	story_check(
		s->record, strcmp(state, "PendingDeletion") == 0, "A day early the key is still there", "%s", state);
	TRY(days_later(s, "8d"));
	story_phase(s->record, REPORT_BAD, "key", "destroyed");
	TRY(check_destroyed(s, scene, copy));
	return check_trail(s);
}

enum err play_crypto_erase(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "2s", NULL};
	char copy[WORLD_PATH];
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	world_path(s->world, "copy", copy);
	const char *cp[] = {"cp", "-a", scene.vault, copy, NULL};
	TRY(world_program(s->world, cp));
	story_phase(s->record, REPORT_GOOD, "key", "enabled");
	TRY(play(s, &scene, copy));
	story_caution(s->record,
		"Destroyed: the key's only material in this keystore, its rows and what SQLite kept of them.",
		"Not destroyed: backups of the keystore. Whoever has one, and the root key, has the key.");
	return ERR_OK;
}
