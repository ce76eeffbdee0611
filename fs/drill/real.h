/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_REAL_H
#define SIGNETFS_DRILL_REAL_H

/*
 * A drill for real: the event is played with the person's own vault, key and KMS, by the commands that they would use. Before anything
 * changes the vault has to be sound and every file of it to be read; afterwards every file has to hold what it held before.
 * Only what keeps every file readable at every moment, also after kill -9, is played so: the others say why not (drill.c).
 */

#include "fs/drill/drill.h"

/** Sound, mounted, read: checks. Otherwise nothing was changed. */
enum err real_begin(struct stage *s, struct scene *ret);
/** A new mount, and the contents are as they were: a check. */
void real_end(struct stage *s, struct scene *scene);
enum err real_mount_anew(struct stage *s, struct scene *scene);

/** `signetfs ARGS…` as the person, with the KMS that was named. @ret may be NULL: what it printed, JSON. NULL behind the last of @args. */
enum err real_run(struct stage *s, json_t **ret, const char *const *args);
#define REAL_RUN(s, ret, ...) real_run(s, ret, (const char *const[]){__VA_ARGS__, NULL})

/** The vault's files under @key, and under any other; by `signetfs keys`. */
enum err real_files_under(struct stage *s, const char *key, uint64_t *ret_files, uint64_t *ret_others);

enum err real_rotation(struct stage *s);
enum err real_migration(struct stage *s);
enum err real_compromise(struct stage *s);

#endif
