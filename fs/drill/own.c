/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drill/own.h"

#include <stdio.h>
#include <string.h>
#include "fs/drill/drill.h"

static void path_in(const char *place, char out[WORLD_PATH])
{
	snprintf(out, WORLD_PATH, "%.*s/yours", WORLD_PATH - 8, place);
}

enum err own_begin(struct stage *s)
{
	if (!s->own->vault || s->own->mounted || s->own->for_real)
		return ERR_OK;
	return tree_digest(s->own->vault, 1, &s->ciphertext);
}

void own_end(struct stage *s)
{
	struct tree_sum now;

	if (!s->own->vault || s->own->for_real)
		return;
	if (s->own->mounted) {
		story_caution(s->record, "Your vault is mounted: whether it changed was not looked at.",
			"The drill itself only read it.");
		return;
	}
	enum err e = tree_digest(s->own->vault, 1, &now);
	story_check(s->record, e == ERR_OK && tree_same(&s->ciphertext, &now), "Your vault is bit for bit as it was",
		"%llu files, %llu bytes of ciphertext, times and owners", (unsigned long long)s->ciphertext.files,
		(unsigned long long)s->ciphertext.bytes);
}

enum err own_bring(struct stage *s, const char *point)
{
	const char *args[WORLD_ARGS] = {"restore"};
	char to[WORLD_PATH];
	size_t n = 1;

	if (!s->own->vault)
		return ERR_OK;
	path_in(point, to);
	for (const char *const *o = s->own->options; o && *o && n < WORLD_ARGS - 3; o++)
		args[n++] = *o;
	args[n++] = s->own->vault;
	args[n++] = to;
	enum err e = world_run_as_person(s->world, NULL, args);
	story_check(s->record, e == ERR_OK, "Every file of your vault can be read with your KMS", "%s",
		e == ERR_OK ? s->own->vault : err_text(e));
	TRY(e);
	TRY(tree_digest(to, 0, &s->contents));
	story_event(s->record, REPORT_PLAIN,
		"What your vault holds is in the scratch vault, too: %llu files, %llu bytes",
		(unsigned long long)s->contents.files, (unsigned long long)s->contents.bytes);
	return ERR_OK;
}

void own_verify(struct stage *s, const char *point, const char *what)
{
	struct tree_sum now;
	char at[WORLD_PATH], title[STORY_TEXT];

	if (!s->own->vault || s->own->for_real)
		return;
	path_in(point, at);
	enum err e = tree_digest(at, 0, &now);
	snprintf(title, sizeof title, "%s: what your vault holds, too", what);
	story_check(s->record, e == ERR_OK && tree_same(&s->contents, &now), title, "%llu files, every byte%s%s",
		(unsigned long long)s->contents.files, e == ERR_OK ? "" : "; ", e == ERR_OK ? "" : err_text(e));
}
