/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_DRILL_WORLD_H
#define SIGNETFS_DRILL_WORLD_H

/*
 * A scratch home folder with a keystore, KMS services, vaults and mounts, all made by running our own program as a person would. Nothing of
 * the person's own configuration, keystore or environment gets in. world_close() ends every process, unmounts and removes everything.
 */

#include <jansson.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "kms/base/err.h"
#include "kms/kms.h"

enum { WORLD_MOUNTS = 8, WORLD_ARGS = 32, WORLD_PATH = 512, WORLD_ARN = 256 };

struct world {
	char program[PATH_MAX];
	char root[64]; /* the scratch home */
	char keystore[WORLD_PATH], socket[WORLD_PATH], endpoint[WORLD_PATH + 8];
	char url[64]; /* http://127.0.0.1:PORT of the service */
	pid_t service;
	int service_out;
	struct kms *kms;            /* of the service, as the keystore's owner */
	const struct world *beside; /* shares this one's root */
	char mount[WORLD_MOUNTS][WORLD_PATH];
	size_t mounts;
	char own_point[WORLD_PATH]; /* of the person's vault; "": none */
	int closing;
	char access_key[64], secret[144], region[32]; /* given to children; "": none */
};

/** A home and a keystore in it. */
enum err world_open(struct world *w);
/** Another keystore in the home of @of, which is closed later. */
enum err world_open_beside(struct world *w, const struct world *of, const char *name);
void world_close(struct world *w);

/** A path in the home. */
void world_path(const struct world *w, const char *name, char out[WORLD_PATH]);
/** The configuration that names @w's keystore, for --config. */
void world_config(const struct world *w, char out[WORLD_PATH + 8]);

/**
 * From a signal handler: what is being waited for ends soon, and everything that is begun after it with ERR_INTERRUPTED. Tidying up
 * does not.
 */
void world_interrupt(int signal);
/** The signal; 0: none came. */
int world_interrupted(void);

/**
 * Run `signetfs ARGS…` (NULL behind the last). ERR_CLOSED with what it said when it does not end with 0. *ret_out (NULL: not wanted):
 * its standard output, free() it.
 */
enum err world_run(struct world *w, char **ret_out, const char *const *args);
#define WORLD_RUN(w, out, ...) world_run(w, out, (const char *const[]){__VA_ARGS__, NULL})
/** As world_run(), with the person's own environment, configuration and terminal. */
enum err world_run_as_person(struct world *w, char **ret_out, const char *const *args);
/** What it prints is one JSON value. */
enum err world_ask(struct world *w, json_t **ret, const char *const *args);
#define WORLD_ASK(w, ret, ...) world_ask(w, ret, (const char *const[]){__VA_ARGS__, NULL})
/** Another program, found in PATH. */
enum err world_program(struct world *w, const char *const *args);
/** Each line of its output. */
enum err world_lines(
	struct world *w, void (*each)(void *context, const char *line), void *context, const char *const *args);

/** Start `kms serve`, on the socket and on a port of 127.0.0.1; @options (NULL behind the last, or NULL). @quotas: "none", … */
enum err world_serve(struct world *w, const char *quotas, const char *const *options);
/** @how: SIGTERM or SIGKILL. */
void world_stop(struct world *w, int how);

/** One KMS operation at the service. @request is taken over. @ret may be NULL. */
enum err world_kms(struct world *w, const char *operation, json_t *request, json_t **ret);
enum err world_make_key(struct world *w, const char *description, char ret_arn[WORLD_ARN]);

/** Mount at the home's folder @name; @ret_point. @options for -o or NULL. */
enum err world_mount(
	struct world *w, const char *endpoint, const char *vault, const char *name, char ret_point[WORLD_PATH]);
/** What @args (`mount … VAULT`) mount as the person, at the home's folder @name, which is put behind them. */
enum err world_mount_as_person(struct world *w, const char *const *args, const char *name, char ret_point[WORLD_PATH]);
enum err world_umount(struct world *w, const char *point);
enum err world_stats(struct world *w, const char *point, json_t **ret);

/** Records of the audit trail about @key (NULL: all), by operation (NULL: any) and error ("": none, NULL: any). */
enum err world_audited(struct world *w, const char *key, const char *operation, const char *error, uint64_t *ret);

#endif
