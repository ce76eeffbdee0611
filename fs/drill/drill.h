/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_H
#define SIGNETFS_DRILL_H

/*
 * Rehearsals: each builds a scratch vault and keystore, plays an event under a running workload and checks what must hold. doc/drills.md
 * says what each proves and how its report is read.
 */

#include <stdint.h>
#include "fs/drill/own.h"
#include "fs/drill/story.h"
#include "fs/drill/tree.h"
#include "fs/drill/workload.h"
#include "fs/drill/world.h"
#include "kms/base/err.h"

struct stage {
	struct story *record;
	struct world *world;
	struct workload *load;
	uint64_t files;
	const struct own_vault *own;
	struct tree_sum ciphertext, contents; /* of it */
};

struct drill {
	const char *name, *summary;
	enum err (*play)(struct stage *s);
	/* With a vault of the person's own: what it does to that one, in words, and the play; or why there is none. */
	enum err (*real)(struct stage *s);
	const char *real_words;
};

/** NULL behind the last name. */
extern const struct drill drills[];
const struct drill *drill_find(const char *name);

/** Play it: what did not hold is in @record; so is a failure of the scene itself. */
void drill_play(const struct drill *d, uint64_t files, const struct own_vault *own, struct story *record);

/* ---- For the scenes (scene.c) ---- */

/** A service, a key, a vault under it whose keys live @cache_time, mounted, with @s->files files. Init's options, NULL behind the last. */
struct scene {
	char key[WORLD_ARN], vault[WORLD_PATH], point[WORLD_PATH];
};
enum err scene_set(struct stage *s, const char *const *init_options, struct scene *ret);
enum err scene_mount(struct stage *s, const char *vault, struct scene *scene);
/** `signetfs reencrypt ARGS… VAULT` of the mounted vault, while the workload goes on. NULL behind the last of @args. */
enum err scene_reencrypt(struct stage *s, const struct scene *scene, const char *const *args);
#define SCENE_REENCRYPT(s, scene, ...) scene_reencrypt(s, scene, (const char *const[]){__VA_ARGS__, NULL})
/** The vault's state now, kept as somebody's copy of it. */
enum err scene_copy(struct stage *s, const struct scene *scene, char ret_copy[WORLD_PATH]);
/** The workload goes on for so long: past the cache time, say. */
enum err scene_go_on(struct stage *s, double seconds);
/** No operation of the workload failed so far: a check. */
void scene_no_failure(struct stage *s, const char *what);
/** Every acknowledged file is there, byte by byte: a check. */
void scene_verify(struct stage *s, const char *what);
/** Wait for the workload to fail or to go on again; ERR_STALE: it does not. How long it took is an event; 0 where that is not wanted. */
enum err scene_until_refused(struct stage *s, double since, double *ret_seconds);
enum err scene_until_served(struct stage *s, double since, double *ret_seconds);
/** A member of a JSON object as a path: "kms", "client", "throttled", NULL. */
uint64_t scene_number(const json_t *object, const char *const *path);
#define SCENE_NUMBER(o, ...) scene_number(o, (const char *const[]){__VA_ARGS__, NULL})

enum err play_rotation(struct stage *s);
enum err play_migration(struct stage *s);
enum err play_revocation(struct stage *s);
enum err play_compromise(struct stage *s);
enum err play_throttle(struct stage *s);
enum err play_outage(struct stage *s);
enum err play_restore(struct stage *s);
enum err play_crypto_erase(struct stage *s);

#endif
