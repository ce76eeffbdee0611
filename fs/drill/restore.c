/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/drill/drill.h"
#include "fs/drill/person.h"

#define OTHER_ACCOUNT "111122223333"

/* The key's policy lets the other account in; there, the person's own policy has to allow it, too. And a grant for new files. */
static enum err let_in(struct stage *s, const struct scene *scene, const struct person *p)
{
	static const char policy[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":"
		"\"arn:aws:iam::000000000000:root\"},\"Action\":\"kms:*\",\"Resource\":\"*\"},{\"Effect\":\"Allow\","
		"\"Principal\":{\"AWS\":\"arn:aws:iam::" OTHER_ACCOUNT
		":root\"},\"Action\":\"kms:Decrypt\",\"Resource\":\"*\"}]}";

	TRY(world_kms(s->world, "PutKeyPolicy",
		json_pack("{s:s, s:s, s:s}", "KeyId", scene->key, "PolicyName", "default", "Policy", policy), NULL));
	TRY(person_allow(s->world, p, "\"kms:Decrypt\",\"kms:GenerateDataKey\""));
	TRY(world_kms(s->world, "CreateGrant",
		json_pack("{s:s, s:s, s:[s]}", "KeyId", scene->key, "GranteePrincipal", p->arn, "Operations",
			"GenerateDataKey"),
		NULL));
	story_event(s->record, REPORT_CAUTION, "Key policy and grant let the other account use the key");
	return ERR_OK;
}

static enum err back_up_and_lose(struct stage *s, const struct scene *scene, const char *restored)
{
	char archive[WORLD_PATH];

	world_path(s->world, "backup.tar", archive);
	const char *pack[] = {"tar", "-C", scene->vault, "-cf", archive, ".", NULL};
	const char *lose[] = {"rm", "-rf", "--", scene->vault, NULL};
	const char *make[] = {"mkdir", restored, NULL};
	const char *unpack[] = {"tar", "-C", restored, "-xf", archive, NULL};

	TRY(world_program(s->world, pack));
	story_event(s->record, REPORT_PLAIN, "The ciphertext is backed up with tar");
	TRY(world_program(s->world, lose));
	story_event(s->record, REPORT_BAD, "The original is lost");
	story_phase(s->record, REPORT_BAD, "vault", "lost");
	TRY(world_program(s->world, make));
	TRY(world_program(s->world, unpack));
	story_phase(s->record, REPORT_CAUTION, "vault", "restored, for another account");
	story_event(s->record, REPORT_PLAIN, "Unpacked at another place");
	return ERR_OK;
}

static enum err refused_first(struct stage *s, const struct person *p, const char *restored)
{
	char point[WORLD_PATH];

	person_act(s->world, p);
	enum err e = world_mount(s->world, s->world->url, restored, "theirs", point);
	person_act(s->world, NULL);
	story_check(s->record, e != ERR_OK && strstr(err_text(e), "not authorized") != NULL,
		"Without policy and grant the other account is refused", "%s",
		e == ERR_OK ? "it was not" : err_text(e));
	return e == ERR_OK ? world_umount(s->world, point) : ERR_OK;
}

/* What is decrypted may be the person's own: it goes into another scratch vault, so that nothing of it lies on the disk in the clear. */
static enum err make_safe_place(struct stage *s, const struct scene *scene, char ret_point[WORLD_PATH])
{
	char vault[WORLD_PATH];

	world_path(s->world, "safe", vault);
	TRY(WORLD_RUN(s->world, NULL, "init", "--kms", s->world->endpoint, "--key", scene->key, vault));
	return world_mount(s->world, s->world->endpoint, vault, "plain", ret_point);
}

/* Rescue disks and containers have no FUSE. */
static enum err decrypt_there(struct stage *s, const char *safe, const char *restored)
{
	char plain[WORLD_PATH];

	snprintf(plain, sizeof plain, "%.*s/out", WORLD_PATH - 8, safe);
	TRY(WORLD_RUN(s->world, NULL, "restore", "--kms", s->world->url, restored, plain));
	story_event(s->record, REPORT_PLAIN, "signetfs restore decrypts the copy into a folder");
	workload_move(s->load, plain);
	scene_verify(s, "signetfs restore brings back every byte, without a mount");
	return ERR_OK;
}

static enum err open_elsewhere(struct stage *s, struct scene *scene, const struct person *p, const char *restored)
{
	char safe[WORLD_PATH];

	TRY(refused_first(s, p, restored));
	TRY(let_in(s, scene, p));
	TRY(make_safe_place(s, scene, safe));
	person_act(s->world, p);
	TRY(decrypt_there(s, safe, restored));
	TRY(world_mount(s->world, s->world->url, restored, "theirs", scene->point));
	story_phase(s->record, REPORT_GOOD, "vault", "open in the other account");
	workload_move(s->load, scene->point);
	scene_verify(s, "With them it reads every byte");
	return ERR_OK;
}

/* One that is made now takes the grant. */
static enum err write_there(struct stage *s, const struct scene *scene)
{
	struct workload *more = calloc(1, sizeof *more);
	char point[WORLD_PATH], *slash;
	int failed;

	if (!more)
		return err_fail(ERR_NO_MEMORY, "out of memory");
	snprintf(point, sizeof point, "%s", s->load->folder);
	slash = strrchr(point, '/');
	snprintf(slash, sizeof point - (size_t)(slash - point), "/new");
	const char *mkdir[] = {"mkdir", point, NULL};
	enum err e = world_program(s->world, mkdir);
	if (e == ERR_OK)
		e = workload_make(more, s->record, point, 3);
	if (e == ERR_OK)
		story_check(s->record, workload_verify(more, &failed) == 3, "The grant lets it make new files",
			"3 files under %s", strrchr(scene->key, '/') + 1);
	free(more);
	return e;
}

enum err play_restore(struct stage *s)
{
	static const char *const options[] = {"--cache-time", "2s", "--bucket-key", "off", NULL};
	struct person p;
	char restored[WORLD_PATH];
	struct scene scene;

	TRY(world_serve(s->world, "none", NULL));
	TRY(scene_set(s, options, &scene));
	story_phase(s->record, REPORT_GOOD, "vault", "the original");
	TRY(world_umount(s->world, scene.point));
	world_path(s->world, "restored", restored);
	TRY(back_up_and_lose(s, &scene, restored));
	TRY(person_make(s->world, OTHER_ACCOUNT, "bea", NULL, &p));
	TRY(open_elsewhere(s, &scene, &p, restored));
	return write_there(s, &scene);
}
