/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_REENCRYPT_H
#define SIGNETFS_CLI_REENCRYPT_H

/* `signetfs reencrypt`: the request, and how its events are shown. */

#include <jansson.h>
#include "fs/cli/cli.h"
#include "fs/reencrypt/reencrypt.h"

struct reencrypt_show {
	int json;           /* lines of JSON on stdout, nothing else */
	const char *report; /* --report FILE; NULL */
	int drawn;          /* a progress bar stands on the terminal's last line */
	uint64_t told;      /* seconds at the last plain line of progress */
	json_t *events;     /* kept for the report; NULL: none */
};

/** Is progress shown as a share of the whole? */
int reencrypt_show_wants_total(const struct reencrypt_show *s);
/** For struct reencrypt_options; @context is the struct reencrypt_show. */
void reencrypt_show_event(void *context, const json_t *event);
void reencrypt_show_end(struct reencrypt_show *s);

/** A page of HTML at @path about a JSON array of events. */
enum err reencrypt_report(const json_t *events, const char *path);

struct reencrypt_request {
	const char *given; /* VAULT as it stands on the command line */
	char *vault;       /* absolute */
	const char *to, *from, *endpoint_to, *config_to;
	int data, dry_run, resume;
	char customer_key[KMS_ARN_MAX + 1]; /* what --endpoint-to keyfile:PATH has; `to` points to it */
	uint64_t jobs, rate;
	struct cli_texts only;
	struct cli_settings settings, to_settings;
	struct reencrypt_show show;
	struct reencrypt_result result;
};

#endif
