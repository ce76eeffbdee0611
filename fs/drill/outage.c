/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "fs/drill/drill.h"

enum { CACHE_SECONDS = 8 };

static enum err go_away(struct stage *s, double *ret_since)
{
	uint64_t failed;

	story_phase(s->record, REPORT_BAD, "KMS", "away");
	world_stop(s->world, SIGKILL);
	story_event(s->record, REPORT_CAUTION, "The KMS is killed");
	*ret_since = story_now(s->record);
	/* The keys are fresh: seconds of their cache time are left. */
	TRY(workload_wait(&s->load->reads, s->files / 2, "reads with keys in memory"));
	failed = s->load->read_errors + s->load->write_errors;
	story_check(s->record, failed == 0, "Work goes on with the keys that are in memory",
		"%llu files read without a KMS, %llu operations failed", (unsigned long long)s->files / 2,
		(unsigned long long)failed);
	return ERR_OK;
}

static enum err come_back(struct stage *s)
{
	double seconds;

	TRY(world_serve(s->world, "none", NULL));
	story_phase(s->record, REPORT_GOOD, "KMS", "back");
	story_event(s->record, REPORT_CAUTION, "The KMS is back");
	TRY(scene_until_served(s, story_now(s->record), &seconds));
	TRY(workload_wait(&s->load->writes_done, 5, "files that are made"));
	story_check(s->record, 1, "It goes on by itself, without a new mount", "after %.1f s", seconds);
	return ERR_OK;
}

enum err play_outage(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "8s", NULL};
	double since, until;
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	story_phase(s->record, REPORT_GOOD, "KMS", "there");
	story_phase(s->record, REPORT_PLAIN, "workload", "reads and writes");
	TRY(workload_start(s->load, 1));
	TRY(workload_wait(&s->load->writes_done, 1, "a file that is made"));
	TRY(go_away(s, &since));
	TRY(scene_until_refused(s, since, &until));
	story_check(s->record, s->load->last_errno == EIO, "Then programs see an input/output error",
		"%s after %.1f s; cache time %d s", strerror((int)s->load->last_errno), until, CACHE_SECONDS);
	TRY(come_back(s));
	workload_stop(s->load);
	scene_verify(s, "Nothing that was acknowledged is lost");
	TRY(world_umount(s->world, scene.point));
	TRY(scene_mount(s, scene.vault, &scene));
	scene_verify(s, "Nor after a new mount");
	return ERR_OK;
}
