/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "fs/drill/drill.h"

enum { PATIENCE_SECONDS = 60 };

unsigned workload_patience(void)
{
	return PATIENCE_SECONDS;
}

enum err scene_mount(struct stage *s, const char *vault, struct scene *scene)
{
	return world_mount(s->world, s->world->endpoint, vault, "clear", scene->point);
}

enum err scene_set(struct stage *s, const char *const *init_options, struct scene *ret)
{
	const char *args[WORLD_ARGS] = {"init", "--kms", s->world->endpoint, "--key", ret->key};
	size_t n = 5;

	TRY(world_make_key(s->world, s->record->name, ret->key));
	world_path(s->world, "vault", ret->vault);
	for (; *init_options && n < WORLD_ARGS - 2; init_options++)
		args[n++] = *init_options;
	args[n++] = ret->vault;
	TRY(world_run(s->world, NULL, args));
	TRY(scene_mount(s, ret->vault, ret));
	TRY(workload_make(s->load, s->record, ret->point, s->files));
	story_event(s->record, REPORT_PLAIN, "A scratch vault with %llu files under the key %s",
		(unsigned long long)s->files, strrchr(ret->key, '/') + 1);
	return own_bring(s, ret->point);
}

enum err scene_reencrypt(struct stage *s, const struct scene *scene, const char *const *args)
{
	const char *all[WORLD_ARGS] = {"reencrypt", "--kms", s->world->endpoint};
	size_t n = 3;

	while (*args && n < WORLD_ARGS - 2)
		all[n++] = *args++;
	all[n] = scene->vault;
	return world_run(s->world, NULL, all);
}

enum err scene_copy(struct stage *s, const struct scene *scene, char ret_copy[WORLD_PATH])
{
	world_path(s->world, "copy", ret_copy);
	const char *cp[] = {"cp", "-a", "--", scene->vault, ret_copy, NULL};
	return world_program(s->world, cp);
}

enum err scene_go_on(struct stage *s, double seconds)
{
	double until = story_now(s->record) + seconds;

	while (story_now(s->record) < until)
		TRY(workload_wait(&s->load->reads, 10, "reads that go on"));
	return ERR_OK;
}

void scene_no_failure(struct stage *s, const char *what)
{
	uint64_t failed = s->load->read_errors + s->load->write_errors;

	story_check(s->record, failed == 0, what, "%llu of %llu failed", (unsigned long long)failed,
		(unsigned long long)(s->load->reads + s->load->writes_done + failed));
}

void scene_verify(struct stage *s, const char *what)
{
	int failed;
	uint64_t good = workload_verify(s->load, &failed), files = s->load->files;

	story_check(s->record, good == files && s->load->wrong == 0, what, "%llu of %llu files, every byte%s%s",
		(unsigned long long)good, (unsigned long long)files, failed ? "; " : "",
		failed ? strerror(failed) : "");
	own_verify(s, s->load->point, what);
}

enum err scene_until_refused(struct stage *s, double since, double *ret_seconds)
{
	TRY(workload_wait(&s->load->read_errors, 1, "a read that fails"));
	*ret_seconds = story_now(s->record) - since;
	story_event(s->record, REPORT_GOOD, "Reads fail after %.1f s: %s", *ret_seconds,
		strerror((int)s->load->last_errno));
	return ERR_OK;
}

/* As many reads in a row as there are files that a read could have been lucky with. */
enum err scene_until_served(struct stage *s, double since, double *ret_seconds)
{
	TRY(workload_wait(&s->load->reads, 1, "a read that succeeds"));
	*ret_seconds = story_now(s->record) - since;
	story_event(s->record, REPORT_GOOD, "Reads succeed again after %.1f s", *ret_seconds);
	return workload_wait(&s->load->reads, s->files, "reads that go on");
}

uint64_t scene_number(const json_t *object, const char *const *path)
{
	for (; *path; path++)
		object = json_object_get(object, *path);
	return (uint64_t)json_integer_value(object);
}
