/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include "fs/drill/drill.h"
#include "kms/base/json.h"

enum { CACHE_SECONDS = 2, SLACK_SECONDS = 50 };

static const char deny[] =
	"{\"Version\":\"2012-10-17\",\"Statement\":["
	"{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"kms:*\",\"Resource\":\"*\"},"
	"{\"Effect\":\"Deny\",\"Principal\":{\"AWS\":\"*\"},\"Action\":[\"kms:Decrypt\","
	"\"kms:GenerateDataKey\"],\"Resource\":\"*\"}]}";

static enum err by_id(struct stage *s, const char *operation, const char *key)
{
	return world_kms(s->world, operation, json_pack("{s:s}", "KeyId", key), NULL);
}

static enum err put_policy(struct stage *s, const char *key, const char *policy)
{
	return world_kms(s->world, "PutKeyPolicy",
		json_pack("{s:s, s:s, s:s, s:b}", "KeyId", key, "PolicyName", "default", "Policy", policy,
			"BypassPolicyLockoutSafetyCheck", 1),
		NULL);
}

static enum err disable(struct stage *s, const char *key)
{
	return by_id(s, "DisableKey", key);
}

static enum err enable(struct stage *s, const char *key)
{
	return by_id(s, "EnableKey", key);
}

static enum err forbid(struct stage *s, const char *key)
{
	return put_policy(s, key, deny);
}

static enum err allow(struct stage *s, const char *key)
{
	return put_policy(s, key,
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},"
		"\"Action\":\"kms:*\",\"Resource\":\"*\"}]}");
}

static enum err schedule(struct stage *s, const char *key)
{
	return world_kms(
		s->world, "ScheduleKeyDeletion", json_pack("{s:s, s:i}", "KeyId", key, "PendingWindowInDays", 7), NULL);
}

static enum err cancel(struct stage *s, const char *key)
{
	TRY(by_id(s, "CancelKeyDeletion", key));
	return by_id(s, "EnableKey", key);
}

static const struct way {
	const char *name, *done, *healed;
	enum err (*take)(struct stage *s, const char *key);
	enum err (*give)(struct stage *s, const char *key);
} ways[] = {
	{"disabled", "The key is disabled", "The key is enabled", disable, enable},
	{"denied", "The key's policy denies its use", "The policy permits it again", forbid, allow},
	{"deletion", "The key's deletion is scheduled, in 7 days", "The deletion is cancelled and the key enabled",
		schedule, cancel},
};

/* From one moment on nothing is served: as many reads as there are files, and not one succeeds. */
static enum err nothing_is_served(struct stage *s, const struct way *way)
{
	uint64_t reads = s->load->reads;
	char what[STORY_WORD];

	TRY(workload_wait(&s->load->read_errors, s->files, "reads of every file"));
	snprintf(what, sizeof what, "%s: no file can be read any more", way->name);
	story_check(s->record, s->load->reads == reads, what, "%llu of %llu reads after the first refusal succeeded",
		(unsigned long long)(s->load->reads - reads), (unsigned long long)s->files);
	return ERR_OK;
}

/* Files leave one by one when their pages do, within a second of each other: so the first refusal is not the last read. */
static enum err until_all_refused(struct stage *s)
{
	double until = story_now(s->record) + workload_patience();
	uint64_t reads;

	do {
		if (story_now(s->record) > until)
			return err_fail(
				ERR_STALE, "some files can be read still after %u seconds", workload_patience());
		reads = s->load->reads;
		TRY(workload_wait(&s->load->read_errors, s->files, "reads that all fail"));
	} while (s->load->reads != reads);
	return ERR_OK;
}

static enum err revoke(struct stage *s, const struct scene *scene, const struct way *way, struct story_chart *chart)
{
	double since, until_refused, until_served;
	char what[STORY_WORD];
	size_t n = (size_t)(way - ways);

	story_phase(s->record, REPORT_BAD, "key", way->name);
	TRY(way->take(s, scene->key));
	story_event(s->record, REPORT_CAUTION, "%s", way->done);
	since = story_now(s->record);
	TRY(scene_until_refused(s, since, &until_refused));
	TRY(until_all_refused(s));
	TRY(nothing_is_served(s, way));
	snprintf(what, sizeof what, "%s: felt soon after the cache time", way->name);
	story_check(s->record, until_refused <= CACHE_SECONDS + SLACK_SECONDS, what,
		"after %.1f s; the cache time is %d s", until_refused, (int)CACHE_SECONDS);
	story_phase(s->record, REPORT_GOOD, "key", "enabled");
	TRY(way->give(s, scene->key));
	story_event(s->record, REPORT_CAUTION, "%s", way->healed);
	TRY(scene_until_served(s, story_now(s->record), &until_served));
	snprintf(chart->category[n], STORY_WORD, "%s", way->name);
	chart->y[0][n] = until_refused;
	chart->y[1][n] = until_served;
	return ERR_OK;
}

enum err play_revocation(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "2s", NULL};
	struct story_chart *chart = story_chart(s->record, REPORT_BARS, "How fast it is felt",
		"From the KMS's acknowledgement to the first read that fails, and that succeeds again.", "seconds");
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	strcpy(chart->series[0], "until reads fail");
	strcpy(chart->series[1], "until reads succeed again");
	story_phase(s->record, REPORT_GOOD, "key", "enabled");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads");
	TRY(workload_start(s->load, 0));
	TRY(workload_wait(&s->load->reads, s->files, "reads"));
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		TRY(revoke(s, &scene, &ways[i], chart));
		chart->count = 2;
		chart->points[0] = chart->points[1] = i + 1;
	}
	workload_stop(s->load);
	scene_verify(s, "Afterwards everything is as it was");
	return ERR_OK;
}
