/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kms/base/json.h"

static size_t with_options(const struct stage *s, const char *const *args, const char *all[WORLD_ARGS])
{
	size_t n = 0;

	while (*args && n < WORLD_ARGS - 1)
		all[n++] = *args++;
	for (const char *const *o = s->own->options; o && *o && n < WORLD_ARGS - 1; o++)
		all[n++] = *o;
	all[n] = NULL;
	return n;
}

enum err real_run(struct stage *s, json_t **ret, const char *const *args)
{
	const char *all[WORLD_ARGS];
	char *text = NULL;

	with_options(s, args, all);
	if (!ret)
		return world_run_as_person(s->world, NULL, all);
	TRY(world_run_as_person(s->world, &text, all));
	enum err e = json_parse(text, strlen(text), ret);
	free(text);
	return e;
}

static enum err mount_own(struct stage *s, struct scene *scene)
{
	const char *args[] = {"mount", scene->vault, NULL}, *all[WORLD_ARGS];

	with_options(s, args, all);
	return world_mount_as_person(s->world, all, "clear", scene->point);
}

enum err real_mount_anew(struct stage *s, struct scene *scene)
{
	TRY(world_umount(s->world, scene->point));
	return mount_own(s, scene);
}

enum err real_begin(struct stage *s, struct scene *ret)
{
	if (snprintf(ret->vault, sizeof ret->vault, "%s", s->own->vault) >= (int)sizeof ret->vault ||
		snprintf(ret->key, sizeof ret->key, "%s", s->own->key) >= (int)sizeof ret->key)
		return err_fail(ERR_LIMIT, "the vault's path is longer than %d bytes", (int)sizeof ret->vault - 1);
	story_event(s->record, REPORT_CAUTION, "For real: %s, under the key %s", ret->vault, ret->key);
	enum err e = REAL_RUN(s, NULL, "fsck", ret->vault);
	story_check(s->record, e == ERR_OK, "Your vault is sound before anything changes", "%s",
		e == ERR_OK ? "signetfs fsck" : err_text(e));
	TRY(err_wrap(e, "nothing was changed"));
	TRY(err_wrap(mount_own(s, ret), "nothing was changed"));
	e = tree_digest(ret->point, 0, &s->contents);
	story_check(s->record, e == ERR_OK, "Every file of it can be read before anything changes",
		"%llu files, %llu bytes%s%s", (unsigned long long)s->contents.files,
		(unsigned long long)s->contents.bytes, e == ERR_OK ? "" : "; ", e == ERR_OK ? "" : err_text(e));
	return err_wrap(e, "nothing was changed");
}

void real_end(struct stage *s, struct scene *scene)
{
	struct tree_sum now = {.files = 0};

	if (world_interrupted())
		return;
	enum err e = real_mount_anew(s, scene);
	if (e == ERR_OK)
		e = tree_digest(scene->point, 0, &now);
	story_check(s->record, e == ERR_OK && tree_same(&s->contents, &now),
		"Every file of your vault holds what it held before", "%llu files, %llu bytes, in a new mount%s%s",
		(unsigned long long)now.files, (unsigned long long)now.bytes, e == ERR_OK ? "" : "; ",
		e == ERR_OK ? "" : err_text(e));
}

enum err real_files_under(struct stage *s, const char *key, uint64_t *ret_files, uint64_t *ret_others)
{
	json_t *answer AUTO_JSON = NULL;

	TRY(REAL_RUN(s, &answer, "keys", "--json", s->own->vault));
	const json_t *keys = json_object_get(answer, "keys");
	*ret_files = *ret_others = 0;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *row = json_array_get(keys, i);
		const char *arn = json_string_value(json_object_get(row, "key_arn"));
		*(arn && strcmp(arn, key) == 0 ? ret_files : ret_others) += SCENE_NUMBER(row, "files");
	}
	return ERR_OK;
}
