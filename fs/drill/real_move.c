/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "fs/drill/real.h"
#include "fs/drill/tails.h"
#include "kms/base/json.h"

/* Programs that read everything over and over while the vault moves: each round is the digest of all that it holds. */
struct rounds {
	pthread_t thread;
	const char *point;
	const struct tree_sum *want;
	_Atomic int stop;
	uint64_t good, bad;
	char why[STORY_TEXT];
};

static void *read_rounds(void *context)
{
	struct rounds *r = context;

	do {
		struct tree_sum now;
		enum err e = tree_digest(r->point, 0, &now);

		if (e == ERR_OK && tree_same(&now, r->want)) {
			r->good++;
			continue;
		}
		r->bad++;
		snprintf(r->why, sizeof r->why, "; %.300s", e == ERR_OK ? "other contents" : err_text(e));
	} while (!r->stop && !world_interrupted());
	return NULL;
}

/* Signals are for the thread that waits for the move. */
static enum err start_rounds(struct rounds *r)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&r->thread, NULL, read_rounds, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc ? err_fail(ERR_SYSTEM, "cannot start a thread: %s", strerror(rc)) : ERR_OK;
}

static void tell_rounds(struct stage *s, const struct rounds *r)
{
	if (world_interrupted())
		return;
	story_check(s->record, r->bad == 0 && r->good > 0, "Every file was read, and was right, while it moved",
		"%llu rounds through all of them, %llu not right%s", (unsigned long long)(r->good + r->bad),
		(unsigned long long)r->bad, r->why);
}

/* The move, whose options these are, while everything is read. */
static enum err reencrypt(struct stage *s, const struct scene *scene, const char *to, const char *data)
{
	struct rounds r = {.point = scene->point, .want = &s->contents};

	story_phase(s->record, REPORT_CAUTION, "vault", "moving");
	story_event(s->record, REPORT_CAUTION, "signetfs reencrypt %s%s--to %s", data ? data : "", data ? " " : "", to);
	TRY(start_rounds(&r));
	/* @data is NULL without it, and then it ends the list. */
	enum err e = REAL_RUN(s, NULL, "reencrypt", "--to", to, scene->vault, data);
	r.stop = 1;
	pthread_join(r.thread, NULL);
	tell_rounds(s, &r);
	if (e == ERR_OK)
		story_event(s->record, REPORT_GOOD, "The vault is moved; the mount went on");
	else
		story_caution(s->record, "It may be moved in part; every file opens, under whichever key it is",
			"leave both keys enabled; signetfs reencrypt --resume VAULT goes on, or says that nothing had "
			"begun");
	story_phase(s->record, REPORT_GOOD, "vault", e == ERR_OK ? "moved" : NULL);
	return e;
}

/* Where it is: what @to names, an alias perhaps. An ARN says in which region. */
static enum err find_target(struct stage *s, const char *to, char arn[WORLD_ARN])
{
	json_t *answer AUTO_JSON = NULL;
	char region[64] = "";

	if (strncmp(to, "arn:", 4) != 0 || sscanf(to, "arn:%*[^:]:kms:%63[^:]:", region) != 1)
		snprintf(region, sizeof region, "%s", s->own->region);
	TRY(REAL_RUN(s, &answer, "kms", "describe-key", "--region", region, "--key-id", to));
	const json_t *data = json_object_get(answer, "KeyMetadata");
	const char *found = json_string_value(json_object_get(data, "Arn"));
	const char *state = json_string_value(json_object_get(data, "KeyState"));
	snprintf(arn, WORLD_ARN, "%s", found ? found : "");
	story_check(s->record, found && state && strcmp(state, "Enabled") == 0, "The key to move to can be used",
		"%s: %s", arn, state ? state : "no state");
	return found && state && strcmp(state, "Enabled") == 0
		       ? ERR_OK
		       : err_fail(ERR_USAGE, "the key to move to is not enabled; nothing was changed");
}

static enum err tell_keys(struct stage *s, const char *key)
{
	uint64_t files, others;

	TRY(real_files_under(s, key, &files, &others));
	story_check(s->record, others == 0, "No file is under another key", "%llu under %s, %llu under others",
		(unsigned long long)files, strrchr(key, '/') ? strrchr(key, '/') + 1 : key, (unsigned long long)others);
	return ERR_OK;
}

static enum err migrate(struct stage *s, const struct scene *scene)
{
	char arn[WORLD_ARN], how[STORY_TEXT];

	TRY(find_target(s, s->own->to, arn));
	if (strcmp(arn, scene->key) == 0)
		return err_fail(ERR_USAGE, "the vault is under that key; nothing was changed");
	TRY(reencrypt(s, scene, s->own->to, NULL));
	TRY(tell_keys(s, arn));
	snprintf(how, sizeof how, "When backups and copies need it no more: signetfs kms disable-key --key-id %.200s",
		scene->key);
	story_caution(s->record, "The old key is not disabled.", how);
	return ERR_OK;
}

static enum err renew(struct stage *s, const struct scene *scene)
{
	char copy[WORLD_PATH], arn[WORLD_ARN];
	const char *to = s->own->to ? s->own->to : scene->key;
	struct tails tails;

	TRY(find_target(s, to, arn));
	TRY(err_wrap(scene_copy(s, scene, copy), "nothing was changed"));
	story_event(s->record, REPORT_PLAIN, "The ciphertext is kept beside, to compare it");
	TRY(reencrypt(s, scene, to, "--data"));
	TRY(tails_compare(copy, scene->vault, &tails));
	story_check(s->record, tails.files > 0 && tails.same == 0, "No file is left under an old data key",
		"%llu of %llu", (unsigned long long)tails.same, (unsigned long long)tails.files);
	TRY(tell_keys(s, arn));
	story_caution(s->record, "What was copied before stays readable to whoever has the old data keys.",
		"New keys protect what is written from now on.");
	return ERR_OK;
}

static enum err play(struct stage *s, enum err (*event)(struct stage *s, const struct scene *scene))
{
	struct scene scene = {.key = ""};

	TRY(real_begin(s, &scene));
	enum err e = event(s, &scene);
	/* Whatever went wrong: what became of the files counts. */
	if (e != ERR_OK)
		story_stopped(s->record, e);
	real_end(s, &scene);
	return ERR_OK;
}

enum err real_migration(struct stage *s)
{
	return play(s, migrate);
}

enum err real_compromise(struct stage *s)
{
	return play(s, renew);
}
