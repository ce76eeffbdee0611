/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/drill.h"
#include "fs/drill/tails.h"

/* Wrapping anew is not enough, and the comparison would notice: shown first. */
static enum err wrap_anew(struct stage *s, const struct scene *scene, const char *copy, const char *key)
{
	struct tails tails;

	TRY(SCENE_REENCRYPT(s, scene, "--to", key));
	story_event(s->record, REPORT_PLAIN, "Wrapped anew under another KMS key in the mount, contents untouched");
	TRY(tails_compare(copy, scene->vault, &tails));
	story_check(s->record, tails.files >= s->files && tails.same == tails.files,
		"Wrapping anew keeps the data keys: not enough after a compromise",
		"%llu of %llu files have them still", (unsigned long long)tails.same, (unsigned long long)tails.files);
	return ERR_OK;
}

static enum err write_anew(struct stage *s, const struct scene *scene, const char *copy, const char *key)
{
	struct tails tails;

	story_phase(s->record, REPORT_CAUTION, "contents", "being written anew");
	story_event(s->record, REPORT_CAUTION, "signetfs reencrypt --data");
	TRY(SCENE_REENCRYPT(s, scene, "--data", "--to", key));
	story_phase(s->record, REPORT_GOOD, "contents", "under new data keys");
	story_event(s->record, REPORT_GOOD, "Everything is written anew; the mount went on");
	TRY(tails_compare(copy, scene->vault, &tails));
	story_check(s->record, tails.files >= s->files && tails.same == 0, "No file is left under an old data key",
		"%llu of %llu", (unsigned long long)tails.same, (unsigned long long)tails.files);
	return ERR_OK;
}

enum err play_compromise(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "2s", NULL};
	char copy[WORLD_PATH], key[WORLD_ARN];
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	TRY(world_make_key(s->world, "after", key));
	TRY(scene_copy(s, &scene, copy));
	story_event(s->record, REPORT_BAD, "Suppose that somebody has this state of the vault and its data keys");
	story_phase(s->record, REPORT_BAD, "contents", "under known data keys");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads");
	TRY(workload_start(s->load, 0));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	TRY(wrap_anew(s, &scene, copy, key));
	TRY(write_anew(s, &scene, copy, key));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	workload_stop(s->load);
	scene_no_failure(s, "No read failed meanwhile");
	TRY(world_umount(s->world, scene.point));
	TRY(scene_mount(s, scene.vault, &scene));
	scene_verify(s, "Every file has its content");
	story_caution(s->record, "What was copied before stays readable to whoever has the old data keys.",
		"New keys protect what is written from now on.");
	return ERR_OK;
}
