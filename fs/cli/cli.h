/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_H
#define SIGNETFS_CLI_H

/*
 * What the commands share: exit codes, messages, option tables, settings, the way to the KMS.
 *
 * A command is `int cli_NAME(int argc, char **argv)` with argv[0] its name; it returns an exit code and never calls exit(). Only
 * commands print. Results go to stdout, everything else to stderr as "signetfs: …".
 */

#include <stdint.h>
#include <stdio.h>
#include "kms/base/err.h"
#include "kms/base/report.h"
#include "kms/kms.h"

struct descriptor;

/* ---- Exit codes: documented in signetfs(1), so they never change ---- */

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_WRONG_USAGE = 2, /* unknown option, wrong operand, wrong configuration file */
	CLI_WRONG_ROOT_KEY = 3,
	CLI_KMS_UNREACHABLE = 4,
	CLI_ACCESS_DENIED = 5, /* the KMS refuses: denied, disabled, deleted, no such key */
	CLI_VAULT_DAMAGED = 6,
	CLI_MOUNT_POINT = 7,
	CLI_KEYSTORE_DAMAGED = 8,
};

enum cli_exit cli_exit_code(enum err e);

/* ---- Messages (message.c) ---- */

/** "signetfs: …" on stderr; always returns CLI_FAILED. */
int cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** "signetfs: …" on stderr and how to get help on @command; returns CLI_WRONG_USAGE. */
int cli_wrong_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Report the failure @e of this thread: "signetfs: WHAT WAS TRIED: err_text()" and, on a line of its own, what the person can do
 * next. Returns the exit code for @e.
 */
