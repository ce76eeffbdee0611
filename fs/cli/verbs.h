/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGNETFS_CLI_VERBS_H
#define SIGNETFS_CLI_VERBS_H

/*
 * `signetfs kms VERB`: the operations of AWS KMS under the names and options of the AWS CLI, all from one table (verbs.c). What
 * an operation means, its limits and its checks are the KMS's; here are only spellings.
 */

#include <jansson.h>
#include "fs/cli/cli.h"

enum verb_type {
	VERB_STRING,
	VERB_INTEGER,
	VERB_BOOLEAN, /* --x and --no-x */
	VERB_BLOB,    /* base64, or fileb://PATH for raw bytes */
	VERB_MAP,     /* k=v,k2=v2 or JSON: string to string */
	VERB_LIST,    /* words or a JSON array of strings */
	VERB_JSON,    /* an object, as JSON */
	VERB_TAGS,    /* TagKey=k,TagValue=v … or JSON */
	VERB_TIME,    /* seconds since 1970, or 2026-11-22T02:05:00Z */
};

struct verb_option {
	const char *flag;   /* "key-id"; NULL ends the list */
	const char *member; /* "KeyId" */
	enum verb_type type;
	int required;
};

enum { VERB_OPTIONS_MAX = 16 };

struct verb {
	const char *name;      /* "describe-key"; NULL ends the table */
	const char *operation; /* "DescribeKey" */
	const char *help;
	const char *pages; /* the list member of a paginated answer, or NULL */
	struct verb_option options[VERB_OPTIONS_MAX];
};

extern const struct verb verbs[];
const struct verb *verb_find(const char *name);

/** A command function: argv[0] is the verb. */
int verb_run(int argc, char **argv);

/**
 * What a person wrote → the JSON value of the request. `file://PATH` and `fileb://PATH` are read first. @words has one item except for lists
 * and tags. ERR_USAGE, ERR_NOT_FOUND, ERR_SYSTEM, … with a text about the value.
 */
enum err verb_value(enum verb_type type, const struct cli_texts *words, json_t **ret);
/** --cli-input-json: JSON text or file://PATH; an object. */
enum err verb_input_json(const char *text, json_t **ret);

/**
 * create-key: members that stand for --administrators and --users become the Policy of the request. ERR_USAGE: it has one already.
 */
#define VERB_ADMINISTRATORS "(administrators)"
#define VERB_USERS          "(users)"
enum err verb_key_policy(json_t *request);

/** The part of an answer that @path names: member names, dots and [number]. NULL in *ret: there is none. ERR_USAGE: no such path. */
enum err verb_query(const json_t *response, const char *path, const json_t **ret);
/** For scripts, as `--output text`: one line, items of a list separated by tabs, None for what is not there. */
void verb_print_text(const json_t *value, FILE *out);

/** For people: aligned fields, tables for lists, dates as UTC. */
void verb_show(const json_t *response, FILE *out);

#endif
