/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drill/drill.h"
#include "fs/drill/person.h"
#include "kms/base/json.h"

#define OTHER_ACCOUNT "111122223333"
#define OTHER_REGION  "eu-central-1"
/* Keys leave the memory after that. */
#define CACHE_TIME "2s"
enum { CACHE_SECONDS = 2 };

/* Where the vault moves to: a key of another account, in another region, at another KMS. */
struct place {
	struct world other;
	struct person person;
	char key[WORLD_ARN], config[WORLD_PATH], copy[WORLD_PATH];
};

static enum err settle(struct place *to)
{
	json_t *made AUTO_JSON = NULL;
	struct world *w = &to->other;

	TRY(world_serve(w, "none", NULL));
	TRY(person_make(w, OTHER_ACCOUNT, "bea", OTHER_REGION, &to->person));
	TRY(person_allow(w, &to->person, "\"kms:*\""));
	TRY(person_configure(w, &to->person, to->config));
	person_act(w, &to->person);
	TRY(WORLD_ASK(w, &made, "kms", "create-key", "--kms", w->url, "--description", "migration"));
	const char *arn = json_string_value(json_object_get(json_object_get(made, "KeyMetadata"), "Arn"));
	snprintf(to->key, sizeof to->key, "%s", arn ? arn : "");
	return ERR_OK;
}

/* By what `signetfs keys` reads in the headers. */
static enum err files_under(struct stage *s, const char *vault, const char *key, uint64_t *ret)
{
	json_t *answer AUTO_JSON = NULL;
	uint64_t sum = 0;

	TRY(WORLD_ASK(s->world, &answer, "keys", "--json", vault));
	const json_t *keys = json_object_get(answer, "keys");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *arn = json_string_value(json_object_get(json_array_get(keys, i), "key_arn"));
		if (arn && strcmp(arn, key) == 0)
			sum += SCENE_NUMBER(json_array_get(keys, i), "files");
	}
	*ret = sum;
	return ERR_OK;
}

static void tell_chart(struct stage *s, uint64_t n[2][2])
{
	struct story_chart *c =
		story_chart(s->record, REPORT_BARS, "Files by key", "As their headers say, before and after.", "files");

	if (!c)
		return;
	for (size_t i = 0; i < 4; i++)
		c->y[i / 2][i % 2] = (double)n[i / 2][i % 2];
	c->count = c->points[0] = c->points[1] = 2;
	strcpy(c->series[0], "before");
	strcpy(c->series[1], "after");
	strcpy(c->category[0], "old key");
	strcpy(c->category[1], "new key");
}

static enum err tell_files(struct stage *s, const struct scene *scene, const struct place *to)
{
	const char *keys[] = {scene->key, to->key};
	const char *vaults[] = {to->copy, scene->vault};
	uint64_t n[2][2];

	for (size_t when = 0; when < 2; when++)
		for (size_t key = 0; key < 2; key++)
			TRY(files_under(s, vaults[when], keys[key], &n[when][key]));
	tell_chart(s, n);
	story_check(s->record, n[0][0] >= s->files && n[1][0] == 0 && n[1][1] >= s->load->files,
		"No file depends on the old key any more", "%llu under the new one, %llu under the old",
		(unsigned long long)n[1][1], (unsigned long long)n[1][0]);
	return ERR_OK;
}

static enum err move(struct stage *s, const struct scene *scene, const struct place *to)
{
	uint64_t before, calls;

	TRY(world_audited(s->world, scene->key, NULL, "", &before));
	story_phase(s->record, REPORT_CAUTION, "vault", "moving");
	story_event(s->record, REPORT_CAUTION, "signetfs reencrypt --to a key in %s of account %s, at another KMS",
		OTHER_REGION, OTHER_ACCOUNT);
	TRY(SCENE_REENCRYPT(s, scene, "--to", to->key, "--endpoint-to", to->other.url, "--config-to", to->config));
	story_phase(s->record, REPORT_GOOD, "vault", "under the new key");
	story_event(s->record, REPORT_GOOD, "The vault is moved; the mount went on");
	TRY(world_audited(s->world, scene->key, NULL, "", &calls));
	story_check(s->record, calls - before < s->files / 4 + 8, "KMS calls grow with bucket keys, not with files",
		"%llu calls at the old KMS for %llu files", (unsigned long long)(calls - before),
		(unsigned long long)s->load->files);
	return ERR_OK;
}

/* The mount that was moved needs the old key no more: beyond the time for which it could remember anything. */
static enum err disable_old(struct stage *s, const struct scene *scene)
{
	TRY(world_kms(s->world, "DisableKey", json_pack("{s:s}", "KeyId", scene->key), NULL));
	story_event(s->record, REPORT_CAUTION, "The old key is disabled");
	TRY(scene_go_on(s, CACHE_SECONDS + 1));
	TRY(workload_wait(&s->load->reads, s->files, "reads under the new key"));
	TRY(workload_wait(&s->load->writes_done, 1, "a file that is made under the new key"));
	workload_stop(s->load);
	story_phase(s->record, REPORT_PLAIN, "workload", NULL);
	scene_no_failure(s, "No operation failed meanwhile");
	return ERR_OK;
}

static enum err mount_anew(struct stage *s, struct scene *scene, const struct place *to)
{
	char point[WORLD_PATH];
	enum err e;

	TRY(world_umount(s->world, scene->point));
	person_act(s->world, &to->person);
	e = world_mount(s->world, to->other.url, scene->vault, "clear", scene->point);
	person_act(s->world, NULL);
	TRY(e);
	scene_verify(s, "Every file opens under the new key alone");
	e = world_mount(s->world, s->world->endpoint, to->copy, "copied", point);
	story_check(s->record, e != ERR_OK, "The copy from before does not open", "%s",
		e == ERR_OK ? "it did" : err_text(e));
	return ERR_OK;
}

static enum err play(struct stage *s, struct place *to)
{
	static const char *const options[] = {"--cache-time", CACHE_TIME, NULL};
	struct scene scene;

	TRY(settle(to));
	TRY(scene_set(s, options, &scene));
	TRY(scene_copy(s, &scene, to->copy));
	story_event(s->record, REPORT_PLAIN, "A copy of the vault is kept from before");
	story_phase(s->record, REPORT_PLAIN, "vault", "under the old key");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads and writes");
	TRY(workload_start(s->load, 1));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(move(s, &scene, to));
	TRY(disable_old(s, &scene));
	TRY(tell_files(s, &scene, to));
	return mount_anew(s, &scene, to);
}

enum err play_migration(struct stage *s)
{
	struct place *to = calloc(1, sizeof *to);

	if (!to)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	enum err e = world_serve(s->world, "none", NULL);
	if (e == ERR_OK)
		e = world_open_beside(&to->other, s->world, "other");
	if (e == ERR_OK)
		e = play(s, to);
	workload_stop(s->load);
	world_close(&to->other);
	free(to);
	return e;
}