int cli_fail(enum err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** What would drive a terminal, turns the order of text in it, or is no UTF-8 becomes '?', byte by byte. */
void cli_make_printable(char *text);

/** "signetfs: …" on stderr, made printable: for what is no failure of the command. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** As cli_fail(), but the sentence is complete as it stands. */
int cli_refused(enum err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Writes to stderr, one line a report; REPORT_DEBUG only when SIGNETFS_DEBUG is set. */
const struct reporter *cli_reporter(void);

/** Flush stdout: a full disk or closed pipe is a failure of the command. Returns @code, or CLI_FAILED after a message. */
int cli_finish(int code);

/* ---- Options (options.c) ---- */

enum cli_option_type {
	CLI_FLAG,    /* int *: set to 1 */
	CLI_TEXT,    /* const char **: points into argv */
	CLI_TEXTS,   /* struct cli_texts *: may be given several times */
	CLI_WORDS,   /* struct cli_texts *: one or more words, up to the next option */
	CLI_NUMBER,  /* uint64_t *: decimal */
	CLI_SECONDS, /* uint64_t *: "300", "300s", "5m", "2h", "7d" */
	CLI_EVERY,   /* uint64_t *: as CLI_SECONDS, but the value may be left out: 1 */
	CLI_CHOICE,  /* int *: index of the word in @argument ("on|off") */
};

enum { CLI_TEXTS_MAX = 64 };
struct cli_texts {
	size_t count;
	const char *item[CLI_TEXTS_MAX];
};

struct cli_option {
	const char *name; /* without dashes; NULL ends the table */
	char letter;      /* 0: no short form */
	enum cli_option_type type;
	void *target;
	const char *argument; /* for the help: "FILE"; the words of CLI_CHOICE */
	const char *help;     /* NULL: accepted, not shown */
};

struct cli_usage {
	const char *synopsis; /* "signetfs init [OPTION]… VAULT" */
	const char *summary;  /* a sentence or more, for --help */
	int min_operands, max_operands;
	const struct cli_option *options;
	const struct cli_option *more; /* a second table (cli_settings_options()) or NULL */
};

/**
 * Parse; operands and options may be mixed, "--" ends the options, `--name value` and `--name=value` are the same. The operands are
 * moved to argv[1] … argv[*ret_operands]. Returns -1 to go on; otherwise the exit code: CLI_DONE after --help (printed to
 * stdout), CLI_WRONG_USAGE after a message.
 */
int cli_parse(const struct cli_usage *usage, int argc, char **argv, int *ret_operands);

/** "300", "90s", "5m", "2h", "7d" → seconds. ERR_USAGE. */
enum err cli_parse_seconds(const char *text, uint64_t *ret_seconds);
enum err cli_parse_number(const char *text, uint64_t *ret);
/** "5m", "7d", "90s": the shortest exact form. */
enum { CLI_SECONDS_SIZE = 24 };
void cli_format_seconds(uint64_t seconds, char out[CLI_SECONDS_SIZE]);

/* ---- Settings: options over environment over configuration files (config.c) ---- */

enum cli_setting {
	CLI_SET_ENDPOINT,      /* NULL unless given: "agent", "unix:PATH", "http://…", "https://…" */
	CLI_SET_REGION,        /* never NULL after cli_settings_load(): us-east-1 by default */
	CLI_SET_KEYSTORE,      /* never NULL after cli_settings_load() */
	CLI_SET_ROOT_KEY,      /* never NULL after cli_settings_load(): "passphrase" by default */
	CLI_SET_ACCESS_KEY_ID, /* NULL unless given; so are the rest */
	CLI_SET_SECRET_ACCESS_KEY,
	CLI_SET_SESSION_TOKEN,
	CLI_SET_CA_FILE,
	CLI_SET_INSECURE_HTTP, /* "yes": permit http:// to another machine */
	CLI_SET_MOUNT_OPTIONS, /* [mount] options, as behind -o */
	CLI_SET_TLS_CERT,      /* [kms] of the service */
	CLI_SET_TLS_KEY,
	CLI_SET_LISTEN, /* as several --listen, with spaces between */
	CLI_SET_AUDIT_RETENTION,
	CLI_SET_QUOTAS,
	CLI_SET_RESOURCE_QUOTAS,
	CLI_SET_GRANT_DELAY,
	CLI_SET_COUNT,
};

enum { CLI_SETTINGS_OPTIONS = 12 };

/** Zero-initialise; cli_settings_free() in the end (AUTO_SETTINGS). */
struct cli_settings {
	const char *config_file;          /* --config */
	const char *last_file;            /* a configuration that counts more than the environment; NULL: none */
	int insecure_http;                /* --insecure-http */
	const char *given[CLI_SET_COUNT]; /* options, from cli_parse() */
	char *value[CLI_SET_COUNT];       /* secret_alloc(); after cli_settings_load() */
	struct cli_option options[CLI_SETTINGS_OPTIONS]; /* what cli_settings_options() returns */
};

/** The option table for cli_usage.more: --config, --kms/--endpoint-url, --region, --keystore, --root-key, --ca-file. */
const struct cli_option *cli_settings_options(struct cli_settings *s);

/** After cli_parse(): read the configuration files and resolve every setting. ERR_CONFIG names file and line. */
enum err cli_settings_load(struct cli_settings *s);
const char *cli_setting(const struct cli_settings *s, enum cli_setting which);
/** [kms] audit-retention in ns; 0: for ever. ERR_CONFIG. */
enum err cli_audit_retention(const struct cli_settings *s, uint64_t *ret);
void cli_settings_free(struct cli_settings *s);
#define AUTO_SETTINGS __attribute__((cleanup(cli_settings_free)))

/**
 * Before opening a vault: take over the region its descriptor names, and check its endpoint. The descriptor is not
 * authenticated yet, and whoever can write to the vault could point it at a KMS of theirs, which would then choose the keys: so an
 * endpoint other than the agent is used only when the person's own configuration or option names one. ERR_USAGE with advice.
 */
enum err cli_settings_for_vault(struct cli_settings *s, const struct descriptor *d);

/* ---- The way to the KMS (connect.c) ---- */

/** Where @e came from the KMS, put before its explanation which KMS that was. Returns @e. */
enum err cli_kms_name(const struct cli_settings *s, enum err e);
/** Connect to the endpoint set; "agent" (the default) starts one, which asks for the passphrase itself. Close with kms_close(). */
enum err cli_kms_connect(const struct cli_settings *s, struct kms **ret);

/** Is it a key file that a person holds, "keyfile:PATH", and no KMS? NULL is none. */
int cli_is_customer_key(const char *endpoint);
/** Which key the file behind such an endpoint has. Errors as customer_key_open(). */
enum err cli_customer_key_arn(const char *endpoint, char ret[KMS_ARN_MAX + 1]);
/** The endpoint as a vault remembers it. */
const char *cli_endpoint_to_keep(const struct cli_settings *s);

/** ERR_NOT_FOUND with advice unless the keystore set exists. */
enum err cli_check_keystore(const struct cli_settings *s);

void cli_kms_close_auto(struct kms **kms);
#define AUTO_KMS __attribute__((cleanup(cli_kms_close_auto)))

/* ---- Terminal output (terminal.c) ---- */

int cli_is_terminal(FILE *f);

/** The absolute path of what may not be there; malloc'd, NULL when memory is out. */
char *cli_absolute(const char *path);

/** Rows of cells, columns aligned. Cells are copied; control characters in them are shown as '?'. */
struct cli_table;
struct cli_table *cli_table_new(unsigned columns);
void cli_table_add(struct cli_table *t, const char *const *cells);
void cli_table_print(const struct cli_table *t, FILE *out);
void cli_table_free(struct cli_table *t);

/** "Name:   value" lines, aligned at @width. */
void cli_field(FILE *out, int width, const char *name, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** "4.0 MiB" */
enum { CLI_BYTES_SIZE = 24 };
void cli_format_bytes(uint64_t bytes, char out[CLI_BYTES_SIZE]);

/** A JSON string of text that may be no UTF-8: what is not becomes '?'. */
struct json_t *cli_json_text(const char *text);
/** One line on stdout, at once; takes @o over. NULL is fine. */
void cli_json_line(struct json_t *o);

/* ---- Commands ---- */

struct cli_command {
	const char *name; /* NULL ends a table */
	int (*run)(int argc, char **argv);
	const char *help; /* one line; NULL: not listed */
};

/** Run argv[1] out of @table; "help", "--help" and nearest-name advice included. @group is "" or "kms". */
int cli_dispatch(const char *group, const struct cli_command *table, int argc, char **argv);
/** The nearest name in @table, or NULL when none is near. */
const char *cli_nearest(const struct cli_command *table, const char *name);

int cli_init(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_mount(int argc, char **argv);
int cli_umount(int argc, char **argv);
int cli_reencrypt(int argc, char **argv);
int cli_keys(int argc, char **argv);
int cli_fsck(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_drill(int argc, char **argv);
int cli_kms(int argc, char **argv);

/* `signetfs kms …` */
int cli_kms_init(int argc, char **argv);
int cli_kms_serve(int argc, char **argv);
int cli_kms_agent(int argc, char **argv); /* started by wire_agent_start(), not by people */
int cli_kms_create_access_key(int argc, char **argv);
int cli_kms_list_access_keys(int argc, char **argv);
int cli_kms_delete_access_key(int argc, char **argv);
int cli_kms_principal(int argc, char **argv);
int cli_kms_simulate_policy(int argc, char **argv);
int cli_kms_audit(int argc, char **argv);
int cli_kms_cost(int argc, char **argv);
int cli_kms_quotas(int argc, char **argv);

#endif
