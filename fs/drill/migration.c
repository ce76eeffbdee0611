/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drill/drill.h"
#include "kms/base/json.h"

struct place {
	struct world other;
	char key[WORLD_ARN], copy[WORLD_PATH];
};

static enum err keep_copy(struct stage *s, const char *vault, const char *copy)
{
	const char *argv[] = {"cp", "-a", vault, copy, NULL};

	TRY(world_program(s->world, argv));
	story_event(s->record, REPORT_PLAIN, "A copy of the vault is kept from before");
	return ERR_OK;
}

/* By what `signetfs keys` reads in the headers. */
static enum err files_under(struct stage *s, const char *vault, const char *key, uint64_t *ret)
{
	json_t *answer AUTO_JSON = NULL;
	char *text = NULL;
	uint64_t sum = 0;

	TRY(WORLD_RUN(s->world, &text, "keys", "--json", vault));
	enum err e = json_parse(text, strlen(text), &answer);
	free(text);
	TRY(e);
	const json_t *keys = json_object_get(answer, "keys");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *arn = json_string_value(json_object_get(json_array_get(keys, i), "key_arn"));
		if (arn && strcmp(arn, key) == 0)
			sum += SCENE_NUMBER(json_array_get(keys, i), "files");
	}
	*ret = sum;
	return ERR_OK;
}

static enum err tell_files(struct stage *s, const struct scene *scene, const struct place *to)
{
	struct story_chart *c =
		story_chart(s->record, REPORT_BARS, "Files by key", "As their headers say, before and after.", "files");
	const char *keys[] = {scene->key, to->key};
	const char *vaults[] = {to->copy, scene->vault};
	uint64_t n[2][2];

	for (size_t when = 0; when < 2; when++)
		for (size_t key = 0; key < 2; key++)
			TRY(files_under(s, vaults[when], keys[key], &n[when][key]));
	for (size_t i = 0; c && i < 4; i++)
		c->y[i / 2][i % 2] = (double)n[i / 2][i % 2];
	if (c) {
		c->count = c->points[0] = c->points[1] = 2;
		strcpy(c->series[0], "before");
		strcpy(c->series[1], "after");
		strcpy(c->category[0], "old key");
		strcpy(c->category[1], "new key");
	}
	story_check(s->record, n[0][0] >= s->files && n[1][0] == 0 && n[1][1] == s->load->files,
		"No file depends on the old key any more", "%llu under the new one, %llu under the old",
		(unsigned long long)n[1][1], (unsigned long long)n[1][0]);
	return ERR_OK;
}

static enum err move(struct stage *s, struct scene *scene, struct place *to)
{
	uint64_t before, calls;

	TRY(world_audited(s->world, scene->key, NULL, "", &before));
	story_phase(s->record, REPORT_CAUTION, "vault", "moving");
	story_event(s->record, REPORT_CAUTION, "signetfs reencrypt --to the new key, at another KMS");
	TRY(SCENE_REENCRYPT(s, scene, to->other.endpoint, "--to", to->key, "--endpoint-to", to->other.endpoint));
	story_phase(s->record, REPORT_GOOD, "vault", "under the new key");
	story_event(s->record, REPORT_GOOD, "The vault is moved and mounted again");
	TRY(workload_wait(&s->load->reads, s->files, "reads after the move"));
	workload_stop(s->load);
	story_phase(s->record, REPORT_PLAIN, "workload", NULL);
	TRY(world_audited(s->world, scene->key, NULL, "", &calls));
	story_check(s->record, calls - before < s->files / 4 + 8, "KMS calls grow with bucket keys, not with files",
		"%llu calls at the old KMS for %llu files", (unsigned long long)(calls - before),
		(unsigned long long)s->load->files);
	return ERR_OK;
}

static enum err after(struct stage *s, struct scene *scene, struct place *to)
{
	char point[WORLD_PATH];
	enum err e;

	TRY(world_umount(s->world, scene->point));
	TRY(tell_files(s, scene, to));
	TRY(world_kms(s->world, "DisableKey", json_pack("{s:s}", "KeyId", scene->key), NULL));
	story_event(s->record, REPORT_CAUTION, "The old key is disabled");
	TRY(world_mount(s->world, to->other.endpoint, scene->vault, "clear", scene->point));
	workload_move(s->load, scene->point);
	scene_verify(s, "Every file opens under the new key alone");
	e = world_mount(s->world, s->world->endpoint, to->copy, "copied", point);
	story_check(s->record, e != ERR_OK, "The copy from before does not open", "%s",
		e == ERR_OK ? "it did" : err_text(e));
	return ERR_OK;
}

static enum err play(struct stage *s, struct place *to)
{
	static const char *const options[] = {"--cache-time", "2s", NULL};
	struct scene scene;

	TRY(world_serve(&to->other, "none", NULL));
	TRY(world_make_key(&to->other, "migration", to->key));
	TRY(scene_set(s, options, &scene));
	world_path(s->world, "copy", to->copy);
	TRY(keep_copy(s, scene.vault, to->copy));
	story_phase(s->record, REPORT_PLAIN, "vault", "under the old key");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads and writes");
	TRY(workload_start(s->load, 1));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(move(s, &scene, to));
	story_check(s->record, s->load->read_errors + s->load->write_errors == 0, "No operation failed meanwhile",
		"%llu of %llu", (unsigned long long)(s->load->read_errors + s->load->write_errors),
		(unsigned long long)(s->load->reads + s->load->writes_done));
	return after(s, &scene, to);
}

enum err play_migration(struct stage *s)
{
	struct place to = {.key = ""};

	TRY(world_serve(s->world, "none", NULL));
	enum err e = world_open_beside(&to.other, s->world, "other");
	if (e == ERR_OK)
		e = play(s, &to);
	workload_stop(s->load);
	world_close(&to.other);
	return e;
}
