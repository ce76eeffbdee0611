/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drill/real.h"
#include "kms/base/json.h"

/* What the vault and its KMS say of the key. */
struct state {
	json_t *keys;   /* `signetfs keys` */
	char *policy;   /* as the KMS has it */
	size_t rotated; /* how often */
};

static enum err count_rotations(struct stage *s, size_t *ret)
{
	json_t *answer AUTO_JSON = NULL;

	TRY(REAL_RUN(s, &answer, "kms", "list-key-rotations", "--region", s->own->region, "--key-id", s->own->key));
	*ret = json_array_size(json_object_get(answer, "Rotations"));
	return ERR_OK;
}

static void drop_state(struct state *t)
{
	json_decref(t->keys);
	free(t->policy);
}

static enum err read_state(struct stage *s, struct state *t)
{
	json_t *answer AUTO_JSON = NULL;

	TRY(REAL_RUN(s, &t->keys, "keys", "--json", s->own->vault));
	TRY(REAL_RUN(s, &answer, "kms", "get-key-policy", "--region", s->own->region, "--key-id", s->own->key));
	const char *policy = json_string_value(json_object_get(answer, "Policy"));
	t->policy = strdup(policy ? policy : "");
	if (!t->policy)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	return count_rotations(s, &t->rotated);
}

static int has_backing(const json_t *keys, const json_t *backing)
{
	for (size_t i = 0; i < json_array_size(keys); i++)
		if (json_equal(json_object_get(json_array_get(keys, i), "backing_key"), backing))
			return 1;
	return 0;
}

/* Files of the key under material that was not there before. */
static uint64_t files_under_new(struct stage *s, const struct state *before, const struct state *after)
{
	const json_t *then = json_object_get(before->keys, "keys"), *now = json_object_get(after->keys, "keys");
	uint64_t files = 0;

	for (size_t i = 0; i < json_array_size(now); i++) {
		const json_t *row = json_array_get(now, i), *backing = json_object_get(row, "backing_key");
		const char *arn = json_string_value(json_object_get(row, "key_arn"));
		if (arn && strcmp(arn, s->own->key) == 0 && json_is_string(backing) && !has_backing(then, backing))
			files += SCENE_NUMBER(row, "files");
	}
	return files;
}

static enum err compare(struct stage *s, const struct state *before)
{
	struct state after = {.keys = NULL};
	enum err e = read_state(s, &after);

	if (e == ERR_OK) {
		uint64_t files = files_under_new(s, before, &after);
		story_check(s->record, files >= s->files, "Files wrapped since then are under the new material",
			"%llu of the drill's own", (unsigned long long)files);
		story_check(s->record, after.rotated == before->rotated + 1, "The KMS lists the rotation",
			"%zu before, %zu after", before->rotated, after.rotated);
		story_check(s->record, strcmp(before->policy, after.policy) == 0, "Key id and policy are as before",
			"%s", s->own->key);
	}
	drop_state(&after);
	return e;
}

/* A KMS may take its time over it. */
static enum err rotate(struct stage *s, size_t rotated_before)
{
	size_t count = 0;

	TRY(REAL_RUN(s, NULL, "kms", "rotate-key-on-demand", "--region", s->own->region, "--key-id", s->own->key));
	story_phase(s->record, REPORT_GOOD, "backing key", "new");
	story_event(s->record, REPORT_CAUTION, "The key is rotated");
	for (unsigned i = 0; i < workload_patience(); i++) {
		TRY(count_rotations(s, &count));
		if (count > rotated_before)
			break;
		TRY(scene_go_on(s, 1));
	}
	return workload_wait(&s->load->reads, s->files, "reads of every file");
}

/*
 * The bucket key at hand is good for the rest of its lifetime, days perhaps, and a new mount goes on with it. So the drill's own files are
 * moved to the newest material, under load; yours come to it with the next bucket key.
 */
static enum err use_new(struct stage *s, struct scene *scene, const char *folder)
{
	story_event(s->record, REPORT_CAUTION, "signetfs reencrypt --only the drill's folder");
	TRY(REAL_RUN(s, NULL, "reencrypt", scene->vault, "--to", scene->key, "--only", strrchr(folder, '/') + 1));
	TRY(workload_wait(&s->load->reads, s->files, "reads under the new material"));
	TRY(workload_wait(&s->load->writes_done, 10, "files that are made"));
	workload_stop(s->load);
	story_phase(s->record, REPORT_PLAIN, "workload", NULL);
	scene_no_failure(s, "No operation failed");
	TRY(real_mount_anew(s, scene));
	scene_verify(s, "Files from before and after the rotation open");
	return ERR_OK;
}

static enum err play_in(struct stage *s, struct scene *scene, const char *folder, struct state *before)
{
	TRY(workload_make(s->load, s->record, folder, s->files));
	TRY(read_state(s, before));
	story_phase(s->record, REPORT_GOOD, "backing key", "as it was");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads and writes");
	TRY(workload_start(s->load, 1));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(rotate(s, before->rotated));
	TRY(use_new(s, scene, folder));
	return compare(s, before);
}

/* Also after an interruption: nothing of the drill stays in the vault. */
static void remove_folder(struct stage *s, const char *folder)
{
	const char *rm[] = {"rm", "-r", "--", folder, NULL};
	int closing = s->world->closing;

	s->world->closing = 1;
	enum err e = world_program(s->world, rm);
	s->world->closing = closing;
	story_check(s->record, e == ERR_OK, "The drill's own files are removed from your vault", "%s",
		e == ERR_OK ? strrchr(folder, '/') + 1 : err_text(e));
}

enum err real_rotation(struct stage *s)
{
	struct state before = {.keys = NULL};
	char folder[WORLD_PATH];
	struct scene scene = {.key = ""};

	TRY(real_begin(s, &scene));
	snprintf(folder, sizeof folder, "%.*s/signetfs-drill-XXXXXX", WORLD_PATH - 32, scene.point);
	if (!mkdtemp(folder))
		return err_system("cannot make a folder in the vault; nothing was changed");
	enum err e = play_in(s, &scene, folder, &before);
	if (e != ERR_OK)
		story_stopped(s->record, e);
	workload_stop(s->load);
	remove_folder(s, folder);
	drop_state(&before);
	real_end(s, &scene);
	return ERR_OK;
}
