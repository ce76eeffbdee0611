/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drill/drill.h"
#include "kms/base/json.h"

/* `signetfs keys`: how many materials of the key the vault's files are under. */
struct materials {
	size_t count;
	uint64_t files;
};

static enum err key_policy(struct stage *s, const char *key, char **ret)
{
	json_t *answer AUTO_JSON = NULL;

	TRY(world_kms(
		s->world, "GetKeyPolicy", json_pack("{s:s, s:s}", "KeyId", key, "PolicyName", "default"), &answer));
	*ret = strdup(json_string_value(json_object_get(answer, "Policy")));
	return *ret ? ERR_OK : err_fail(ERR_NO_MEMORY, "out of memory");
}

static enum err rotations(struct stage *s, const char *key, size_t *ret)
{
	json_t *answer AUTO_JSON = NULL;

	TRY(world_kms(s->world, "ListKeyRotations", json_pack("{s:s}", "KeyId", key), &answer));
	*ret = json_array_size(json_object_get(answer, "Rotations"));
	return ERR_OK;
}

static enum err read_materials(struct stage *s, const char *vault, struct materials *ret)
{
	json_t *answer AUTO_JSON = NULL;

	TRY(WORLD_ASK(s->world, &answer, "keys", "--json", vault));
	const json_t *keys = json_object_get(answer, "keys");
	*ret = (struct materials){.count = 0};
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		uint64_t files = SCENE_NUMBER(key, "files");
		ret->count += files > 0;
		ret->files += files;
	}
	return ERR_OK;
}

static enum err rotate(struct stage *s, const struct scene *scene)
{
	story_phase(s->record, REPORT_GOOD, "backing key", "second");
	TRY(world_kms(s->world, "RotateKeyOnDemand", json_pack("{s:s}", "KeyId", scene->key), NULL));
	story_event(s->record, REPORT_CAUTION, "The key is rotated");
	return ERR_OK;
}

/* Past the lifetime of the bucket key at hand: the next one is made under the new material. */
static enum err wait_for_new_bucket_key(struct stage *s, const struct scene *scene)
{
	uint64_t before, now = 0;

	TRY(world_audited(s->world, scene->key, "GenerateDataKey", "", &before));
	for (int i = 0; i < 60; i++) {
		TRY(workload_wait(&s->load->writes_done, 50, "files that are made"));
		TRY(world_audited(s->world, scene->key, "GenerateDataKey", "", &now));
		if (now > before + 1) {
			story_event(s->record, REPORT_GOOD, "A new bucket key wraps new files");
			return workload_wait(&s->load->writes_done, 20, "files under the new bucket key");
		}
	}
	return err_fail(ERR_STALE, "no new bucket key was made");
}

static enum err tell_calls(struct stage *s, const struct scene *scene)
{
	uint64_t generated, decrypted;
	char note[STORY_WORD], value[STORY_WORD];

	TRY(world_audited(s->world, scene->key, "GenerateDataKey", NULL, &generated));
	TRY(world_audited(s->world, scene->key, "Decrypt", NULL, &decrypted));
	snprintf(value, sizeof value, "%llu", (unsigned long long)(generated + decrypted));
	snprintf(note, sizeof note, "for %llu files made and %llu reads, by the audit trail",
		(unsigned long long)s->load->files, (unsigned long long)s->load->reads);
	story_figure(s->record, value, "KMS calls", note);
	story_check(s->record, generated + decrypted < s->load->files / 2 + 10,
		"Calls grow with bucket keys, not with files", "%s calls, %llu files", value,
		(unsigned long long)s->load->files);
	return ERR_OK;
}

static enum err compare(struct stage *s, const struct scene *scene, const char *policy, const struct materials *before)
{
	char *policy_now = NULL;
	struct materials after;
	size_t count;

	TRY(read_materials(s, scene->vault, &after));
	story_check(s->record, before->count == 1 && after.count == 2, "New files are under the new material",
		"%zu material before, %zu after", before->count, after.count);
	TRY(rotations(s, scene->key, &count));
	story_check(s->record, count == 1, "The KMS lists the rotation", "%zu", count);
	TRY(key_policy(s, scene->key, &policy_now));
	story_check(s->record, strcmp(policy, policy_now) == 0, "Key id and policy are as before", "%s",
		strrchr(scene->key, '/') + 1);
	free(policy_now);
	return tell_calls(s, scene);
}

static enum err play(struct stage *s, const struct scene *scene, const char *policy)
{
	struct materials before;

	TRY(read_materials(s, scene->vault, &before));
	story_phase(s->record, REPORT_GOOD, "backing key", "first");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads and writes");
	TRY(workload_start(s->load, 1));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(rotate(s, scene));
	TRY(wait_for_new_bucket_key(s, scene));
	TRY(workload_wait(&s->load->reads, s->load->files, "reads of every file"));
	workload_stop(s->load);
	story_phase(s->record, REPORT_PLAIN, "workload", NULL);
	scene_no_failure(s, "No operation failed");
	TRY(world_umount(s->world, scene->point));
	TRY(compare(s, scene, policy, &before));
	return ERR_OK;
}

enum err play_rotation(struct stage *s)
{
	static const char *const options[] = {"--bucket-lifetime", "2s", "--cache-time", "2s", NULL};
	char *policy = NULL;
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	TRY(key_policy(s, scene.key, &policy));
	enum err e = play(s, &scene, policy);
	free(policy);
	TRY(e);
	TRY(scene_mount(s, scene.vault, &scene));
	scene_verify(s, "Old and new files open after a new mount");
	return ERR_OK;
}
