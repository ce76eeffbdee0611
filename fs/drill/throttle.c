/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drill/drill.h"
#include "kms/base/json.h"

enum { RATE = 8, FILES = 40 };

struct run {
	double seconds;
	uint64_t throttled, calls, errors, retries;
};

static enum err make_vault(struct stage *s, const char *key, int bucket_keys, char vault[WORLD_PATH])
{
	world_path(s->world, bucket_keys ? "with" : "without", vault);
	return WORLD_RUN(s->world, NULL, "init", "--kms", s->world->endpoint, "--key", key, "--bucket-key",
		bucket_keys ? "on" : "off", vault);
}

/* Files made, the mount ended and made anew, all files read: what the KMS is asked for in a day, in a few seconds. */
static enum err work(struct stage *s, const char *vault, const char *name, struct run *ret)
{
	char point[WORLD_PATH];
	json_t *stats AUTO_JSON = NULL;
	double start = story_now(s->record);
	int failed;

	TRY(world_mount(s->world, s->world->endpoint, vault, name, point));
	TRY(workload_make(s->load, s->record, point, FILES));
	ret->errors = FILES - workload_verify(s->load, &failed);
	ret->seconds = story_now(s->record) - start;
	TRY(world_stats(s->world, point, &stats));
	ret->throttled = SCENE_NUMBER(stats, "kms", "client", "throttled");
	ret->retries = SCENE_NUMBER(stats, "kms", "client", "retries");
	ret->calls = SCENE_NUMBER(stats, "kms", "calls");
	return world_umount(s->world, point);
}

static void tell(struct stage *s, const struct run *on, const struct run *off)
{
	struct story_chart *c = story_chart(s->record, REPORT_BARS, "With a small quota",
		"The same work: with bucket keys it does not meet the quota, without it waits for it.",
		"seconds, or requests");
	static const char *const names[] = {"seconds", "KMS calls", "requests throttled", "requests tried again"};
	const struct run *runs[] = {on, off};

	for (size_t i = 0; c && i < 2; i++) {
		const double values[] = {
			runs[i]->seconds, (double)runs[i]->calls, (double)runs[i]->throttled, (double)runs[i]->retries};
		memcpy(c->y[i], values, sizeof values);
		c->points[i] = 4;
		strcpy(c->series[i], i ? "without bucket keys" : "with bucket keys");
	}
	for (size_t i = 0; c && i < 4; i++)
		strcpy(c->category[i], names[i]);
	if (c)
		c->count = 2;
	story_check(s->record, on->errors == 0, "With bucket keys no operation failed", "%llu of %d files",
		(unsigned long long)on->errors, FILES);
	story_check(s->record, off->errors == 0, "Without bucket keys no operation failed",
		"%llu of %d files; it took %.1f s", (unsigned long long)off->errors, FILES, off->seconds);
	story_check(s->record, on->throttled == 0, "Bucket keys stay below the quota",
		"%llu calls for %d files, none throttled", (unsigned long long)on->calls, FILES);
	story_check(s->record, off->throttled > 0 && off->retries >= off->throttled,
		"Without them the quota was met, and what was refused was asked again", "%llu throttled",
		(unsigned long long)off->throttled);
}

enum err play_throttle(struct stage *s)
{
	struct run on, off;
	char key[WORLD_ARN], with[WORLD_PATH], without[WORLD_PATH];
	uint64_t audited;

	TRY(world_serve(s->world, "cryptographic-symmetric=8", NULL));
	story_event(s->record, REPORT_CAUTION, "The KMS allows %d requests a second", RATE);
	TRY(world_make_key(s->world, "throttle", key));
	TRY(make_vault(s, key, 1, with));
	TRY(make_vault(s, key, 0, without));
	story_phase(s->record, REPORT_GOOD, "workload", "with bucket keys");
	TRY(work(s, with, "a", &on));
	story_phase(s->record, REPORT_CAUTION, "workload", "without bucket keys");
	TRY(work(s, without, "b", &off));
	story_phase(s->record, REPORT_PLAIN, "workload", NULL);
	tell(s, &on, &off);
	TRY(world_audited(s->world, NULL, NULL, "ThrottlingException", &audited));
	story_check(s->record, audited > 0, "The KMS says so, too", "%llu refusals on its audit trail",
		(unsigned long long)audited);
	if (s->own->vault)
		story_caution(s->record, "Your vault took no part.",
			"What is counted here are files of the drill's own: the same number with bucket keys and "
			"without.");
	s->load->files = 0;
	return ERR_OK;
}
